"""The keys of one bounty, oldest first: a scientist may change hers while it runs.

A further key is one more file in the folder, `NAME+2.json` beside `NAME.json`, written whole or not at all:
that it is there asks for the change. A campaign takes the newest key when it encrypts a round's new weights,
and records that first (`BaseHolder.turn`); answers to them are under that key. All keys use the ledger of the
first, since what two sums tell together does not depend on the keys that opened them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from pysonar.keys import keyfile
from pysonar.keys.key import Key
from sonar.errors import KeyFileError


def files_of(folder: Path, name: str) -> list[Path]:
    """Return the key files of a bounty that are there, oldest first."""
    later = re.compile(re.escape(name) + r"\+([1-9][0-9]{0,5})\.json")  # a bounty's name has no "+"
    found = {1: folder / f"{name}.json"}
    for path in folder.glob("*.json"):
        if (match := later.fullmatch(path.name)) is not None:
            found[int(match[1])] = path
    return [path for _, path in sorted(found.items()) if path.exists()]


def next_file(folder: Path, name: str) -> Path:
    """Return where a bounty's next key goes."""
    files = files_of(folder, name)
    last = files[-1].stem.removeprefix(name).removeprefix("+") if files else ""
    return folder / f"{name}+{int(last or 1) + 1}.json"


class Keyring:
    """`base` is the key that the bounty is posted with. `files` are those of all its keys, oldest first: they
    are looked at again each time, and opened with the `passphrase` when they are needed.
    """

    def __init__(self, base: Key, files: Callable[[], Sequence[Path]] = tuple, passphrase: str = "") -> None:
        self.base, self._files, self._passphrase = base, files, passphrase
        self._open = {base.public.fingerprint: base}

    def of(self, fingerprint: bytes) -> Key:
        """Return a key. Raises KeyFileError if it is not there, or not to be opened."""
        if fingerprint not in self._open:
            path = next((one for one in self._files() if keyfile.named(one).fingerprint == fingerprint), None)
            if path is None:
                raise KeyFileError(
                    f"the key {fingerprint.hex()[:16]} is missing, and the bounty has rounds under it",
                    hint="put its file back from your copy of the folder `keys`",
                )
            self._open[fingerprint] = self._opened(path)
        return self._open[fingerprint]

    def newest(self) -> Key:
        """Return the key that was added last. Raises KeyFileError, MemoryShort."""
        files = self._files()
        return self.of(keyfile.named(files[-1]).fingerprint) if files else self.base

    def close(self) -> None:
        """Close the ledger, and let go of all keys."""
        for key in self._open.values():
            key.close()

    def _opened(self, path: Path) -> Key:
        key = Key.load(path, self._passphrase, self.base.ledger)
        if key.public.bits != (bits := self.base.public.bits):
            raise KeyFileError(
                f"{path} has {key.public.bits} bits, and the bounty's keys have {bits}",
                hint=f"move it away, and make one of {bits} bits: `pysonar rotate`",
            )
        return key
