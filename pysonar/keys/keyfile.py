"""A Paillier key at rest: one JSON file, scrypt and AES-256-GCM, readable by its owner only.

    {"v": 1, "kind": "sonar-paillier-key", "fingerprint", "kdf": {"name": "scrypt", "n", "r", "p", "salt"},
     "cipher": {"name": "aes-256-gcm", "nonce"}, "data"}          byte strings as hex

`data` is p and q, each as (bits / 16) big-endian bytes, authenticated together with every other field.
A key that follows another in a bounty has the field `ledger` too: the fingerprint of the bounty's first key,
whose ledger is that of all. It lies beside the first, `NAME+2.json` beside `NAME.json`: that it is there asks
for the change.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gmpy2
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from sonar.errors import KeyFileError
from sonar.home.files import remedy
from sonar.home.keystore import encoded, read_private_text
from sonar.home.memory import reserved, scrypt_bytes
from sonar.paillier.public import PublicKey
from sonar.protocol.wording import other_version

_KIND = "sonar-paillier-key"
_MAX_BYTES = 16_384
_SCRYPT_LOG2_N = 17  # 128 MiB and about half a second
_SCRYPT_LOG2_N_LIGHT = 14  # development only
_SCRYPT_N_ALLOWED = [1 << log2_n for log2_n in range(14, 21)]  # a hostile file must not take all memory


@dataclass(frozen=True)
class Named:
    """What a key file says without its passphrase: which key it is, and whose ledger it uses."""

    fingerprint: bytes
    ledger: bytes


def write(
    path: Path, secret: bytes, fingerprint: bytes, passphrase: str, *, light: bool, ledger: bytes = b""
) -> None:
    """Write `secret` under `passphrase` to a new file of mode 0600, whole or not at all.

    `ledger`: the fingerprint of the key whose ledger it uses, if that is another. Raises KeyFileError.
    """
    if not passphrase:
        raise KeyFileError("the passphrase is empty", hint="choose a passphrase for the key file")
    header = {
        "v": 1,
        "kind": _KIND,
        "fingerprint": fingerprint.hex(),
        "kdf": {
            "name": "scrypt",
            "n": 1 << (_SCRYPT_LOG2_N_LIGHT if light else _SCRYPT_LOG2_N),
            "r": 8,
            "p": 1,
            "salt": secrets.token_hex(32),
        },
        "cipher": {"name": "aes-256-gcm", "nonce": secrets.token_hex(12)},
        **({"ledger": ledger.hex()} if ledger else {}),
    }
    data = _cipher(header, passphrase).encrypt(_nonce(header), secret, _associated(header))
    text = json.dumps({**header, "data": data.hex()}, indent=1)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)  # unlike a rename, never replaces a key that is already there
    except FileExistsError as error:
        raise KeyFileError(f"{path} exists", hint="move it away, or choose another path") from error
    except OSError as error:
        problem = f"{path} cannot be written: {error.strerror}"
        raise KeyFileError(problem, hint=remedy(error, path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def named(path: Path) -> Named:
    """Return what a key file says of itself, which nothing proves. Raises KeyFileError."""
    check_private(path)
    header, _ = parse(path, read_private_text(path, "key file", _MAX_BYTES).encode())
    return _named(header)


def primes(path: Path, passphrase: str) -> tuple[int, int, Named]:
    """Return p and q of a key file, checked, and which key they are. Raises KeyFileError, MemoryShort."""
    secret, said = read(path, passphrase)
    half = len(secret) // 2
    p, q = int.from_bytes(secret[:half], "big"), int.from_bytes(secret[half:], "big")
    if PublicKey(gmpy2.mpz(p) * q).fingerprint != said.fingerprint:
        raise KeyFileError(f"{path} holds another key than its fingerprint says")
    if p == q or not (gmpy2.is_prime(p) and gmpy2.is_prime(q)):
        raise KeyFileError(f"{path} does not hold two primes", hint="whoever made it cannot be trusted")
    return p, q, said


def read(path: Path, passphrase: str) -> tuple[bytes, Named]:
    """Return the secret of a key file, and which key it is. Raises KeyFileError, MemoryShort."""
    check_private(path)
    header, data = parse(path, read_private_text(path, "key file", _MAX_BYTES).encode())
    try:
        secret = _cipher(header, passphrase).decrypt(_nonce(header), data, _associated(header))
    except InvalidTag as error:
        problem = f"{path}: wrong passphrase, or the file was changed"
        raise KeyFileError(problem, hint="try again, or restore the file from a copy") from error
    return secret, _named(header)


def _named(header: dict[str, Any]) -> Named:
    fingerprint = bytes.fromhex(header["fingerprint"])
    return Named(fingerprint, bytes.fromhex(header.get("ledger", "")) or fingerprint)


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


def ledger_beside(path: Path, fingerprint: bytes) -> Path:
    """Return where the ledger of a key lies whose file is `path`."""
    return path.with_name(f"{fingerprint.hex()[:16]}.ledger")


def ledger_of(path: Path, said: Named) -> Path:
    """Return where the ledger lies that a key file uses. Raises KeyFileError without one."""
    found = ledger_beside(path, said.ledger)
    if not found.exists():
        raise KeyFileError(
            f"the ledger {found} is missing, and without it the key could decrypt too much",
            hint="copy it from where the key was used last; if it is lost, make a new key",
        )
    check_private(found)
    return found


def resealed(path: Path, old: str, new: str, *, light: bool) -> bytes:
    """Return a key file's content under another passphrase; `light` keeps a light scrypt, if it has one.

    Raises KeyFileError, MemoryShort.
    """
    header, data = parse(path, read_private_text(path, "key file", _MAX_BYTES).encode())
    try:
        secret = _cipher(header, old).decrypt(_nonce(header), data, _associated(header))
    except InvalidTag as error:
        problem = f"{path}: wrong passphrase, or the file was changed"
        raise KeyFileError(problem, hint="try again, or restore the file from a copy") from error
    cost = header["kdf"]["n"] if light else max(header["kdf"]["n"], 1 << _SCRYPT_LOG2_N)
    header |= {
        "kdf": {**header["kdf"], "n": cost, "salt": secrets.token_hex(32)},
        "cipher": {**header["cipher"], "nonce": secrets.token_hex(12)},
    }
    data = _cipher(header, new).encrypt(_nonce(header), secret, _associated(header))
    return json.dumps({**header, "data": data.hex()}, indent=1).encode()


def check_private(path: Path) -> None:
    """Refuse anything but a file, and one that others may read or write. Raises KeyFileError."""
    try:
        status = path.stat()
    except OSError as error:
        problem = f"{path} cannot be read: {error.strerror}"
        raise KeyFileError(problem, hint=remedy(error, path)) from error
    if not stat.S_ISREG(status.st_mode):
        raise KeyFileError(f"{path} is not a file", hint="name the file that holds the key")
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        raise KeyFileError(f"{path} has mode {mode:04o}; others may open it", hint=f"run: chmod 600 {path}")


def parse(path: Path, content: bytes) -> tuple[dict[str, Any], bytes]:
    """Return the header and the encrypted part of a key file's `content`. Raises KeyFileError."""
    try:
        document = json.loads(content)
        data = _unhex(document.pop("data"))
        kdf, cipher = document["kdf"], document["cipher"]
        good = (
            document["v"] == 1
            and document["kind"] == _KIND
            and kdf["name"] == "scrypt"
            and all(type(kdf[name]) is int for name in "nrp")  # 8.0 and true equal an integer and are none
            and kdf["n"] in _SCRYPT_N_ALLOWED
            and (kdf["r"], kdf["p"]) == (8, 1)
            and len(_unhex(kdf["salt"])) == 32
            and cipher["name"] == "aes-256-gcm"
            and len(_unhex(cipher["nonce"])) == 12
            and len(_unhex(document["fingerprint"])) == 32
            and len(_unhex(document.get("ledger", document["fingerprint"]))) == 32
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        problem = f"{path} is not a key file"
        raise KeyFileError(problem, hint="restore it from a copy, or name the right file") from error
    if document.get("kind") == _KIND and document["v"] != 1:
        problem, hint = other_version(document["v"], 1, "use the version of Sonar that made it")
        raise KeyFileError(f"{path} {problem}", hint=hint)
    if not good:
        problem = f"{path} is not a key file that this program reads"
        raise KeyFileError(problem, hint="restore it from a copy, or name the right file")
    return document, data


def _unhex(text: str) -> bytes:
    """Return bytes from hex as `save` writes it. Raises ValueError: of two spellings, one is not our file."""
    data = bytes.fromhex(text)
    if data.hex() != text:
        raise ValueError("hex in upper case, or with spaces")
    return data


def _cipher(header: dict[str, Any], passphrase: str) -> AESGCM:
    kdf = header["kdf"]
    cost = {name: kdf[name] for name in "nrp"}
    with reserved(scrypt_bytes(**cost), "deriving what encrypts the Paillier key"):
        scrypt = Scrypt(bytes.fromhex(kdf["salt"]), length=32, **cost)
        return AESGCM(scrypt.derive(encoded(passphrase)))


def _nonce(header: dict[str, Any]) -> bytes:
    return bytes.fromhex(header["cipher"]["nonce"])


def _associated(header: dict[str, Any]) -> bytes:
    return json.dumps(header, sort_keys=True).encode()
