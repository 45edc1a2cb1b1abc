"""The command line against a real node over HTTP; the node's loop as real processes."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest
import stamina
from eth_account import Account
from eth_account.signers.local import LocalAccount

from mine.cli import app, data_app, main
from mine.show.documents import ANSWERS
from mine.wiring import locked
from sonar import localchain
from sonar.chain.contract.calls import transfer
from sonar.chain.contract.market import Market
from sonar.chain.deploying.deploy import deploy
from sonar.chain.rpc import Rpc
from sonar.chain.sending.intent import Intent
from sonar.chain.sending.outbox import Outbox
from sonar.errors import ChainUnavailable, StoreUnavailable, WrongContract
from sonar.home.journal import Journal
from sonar.home.settings import NetworkConfig
from sonar.manifests.model import PaillierCover
from sonar.protocol.ids import Address
from sonar.protocol.phase import Status, status_of
from sonar.store import choose
from sonar.store.folder import FolderStore
from sonar.telling.documents import read, write
from sonar.telling.progress import Done, ListSink, parse_line
from tests.chain_kit import counted, network_of, serving, wish
from tests.integration.mine_kit import TinyScientist, terms, write_csv
from tests.script_kit import load
from tests.token_kit import deploy_token, mint
from tests.veil_kit import Capsule, cover_of, make_capsules

ROOT = Path(__file__).parents[2]


@dataclass
class Net:
    file: Path
    folder: Path
    scientist: TinyScientist
    url: str
    owner: LocalAccount

    def fund(self, address: str, wei: int = 10**18) -> None:
        self.scientist.outbox.perform(wish(f"gift/{address}"), transfer(Address(address), wei))


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Net]:
    folder = tmp_path_factory.mktemp("net")
    account = Account.create()
    with localchain.start("eth-tester", fund={Address(account.address): 10**24}) as chain:
        rpc = Rpc(chain.url)
        made = deploy(rpc, account, min_window_s=1)
        network_of(made, chain.url).save(folder / "network.toml")
        outbox = Outbox(made.market(rpc), account, Journal(folder / "scientist.sqlite"))
        store = FolderStore(folder / "store")
        yield Net(
            folder / "network.toml",
            folder,
            TinyScientist(made.market(rpc), store, outbox),
            chain.url,
            account,
        )


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SONAR_PASSWORD", "secret")


@dataclass
class Cli:
    """Runs commands on one home, in this process."""

    capsys: pytest.CaptureFixture[str]
    home: Path

    def __call__(self, *args: str) -> tuple[int, Any]:
        self.capsys.readouterr()
        code = main([*args, "--home", str(self.home), "--json"])
        out = self.capsys.readouterr().out
        if code == 0 and args[0] != "run":
            command = " ".join(args[:2]) if args[0] == "data" else args[0]
            answer = out.splitlines()[-1]
            assert write(read(ANSWERS[command], answer)) == answer
        return code, counted(json.loads(out.splitlines()[-1])) if out.strip() else None

    def text(self, *args: str) -> tuple[int, str]:
        self.capsys.readouterr()
        code = main([*args, "--home", str(self.home)])
        captured = self.capsys.readouterr()
        return code, captured.out + captured.err

    def init(self, net: Net, *more: str) -> Any:
        code, document = self("init", "--network", str(net.file), "--dev", "--insecure-keys", *more)
        assert code == 0, document
        return document


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Cli:
    return Cli(capsys, tmp_path / "home")


def test_init_makes_a_private_home_once(cli: Cli, net: Net) -> None:
    first = cli.init(net)
    assert re.fullmatch(r"0x[0-9a-fA-F]{40}", first["address"])
    assert "data add" in first["next"]
    assert stat.S_IMODE(cli.home.stat().st_mode) == 0o700
    second = cli.init(net, "--example", "diabetes", "--shard", "3/10")
    assert second["address"] == first["address"]
    assert second["data"]["rows"] == 40
    assert "send ether" in second["next"]
    code, text = cli.text("init")
    assert code == 0
    assert first["address"] in text


def test_init_without_a_network_says_where_to_get_one(cli: Cli) -> None:
    code, problem = cli("init")
    assert code == 2
    assert "there is no network file" in problem["error"]
    assert "--network" in problem["hint"]
    assert not cli.home.exists()


def test_dev_is_refused_on_a_real_network(cli: Cli, net: Net, tmp_path: Path) -> None:
    real = tmp_path / "real.toml"
    real.write_text(net.file.read_text().replace("dev = true", "dev = false"))
    code, problem = cli("init", "--network", str(real), "--dev")
    assert (code, problem["error"].split(":")[0]) == (2, "--dev")
    assert cli("init", "--network", str(real))[0] == 0
    for command in (["join", "--all"], ["run", "--join-all"]):
        code, problem = cli(*command)
        assert code == 2
        assert "dev = true" in problem["error"]


def test_a_command_without_a_home_says_how_to_make_one(cli: Cli) -> None:
    for command in ("status", "doctor", "earnings", "bounties", "run", "claim"):
        code, problem = cli(command)
        assert code == 2
        assert "mine init" in problem["hint"]


def test_doctor_finds_what_is_missing_and_is_content_when_it_is_there(cli: Cli, net: Net) -> None:
    address = cli.init(net)["address"]
    code, document = cli("doctor")
    failed = [check["name"] for check in document["checks"] if check["ok"] is False]
    assert (code, failed) == (1, ["balance", "data"])
    assert all(check["hint"] for check in document["checks"] if check["ok"] is False)
    balance = next(check for check in document["checks"] if check["name"] == "balance")
    assert re.search(
        r"send at least \d+(\.\d{1,4})? ether to", balance["hint"]
    )  # nobody types 0.0005000000035
    net.fund(address)
    cli("data", "add", "--csv", str(write_csv(cli.home.parent / "d.csv")))
    code, document = cli("doctor")
    assert (code, document["ok"]) == (0, True)
    code, text = cli.text("doctor")
    assert code == 0
    assert text.count("ok ") == len(document["checks"])
    assert "; one round takes ~0." in text or "; one round takes 0." in text


def test_doctor_names_a_wrong_password_a_dead_node_and_another_contract(
    cli: Cli, net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.init(net, "--example", "diabetes")
    monkeypatch.setenv("SONAR_PASSWORD", "wrong")
    checks = {check["name"]: check for check in cli("doctor")[1]["checks"]}
    assert "password is wrong" in checks["keystore"]["found"]
    assert checks["balance"]["ok"] is None
    network = cli.home / "network.toml"
    good = network.read_text()
    network.write_text(re.sub(r'code_hash = "0x..', 'code_hash = "0x00', good))
    checks = {check["name"]: check for check in cli("doctor")[1]["checks"]}
    assert "has code hash" in checks["chain"]["found"]
    network.write_text(good.replace(net.url, "http://127.0.0.1:9"))
    checks = {check["name"]: check for check in cli("doctor")[1]["checks"]}
    assert "does not answer" in checks["chain"]["found"]


def test_doctor_names_an_ipfs_program_that_is_too_old(
    cli: Cli, net: Net, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.init(net)
    network = cli.home / "network.toml"
    network.write_text(re.sub(r"kind = .*\npath = .*", 'kind = "kubo"', network.read_text()))
    program = tmp_path / "ipfs"
    program.write_text("#!/bin/sh\necho 0.18.1\n")
    program.chmod(0o755)
    monkeypatch.setenv("SONAR_IPFS", str(program))
    checks = {check["name"]: check for check in cli("doctor")[1]["checks"]}
    assert (checks["ipfs"]["ok"], "has version 0.18.1" in checks["ipfs"]["found"]) == (False, True)
    assert "install 0.30 or newer" in checks["ipfs"]["hint"]
    assert checks["store"]["ok"] is None


def test_run_waits_for_a_chain_that_comes_later(cli: Cli, net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    cli.init(net)
    faults: list[BaseException] = [ChainUnavailable("not up yet")]
    connect = Market.connect

    def later(*arguments: Any, **more: Any) -> Market:
        if faults:
            raise faults.pop()
        return connect(*arguments, **more)

    monkeypatch.setattr(Market, "connect", later)
    code, told = cli.text("run", "--exit-when-done")
    assert code == 0
    assert "not up yet\n  trying again for 7 days" in told
    assert "works again" in told
    for fault, ends in ((WrongContract("0x12", "34", "56"), 1), (KeyboardInterrupt(), 130)):
        faults += [fault, ChainUnavailable("not up yet")]
        code, told = cli.text("run", "--exit-when-done")
        assert code == ends
        assert "not up yet" in told
        again = f"Stopped. Nothing is lost; start again with `mine run --home {cli.home}`."
        assert (again in told) == (ends == 130)
        assert faults == []
    monkeypatch.setenv("SONAR_PASSWORD", "wrong")
    faults.append(ChainUnavailable("not up yet"))
    assert cli.text("run")[0] == 2


def test_run_works_while_its_store_cannot_be_opened(
    cli: Cli, net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reveal needs none, and would be late."""
    cli.init(net)
    monkeypatch.setattr(choose, "open_store", lambda *_: raise_(StoreUnavailable("not up yet")))
    code, told = cli.text("run", "--exit-when-done")
    assert code == 0
    assert "not up yet\n  trying again when it is needed" in told


