"""Builds the scientist's side from a home folder: with `sonar.wiring`, the one place that makes adapters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pysonar.campaign.records import Posting, Records
from sonar.chain.sending.intent import PREFIX, Action, Intent
from sonar.errors import ConfigError, KeyFileError, SonarError, UsageError
from sonar.home import keystore
from sonar.home.files import in_full
from sonar.home.folder import Home, default_home
from sonar.home.password import Reseal
from sonar.home.settings import NetworkConfig
from sonar.protocol.ids import Address
from sonar.succeeding import fault_of
from sonar.telling.progress import Sink
from sonar.telling.waiting import patiently
from sonar.wiring import Party, voice

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

    from pysonar.bounty.base import AnyBounty
    from pysonar.bounty.shelf import Shelf
    from pysonar.bounty.study import Study
    from pysonar.campaign.ending import ClosingWish
    from pysonar.campaign.lifecycle import Campaign
    from pysonar.campaign.signing import Signing
    from pysonar.keys.base import Keyring
    from pysonar.keys.holder import KeyHolder
    from pysonar.keys.key import Key
    from pysonar.models.linear import LinearModel
    from pysonar.statistics.base import Result

ROLE = "pysonar"


class Scientist(Party):
    """What the commands and the notebook work with."""

    @cached_property
    def shelf(self) -> Shelf:
        """The bounties that were started here."""
        from pysonar.bounty.shelf import Shelf

        return Shelf(self.home.path)

    def posted(self, name: str) -> bool:
        """Whether a bounty of that name was posted from here, or its transaction is on its way."""
        account = self.book_of_accounts.journal(self.account_of(name))
        return Intent.of_posting(name).key in account

    def names(self) -> list[str]:
        """Return the names of all bounties that were started here, also of those whose folder is gone."""
        return sorted(self.begun().union(self.shelf.names()))

    def begun(self) -> set[str]:
        """The names of the bounties that were posted from here, or whose transaction is on its way."""
        accounts = [self.book_of_accounts.journal(one) for one in self.own_accounts.used]
        sent = [Intent.read(key) for journal in accounts for key, _ in journal.items(PREFIX)]
        return {intent.subject for intent in sent if intent.action is Action.POST}

    def forget(self, name: str) -> None:
        """Remove a bounty that was never sent; its key stays."""
        if not self.posted(name):
            self.shelf.drop(name)

    def started(self, name: str = "") -> AnyBounty:
        """Return a bounty that was started here; without a name, the only one.

        Raises ConfigError.
        """
        names = self.names()
        hint = f"name one of: {', '.join(names)}" if names else "start one: `pysonar run bounty.toml`"
        if not name and len(names) != 1:
            raise ConfigError(
                "bounty", f"{len(names)} bounties were started in this home, not one", hint=hint
            )
        if name and name not in names:
            raise ConfigError("bounty", f"none named {name[:80]!r} was started in this home", hint=hint)
        return self.shelf.take(name or names[0])

    def model(self, name: str = "", *, ridge: bool = False) -> LinearModel:
        """Return the best model so far of a bounty that was started here; without a name, of the only one.

        With `ridge`, the one with the ridge that is best on the holdout (`pysonar.models.ridge`).

        Raises ConfigError; UsageError before its first round is over; JournalError if this home is an older
        copy; EnvironmentFault if nothing was trained.
        """
        from pysonar.campaign.standing import ridge_of
        from pysonar.models.linear import LinearModel

        asked = self.started(name)
        found = self._found(asked) if asked.metric else None
        if not isinstance(found, LinearModel):
            problem = f"{asked.settings.name!r} asks for a statistic, and trains no model"
            hint = f"`pysonar result {asked.settings.name}` shows what it has found"
            raise UsageError(problem, hint=hint)
        return ridge_of(Records(self.journal, asked.settings.name), asked) if ridge else found

    def result(self, name: str = "") -> tuple[Study, Result]:
        """Return a study that was started here, without a name the only one, with what it has found.

        Raises ConfigError; UsageError for a bounty that trains a model, and before the first round is over;
        JournalError if this home is an older copy; EnvironmentFault before the last sum is opened; DataError
        for sums that allow no answer.
        """
        from pysonar.bounty.study import Study

        asked = self.started(name)
        if not isinstance(asked, Study):
            problem = f"{asked.settings.name!r} trains a model, and asks for no statistic"
            raise UsageError(problem, hint="`pysonar status` shows its losses, `pysonar predict` uses it")
        return asked, self._found(asked)

    def _found(self, asked: AnyBounty) -> Any:
        from pysonar.campaign.history import check_age
        from pysonar.campaign.standing import found_in

        records = Records(self.journal, asked.settings.name)
        if not records.finished():
            what = "model" if asked.metric else "result"
            raise UsageError(f"no round is over yet, so there is no {what}", hint="see `pysonar status`")
        check_age(records, lambda: self.market)
        return found_in(records, asked)

    @property
    def keys(self) -> Path:
        """The folder of the Paillier keys and their ledgers."""
        return self.home.path / "keys"

    def key_path(self, name: str) -> Path:
        """Where the first Paillier key of the bounty `name` lies."""
        return self.keys / f"{name}.json"

    def sealed(self) -> dict[Path, Reseal]:
        """The files that the home's password opens, and how each gets another one."""
        from pysonar.keys import keyfile

        def reseal(path: Path, old: str, new: str) -> bytes:
            return keyfile.resealed(path, old, new, light=self.network.dev)

        keys = sorted(self.keys.glob("*.json"))
        return {**super().sealed(), **dict.fromkeys(keys, reseal)}

    def make_key(self, name: str, bits: int, password: str, *, insecure: bool = False) -> Key:
        """Make and save a key for the bounty `name`. Raises KeyFileError if it has one."""
        from pysonar.keys.key import Key

        path = self.key_path(name)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        key = Key.generate(bits, insecure=insecure)
        key.save(path, password, dev=self.network.dev)
        return key

    def key(self, bounty: AnyBounty, password: str) -> Key:
        """Return the key that the bounty is posted with, made if it has none. Raises KeyFileError,
        ConfigError.
        """
        from pysonar.keys.key import Key

        settings = bounty.settings
        path = self._first_key(settings.name)
        if path is None:
            with self.progress.timed("make key"):
                return self.make_key(
                    settings.name, settings.key_bits, password, insecure=settings.insecure_key
                )
        key = Key.load(path, password)
        if key.public.bits != settings.key_bits:
            problem = f"{settings.key_bits}, and the key {path} has {key.public.bits} bits"
            raise ConfigError("key_bits", problem, hint="give the bounty another name, or the key's size")
        return key

    def _first_key(self, name: str) -> Path | None:
        """The file of the key that a bounty was posted with; of one that was not, of its newest key, None if
        it has none. Raises KeyFileError.
        """
        from pysonar.keys import keyfile
        from pysonar.keys.keyfile import files_of

        files, records = files_of(self.keys, name), Records(self.journal, name)
        if not self.posted(name):
            return files[-1] if files else None
        wanted = records.keys().get(1)
        found = next((one for one in files if wanted in (None, keyfile.named(one).fingerprint)), None)
        if found is None and records.is_closed():
            problem = f"the keys of the bounty {name!r} were removed after it was closed"
            raise KeyFileError(problem, hint="`pysonar status` and `pysonar predict` need none")
        if found is None:
            problem = f"{self.key_path(name)} is missing, and the bounty {name!r} was posted with it"
            raise KeyFileError(problem, hint="restore the key and its ledger from your copy of them")
        return found

    def keyring(self, bounty: AnyBounty, password: str) -> Keyring:
        """Return all keys of a bounty, of which the first is made if it has none. Raises as `key`."""
        from pysonar.keys.base import Keyring
        from pysonar.keys.keyfile import files_of

        name, folder = bounty.settings.name, self.keys
        return Keyring(self.key(bounty, password), lambda: files_of(folder, name), password)

    def warn_of_window(self, bounty: AnyBounty) -> None:
        """Tell if the settle window of a bounty that is not posted is short for this network's chain."""
        from pysonar.campaign.opening import short_window

        confirmations, terms = self.network.confirmations, bounty.on(dev=self.network.dev).offer.terms
        if confirmations > 1 and not self.posted(bounty.settings.name):
            with suppress(SonarError):  # the campaign will tell what is wrong with the chain
                told = short_window(self.market, terms.settle_window_s, confirmations)
                if told:
                    self.progress.note(told)

    def campaign(self, bounty: AnyBounty, password: str, *, patience_s: float = 0.0) -> Campaign:
        """Return the campaign of a bounty, new or resumed.

        Waits up to `patience_s` for a chain or a store that is not there yet. Raises ConfigError,
        KeyFileError, and what `market` and `store` raise.
        """
        from pysonar.campaign.lifecycle import Campaign
        from sonar.store.folder import FolderStore

        bounty = bounty.on(dev=self.network.dev)
        name = bounty.settings.name
        posting: Posting | None = Records(self.journal, name).get(Posting)
        if posting is not None and self.posted(name) and posting.digest != bounty.digest:
            raise ConfigError(
                "name",
                f"another bounty named {name!r} was posted from {self.home.path}",
                hint=f"give the changed one another name; `pysonar resume {name}`, or campaign({name!r}) "
                "of a session, continues the old one",
            )
        account = self.unlock(password, self.account_of(name))
        patiently(lambda: (self.market, self.store), self.progress, patience_s=patience_s)
        if not self.posted(name) and (fault := fault_of(self, lost=False)):
            hint = "is this home an older copy? If somebody else has your key, see docs/keys.md"
            raise UsageError(fault, hint=f"{hint}; nothing was posted")
        holder, signing = self._holding(bounty, self.keyring(bounty, password), account)
        self.shelf.keep(bounty)
        return Campaign(
            self.market,
            self.store,
            FolderStore(self.home.path / "copies"),
            holder,
            signing,
            self.outbox(account),
            self.journal,
            bounty,
            progress=self.progress.about(name),
            confirmations=self.network.confirmations,
            closing=self.closing(name),
        )

    def closing(self, name: str) -> ClosingWish:
        """Return where it is said whether a bounty is to end early."""
        from pysonar.campaign.ending import ClosingWish

        return ClosingWish(self.home.path / "closing" / name)

    def _holding(self, bounty: AnyBounty, keys: Keyring, account: LocalAccount) -> tuple[KeyHolder, Signing]:
        """The key's holder, and who is asked for a settler's signatures: with capsules or without."""
        from pysonar.campaign.signing import SignatureFiles

        name, asked = bounty.settings.name, bounty.settings.capsules
        files = SignatureFiles(self.home.path / "settlements", name, self.market, self.progress)
        if asked is None:
            from pysonar.keys.local import LocalHolder

            return LocalHolder(keys), files
        from pysonar.behind import audited_by, holder_behind, panel_in

        panel = panel_in(self.network, self.market, account)
        holder = holder_behind(bounty, keys, panel, self.market)
        if not asked.audited:
            return holder, files
        records = Records(self.journal, name)
        me = Address(account.address)
        return holder, audited_by(bounty, holder, panel, self.market, self.store, records, me, self.progress)


