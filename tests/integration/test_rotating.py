"""Accounts that change: a mine's and a scientist's, on a real chain, killed at every step."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount

from mine.accounts import changing
from mine.setup import make_home
from mine.wiring import locked
from sonar import localchain, rotating
from sonar.chain.contract.calls import transfer
from sonar.chain.contract.succession import Succession
from sonar.chain.deploying.deploy import deploy
from sonar.chain.deploying.succession import succession_on
from sonar.chain.rpc import Rpc
from sonar.chain.sending.outbox import Outbox
from sonar.home import keystore
from sonar.home.journal import Journal
from sonar.home.settings import NetworkConfig, StoreConfig
from sonar.protocol.ids import Address
from sonar.store.folder import FolderStore
from sonar.telling.accounts import AccountChanged
from sonar.telling.progress import ListSink
from tests.chain_kit import Killed, wish
from tests.integration.mine_kit import TinyScientist

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
        config = NetworkConfig(
            name="test",
            dev=True,
            chain_id=made.chain_id,
            rpc_url=chain.url,
            contract=made.contract,
            code_hash=made.code_hash,
            deployed_block=made.block,
            store=StoreConfig(kind="folder", path="store"),
        )
        config.save(folder / "network.toml")
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
        assert rotating.fault_of(mine) == ""
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
