"""The contract lies at the same address on every chain, and nothing is sent where it lies already."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import rlp
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from sonar import localchain
from sonar.chain.deploying import create2
from sonar.chain.deploying.deploy import deploy, predicted
from sonar.chain.rpc import Chain, Rpc
from sonar.errors import ConfigError, RpcError, WrongContract
from sonar.localchain import anvil
from sonar.localchain.tester import TesterChain
from sonar.protocol.ids import Address
from tests.chain_kit import Clock, Wire, error_answer

needs_anvil = pytest.mark.skipif(anvil.find() is None, reason="Anvil is not installed")
CLIENTS = [pytest.param("anvil", marks=needs_anvil), "eth-tester"]


def test_the_proxy_s_transaction_makes_the_proxy_and_nobody_has_its_key() -> None:
    signer = Account.recover_transaction(create2.PROXY_TRANSACTION)
    assert signer == create2.PROXY_SIGNER
    created = keccak(rlp.encode([bytes.fromhex(signer[2:]), b""]))[12:]
    assert Address(to_checksum_address(created)) == create2.PROXY
    nonce, price, gas, to, value, data, v, _, _ = rlp.decode(create2.PROXY_TRANSACTION)
    assert (nonce, to, value, v) == (b"", b"", b"", b"\x1b")  # 27: of no chain, so of every chain
    assert int.from_bytes(price, "big") * int.from_bytes(gas, "big") == create2.PROXY_COST_WEI
    assert data.endswith(create2.PROXY_CODE)


def test_each_least_window_has_an_address() -> None:
    assert predicted(10) != predicted(11)


@pytest.fixture(params=CLIENTS)
def place(request: pytest.FixtureRequest) -> Iterator[tuple[str, LocalAccount, LocalAccount]]:
    accounts: list[LocalAccount] = [Account.create() for _ in range(2)]
    with localchain.start(request.param, fund={Address(a.address): 10**18 for a in accounts}) as chain:
        yield chain.url, accounts[0], accounts[1]


def test_one_address_on_every_chain_and_one_deployment(place: tuple[str, LocalAccount, LocalAccount]) -> None:
    url, first, second = place
    rpc = Rpc(url)
    done = deploy(rpc, first, min_window_s=10)
    assert (done.contract, done.new) == (predicted(10), True)
    assert done.market(rpc).min_window_s() == 10
    other = deploy(rpc, first, min_window_s=11)
    assert (other.contract, other.new) == (predicted(11), True)
    before = Chain(rpc).ether(Address(second.address))
    again = deploy(rpc, second, min_window_s=10)
    assert (again.contract, again.code_hash, again.block, again.new) == (
        done.contract,
        done.code_hash,
        done.block,
        False,
    )
    assert Chain(rpc).ether(Address(second.address)) == before


def test_a_plain_deployment_is_at_an_address_of_the_account_s_own(
    place: tuple[str, LocalAccount, LocalAccount],
) -> None:
    url, account, _ = place
    done = deploy(Rpc(url), account, min_window_s=10, plain=True)
    created = keccak(rlp.encode([bytes.fromhex(account.address[2:]), b""]))[12:]
    assert done.contract == Address(to_checksum_address(created))
    assert done.market(Rpc(url)).min_window_s() == 10


# ---- a chain in this process, and what its node may say


@pytest.fixture
def account() -> LocalAccount:
    made: LocalAccount = Account.create()
    return made


@pytest.fixture
def wire(account: LocalAccount) -> Wire:
    fund = {Address(account.address): 10**18}
    return Wire(TesterChain(fund, clock=Clock(1_800_000_000)))


def test_the_proxy_is_put_where_it_is_missing_once(wire: Wire, account: LocalAccount) -> None:
    assert Chain(wire.rpc()).code(create2.PROXY) == b""
    deploy(wire.rpc(), account, min_window_s=10)
    assert (
        wire.seen.count("eth_sendRawTransaction") == 4
    )  # is the proxy taken? its signer's ether, it, the contract
    assert Chain(wire.rpc()).code(create2.PROXY) == create2.PROXY_CODE
    deploy(wire.rpc(), account, min_window_s=11)
    assert wire.seen.count("eth_sendRawTransaction") == 5


def test_a_node_that_refuses_what_fits_every_chain(wire: Wire, account: LocalAccount) -> None:
    raw = "0x" + create2.PROXY_TRANSACTION.hex()

    def refuse(requests: list[dict[str, Any]], before: bool) -> bytes | None:
        if before and requests[0]["params"] == [raw]:
            return error_answer(requests, "only replay-protected (EIP-155) transactions allowed over RPC")
        return None

    wire.tamper = refuse
    with pytest.raises(RpcError, match="replay-protected") as caught:
        deploy(wire.rpc(), account, min_window_s=10)
    assert "--plain" in caught.value.hint
    assert "Nothing was paid" in str(caught.value)
    chain = Chain(wire.rpc())
    assert chain.ether(create2.PROXY_SIGNER) == 0
    assert chain.ether(Address(account.address)) == 10**18
    assert deploy(wire.rpc(), account, min_window_s=10, plain=True).market(wire.rpc()).min_window_s() == 10


def code_answer(wire: Wire, address: Address, code: str) -> None:
    """Have the node say that `code` lies at `address`."""

    def lie(requests: list[dict[str, Any]], before: bool) -> bytes | None:
        if before and requests[0]["method"] == "eth_getCode" and requests[0]["params"][0] == address:
            return json.dumps({"jsonrpc": "2.0", "id": requests[0]["id"], "result": code}).encode()
        return None

    wire.tamper = lie


@pytest.mark.parametrize("address", [create2.PROXY, predicted(10)], ids=["proxy", "contract"])
def test_other_code_at_a_known_address_stops_everything(
    wire: Wire, account: LocalAccount, address: Address
) -> None:
    code_answer(wire, address, "0x6001")
    with pytest.raises(WrongContract) as caught:
        deploy(wire.rpc(), account, min_window_s=10)
    assert caught.value.address == address
    assert "eth_sendRawTransaction" not in wire.seen


def test_a_node_without_old_states_says_what_to_do(wire: Wire, account: LocalAccount) -> None:
    deploy(wire.rpc(), account, min_window_s=10)

    def forget(requests: list[dict[str, Any]], before: bool) -> bytes | None:
        asked = requests[0]
        if before and asked["method"] == "eth_getCode" and asked["params"][1] != "latest":
            return error_answer(requests, "missing trie node")
        return None

    wire.tamper = forget
    with pytest.raises(ConfigError, match="already") as caught:
        deploy(wire.rpc(), account, min_window_s=10)
    assert "archive" in caught.value.hint


@pytest.mark.parametrize("seconds", [0, -1, 2**24])
def test_a_window_that_cannot_be_deployed(wire: Wire, account: LocalAccount, seconds: int) -> None:
    with pytest.raises(ConfigError, match="min_window"):
        deploy(wire.rpc(), account, min_window_s=seconds)
