"""The accounts that a capsule had: each with a statement, signed by both, of who took its place.

Theory of operation. The next account's key is written into `keystore/next`. Then the statement is written,
whole or not at all: this is the instant at which the next account counts. Whoever opens the home from then on
first moves the key files (`finish`): the old one into `keystore/former`, the next one to where it was. Each
move can be interrupted and repeated.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from sonar.chain.signatures import sign_digest
from sonar.errors import CapsuleFault, ConfigError, KeyFileError, ManifestError
from sonar.home import keystore
from sonar.home.files import remedy
from sonar.home.folder import Home, PrivateFolder
from sonar.manifests.capsule import Succession
from sonar.protocol.capsules import succession_digest
from sonar.protocol.ids import Address
from sonar.protocol.record import Manifest
from sonar.verifying.identity import check_succession

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

_SUFFIX = ".succession"


class SuccessionFile(Manifest):
    """A statement, and until when bounties that were posted are served under the old account (chain time)."""

    v: Literal[2] = 2
    kind: Literal["capsule-succession"] = "capsule-succession"
    succession: Succession
    until_s: Annotated[int, Field(ge=0, lt=1 << 40)]


class Accounts:
    """The former accounts of a home, for one network. Raises KeyFileError, JournalBlocked."""

    def __init__(self, home: Home, chain_id: int, contract: Address) -> None:
        self._path, self._folder = home.path / "successions", PrivateFolder(home.path / "successions")
        self._keystore, self._site = home.keystore, (chain_id, contract)

    def all(self) -> list[SuccessionFile]:
        """Return who followed whom, oldest first, as far as it was signed for this network."""
        found = []
        for one in _statements(self._path):
            with suppress(CapsuleFault):  # of a network that the home was in before
                check_succession(one.succession, *self._site)
                found.append(one)
        return found

    def file(self, account: Address) -> Path:
        """Return the key file of a former account. Raises KeyFileError."""
        return keystore.find(self._keystore / "former", account)

    def succeed(self, old: LocalAccount, password: str, until_s: int, *, dev: bool) -> LocalAccount:
        """Make the account that takes the place of `old`, and return it. The home must be locked."""
        place = self._keystore / "next"
        shutil.rmtree(place, ignore_errors=True)  # of a command that was killed
        new = keystore.create(place, password, dev=dev)
        account, successor = Address(old.address), Address(new.address)
        digest = succession_digest(*self._site, account, successor)
        made = Succession(
            account=account,
            successor=successor,
            signature=sign_digest(old, digest),
            accepted=sign_digest(new, digest),
        )
        number = len(_statements(self._path)) + 1
        data = SuccessionFile(succession=made, until_s=until_s).to_bytes()
        self._folder.put(f"{number:03}{_SUFFIX}", data)
        return new


def finish(home: Home) -> None:
    """Have each key file where it belongs by now. Safe at any time, by any process.

    Raises ConfigError, KeyFileError.
    """
    for one in _statements(home.path / "successions"):
        _move(home.keystore, f"{one.succession.account}.json", to="former")
        _move(home.keystore / "next", f"{one.succession.successor}.json", to="..")


def _statements(folder: Path) -> list[SuccessionFile]:
    found = []
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        try:
            found.append(SuccessionFile.from_bytes(path.read_bytes()))
        except (ManifestError, OSError) as error:
            problem = f"the statement {path} is damaged: {error}"
            raise KeyFileError(problem, hint="restore it from a copy of this home") from error
    return found


def _move(folder: Path, name: str, *, to: str) -> None:
    try:
        if (folder / name).is_file():
            (folder / to).mkdir(mode=0o700, exist_ok=True)
            with suppress(FileNotFoundError):  # another process has moved it
                (folder / name).replace(folder / to / name)
    except OSError as error:
        problem = f"{folder / name} cannot be moved: {error.strerror}"
        raise ConfigError("home", problem, hint=remedy(error, folder / name)) from error