def test_a_container_waits_for_the_chain_and_for_ether(
    cli: Cli, net: Net, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    container = load("fund", ROOT / "docker" / "fund.py")
    address = cli.init(net)["address"]
    monkeypatch.setenv("SONAR_NETWORK", str(net.file))
    monkeypatch.setattr(container, "POLL_S", 0.01)
    connect, ether = Market.connect, Market.ether
    starting = [ChainUnavailable("starting")]
    looks: list[int] = []

    def look(market: Market, account: Address) -> int:
        looks.append(ether(market, account))
        net.fund(address)
        return looks[-1]

    monkeypatch.setattr(
        Market, "connect", lambda found: raise_(starting.pop()) if starting else connect(found)
    )
    monkeypatch.setattr(Market, "ether", look)
    assert container.see_to_ether(str(cli.home / "keystore"), "2 ether") == 0
    assert looks == [0, 10**18]
    told = capsys.readouterr().err
    assert "starting" in told
    assert f"waiting for ether; whoever runs the network can send it: sonar fund {address}" in told


def raise_(error: BaseException) -> NoReturn:
    raise error


@pytest.mark.parametrize("status", ["200 OK", "401 Unauthorized", "500 Internal Server Error"])
def test_another_program_at_the_chains_address_hides_no_record(cli: Cli, net: Net, status: str) -> None:
    def page(connection: socket.socket) -> None:
        while not connection.recv(65536).endswith(b"}"):
            pass
        connection.sendall(f"HTTP/1.1 {status}\r\nconnection: close\r\n\r\n<html>".encode())

    cli.init(net)
    network = cli.home / "network.toml"
    with serving(page) as url, stamina.set_testing(True, attempts=1):
        network.write_text(network.read_text().replace(net.url, url))
        for command, own in (("status", "bounties"), ("earnings", "rounds")):
            code, document = cli(command)
            assert code == 0
            assert status[:3] in document["problem"]
            assert document[own] == []


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (["data", "add"], "one source"),
        (["data", "add", "--csv", "nothing.csv"], "cannot be read"),
        (["data", "add", "--example", "iris"], "iris"),
        (["data", "add", "--example", "diabetes", "--shard", "11/10"], "shard"),
        (["data", "check", "0xzz"], "bounty"),
        (["join", "0x00"], "no bounty"),
        (["join"], "name one bounty"),
        (["leave", "0x00"], "0 joined bounties"),
        (["claim", "--to", "0x12"], "--to"),
        (["claim"], "nothing to withdraw: the market owes 0x"),
        (["claim", "--to", "0x" + "0" * 40], "is the zero address: what is sent there is lost"),
        (["run", "--max-rounds", "0"], "max-rounds"),
    ],
)
def test_bad_input_is_told_as_json_with_an_exit_code(cli: Cli, net: Net, args: list[str], error: str) -> None:
    net.fund(cli.init(net)["address"], 10**16)
    code, problem = cli(*args)
    assert code in (1, 2)
    assert problem["kind"] == "problem"
    assert error in problem["error"]


