"""`sonar deploy`, `fund` and `status`, as a user types them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_account import Account
from eth_utils.crypto import keccak

from pysonar.bounty import terms as money_and_time
from pysonar.cli import main as pysonar_main
from sonar import localchain
from sonar.chain.contract.calls import transfer
from sonar.chain.contract.market import Market
from sonar.chain.deploying.deploy import predicted
from sonar.chain.sending.outbox import Outbox
from sonar.cli import app
from sonar.home import keystore
from sonar.home.journal import Journal
from sonar.home.settings import NetworkConfig
from sonar.localchain import LocalChain
from sonar.protocol.ids import ETHER, Address, Digest
from sonar.telling.amounts import format_wei
from sonar.telling.bounties import BountyHistory
from sonar.telling.documents import read
from sonar.telling.terminal import run_app
from tests.chain_kit import make_terms, wish
from tests.token_kit import deploy_token

OWNER = Account.create()


@pytest.fixture
def chain() -> Iterator[LocalChain]:
    with localchain.start("eth-tester", fund={Address(OWNER.address): 10**19}) as running:
        yield running


def sonar(*argv: str) -> int:
    return run_app(app, "sonar", argv)


def pysonar(*argv: str) -> int:
    return pysonar_main(argv)


def deploy(folder: Path, url: str, *more: str) -> int:
    keys = keystore.save(folder / "keys", OWNER, "pass", dev=True)
    password = folder / "password"
    password.write_text("pass\n")
    password.chmod(0o600)
    paths = ["--network-out", str(folder / "network.toml"), "--store", str(folder / "store")]
    options = ["--min-window", "10", "--confirmations", "1", "--password-file", str(password)]
    return sonar("deploy", "--rpc", url, "--keystore", str(keys), *paths, *options, *more)


def test_deploy_asks_for_one_kind_of_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["--rpc", "http://127.0.0.1:9", "--keystore", "none", "--network-out", str(tmp_path / "n.toml")]
    assert sonar("deploy", *common) == 2
    assert "either a folder" in capsys.readouterr().err
    assert sonar("deploy", *common, "--store", str(tmp_path), "--bootstrap", "x") == 2
    assert sonar("deploy", *common, "--bootstrap", "/ip4/1.2.3.4/tcp/4001") == 2
    assert "--bootstrap: '/ip4/1.2.3.4/tcp/4001' is not a peer" in capsys.readouterr().err


def test_deploy_sends_nothing_for_a_file_that_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = str(tmp_path / "none" / "network.toml")
    options = ["--rpc", "http://127.0.0.1:9", "--keystore", "none", "--store", str(tmp_path)]
    assert sonar("deploy", *options, "--network-out", nowhere) == 2
    assert "--network-out" in capsys.readouterr().err
    # A name that the file does not take is told before the key is asked for.
    assert sonar("deploy", *options, "--network-out", str(tmp_path / "n.toml"), "--name", "") == 2
    told = capsys.readouterr().err
    assert "name in " in told
    assert "nothing was sent" in told


@pytest.mark.parametrize(("option", "told"), [("--url", "rpc_url in"), ("--store", "--store: ")])
def test_a_chain_names_the_option_that_it_cannot_use(
    option: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nonsense = tmp_path / "file"
    nonsense.touch()
    command = ["chain", "--home", str(tmp_path / "net"), "--client", "eth-tester", option, str(nonsense)]
    assert sonar(*command) == 2
    assert told in capsys.readouterr().err


def test_deploy_writes_a_network_on_ipfs(chain: LocalChain, tmp_path: Path) -> None:
    peer = "/dns4/sonar.example/tcp/4001/p2p/12D3KooWCqYwg9Y4GFQcxfFKRAZR6KCmuJkk5ixhLZobZ8iHtkL4"
    keys = keystore.save(tmp_path / "keys", OWNER, "pass", dev=True)
    (tmp_path / "password").touch(mode=0o600)
    (tmp_path / "password").write_text("pass\n")
    network = tmp_path / "network.toml"
    options = ["--network-out", str(network), "--password-file", str(tmp_path / "password")]
    options += ["--confirmations", "1", "--bootstrap", peer]
    assert sonar("deploy", "--rpc", chain.url, "--keystore", str(keys), *options) == 0
    store = NetworkConfig.load(network).store
    assert (store.kind, store.bootstrap) == ("kubo", (peer,))
    assert store.swarm_key_file == str(tmp_path / "swarm.key")


def test_deploy_writes_a_network_that_others_can_use(
    chain: LocalChain, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy(tmp_path, chain.url, "--json") == 0
    *told, last = capsys.readouterr().out.splitlines()
    sent = [line for line in map(json.loads, told) if line["kind"] == "transaction"]
    assert [line["name"] for line in sent] == ["transfer", "deploy"]
    network = NetworkConfig.load(tmp_path / "network.toml")
    assert json.loads(last)["contract"] == network.contract
    assert (network.dev, network.faucet) == (False, None)
    assert Market.connect(network).min_window_s() == 10
    assert deploy(tmp_path, chain.url) == 2
    assert "exists" in capsys.readouterr().err
    assert sonar("fund", OWNER.address, "--network", str(tmp_path / "network.toml")) == 2
    assert "faucet" in capsys.readouterr().err


def test_deploy_says_what_is_wrong(
    chain: LocalChain, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert deploy(tmp_path, "http://127.0.0.1:9") == 1
    assert "does not answer" in capsys.readouterr().err
    assert deploy(tmp_path, chain.url, "--min-window", str(2**24)) == 2
    assert "min_window: 16777216 is not between 1 and 16777215" in capsys.readouterr().err
    (tmp_path / "password").unlink()
    assert deploy(tmp_path, chain.url, "--password-file", str(tmp_path / "no")) == 2
    assert not (tmp_path / "network.toml").exists()


def test_status_tells_bounties_and_their_rounds(
    chain: LocalChain, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(tmp_path, chain.url)
    file = str(tmp_path / "network.toml")
    market = Market.connect(NetworkConfig.load(tmp_path / "network.toml"))
    terms = make_terms()
    arguments = (terms, Digest(b"\1" * 32), Digest(b"\2" * 32), b"\3" * 32)
    Outbox(market, OWNER, Journal(tmp_path / "j")).perform(wish("post"), market.post(*arguments))
    bounty = "0x" + market.bounties()[0].bounty.hex()
    capsys.readouterr()

    assert sonar("status", "--network", file, "--json") == 0
    [one] = json.loads(capsys.readouterr().out)
    assert (one["bounty"], one["status"], one["round"]) == (bounty, "commit", 1)
    assert one["escrow_units"] == str(terms.escrow_units)
    assert one["now_s"] < one["until_s"] <= one["now_s"] + terms.commit_window_s
    assert sonar("status", bounty, "--network", file, "--json") == 0
    told = read(BountyHistory, capsys.readouterr().out)
    assert [event.event for event in told.events] == ["BountyPosted", "RoundOpened"]
    assert [(one.round, one.ended, one.committed) for one in told.history] == [(1, None, 0)]
    assert (told.settler, told.quiet_s, told.overdue_bps) == (ETHER, 0, 10_000)
    assert sonar("status", bounty, "--network", file) == 0
    out = capsys.readouterr().out
    assert f"bounty     {bounty}\n" in out
    assert "round      1 of at most" in out
    escrow = format_wei(terms.escrow_units)  # people count neither in wei nor in thousandths
    assert f"escrow     {escrow} left of {escrow}\n" in out
    assert f"{terms.initial_loss / 1e4:.2f} at first" in out  # the store has no such model
    assert "the store does not show who was left out" in out
    assert "goes on" in out
    assert sonar("status", bounty[:7], "--network", file, "--json") == 0  # as the table of all shows it
    assert json.loads(capsys.readouterr().out)["bounty"] == bounty
    other = "0x1" if bounty[2] != "1" else "0x2"
    for text, said in ((other, "no bounty on this network begins"), ("0xg", "bounty: '0xg' is not an id")):
        assert sonar("status", text, "--network", file) == 2
        assert said in capsys.readouterr().err


def test_verify_compares_the_chain_with_what_is_shipped(
    chain: LocalChain, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(tmp_path / "network.toml")
    assert deploy(tmp_path, chain.url) == 0
    assert "TrainingMarket.verify.json" in capsys.readouterr().out
    assert sonar("verify", "--network", file, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    network = NetworkConfig.load(tmp_path / "network.toml")
    assert (told["contract"], told["shipped"], told["same_on_every_chain"]) == (network.contract, True, True)
    assert told["contract"] == predicted(10)
    assert json.loads(Path(told["sources"]).read_text())["language"] == "Solidity"

    (tmp_path / "network.toml").unlink()
    assert deploy(tmp_path, chain.url, "--json") == 0  # again: nothing is sent
    again = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (again["contract"], again["new"]) == (network.contract, False)
    assert NetworkConfig.load(tmp_path / "network.toml") == network

    (tmp_path / "network.toml").unlink()
    assert deploy(tmp_path, chain.url, "--plain") == 0
    assert sonar("verify", "--network", file) == 0
    assert "an address of this chain's own" in capsys.readouterr().out


def test_verify_finds_a_network_whose_contract_is_another(
    chain: LocalChain, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its file is sound, and names the code that is there: only whoever wrote it is not to be trusted."""
    assert deploy(tmp_path, chain.url) == 0
    file = tmp_path / "network.toml"
    network = NetworkConfig.load(file)
    token = deploy_token(Outbox(Market.connect(network), OWNER, Journal(tmp_path / "j")))
    code = Market.connect(network).code(token)
    network.model_copy(update={"contract": token, "code_hash": keccak(code)}).save(file)
    assert sonar("verify", "--network", str(file)) == 1
    assert "OTHER CODE" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["demo", "chain", "deploy", "status", "verify", "fund"])
