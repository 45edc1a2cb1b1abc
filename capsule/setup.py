"""What the commands do to a home, apart from running it: make it, begin a new epoch."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from capsule.home.accounts import finish
from capsule.home.keys import Keys
from capsule.home.ledger import Ledger
from capsule.home.places import LEDGER_FILE, ROLE
from capsule.home.policy import write_first
from capsule.home.witness import Witness
from capsule.show.documents import Rotated, Succeeded
from sonar.errors import ConfigError, SonarError
from sonar.home import keystore
from sonar.home.files import in_full
from sonar.home.folder import Home, default_home
from sonar.home.settings import NetworkConfig
from sonar.manifests.model import CapsuleKey
from sonar.protocol.ids import Address

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from capsule.wiring import Capsule


def make_home(
    path: Path | None, network: Path | None, url: str, *, dev: bool, password_file: Path | None
) -> Path:
    """Make what a home lacks, and return its path. Raises ConfigError, KeyFileError, HomeLocked.

    Only a new home's ledger is known to be whole: see `capsule.home.witness`.
    """
    path = path or default_home(ROLE)
    config = NetworkConfig.load(network or path / "network.toml")
    if dev and not config.dev:
        raise ConfigError("--dev", f"{config.name!r} is not a development network", hint="leave --dev out")
    with Home(path, ROLE).lock() as home:
        finish(home)
        if network is not None and in_full(network, "--network") != in_full(home.network, "--network"):
            config.save(home.network)
        write_first(home.path, url)
        is_new = not keystore.addresses(home.keystore)
        account = None
        if is_new:
            password = keystore.read_password(password_file, confirm=True)
            account = keystore.create(home.keystore, password, dev=dev)
        _add_key(home, config, account, password_file)
        if is_new:
            with Ledger(home.path / LEDGER_FILE) as ledger:
                Witness(ledger.name).write(ledger.marks[0])
        return home.path


def _add_key(
    home: Home, network: NetworkConfig, account: LocalAccount | None, password_file: Path | None
) -> None:
    """Make a key for envelopes, unless the newest one is signed for this network."""
    keys, file = Keys(home, network.chain_id, network.contract), keystore.find(home.keystore)
    if keys.epochs() and keys.is_ours(keys.public().key, Address(file.stem)):
        return
    if account is None:
        beside = home.path / keystore.BESIDE
        given = beside if password_file is None and network.dev and beside.is_file() else password_file
        account = keystore.load(file, keystore.read_password(given))
    keys.add(account, int(time.time()))


def rotate(capsule: Capsule, password_file: Path | None, *, alone: bool) -> Rotated:
    """Begin a new epoch; if no capsule serves in the home, also delete old keys that no bounty needs.

    One that serves does that itself, and takes the new key up with the next request. Raises KeyFileError,
    JournalError.
    """
    from capsule.keeping import sweep
    from capsule.running import note_keys

    account = capsule.unlock(capsule.password(password_file))
    now_s = int(time.time())
    key = capsule.keys.add(account, now_s, above=now_s if may_be_restored(capsule) else 0)
    deleted: list[int] = []
    if alone:
        note_keys(capsule)
        try:
            deleted = sweep(capsule)
        except SonarError as fault:  # the new key is there
            capsule.progress.problem(
                fault, "old keys are kept; `capsule run` looks for those that nobody needs"
            )
    return _rotated(capsule, key, deleted, running=not alone)


def may_be_restored(capsule: Capsule) -> bool:
    """Tell whether the home may have had keys that it does not know of: see `capsule.home.witness`.

    Then their numbers are not known either. The time in seconds is greater than all of them, so no number is
    used twice, and mines go by the greatest that they have seen.
    """
    ledger = capsule.ledger
    is_newest = Witness(ledger.name).read() in ledger.marks
    return not is_newest or ledger.blind_until_s >= capsule.keys.public().made_s


def delete(capsule: Capsule, epoch: int, *, alone: bool) -> Rotated:
    """Delete an old epoch's key. Raises as `capsule.keeping.delete`."""
    from capsule import keeping

    keeping.delete(capsule, epoch)
    return _rotated(capsule, capsule.keys.public().key, [epoch], running=not alone)


def _rotated(capsule: Capsule, key: CapsuleKey, deleted: list[int], *, running: bool) -> Rotated:
    kept = [epoch for epoch in capsule.keys.epochs() if epoch != key.epoch]
    return Rotated(key.account, key.epoch, kept, deleted, running)


def succeed(capsule: Capsule, password_file: Path | None) -> Succeeded:
    """Begin with another account: new bounties name it, and bounties that have begun end under the old one.

    The home must be locked. Raises KeyFileError, JournalBlocked, ChainUnavailable, RpcError: the chain's time
    is needed, to know which bounties have begun.
    """
    from capsule.keeping import POSTING_S
    from capsule.running import note_keys
    from capsule.wiring import reopened

    password = capsule.password(password_file)
    old, head = capsule.unlock(password), capsule.market.head()
    above = int(time.time()) if may_be_restored(capsule) else 0
    new = capsule.accounts.succeed(old, password, head.timestamp_s + POSTING_S, dev=capsule.network.dev)
    now = reopened(capsule)
    key = now.keys.add(new, int(time.time()), above=above)
    note_keys(now)
    return Succeeded(Address(old.address), Address(new.address), key.epoch, identity_lines(now))


def following(capsule: Capsule) -> str:
    """Return what the operator does after `init`."""
    if not capsule.policy.service.url and not capsule.listed_url:
        return "give the capsule's address as url in capsule.toml, then: `capsule init`"
    return "look at capsule.toml, then: `capsule run`"


def identity_lines(capsule: Capsule) -> str:
    """Return what whoever runs the network adds to its file; nothing if it is there, or has no address."""
    url, former = capsule.policy.service.url, capsule.all_accounts[:-1]
    if not url or capsule.listed_url == url:
        return ""
    lines = f'[[capsules]]\nurl = "{url}"\naccount = "{capsule.address}"'
    return f"{lines}\nformerly = {json.dumps(former)}" if former else lines