def test_a_bounty_from_listing_to_leaving(cli: Cli, net: Net) -> None:
    cli.init(net)
    cli("data", "add", "--csv", str(write_csv(cli.home.parent / "fits.csv")))
    (cli.home.parent / "text.csv").write_text("a,b,y\n" + "1,2,three\n" * 30)
    cli("data", "add", "--csv", str(cli.home.parent / "text.csv"))
    cli("data", "add", "--example", "diabetes")
    bounty = "0x" + net.scientist.post(terms(cohort_cap=9)).hex()
    (offer,) = [one for one in cli("bounties")[1] if one["bounty"] == bounty]
    assert offer["data"] == ["fits"]
    assert offer["needs"] == ["a", "b", "y"]
    assert (offer["status"], offer["stake_units"]) == ("commit", 10**16)
    assert offer["asks"] == "feature map cut off at ±8: 3 weights"
    shown = cli.text("bounties")[1]
    assert "tiny" in shown
    assert "does not settle within" in shown
    code, rows = cli("data", "check", bounty[:10])
    problems = {row["name"]: row["problem"] for row in rows}
    assert code == 0
    assert not problems["fits"]
    assert "'three' is not a number" in problems["text"]
    assert "no column 'a'" in problems["diabetes-1-of-1"]
    code, problem = cli("join", bounty, "--data", "text")
    assert code == 2
    assert "line 2" in problem["error"]
    (joined,) = cli("join", bounty)[1]
    assert joined.pop("cover") == offer["cover"]
    assert joined == {"bounty": bounty, "data": "fits", "rows": 30, "blindings": 1, "idle_s": 0.002}
    standing = cli("status")[1]["bounties"][0]
    assert (standing["bounty"], standing["state"], standing["revealed"]["bits"]) == (bounty, "idle", 0)
    code, problem = cli("leave", "")  # as of a variable that is not set
    assert (code, problem["error"].split(":")[0]) == (2, "bounty")
    assert "first digits" in problem["hint"]
    assert cli("leave", bounty[2:10])[1] == {"left": bounty}
    assert cli("join", f"{bounty[:6]}…{bounty[-4:]}")[0] == 0  # as the tables show it, and in ASCII
    assert cli("leave", f"{bounty[:6]}...{bounty[-4:]}")[1] == {"left": bounty}
    assert cli("status")[1]["bounties"] == []


