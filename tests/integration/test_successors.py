"""Accounts that change: a mine's and a scientist's, on a real chain, killed at every step."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount

from mine.accounts import changing
from mine.cli import main
from mine.node import Options
from mine.setup import make_home
from mine.show.documents import ScientistRecord
from mine.show.record import in_words, records_of
from mine.wiring import locked
from pysonar import accounts as scientist_accounts
from pysonar import wiring
from pysonar.bounty.request import Bounty
from pysonar.campaign import opening
from sonar import localchain, succeeding
from sonar.accounts import AccountChanged
from sonar.chain.contract import errors
from sonar.chain.contract.calls import transfer
from sonar.chain.contract.succession import Succession
from sonar.chain.deploying.deploy import deploy
from sonar.chain.deploying.succession import ensure_succession, succession_address, succession_on
from sonar.chain.rpc import Chain, Rpc
from sonar.chain.sending.outbox import Outbox
from sonar.errors import (
    ConfigError,
    InsufficientFunds,
    JournalError,
    KeyFileError,
    RpcError,
    SonarError,
    UsageError,
    WrongContract,
)
from sonar.home import keystore
from sonar.home.journal import Journal
from sonar.protocol.ids import Address
from sonar.protocol.phase import Status, status_of
from sonar.store.folder import FolderStore
from sonar.telling.progress import Done, ListSink
from tests.chain_kit import Killed, counted, network_of, wish
from tests.integration.mine_kit import TinyScientist, terms, write_csv

SECRET = "secret"


@dataclass
class Net:
    file: Path
    rpc: Rpc
    owner: Outbox
    scientist: TinyScientist

    def fund(self, address: str, wei: int = 10**18) -> None:
        self.owner.perform(wish(f"gift/{address}"), transfer(Address(address), wei))

    def succession(self) -> Succession:
        return succession_on(self.scientist.market)


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Net]:
    folder = tmp_path_factory.mktemp("net")
    account = Account.create()
    with localchain.start("eth-tester", fund={Address(account.address): 10**24}) as chain:
        rpc = Rpc(chain.url)
        made = deploy(rpc, account, min_window_s=1)
        network_of(made, chain.url).save(folder / "network.toml")
        outbox = Outbox(made.market(rpc), account, Journal(folder / "owner.sqlite"))
        scientist = TinyScientist(made.market(rpc), FolderStore(folder / "store"), outbox)
        yield Net(folder / "network.toml", rpc, outbox, scientist)


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SONAR_PASSWORD", SECRET)


@pytest.fixture
def home(net: Net, tmp_path: Path) -> Path:
    path = make_home(tmp_path / "home", net.file, dev=True, insecure_keys=True, password_file=None)
    with locked(path, ListSink()) as mine:
        net.fund(mine.address)
    return path


def change(home: Path, **options: Any) -> AccountChanged:
    with locked(home, ListSink()) as mine:
        return changing.change(mine, options.pop("to", None), None, **options)


def current(home: Path) -> Address:
    with locked(home, ListSink()) as mine:
        return mine.address


def key_file(folder: Path, account: LocalAccount) -> Path:
    return keystore.save(folder, account, SECRET, dev=True)


def test_a_successor_takes_the_place_and_the_old_key_stays(net: Net, home: Path) -> None:
    old = current(home)
    done = change(home)
    assert (done.old, done.used, done.going_on) == (old, True, 0)
    assert current(home) == done.new != old
    assert net.succession().successor(old) == done.new
    assert net.succession().predecessor(done.new) == old
    assert keystore.addresses(home / "keystore") == sorted((old, done.new), key=lambda one: int(one, 16))
    with locked(home, ListSink()) as mine:
        assert succeeding.fault_of(mine) == ""
        assert Address(mine.unlock(SECRET, old).address) == old
        assert net.succession().line(done.new).accounts == (old, done.new)


def test_running_it_again_changes_nothing_until_the_successor_has_done_something(
    net: Net, home: Path
) -> None:
    first = change(home)
    again = change(home)
    assert (again.old, again.new, again.tx_hash) == (first.old, first.new, "")
    net.fund(first.new)
    third = change(home, again=True)
    assert (third.old, third.used) == (first.new, True)
    assert net.succession().line(first.old).accounts == (first.old, first.new, third.new)


def test_killed_before_and_after_every_write_it_ends_as_one_change(
    net: Net, home: Path, tmp_path: Path
) -> None:
    """A kill at each write of the journal and of a key, and at each sending: then it is run again."""
    ended = set()
    for number, after in itertools.product(range(20), (False, True)):
        copy = tmp_path / f"killed-{number}-{after}"
        path = make_home(copy, net.file, dev=True, insecure_keys=True, password_file=None)
        old = current(path)
        net.fund(old)
        with pytest.MonkeyPatch.context() as patch:
            left = kill_at(patch, number, after=after)
            with suppress(Killed):
                change(path)
        done = change(path)
        assert (done.old, done.used) == (old, True)
        assert net.succession().line(old).accounts == (old, done.new)
        assert current(path) == done.new
        with locked(path, ListSink()) as mine:
            assert Address(mine.unlock(SECRET).address) == done.new
        ended.add(done.new)
        if left[0] >= 0:  # it was not killed any more
            break
    assert number == 6  # two records, a key, a transaction saved, sent and mined
    assert len(ended) == 2 * number + 1


def kill_at(patch: pytest.MonkeyPatch, number: int, *, after: bool) -> list[int]:
    """Let the process die at its effect of this number, before it or after."""
    left = [number]

    def dies(effect: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            if left[0] == 0 and not after:
                left[0] = -1
                raise Killed
            found = effect(*arguments, **options)
            if left[0] == 0:
                left[0] = -1
                raise Killed
            if left[0] > 0:
                left[0] -= 1
            return found

        return run

    patch.setattr(Journal, "put", dies(Journal.put))
    patch.setattr(keystore, "write_private", dies(keystore.write_private))
    call = Rpc.call

    def sends(rpc: Rpc, method: str, *params: Any) -> Any:
        return (dies(call) if method == "eth_sendRawTransaction" else call)(rpc, method, *params)

    patch.setattr(Rpc, "call", sends)
    return left


# ---- bad input


def test_the_successor_may_be_given_by_its_key_file(net: Net, home: Path, tmp_path: Path) -> None:
    old, given = current(home), Account.create()
    file = keystore.save(tmp_path / "cold", given, "another", dev=True)
    password = tmp_path / "its-password"
    password.touch(0o600)
    password.write_text("another\n")
    with pytest.raises(KeyFileError, match="the password is wrong"):
        change(home, to=file)
    assert current(home) == old
    done = change(home, to=file, to_password_file=password)
    assert (done.old, done.new) == (old, given.address)
    with locked(home, ListSink()) as mine:  # by the home's own password from now on
        assert Address(mine.unlock(SECRET).address) == done.new
    again = change(home, to=file, to_password_file=password)
    assert (again.old, again.new, again.tx_hash) == (old, done.new, "")


def test_a_cold_successor_is_named_now_and_used_later(net: Net, home: Path, tmp_path: Path) -> None:
    old, cold = current(home), Account.create()
    file = key_file(tmp_path / "cold", cold)
    with pytest.raises(UsageError, match="no safer in this home"):
        change(home, later=True)
    done = change(home, to=file, later=True)
    assert (done.new, done.used) == (cold.address, False)
    assert current(home) == old
    assert keystore.addresses(home / "keystore") == [old]
    assert net.succession().successor(old) == cold.address
    with locked(home, ListSink()) as mine:
        assert succeeding.fault_of(mine) == ""
    with pytest.raises(KeyFileError, match="its key is not in this home"):
        change(home)
    with pytest.raises(errors.AlreadySucceeded, match="once and for ever"):
        change(home, to=key_file(tmp_path / "other", Account.create()))
    done = change(home, to=file)
    assert (done.old, done.new, done.used, done.tx_hash) == (old, cold.address, True, "")
    assert current(home) == cold.address


def test_a_cold_successor_takes_over_when_the_old_key_is_lost(net: Net, home: Path, tmp_path: Path) -> None:
    old, cold = current(home), Account.create()
    file, other = key_file(tmp_path / "cold", cold), key_file(tmp_path / "other", Account.create())
    change(home, to=file, later=True)
    keystore.find(home / "keystore", old).unlink()
    for to in (None, other):
        with pytest.raises(KeyFileError, match=f"has no key of {old}, and its successor is {cold.address}"):
            change(home, to=to)
    done = change(home, to=file)
    assert (done.old, done.new, done.used, done.tx_hash) == (old, cold.address, True, "")
    assert current(home) == cold.address
    with locked(home, ListSink()) as mine:
        assert succeeding.fault_of(mine) == ""
        node = mine.node(SECRET, mine.policy, Options(exit_when_done=True))
        assert isinstance(node.tick(), Done)


def test_what_cannot_be_a_successor_is_refused_before_anything_is_recorded(
    net: Net, home: Path, tmp_path: Path
) -> None:
    old = current(home)
    with pytest.raises(UsageError, match="is an account of this home"):  # itself
        change(home, to=keystore.find(home / "keystore"))
    taken = Account.create()
    elsewhere = make_home(tmp_path / "other", net.file, dev=True, insecure_keys=True, password_file=None)
    net.fund(current(elsewhere))
    change(elsewhere, to=key_file(tmp_path / "taken", taken))
    with pytest.raises(errors.SuccessorTaken, match="follows one only"):
        change(home, to=tmp_path / "taken" / f"{taken.address}.json")
    first = keystore.find(elsewhere / "keystore", net.succession().predecessor(Address(taken.address)))
    with pytest.raises(errors.SuccessorSucceeded, match="no chain may become a ring"):
        change(home, to=first)
    assert net.succession().successor(old) is None
    assert current(home) == old
    done = change(home)  # nothing of all that is left
    assert done.new not in (taken.address, old)
    with pytest.raises(UsageError, match="is an account of this home"):
        change(home, to=keystore.find(home / "keystore", old), again=True)


def test_without_ether_nothing_is_named(net: Net, tmp_path: Path) -> None:
    path = make_home(tmp_path / "poor", net.file, dev=True, insecure_keys=True, password_file=None)
    with pytest.raises(InsufficientFunds):
        change(path)
    address = current(path)
    net.fund(address)
    assert change(path).old == address


def test_an_older_copy_of_the_home_is_told_apart(net: Net, home: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(home, copy)
    done = change(home)
    with locked(copy, ListSink()) as mine:
        assert succeeding.fault_of(mine) == (
            f"{done.old} has named {done.new} as its successor, of which this home knows nothing"
        )
    with pytest.raises(errors.AlreadySucceeded, match="once and for ever"):
        change(copy)
    assert current(copy) == done.old
    file = keystore.find(home / "keystore", done.new)
    again = change(copy, to=file)  # with the successor's key the copy catches up
    assert (again.old, again.new, again.tx_hash) == (done.old, done.new, "")


def test_a_home_that_lost_the_successors_key_says_so(net: Net, home: Path) -> None:
    done = change(home)
    keystore.find(home / "keystore", done.new).unlink()
    with pytest.raises(KeyFileError, match=f"has no key of {done.new}"):
        current(home)


@pytest.mark.parametrize(
    "record",
    [{}, {"used": [], "successor": ""}, {"used": ["0x12"], "successor": ""}, {"used": 3, "successor": ""}],
)
def test_a_damaged_record_of_accounts_is_no_accounts(home: Path, record: Any) -> None:
    with Journal(home / "journal.sqlite") as journal:
        journal.put("accounts", record)
    with pytest.raises(JournalError, match="does not read"):
        current(home)


def test_two_keys_of_which_the_journal_says_nothing_are_refused(home: Path) -> None:
    key_file(home / "keystore", Account.create())
    with pytest.raises(KeyFileError, match="has 2 accounts, not one"):
        current(home)


# ---- what others see


def test_whoever_asks_is_told_the_latest_account_of_each(net: Net, home: Path) -> None:
    first = change(home)
    net.fund(first.new)
    second = change(home, again=True)
    stranger = Address(Account.create().address)
    asked = [first.old, stranger, first.new, second.new, first.old]
    succession = net.succession()
    assert succession.followed(asked) == {first.old: second.new, first.new: second.new}
    assert succession.followed([]) == {}
    assert succession.line(first.new).latest == second.new
    nowhere = Succession(net.scientist.market, stranger)  # no contract is there
    assert (nowhere.followed(asked), nowhere.line(first.old).accounts) == ({}, (first.old,))


def test_an_allow_list_with_an_account_that_was_followed_is_not_posted(net: Net, home: Path) -> None:
    market, stranger = net.scientist.market, Address(Account.create().address)
    done = change(home)
    with pytest.raises(ConfigError, match=f"names {done.old}, which {done.new} has followed"):
        opening._check_allowed(market, [stranger, done.old])
    opening._check_allowed(market, [stranger, done.new])
    opening._check_allowed(market, [])


def test_a_scientists_record_is_that_of_all_her_accounts(net: Net, home: Path) -> None:
    """Her refunds are of no matter here: what was posted and closed by either account counts."""
    with locked(home, ListSink()) as mine:
        outbox = mine.outbox(mine.unlock(SECRET))
        scientist = TinyScientist(mine.market, net.scientist.store, outbox)
        scientist.post(terms(reward_units=10**15, fee_units=0, quiet_s=41))
        outbox.perform(wish("close"), mine.market.close(scientist.bounty))
    done = change(home)
    net.fund(done.new)
    with locked(home, ListSink()) as mine:
        outbox = mine.outbox(mine.unlock(SECRET))
        scientist = TinyScientist(mine.market, net.scientist.store, outbox)
        scientist.post(terms(reward_units=10**15, fee_units=0, quiet_s=42))
        found = records_of(mine.market, [done.new, done.old])
        both = ScientistRecord([done.old, done.new], posted=2, closed=1, overdue=0)
        assert found == {done.new: both, done.old: both}
        assert in_words(both) == "2 bounties, 1 closed, 0 overdue, as 2 accounts"


# ---- a node that lies


def test_a_node_that_shows_other_code_is_not_believed(
    net: Net, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Chain.code
    old = current(home)
    with locked(home, ListSink()) as mine:
        ensure_succession(mine.market, mine.outbox(mine.unlock(SECRET)))

    def code(chain: Chain, address: Address) -> bytes:
        return b"\x60\x00" if address == succession_address() else real(chain, address)

    with monkeypatch.context() as patch:
        patch.setattr(Chain, "code", code)
        with pytest.raises(WrongContract):
            change(home)
    assert net.succession().successor(old) is None


def test_a_node_that_denies_the_contract_makes_nothing_but_a_delay(
    net: Net, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is deployed already: the proxy refuses a second one, and nothing is named."""
    old = current(home)
    with locked(home, ListSink()) as mine:
        ensure_succession(mine.market, mine.outbox(mine.unlock(SECRET)))
    real = Chain.code
    with monkeypatch.context() as patch:
        patch.setattr(Chain, "code", lambda c, a: b"" if a == succession_address() else real(c, a))
        with pytest.raises(SonarError):
            change(home)
    assert net.succession().successor(old) is None
    pending = change(home)
    assert net.succession().line(old).accounts == (old, pending.new)


