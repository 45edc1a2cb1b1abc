"""Local chains: what any JSON-RPC client expects of them, a heartbeat, and an end without leftovers."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import HTTPProvider, Web3
from web3.exceptions import ContractCustomError
from web3.logs import DISCARD

from sonar import localchain
from sonar.chain.contract import abi
from sonar.chain.contract.abi import training_market
from sonar.chain.rpc import Request, Rpc
from sonar.errors import ChainUnavailable, ConfigError, PortInUse, RpcError
from sonar.localchain import LocalChain, anvil
from sonar.localchain.statefile import STATE_FILE, StateFile
from sonar.localchain.tester import TesterChain
from sonar.protocol.ids import Address
from tests.chain_kit import Clock
from tests.kubo_kit import eventually

needs_anvil = pytest.mark.skipif(anvil.find() is None, reason="Anvil is not installed")
CLIENTS = [pytest.param("anvil", marks=needs_anvil), "eth-tester"]
RICH = Account.create()
FUND = {Address(RICH.address): 10**20}


@pytest.fixture(params=CLIENTS)
def running(request: pytest.FixtureRequest) -> Iterator[LocalChain]:
    with localchain.start(request.param, fund=FUND) as chain:
        yield chain


def test_an_independent_client_can_use_it(running: LocalChain) -> None:
    """Web3.py deploys the contract, reads its events and its errors, and sends ether."""
    w3 = Web3(HTTPProvider(running.url))
    assert w3.eth.chain_id == running.chain_id == 31337
    assert list(w3.eth.accounts) == []
    assert w3.eth.get_balance(RICH.address) == 10**20

    factory = w3.eth.contract(abi=training_market().abi, bytecode=training_market().bytecode)
    fields: Any = {"from": RICH.address, "nonce": 0}
    signed = RICH.sign_transaction(factory.constructor(10).build_transaction(fields))
    receipt = w3.eth.wait_for_transaction_receipt(w3.eth.send_raw_transaction(signed.raw_transaction))
    assert receipt["status"] == 1
    contract = w3.eth.contract(receipt["contractAddress"], abi=training_market().abi)
    assert contract.functions.MIN_WINDOW().call() == 10
    with pytest.raises(ContractCustomError) as caught:
        contract.functions.getBounty(b"\7" * 32).call()
    [item] = [item for item in abi.errors().values() if item.name == "UnknownBounty"]
    assert str(caught.value.data).startswith("0x" + item.selector.hex())

    nobody = "0x" + "00" * 20
    terms = (nobody, 3, 2, 3, 60, 60, 60, 0, 10_000, 10, 1, 100, 1000, 10, nobody, b"\0" * 32)
    post = contract.functions.postBounty(terms, b"\1" * 32, b"\2" * 32, b"\3" * 32)
    fields = {"from": RICH.address, "nonce": 1, "value": 109}
    signed = RICH.sign_transaction(post.build_transaction(fields))
    receipt = w3.eth.wait_for_transaction_receipt(w3.eth.send_raw_transaction(signed.raw_transaction))
    [event] = contract.events.BountyPosted().process_receipt(receipt, errors=DISCARD)
    assert event["args"]["escrow"] == 109
    [log] = contract.events.BountyPosted().get_logs(from_block=0)
    assert (log["blockHash"], log["transactionHash"]) == (receipt["blockHash"], receipt["transactionHash"])
    assert contract.events.BountyPosted().get_logs(from_block=0, to_block=receipt["blockNumber"] - 1) == []
    block: Any = w3.eth.get_block(receipt["blockNumber"], full_transactions=True)
    assert block["transactions"][0]["hash"] == signed.hash
    assert w3.eth.get_transaction(signed.hash)["from"] == RICH.address
    assert w3.eth.get_balance(contract.address, receipt["blockNumber"] - 1) == 0
    assert w3.eth.get_balance(contract.address, receipt["blockNumber"]) == 109


def test_its_heart_beats(running: LocalChain) -> None:
    rpc = Rpc(running.url)

    def head() -> tuple[int, int]:
        block = rpc.call("eth_getBlockByNumber", "latest", False)
        return int(block["number"], 16), int(block["timestamp"], 16)

    number, at_s = head()
    eventually(lambda: head()[0] >= number + 2, within_s=30)
    _, later_s = head()
    assert at_s + 2 <= later_s
    eventually(lambda: abs(head()[1] - time.time()) < 3, within_s=30)  # it goes as all clocks do


def test_refusals_are_in_words_that_programs_look_for(running: LocalChain) -> None:
    rpc = Rpc(running.url)
    fields = {"to": RICH.address, "gas": 21_000, "maxFeePerGas": 10**10, "maxPriorityFeePerGas": 1}

    def send(account: LocalAccount = RICH, **changes: int) -> object:
        signed = account.sign_transaction(fields | {"value": 1, "nonce": 0, "chainId": 31337} | changes)
        return rpc.call("eth_sendRawTransaction", "0x" + bytes(signed.raw_transaction).hex())

    sent = send()
    while (
        rpc.call("eth_getTransactionReceipt", sent) is None
    ):  # Anvil mines at once, but not before it answers
        time.sleep(0.01)
    with pytest.raises(RpcError, match=r"(?i)nonce too low"):
        send(value=2)
    with pytest.raises(RpcError, match=r"(?i)already known|already imported|nonce too low"):
        send()
    with pytest.raises(RpcError, match=r"(?i)insufficient funds"):
        send(Account.create())
    with pytest.raises(RpcError, match=r"(?i)chain.?id"):
        send(nonce=1, chainId=5)
    for garbage in ("0x", "0x02", "0xff" * 50, "0x02" + "00" * 100):
        with pytest.raises(RpcError):
            rpc.call("eth_sendRawTransaction", garbage)
    with pytest.raises(RpcError):
        rpc.call("eth_nonsense")


def test_a_block_can_be_named_by_its_hash(running: LocalChain) -> None:
    """As in EIP-1898; a block that the chain does not have is refused."""
    rpc, call = Rpc(running.url), {"to": RICH.address, "data": "0x"}
    known = rpc.call("eth_getBlockByNumber", "latest", False)["hash"]
    assert rpc.call("eth_call", call, {"blockHash": known, "requireCanonical": True}) == "0x"
    with pytest.raises(RpcError) as refused:
        rpc.call("eth_call", call, {"blockHash": "0x" + "11" * 32, "requireCanonical": True})
    assert refused.value.code == -32001


@pytest.mark.parametrize("client", CLIENTS)
def test_a_port_in_use_is_told(client: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=f"port {port} on 127.0.0.1 is in use"):
            localchain.start(client, port=port)


def test_it_ends_and_frees_its_port(running: LocalChain) -> None:
    port = int(running.url.rpartition(":")[2])
    assert running.alive()
    running.stop()
    running.stop()
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))
    if running.pid != os.getpid():
        assert not Path(f"/proc/{running.pid}").exists()


def test_unknown_clients_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="'geth' is not one of auto, anvil, eth-tester"):
        localchain.start("geth")
    monkeypatch.setenv("SONAR_ANVIL", "/nowhere/anvil")
    with pytest.raises(ConfigError, match="SONAR_ANVIL: /nowhere/anvil is not a program"):
        localchain.start("anvil")


# ---- Anvil


@needs_anvil
def test_anvil_goes_on_from_its_state(tmp_path: Path) -> None:
    to = Address(Account.create().address)
    with localchain.start("anvil", state_dir=tmp_path, fund={to: 5}) as chain:
        number = int(Rpc(chain.url).call("eth_blockNumber"), 16)
    with localchain.start("anvil", state_dir=tmp_path) as chain:
        assert Rpc(chain.url).call("eth_getBalance", to, "latest") == "0x5"
        assert int(Rpc(chain.url).call("eth_blockNumber"), 16) >= number
        assert chain.notes == []


def kept_block(folder: Path) -> int:
    """The newest block of the state on the disk, which is whole at every instant."""
    path = folder / STATE_FILE
    return int(json.loads(path.read_bytes())["best_block_number"]) if path.exists() else -1


@needs_anvil
def test_what_anvil_had_kept_outlives_a_kill(tmp_path: Path) -> None:
    to, deadline_s = Address(Account.create().address), time.monotonic() + 30
    with localchain.start("anvil", state_dir=tmp_path, fund={to: 5}) as chain:
        rpc = Rpc(chain.url)
        while kept_block(tmp_path) < 2:
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
        genesis = rpc.call("eth_getBlockByNumber", "0x0", False)
        os.kill(chain.pid, signal.SIGKILL)
        kept = kept_block(tmp_path)
    assert kept_block(tmp_path) == kept
    with localchain.start("anvil", state_dir=tmp_path) as chain:
        rpc = Rpc(chain.url)
        assert rpc.call("eth_getBlockByNumber", "0x0", False) == genesis
        assert rpc.call("eth_getBalance", to, "latest") == "0x5"
        assert int(rpc.call("eth_blockNumber"), 16) >= kept
        assert chain.notes == []


@needs_anvil
def test_a_state_is_of_one_block_and_replaces_the_last_one_whole(tmp_path: Path) -> None:
    """What is mined while it is taken would be in its accounts, and not in its record."""
    with localchain.start("anvil") as chain:
        rpc, file, mined = Rpc(chain.url), StateFile(tmp_path), iter(range(2))
        file.save(rpc)
        before, real = file.path.read_bytes(), rpc.call

        def mine_meanwhile(method: str, *params: Any) -> Any:
            answer = real(method, *params)
            if method == "anvil_dumpState" and next(mined, None) is not None:
                real("evm_mine")
            return answer

        rpc.call = mine_meanwhile  # type: ignore[method-assign]
        file.save(rpc)
        assert list(mined) == []
        newest = int(real("eth_blockNumber"), 16)
        assert json.loads(file.path.read_bytes())["best_block_number"] == newest
        for broken in ("0x", "0x00", "0x1f8b", None):
            rpc.call = lambda method, *_, said=broken: real(method) if method == "eth_blockNumber" else said  # type: ignore[method-assign]
            with pytest.raises(RpcError):
                file.save(rpc)
        assert json.loads(file.path.read_bytes())["best_block_number"] == newest
        assert before != file.path.read_bytes()


@needs_anvil
def test_a_state_is_taken_the_rarer_the_longer_it_takes(tmp_path: Path) -> None:
    clock, taken = Clock(), []
    file = StateFile(tmp_path, monotonic=clock)
    with localchain.start("anvil") as chain:
        rpc = Rpc(chain.url)
        real = rpc.call

        def slow(method: str, *params: Any) -> Any:
            if method == "anvil_dumpState":
                taken.append(clock.now_s)
                clock.sleep(2)
            return real(method, *params)

        rpc.call = slow  # type: ignore[method-assign]
        for _ in range(100):
            rpc.call("anvil_mine", "0x1")
            file.keep(rpc, int(rpc.call("eth_blockNumber"), 16))
            clock.sleep(1)
    assert taken[:3] == [0, 40, 80]


@needs_anvil
def test_a_disk_that_is_full_is_told_while_the_chain_goes_on(tmp_path: Path) -> None:
    (tmp_path / f"{STATE_FILE}.new").mkdir()
    deadline_s = time.monotonic() + 30
    with localchain.start("anvil", state_dir=tmp_path) as chain:
        while not chain.notes:
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
        time.sleep(1.2)
        assert int(Rpc(chain.url).call("eth_blockNumber"), 16) >= 1
        [note] = chain.notes
        assert "the chain's state cannot be saved; is the disk full?" in note


@needs_anvil
def test_anvil_that_ends_at_its_start_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "anvil"
    program.write_text("#!/bin/sh\nkill -9 $$\n")
    program.chmod(0o755)
    monkeypatch.setenv("SONAR_ANVIL", str(program))
    with pytest.raises(ChainUnavailable, match=r"(?m)^Anvil ended with -9$") as caught:
        localchain.start("anvil")
    assert "something killed it" in caught.value.hint


@needs_anvil
def test_anvil_lets_old_states_go() -> None:
    """Each holds the hashes of all blocks before it: an idle network ran out of memory in 40 minutes."""
    with localchain.start("anvil") as chain:
        rpc, call = Rpc(chain.url), {"to": RICH.address, "data": "0x"}
        rpc.call("anvil_mine", hex(4 * anvil.STATES_KEPT))
        newest = int(rpc.call("eth_blockNumber"), 16)
        assert rpc.call("eth_call", call, hex(newest - anvil.STATES_KEPT // 2)) == "0x"
        with pytest.raises(RpcError):
            rpc.call("eth_call", call, hex(newest - 2 * anvil.STATES_KEPT))


@needs_anvil
def test_anvils_heart_beats_rarer_while_nobody_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anvil, "BEAT_S", 0.02)
    with localchain.start("anvil") as chain:
        time.sleep(3)
        assert 10 < int(Rpc(chain.url).call("eth_blockNumber"), 16) < 75  # 150 at an even beat


@needs_anvil
@pytest.mark.parametrize("content", [b"", b'{"block": {"number'])
def test_a_state_cut_off_by_a_crash_is_set_aside(tmp_path: Path, content: bytes) -> None:
    (tmp_path / STATE_FILE).write_bytes(content)
    with localchain.start("anvil", state_dir=tmp_path) as chain:
        [note] = chain.notes
        assert "cut off by a crash" in note
    [aside] = tmp_path.glob("*.damaged-*")
    assert aside.read_bytes() == content


@needs_anvil
def test_anvil_dies_with_its_parent() -> None:
    script = "from sonar import localchain; c = localchain.start('anvil'); print(c.pid, flush=True); input()"
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        parent.kill()
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and "State:\tZ" not in Path(f"/proc/{pid}/status").read_text():
        assert time.monotonic() < deadline, "Anvil outlived its parent"
        time.sleep(0.05)


# ---- eth-tester behind JSON-RPC


@pytest.fixture
def tester() -> Iterator[LocalChain]:
    with localchain.start("eth-tester", fund=FUND) as chain:
        yield chain


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b"[" * 200_000, -32700),
        (b"1", -32600),
        (b"[]", -32600),
        (b"[" + b"1," * 100 + b"1]", -32600),
        (b'{"method": 7, "id": 1}', -32600),
        (b'{"method": "eth_nonsense", "id": 1}', -32601),
        (b'{"method": "eth_chainId", "params": {}, "id": 1}', -32602),
        (b'{"method": "eth_getBalance", "params": [], "id": 1}', -32602),
        (b'{"method": "eth_getBalance", "params": ["0x12"], "id": 1}', -32602),
        (b'{"method": "eth_getBalance", "params": [7], "id": 1}', -32602),
        (b'{"method": "eth_getBalance", "params": ["0x%s", "0xfffff"], "id": 1}' % (b"00" * 20), -32000),
        (b'{"method": "eth_call", "params": [{}, {"blockHash": "0x12"}], "id": 1}', -32602),
        (b'{"method": "eth_call", "params": [{}, {"blockHash": [{}]}], "id": 1}', -32602),
        (b'{"method": "eth_getBalance", "params": ["0x%s", {}], "id": 1}' % (b"00" * 20), -32602),
        (b'{"method": "eth_call", "params": ["x"], "id": 1}', -32602),
        (b'{"method": "eth_call", "params": [{"value": "-0x1"}], "id": 1}', -32602),
        (b'{"method": "eth_call", "params": [{"to": "0x12", "gas": "0x5"}], "id": 1}', None),
        (b'{"method": "eth_getLogs", "params": [{"topics": 5}], "id": 1}', None),
        (b'{"method": "eth_getLogs", "params": [7], "id": 1}', -32602),
        (b'{"method": "eth_getTransactionReceipt", "params": [null], "id": 1}', -32602),
        (b'{"method": "eth_feeHistory", "params": ["x"], "id": 1}', -32602),
        (b'{"method": "eth_getBlockByHash", "params": ["0x%s"], "id": 1}' % (b"00" * 32), None),
    ],
)
def test_hostile_requests_get_an_error_and_hurt_nobody(body: bytes, code: int | None) -> None:
    chain = TesterChain(FUND)
    with chain.rpc()._endpoint._http.stream(
        "POST", httpx.URL("http://x"), content=body.decode(), timeout=5
    ) as reply:
        found = json.loads(b"".join(reply.iter_bytes()))
    if code is not None:
        assert found["error"]["code"] == code
    assert chain.rpc().call("eth_chainId") == "0x7a69"


def test_the_server_bounds_what_it_reads(tester: LocalChain) -> None:
    with httpx.Client() as client:
        assert client.post(tester.url, content=b"x" * 1_000_001).status_code == 413
        assert client.post(tester.url, content=iter([b"{}"])).status_code == 411  # no length given
        assert client.get(tester.url).status_code == 501
        answer = client.post(tester.url, json={"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"})
        assert answer.json() == {"jsonrpc": "2.0", "id": 1, "result": "0x7a69"}


def test_batches_are_answered_in_order(tester: LocalChain) -> None:
    chain_id, error, accounts = Rpc(tester.url).batch(
        *map(Request, ("eth_chainId", "eth_nonsense", "eth_accounts"))
    )
    assert (chain_id, accounts) == ("0x7a69", [])
    assert isinstance(error, RpcError)
    assert error.code == -32601


def test_the_clock_of_a_test_rules() -> None:
    chain = TesterChain(FUND, clock=lambda: 1_000.0)
    assert chain.now_s == 1_000
    chain.mine_at(1_500)
    assert chain.now_s == 1_500
    with pytest.raises(ValueError, match="a block of time 1500 cannot follow one of 1500"):
        chain.mine_at(1_500)
    block = chain.rpc().call("eth_getBlockByNumber", "0x1", False)
    assert int(block["timestamp"], 16) == 1_500
    assert chain.rpc().call("eth_getBlockByNumber", "0x2", False) is None


# ---- the command


def start_command(home: Path, client: str, *more: str) -> tuple[subprocess.Popen[str], dict[str, object]]:
    command = [
        sys.executable,
        "-m",
        "sonar",
        "chain",
        "--home",
        str(home),
        "--client",
        client,
        "--json",
        *more,
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


def sonar(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sonar", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.e2e
@pytest.mark.parametrize("client", CLIENTS)
def test_sonar_chain_serves_a_network_until_sigterm(tmp_path: Path, client: str) -> None:
    process, ready = start_command(tmp_path / "net", client)
    try:
        assert ready["ready"] is True
        assert ready["client"] == client
        network = str(ready["network"])
        again = sonar("chain", "--home", str(tmp_path / "net"), "--json")
        assert (again.returncode, f"process {process.pid} works in" in again.stdout) == (2, True)
        to = Account.create().address
        assert sonar("fund", to, "--amount", "2 ether", "--network", network).returncode == 0
        assert int(Rpc(str(ready["rpc_url"])).call("eth_getBalance", to, "latest"), 16) == 2 * 10**18
        listed = sonar("status", "--network", network, "--json")
        assert (listed.returncode, json.loads(listed.stdout)) == (0, [])
        unknown = sonar("status", "--network", network, "11" * 32)
        assert unknown.returncode == 1
        assert unknown.stderr.startswith("error: this network has no bounty 0x11111111…1111")
    finally:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (143, "", "")
    with pytest.raises(httpx.ConnectError):
        httpx.post(str(ready["rpc_url"]))
    process, later = start_command(tmp_path / "net", client)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    # Anvil goes on; a chain that starts anew must not pass for the old one with those who have its files.
    assert (later["contract"] == ready["contract"]) is (client == "anvil")