@pytest.fixture
def capsules(net: Net) -> Iterator[tuple[Capsule, ...]]:
    """Those of the bounties that the scientist posts in this test."""
    made = make_capsules(3)
    net.scientist.cover = cover_of(made, 2, net.scientist.market, bits=100)
    yield made
    net.scientist.cover = PaillierCover()


def offer_of(cli: Cli, bounty: str) -> Any:
    (found,) = [one for one in cli("bounties")[1] if one["bounty"] == bounty]
    return found


def test_bounties_join_and_status_say_who_could_read_an_answer(
    cli: Cli, net: Net, capsules: tuple[Capsule, ...]
) -> None:
    cli.init(net, "--csv", str(write_csv(cli.home.parent / "fits.csv")))
    bounty = "0x" + net.scientist.post(terms(cohort_cap=9, quiet_s=30)).hex()
    accounts = [one.address for one in capsules]
    offer = offer_of(cli, bounty)
    assert (offer["cover"], offer["data"]) == (None, [])
    assert "you trust 0 of the bounty's 3 capsules" in offer["problem"]
    code, problem = cli("join", bounty)
    line = problem["hint"].partition(": ")[2]
    assert (code, line) == (2, f'trusted = ["{accounts[0]}", "{accounts[1]}"]')
    policy = cli.home / "mine.toml"
    before = policy.read_text()
    policy.write_text(before.replace("[capsules]", f"[capsules]\n{line}"))
    cover = offer_of(cli, bounty)["cover"]
    assert (cover["kind"], cover["threshold"], cover["bits"], cover["audited"]) == ("veil", 2, 100, False)
    assert (cover["capsules"], cover["strangers"]) == (accounts, accounts[2:])
    told = "nobody alone could read an answer of yours; any 2 of these 3 capsules could together with the"
    for command in (["bounties"], ["join", bounty], ["status"]):
        code, shown = cli.text(*command)
        assert (code, told in " ".join(shown.split())) == (0, True)
        assert "each capsule may tell 100 bits of an answer in a round" in " ".join(shown.split())
    assert cli("join", bounty)[1][0]["cover"] == cover
    assert cli("status")[1]["bounties"][0]["cover"] == cover
    assert cli("leave", bounty)[0] == 0