def test_every_command_teaches_by_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert sonar(command, "--help") == 0
    assert f"sonar {command}" in capsys.readouterr().out.partition("Example")[2]


def test_a_bounty_that_could_not_be_posted_leaves_nothing_behind(
    chain: LocalChain, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SONAR_PASSWORD", "secret")
    home, terms = str(tmp_path / "scientist"), tmp_path / "bounty.toml"
    terms.write_text('name = "poor"\nkey_bits = 2048\n[holdout]\nexample = "diabetes"\n')
    assert deploy(tmp_path, chain.url) == 0
    network = str(tmp_path / "network.toml")
    assert pysonar("init", "--home", home, "--network", network) == 0
    assert pysonar("run", str(terms), "--home", home, "--yes") == 2  # its account is empty
    assert "and needs" in capsys.readouterr().err
    assert pysonar("status", "--home", home) == 0
    told = capsys.readouterr().out
    assert "poor" not in told
    assert "no bounty yet" in told
    key = next((tmp_path / "scientist" / "keys").glob("poor.json"))
    assert key.exists()  # it is found again when the bounty is


def test_a_bounty_that_nobody_joins_comes_back_and_ends_with_an_error(
    chain: LocalChain, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(money_and_time, "MIN_WINDOW_PER_MINE_S", 0)  # 10 s are as short as it gets
    monkeypatch.setenv("SONAR_PASSWORD", "secret")
    home, terms = str(tmp_path / "scientist"), tmp_path / "bounty.toml"
    terms.write_text(
        'name = "lonely"\ncohort = 2\nmin_mines = 2\ncommit_window_s = 10\n[holdout]\nexample = "diabetes"\n'
    )
    assert deploy(tmp_path, chain.url) == 0
    network = str(tmp_path / "network.toml")
    assert pysonar("init", "--home", home, "--network", network, "--json") == 0
    account = Address(json.loads(capsys.readouterr().out.splitlines()[-1])["address"])
    market = Market.connect(NetworkConfig.load(Path(network)))
    Outbox(market, OWNER, Journal(tmp_path / "owner.sqlite")).perform(
        wish("fund"), transfer(account, 6 * 10**18)
    )

    assert pysonar("run", str(terms), "--home", home, "--yes") == 1
    told = capsys.readouterr()
    assert "round 1 failed: 0 updates revealed" in told.err
    assert "no round of 'lonely' was settled" in told.err
    assert "no mine committed: a mine needs a table with columns age, " in told.err
    assert "s5, s6 and target" in told.err
    csv = tmp_path / "patients.csv"
    csv.write_text("age\n1\n")
    assert pysonar("predict", "--csv", str(csv), "--home", home) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "nothing is trained" in told.err
    assert market.ether(account) > 59 * 10**17
