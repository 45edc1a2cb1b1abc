"""Asks a bounty's settler for its signatures: the port, and the adapter that uses files.

Theory of operation. A round's settlement is decided before it is asked for, and is the same after a restart.
So the request may be written again at any time, and a signature that is there is checked against this
settlement each time it is read, whoever put it there: nothing needs to be remembered.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Protocol

from sonar.chain.contract.market import Market
from sonar.chain.contract.settler import signature_fault
from sonar.errors import ConfigError
from sonar.home.files import read_if_there
from sonar.home.keystore import write_private
from sonar.home.settlement import MAX_FILE_BYTES, SUFFIX, Settlement, read_signature
from sonar.protocol.ids import parse_bytes32
from sonar.telling.progress import Progress


class Signing(Protocol):
    """Whoever can be asked for a settler's signature."""

    def signature(self, settlement: Settlement) -> bytes | None:
        """Return the settler's valid signature; None while there is none. Does not wait."""
        ...

    def place(self, settlement: Settlement) -> str:
        """Return where the request lies, for people."""
        ...


class SignatureFiles:
    """Settlements of the bounty `name` as files in `folder`, and their signatures in files beside them.

    `signature` raises KeyFileError if the request cannot be written, and what asking a settler's contract
    raises.
    """

    def __init__(self, folder: Path, name: str, market: Market, progress: Progress) -> None:
        self._folder, self._name = folder, name
        self._market, self._progress = market, progress
        self._told = ""

    def place(self, settlement: Settlement) -> str:
        """Return the path of the request."""
        return str(self._path(settlement))

    def signature(self, settlement: Settlement) -> bytes | None:
        """Write the request if it is not there, and return the signature that lies beside it, if it counts.

        A fault in one is reported once.
        """
        path = self._path(settlement)
        self._ask(path, settlement)
        try:
            signature = read_signature(path.with_suffix(SUFFIX))
        except ConfigError as error:
            self._tell(error)
            return None
        if signature is None:
            return None
        digest = parse_bytes32(settlement.digest, "digest")
        if problem := signature_fault(self._market, settlement.settler, digest, signature):
            hint = f"sign {path}, and put the signature in the place of this one"
            self._tell(ConfigError(str(path.with_suffix(SUFFIX)), problem, hint=hint))
            return None
        return signature

    def _path(self, settlement: Settlement) -> Path:
        return self._folder / f"{self._name}-{settlement.round}.json"

    def _ask(self, path: Path, settlement: Settlement) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        with suppress(ConfigError):  # what cannot be read is written anew
            if read_if_there(path, "settlement", MAX_FILE_BYTES, never_wait=True) == settlement.to_bytes():
                return
        write_private(path, settlement.to_bytes())

    def _tell(self, error: ConfigError) -> None:
        if str(error) != self._told:
            self._progress.problem(error)
            self._told = str(error)