def test_the_network_s_capsules_are_trusted_until_the_operator_names_others(
    cli: Cli, net: Net, capsules: tuple[Capsule, ...]
) -> None:
    cli.init(net, "--csv", str(write_csv(cli.home.parent / "fits.csv")))
    bounty = "0x" + net.scientist.post(terms(cohort_cap=9, quiet_s=31)).hex()
    network, policy = cli.home / "network.toml", cli.home / "mine.toml"
    listed = [
        f'[[capsules]]\nurl = "http://127.0.0.1:{8800 + i}"\naccount = "{one.address}"\n'
        for i, one in enumerate(capsules)
    ]
    network.write_text("\n".join([network.read_text(), *listed]))
    assert offer_of(cli, bounty)["data"] == ["fits"]
    found = {check["name"]: check for check in cli("doctor")[1]["checks"]}["capsules"]
    assert (found["ok"], found["found"].count("(the network)")) == (True, 3)
    other = "0x52908400098527886E0F7030069857D2E4169EE7"
    policy.write_text(policy.read_text().replace("[capsules]", f'[capsules]\ntrusted = ["{other}"]'))
    assert offer_of(cli, bounty)["data"] == []
    found = {check["name"]: check for check in cli("doctor")[1]["checks"]}["capsules"]
    assert found["found"] == f"trusts {other} (mine.toml)"
    assert cli("data", "check", bounty)[0] == 2


def test_a_mine_may_join_no_bounty_without_capsules(cli: Cli, net: Net) -> None:
    cli.init(net, "--csv", str(write_csv(cli.home.parent / "fits.csv")))
    bounty = "0x" + net.scientist.post(terms(cohort_cap=9, quiet_s=32)).hex()
    told = "the bounty has no capsules: the scientist's own software could read each answer of yours"
    assert offer_of(cli, bounty)["cover"]["readers"] == told
    policy = cli.home / "mine.toml"
    policy.write_text(policy.read_text().replace("[capsules]", "[capsules]\nwithout = false"))
    code, problem = cli("join", bounty)
    assert (code, "capsules: there are none" in problem["error"]) == (2, True)
    assert "without = true" in problem["hint"]


def test_every_command_teaches_by_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    named = ((command.name, command.callback) for command in app.registered_commands)
    commands = [[name or getattr(callback, "__name__", "")] for name, callback in named]
    commands += [["data", str(command.name)] for command in data_app.registered_commands]
    assert len(commands) == 17
    for command in commands:
        assert main([*command, "--help"]) == 0
        text = capsys.readouterr().out
        assert re.search(r"Examples?:", text), command
        assert f"mine {' '.join(command)}" in text
        assert "--json" in text
        assert "--home" in text


def test_the_command_line_starts_quickly() -> None:
    heavy = ("numpy", "web3", "eth_account", "gmpy2")
    code = f"import mine.cli, sys; print([m for m in sys.modules if m in {heavy}])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def start(home: Path, *args: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mine", "run", "--home", str(home), "--json", *args]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ})


def wait_for(net: Net, status: Status, timeout_s: float = 60) -> None:
    market, until = net.scientist.market, time.monotonic() + timeout_s
    while status_of(market.bounty(net.scientist.bounty), market.head().timestamp_s) is not status:
        assert time.monotonic() < until, f"no {status.name} in time"
        time.sleep(0.1)


def events(process: subprocess.Popen[str]) -> Sequence[Any]:
    out, _ = process.communicate(timeout=60)
    return [parse_line(line).event for line in out.splitlines()]


