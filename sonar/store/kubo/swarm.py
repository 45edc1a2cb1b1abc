"""The key of a private swarm, which all its members share and nobody else has.

The key file has IPFS's own format (a pre-shared key of 32 bytes in hex), so that any Kubo can join with it.
Whoever has it can fetch every blob of the network and serve others; it opens no account and no data.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from pathlib import Path

from sonar.errors import ConfigError, KeyFileError, UsageError
from sonar.home.files import expanded
from sonar.home.keystore import read_private_text, write_private

SWARM_KEY_VARIABLE = "SONAR_SWARM_KEY_FILE"
_HEAD = "/key/swarm/psk/1.0.0/\n/base16/\n"
_KEY_BYTES = 32
_FORMAT = re.compile(rf"{re.escape(_HEAD)}[0-9a-fA-F]{{{2 * _KEY_BYTES}}}(\n|\Z)".encode())


def new_swarm_key(path: Path) -> str:
    """Make a swarm key at `path` (mode 0600) and return its fingerprint.

    Raises UsageError if it exists, and KeyFileError if it cannot be written.
    """
    path = expanded(path, "swarm key")
    if path.exists():
        raise UsageError(f"{path} exists", hint="name another file, or remove that one if no node needs it")
    data = _made()
    write_private(path, data)
    return fingerprint(data)


def _made() -> bytes:
    return f"{_HEAD}{secrets.token_bytes(_KEY_BYTES).hex()}\n".encode()


def read_swarm_key(path: Path) -> bytes:
    """Return the key as IPFS has it. Raises KeyFileError on its mode or its format."""
    data = read_private_text(path, "swarm key").encode()
    if not _FORMAT.match(data):
        raise KeyFileError(
            f"{path} is not a swarm key",
            hint="get it again from whoever runs the network; it begins with /key/swarm/",
        )
    return data


def rotate_swarm_key(path: Path, new: bytes | None = None) -> tuple[str, str]:
    """Replace the swarm key at `path` by `new`, or by one that is made; return old and new fingerprint.

    The old key is kept beside it, as `swarm.key.old`. It is one or the other, whenever this is killed; where
    `new` is the key already, nothing changes. Raises KeyFileError.
    """
    path = expanded(path, "swarm key").resolve()
    old = read_swarm_key(path)
    new = new or _made()
    if fingerprint(new) != fingerprint(old):
        write_private(path.with_name(f"{path.name}.old"), old)
        write_private(path, new)
    return fingerprint(old), fingerprint(new)


def key_file_of(home: Path, named: str, kept: Path) -> Path:
    """Return the file that a home's node takes its swarm key from, as `find_swarm_key` does.

    Raises ConfigError.
    """
    variable = os.environ.get(SWARM_KEY_VARIABLE)
    places = [Path(variable)] if variable else [*([Path(named)] if named else []), kept, home / "swarm.key"]
    for path in places:
        if path.exists():
            return path
    raise ConfigError(
        "--home",
        f"the home {home} has no swarm key: there is none at {', '.join(map(str, places))}",
        hint="name the file itself",
    )


def find_swarm_key(named: str, kept: Path) -> bytes:
    """Return the network's swarm key: SONAR_SWARM_KEY_FILE's, the `named` one, or the `kept` one.

    Raises ConfigError if there is none, KeyFileError if it is unusable.
    """
    if variable := os.environ.get(SWARM_KEY_VARIABLE):
        return read_swarm_key(Path(variable))
    for path in (Path(named) if named else kept, kept):
        if path.exists():
            return read_swarm_key(path)
    raise ConfigError(
        "store.swarm_key_file",
        f"there is no swarm key at {named or kept}",
        hint="get it from whoever runs the network, over a safe channel; save it there with mode 0600; "
        f"or name it by {SWARM_KEY_VARIABLE}",
    )


def fingerprint(key: bytes) -> str:
    """Return a fingerprint that two people can compare aloud to see that they have the same key; it does not
    reveal the key.
    """
    return hashlib.sha256(b"sonar swarm key\n" + bytes.fromhex(key.decode().split()[2])).hexdigest()[:16]