def test_a_succession_that_only_a_receipt_shows_is_not_used(
    net: Net, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chain denies its effect: the old account stays, until it shows."""
    old = current(home)
    monkeypatch.setattr(succeeding, "_PAUSE_S", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(Succession, "successor", lambda *_: None)
        with pytest.raises(RpcError, match="does not show that"):
            change(home)
    assert current(home) == old
    done = change(home)
    assert (done.old, current(home)) == (old, done.new)
    assert net.succession().line(old).accounts == (old, done.new)


def test_a_change_that_the_chain_has_lost_is_made_again(
    net: Net, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a reorganisation, or a lie to the end: the successor is in use, the chain knows nothing."""
    with monkeypatch.context() as patch:
        patch.setattr(succeeding, "_succeed", lambda *_: None)
        patch.setattr(succeeding, "_see", lambda *_: None)
        lost = change(home)
    assert net.succession().successor(lost.old) is None
    with locked(home, ListSink()) as mine:
        assert succeeding.fault_of(mine) == f"the chain does not show that {lost.new} follows {lost.old}"
    done = change(home)
    assert (done.old, done.new, current(home)) == (lost.old, lost.new, lost.new)
    assert net.succession().line(lost.old).accounts == (lost.old, lost.new)
    with locked(home, ListSink()) as mine:
        assert succeeding.fault_of(mine) == ""


def test_a_node_that_tells_of_a_ring_is_not_believed(
    net: Net, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = change(home)
    other = {done.old: done.new, done.new: done.old}
    monkeypatch.setattr(Succession, "successor", lambda _, account, at=None: other[account])
    monkeypatch.setattr(Succession, "predecessor", lambda *_: None)
    with pytest.raises(RpcError, match="a ring of successors"):
        net.succession().line(done.old)


# ---- a bounty that runs


def mine_command(capsys: pytest.CaptureFixture[str], home: Path, *args: str) -> Any:
    capsys.readouterr()
    code = main([*args, "--home", str(home), "--json"])
    out = capsys.readouterr().out
    assert code == 0, out
    return counted(json.loads(out.splitlines()[-1]))


def run_mine(home: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mine", "run", "--home", str(home), "--json", "--exit-when-done"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, text=True, env={**os.environ})


def wait_for(net: Net, status: Status) -> None:
    market, until = net.scientist.market, time.monotonic() + 60
    while status_of(market.bounty(net.scientist.bounty), market.head().timestamp_s) is not status:
        assert time.monotonic() < until, f"no {status.name} in time"
        time.sleep(0.1)


@pytest.mark.e2e
def test_a_bounty_ends_under_the_account_that_began_it_and_the_next_one_under_its_successor(
    net: Net, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    homes = [tmp_path / f"mine-{number}" for number in range(2)]
    for number, home in enumerate(homes):
        file = str(write_csv(tmp_path / f"{number}.csv", seed=number))
        init = ["init", "--network", str(net.file), "--dev", "--insecure-keys", "--csv", file]
        net.fund(mine_command(capsys, home, *init)["address"])
    bounty = "0x" + net.scientist.post(terms(cohort_cap=2, rounds=2, fee_units=10**15)).hex()
    for home in homes:
        mine_command(capsys, home, "join", bounty)
    processes = [run_mine(home) for home in homes]
    wait_for(net, Status.SETTLE)
    processes[0].kill()
    processes[0].wait()
    old = Address(mine_command(capsys, homes[0], "status")["address"])
    changed = mine_command(capsys, homes[0], "rotate")
    assert (changed["old"], changed["going_on"], changed["used"]) == (old, 1, True)
    new = Address(changed["new"])
    (former,) = mine_command(capsys, homes[0], "status")["former"]
    assert (former["address"], former["bounties"]) == (old, 1)
    net.scientist.settle()
    processes[0] = run_mine(homes[0])
    wait_for(net, Status.SETTLE)
    assert old in net.scientist.cohort(2)
    net.scientist.settle(loss=250_000)
    assert [process.wait(60) for process in processes] == [0, 0]

    income = mine_command(capsys, homes[0], "earnings")
    assert [row["state"] for row in income["rounds"]] == ["paid", "paid"]
    assert all(row["fee_units"] > 0 < row["gas_wei"] for row in income["rounds"])
    assert income["withdrawable_wei"] == net.scientist.market.withdrawable(old) > 0
    claimed = mine_command(capsys, homes[0], "claim", "--move")
    assert (claimed["to"], claimed["accounts"], claimed["amount_units"]) == (
        new,
        [old],
        income["withdrawable_wei"],
    )
    market = net.scientist.market
    assert market.ether(new) == claimed["amount_units"] + claimed["moved_wei"]
    assert claimed["moved_wei"] > 9 * 10**17
    assert market.ether(old) < 10**16  # what the transfer might have cost at most

    # The next bounty is the successor's, and the data's record goes on.
    second = "0x" + net.scientist.post(terms(cohort_cap=2, rounds=1, fee_units=10**15, quiet_s=30)).hex()
    for home in homes:
        mine_command(capsys, home, "join", second)
    processes = [run_mine(home) for home in homes]
    wait_for(net, Status.SETTLE)
    assert new in net.scientist.cohort(1)
    assert old not in net.scientist.cohort(1)
    net.scientist.settle()
    assert [process.wait(60) for process in processes] == [0, 0]
    income = mine_command(capsys, homes[0], "earnings")
    assert [row["state"] for row in income["rounds"]] == ["paid"] * 3
    assert mine_command(capsys, homes[0], "data", "list")[0]["used"] == 3


def test_an_older_copy_of_a_scientists_home_posts_nothing(net: Net, tmp_path: Path) -> None:
    path = wiring.make_home(tmp_path / "scientist", net.file, dev=True)
    with wiring.locked(path, ListSink()) as scientist:
        old = scientist.address
        net.fund(old)
    shutil.copytree(path, tmp_path / "copy")
    with wiring.locked(path, ListSink()) as scientist:
        done = scientist_accounts.change(scientist, None, None)
        assert (done.old, done.used, done.going_on) == (old, True, 0)
        assert (scientist.address, scientist.account_of("any")) == (done.new, done.new)
        (former,) = scientist_accounts.former(scientist)
        assert (former.address, former.bounties) == (old, 0)
        assert scientist_accounts.move(scientist, None) > 9 * 10**17
        assert scientist.market.ether(done.new) > 9 * 10**17
        assert scientist_accounts.move(scientist, None) == 0  # only dust is left
    with wiring.locked(tmp_path / "copy", ListSink()) as copy:
        bounty = Bounty.example("diabetes", cohort=3, min_mines=2)
        with pytest.raises(UsageError, match="of which this home knows nothing"):
            copy.campaign(bounty, SECRET)
        assert copy.names() == []


def test_a_new_password_opens_both_accounts(net: Net, home: Path, tmp_path: Path) -> None:
    done = change(home)
    old, new = tmp_path / "old-password", tmp_path / "new-password"
    for file, text in ((old, SECRET), (new, "another")):
        file.touch(0o600)
        file.write_text(text)
    with locked(home, ListSink()) as mine:
        mine.change_password(old, new)
    with locked(home, ListSink()) as mine:
        for account in (done.old, done.new):
            with pytest.raises(KeyFileError, match="the password is wrong"):
                mine.unlock(SECRET, account)
            assert Address(mine.unlock("another", account).address) == account