@pytest.mark.e2e
def test_two_mine_processes_work_are_paid_and_end(
    net: Net, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    homes = [Cli(capsys, tmp_path / f"mine-{i}") for i in range(2)]
    for seed, cli in enumerate(homes):
        file = write_csv(tmp_path / f"{seed}.csv", seed=seed)
        net.fund(cli.init(net, "--csv", str(file))["address"])
    bounty = "0x" + net.scientist.post(terms(cohort_cap=2, rounds=2, fee_units=10**15 + 1)).hex()
    for cli in homes:
        assert cli("join", bounty)[0] == 0
    processes = [start(cli.home, "--exit-when-done", "--claim") for cli in homes]
    wait_for(net, Status.SETTLE)
    code, problem = homes[0]("claim")
    assert code == 2
    assert "works in" in problem["error"]
    assert homes[0]("status")[1]["process"] == str(processes[0].pid)
    assert f"process {processes[0].pid} works on this home" in homes[0].text("status")[1]
    processes[0].kill()
    processes[0].wait()
    assert homes[0]("status")[1]["process"] == ""
    net.scientist.settle()
    processes[0] = start(homes[0].home, "--exit-when-done", "--claim")
    wait_for(net, Status.SETTLE)
    net.scientist.settle(loss=250_000)
    told = [events(process) for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert all(isinstance(lines[-1], Done) for lines in told)
    for cli in homes:
        code, income = cli("earnings")
        assert code == 0
        assert [row["state"] for row in income["rounds"]] == ["paid", "paid"]
        assert all(
            row["share_bps"] == 5000 and row["fee_units"] > 0 < row["gas_wei"] for row in income["rounds"]
        )
        gross = sum(r["fee_units"] + r["reward_units"] + r["stake_back_units"] for r in income["rounds"])
        assert (income["withdrawn_wei"], income["withdrawable_wei"]) == (gross, 0)
        after = net.scientist.market.ether(Address(income["address"]))
        assert after == 10**18 + income["net_wei"]
        standing = cli("status")[1]["bounties"][0]
        revealed = {"updates": 2, "score_bits": 32, "no_share": 0, "bits": 32, "capsule_bits": 0}
        assert standing["revealed"] == revealed
        assert ["2", "32"] in [line.split()[-2:] for line in cli.text("status")[1].splitlines()]
        assert "withdrawn" in cli.text("earnings")[1]
    remember_without_the_chain(homes[0], net)
    remember_on_another_network(homes[1], net)


def remember_without_the_chain(cli: Cli, net: Net) -> None:
    rounds, bounties = cli("earnings")[1]["rounds"], cli("status")[1]["bounties"]
    network = cli.home / "network.toml"
    network.write_text(network.read_text().replace(net.url, "http://127.0.0.1:9"))
    code, income = cli("earnings")
    assert code == 0
    assert income["rounds"] == rounds
    assert "does not answer" in income["problem"]
    (standing,) = cli("status")[1]["bounties"]
    assert standing["revealed"] == bounties[0]["revealed"]
    assert standing["states"] == bounties[0]["states"]
    assert "own record" in cli.text("status")[1]


def remember_on_another_network(cli: Cli, net: Net) -> None:
    """As of a development chain that began anew: its contract knows nothing of what was done here."""
    rounds, bounties = cli("earnings")[1]["rounds"], cli("status")[1]["bounties"]
    made = deploy(net.scientist.market.rpc, net.owner, min_window_s=2)
    other = NetworkConfig.load(net.file).model_copy(
        update={"contract": made.contract, "code_hash": made.code_hash, "deployed_block": made.block}
    )
    other.save(net.folder / "other.toml")
    assert cli("init", "--network", str(net.folder / "other.toml"))[0] == 0
    assert cli("earnings")[1]["rounds"] == rounds
    (standing,) = cli("status")[1]["bounties"]
    assert {**standing, "round": "2/2"} == bounties[0]
    assert cli("leave", standing["bounty"])[0] == 0
    (left,) = cli("status")[1]["bounties"]
    assert left == {**standing, "data": "", "status": "left", "cover": None}


@pytest.mark.e2e
def test_mines_are_paid_in_a_token_that_their_operators_list(
    net: Net, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outbox = net.scientist.outbox
    token = deploy_token(outbox, "old", symbol="USDX")
    mint(outbox, token, outbox.address, 10**8)
    homes = [Cli(capsys, tmp_path / f"mine-{i}") for i in range(2)]
    for seed, cli in enumerate(homes):
        file = write_csv(tmp_path / f"{seed}.csv", seed=seed)
        address = Address(cli.init(net, "--csv", str(file))["address"])
        net.fund(address)
        mint(outbox, token, address, 50_000)
    money = {"asset": token, "stake_units": 20_000, "fee_units": 3, "reward_units": 10**6}
    bounty = "0x" + net.scientist.post(terms(cohort_cap=2, rounds=1, **money)).hex()
    [offer] = [row for row in homes[0]("bounties")[1] if row["bounty"] == bounty]
    assert offer["stake"] == f"20000 units of {token[:6]}…{token[-4:]}"  # not asked what it calls itself
    code, problem = homes[0]("join", bounty)
    assert (code, problem["error"]) == (2, f"terms.asset: is the token {token}, which you have not allowed")
    line = f'"{token}" = {{ max_stake = 20000 }}'
    assert line in problem["hint"]
    for cli in homes:
        with (cli.home / "mine.toml").open("a") as policy:
            policy.write(line + "\n")
        assert cli("join", bounty)[0] == 0
    [offer] = [row for row in homes[0]("bounties")[1] if row["bounty"] == bounty]
    assert offer["stake"] == f"0.02 USDX {token[:6]}…{token[-4:]}"
    code, doctor = homes[0]("doctor")
    assert "0.05 USDX" in next(check["found"] for check in doctor["checks"] if check["name"] == "balance")

    processes = [start(cli.home, "--exit-when-done") for cli in homes]
    wait_for(net, Status.SETTLE)
    net.scientist.settle()
    for process in processes:
        events(process)
    assert [process.returncode for process in processes] == [0, 0]
    for cli in homes:
        (before,) = cli("status")[1]["tokens"]
        assert (before["asset"], before["held_units"]) == (token, 30_000)
        assert before["withdrawable_units"] > 20_000
        assert f"mine claim --asset {token}" in cli.text("status")[1]
        code, text = cli.text("claim", "--asset", token)
        assert code == 0
        assert re.search(r"withdrew [0-9.]+ USDX", text)
        (after,) = cli("status")[1]["tokens"]
        assert (after["held_units"], after["withdrawable_units"]) == (
            30_000 + before["withdrawable_units"],
            0,
        )
        code, text = cli.text("earnings")
        assert "withdrawn" in text
        assert "USDX" in text
        code, text = cli.text("claim", "--asset", token)
        assert (code, "nothing to withdraw: the market owes" in text) == (1, True)


def test_a_claim_that_was_cut_off_tells_what_it_took_out(cli: Cli, net: Net) -> None:
    """The refund of a bounty of its own stands for what a mine has earned."""
    net.fund(cli.init(net)["address"], 10**18)
    with locked(cli.home, ListSink()) as mine:
        outbox = mine.outbox(mine.unlock("secret"))
        scientist = TinyScientist(mine.market, net.scientist.store, outbox)
        refund_units = 10**17
        bounty = scientist.post(terms(reward_units=refund_units, fee_units=0))
        outbox.perform(wish("close"), mine.market.close(bounty))
        key = outbox.next(Intent.of_claim(mine.address))
        outbox.submit(key, mine.market.withdraw(mine.address))
        while mine.market.withdrawable(mine.address):
            time.sleep(0.05)
    code, document = cli("claim")
    assert (code, document["amount_units"]) == (0, refund_units)
    assert cli("earnings")[1]["withdrawable_wei"] == 0
    code, problem = cli("claim")
    assert (code, "nothing in ether" in problem["error"]) == (1, True)


def test_a_column_s_name_cannot_steer_the_terminal(cli: Cli, net: Net) -> None:
    cli.init(net)
    file = cli.home.parent / "names.csv"
    file.write_text("a\x1b[31m,b\n" + "1,2\n" * 30)
    for command in (("data", "add", "--csv", str(file)), ("data", "list")):
        code, text = cli.text(*command)
        assert (code, "[31m" in text, "\x1b" in text) == (0, True, False)


def test_another_content_takes_no_data_set_s_name_in_silence(cli: Cli, net: Net) -> None:
    """Rounds were counted on the one that is there."""
    cli.init(net)
    folder = cli.home.parent
    first, second = write_csv(folder / "rows.csv", seed=1), write_csv(folder / "other.csv", seed=2)
    assert cli("data", "add", "--csv", str(first))[0] == 0
    assert cli("data", "add", "--csv", str(first))[0] == 0  # the same again changes nothing
    code, problem = cli("data", "add", "--csv", str(second), "--name", "rows")
    assert (code, "there is a data set 'rows' already, with other content: 30 rows" in problem["error"]) == (
        2,
        True,
    )
    assert "--name NEW" in problem["hint"]
    assert "--replace" in problem["hint"]
    assert cli("data", "list")[1][0]["source"] == str(first)
    assert cli("data", "add", "--csv", str(second), "--name", "rows", "--replace")[0] == 0
    assert cli("data", "list")[1][0]["source"] == str(second)


def test_data_are_looked_at_when_they_are_added_and_by_doctor(cli: Cli, net: Net) -> None:
    cli.init(net)
    file = cli.home.parent / "rows.csv"
    for text, told in (
        (
            "id,a,y\nP1,1,2\nP2,many,4\n",
            ["rows.csv, line 3: column 'a': 'many' is not a number", "--without 'a'"],
        ),
        ("a;y\n1,5;2\n", ["line 1: has semicolons between its columns", "decimal point"]),
        ("1.5,2\n3,4\n", ["line 1: holds numbers only", "a name for each column"]),
        ("a,y\n", ["has a header and no rows"]),
        ("a\n1\n", ["one column of numbers only"]),
    ):
        file.write_text(text)
        code, shown = cli.text("data", "add", "--csv", str(file))
        assert code == 2
        assert all(part in shown for part in told), shown
    assert cli("data", "list") == (0, [])
    file.write_text("id,a,y,z,b\nP1,1,2,5,1\nP2,3,4,6,NA\n")
    code, shown = cli.text("data", "add", "--csv", str(file), "--without", "z")
    assert (code, "rows: 2 rows, columns a, y" in shown) == (0, True)
    assert "for bounties that declare it: column 'id' (line 2: 'P1' is not a number)" in shown
    assert "for bounties that declare it: column 'b' (line 3: 'NA' stands for a missing value" in shown
    assert "left out: column 'z' (you left it out)" in shown
    assert cli("data", "list")[1][0]["columns"] == ["a", "y"]
    assert cli("data", "list")[1][0]["declarable"] == ["id", "b"]

    def doctors() -> tuple[Any, str]:
        found = {check["name"]: check for check in cli("doctor")[1]["checks"]}["data"]
        return found["ok"], found["found"]

    assert doctors()[0] is True
    file.write_text(file.read_text() + "P3,x,1,1,1\n")
    assert doctors() == (False, f"{file}, line 4: column 'a': 'x' is not a number")
    file.write_text("id,a,y,z,b\nP1,1,2,5,1\nP2,3,9,6,2\n")
    assert doctors()[0] is False
    assert "has changed since it was registered" in doctors()[1]


def test_doctor_takes_the_password_that_lies_in_a_home_for_development(
    cli: Cli, net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in the homes that the demo leaves. A real network's home is asked for it."""
    cli.init(net)
    monkeypatch.delenv("SONAR_PASSWORD")

    def keystores() -> Any:
        return {check["name"]: check for check in cli("doctor")[1]["checks"]}["keystore"]["ok"]

    assert keystores() is False
    beside = cli.home / "password"
    beside.touch(mode=0o600)
    beside.write_text("secret\n")
    assert keystores() is True
    network = cli.home / "network.toml"
    network.write_text(network.read_text().replace("dev = true", "dev = false"))
    assert keystores() is False


def test_run_makes_a_pool_that_is_no_good_anew_and_doctor_leaves_it(cli: Cli, net: Net) -> None:
    net.fund(cli.init(net, "--csv", str(write_csv(cli.home.parent / "fits.csv")))["address"], 10**16)
    pool = cli.home / "pool.sqlite"
    pool.write_bytes(b"not SQLite" * 100)
    pool.chmod(0o644)
    code, document = cli("doctor")
    (check,) = [one for one in document["checks"] if one["name"] == "pool"]
    assert (code, check["ok"]) == (1, False)
    assert "mode 0644" in check["found"]
    assert f"`mine run --home {cli.home}`" in check["hint"]
    code, text = cli.text("run", "--exit-when-done")
    assert code == 0
    assert "mode 0644" in text
    assert "another one made" in text
    assert cli("doctor")[0] == 0


@pytest.mark.e2e
def test_sigterm_ends_a_mine_cleanly(net: Net, cli: Cli) -> None:
    cli.init(net)
    process = start(cli.home)
    assert process.stdout is not None
    assert "works on" in process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 143