def is_development(home: Path | None) -> bool:
    """Tell whether a home's network is a development network; without a home, it is not.

    Raises ConfigError for a named home whose network file cannot be read.
    """
    file = (home or default_home(ROLE)) / "network.toml"
    if home is None and not file.is_file():
        return False
    return NetworkConfig.load(file).dev


def make_home(
    path: Path | None,
    network: Path | None,
    *,
    dev: bool,
    password_file: Path | None = None,
    password: str | None = None,
) -> Path:
    """Make what a home lacks, and return its path. The password is asked for if it is needed and not given.

    Raises ConfigError, KeyFileError, HomeLocked.
    """
    path = path or default_home(ROLE)
    config = NetworkConfig.load(network or path / "network.toml")
    if dev and not config.dev:
        problem = f"{config.name!r} is not a development network"
        raise ConfigError("--dev", problem, hint="leave --dev out: money is at stake")
    with Home(path, ROLE).lock() as home:
        if network is not None and in_full(network, "--network") != in_full(home.network, "--network"):
            config.save(home.network)
        if not keystore.addresses(home.keystore):
            if password is None:
                password = keystore.read_password(password_file, confirm=True)
            keystore.create(home.keystore, password, dev=dev)
        return home.path


def open_scientist(home: Path | None, sink: Sink) -> Scientist:
    """Open a home that `pysonar init` made. Raises ConfigError."""
    found = Home(home or default_home(ROLE), ROLE, create=False)
    return Scientist(found, voice(found, sink))


@contextmanager
def locked(home: Path | None, sink: Sink) -> Iterator[Scientist]:
    """Open a home for a command that changes it or sends transactions. Raises HomeLocked, ConfigError."""
    scientist = open_scientist(home, sink)
    with scientist.home.lock():
        try:
            yield scientist
        finally:
            scientist.close()
