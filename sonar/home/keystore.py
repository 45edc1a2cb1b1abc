"""Account keys on disk, encrypted; their passwords from the environment, a file or the terminal.

The files have the Web3 Secret Storage format, which every Ethereum wallet reads. No key is ever on a command
line.
"""

from __future__ import annotations

import getpass
import json
import math
import os
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonar.errors import ConfigError, KeyFileError, MemoryShort
from sonar.home.files import expanded, remedy, text_of
from sonar.home.memory import reserved, scrypt_bytes
from sonar.protocol.ids import Address, parse_address
from sonar.protocol.wording import printable

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

PASSWORD_VARIABLE = "SONAR_PASSWORD"  # noqa: S105 - the variable's name
PASSWORD_FILE_VARIABLE = "SONAR_PASSWORD_FILE"  # noqa: S105
BESIDE = "password"
"""The file in a home that holds its password, if its maker wanted no prompt."""
MAX_FILE_BYTES = 64 * 1024
# Measured: 0.9 s and 256 MiB for each unlock, and 0.02 s, as with geth's light keystores.
_SCRYPT_N = 2**18
_SCRYPT_N_DEV = 2**12
_COST_MAX = 2**23
"""Of scrypt's n r p, 2^21 in most wallets, or of the rounds of PBKDF2: seconds, and at most a gigabyte."""
_DERIVED_BYTES_MAX = 64
_PROMPT = "Password of the keystore: "
_NEW_PROMPT = "A new password, for the keystore: "
_TRY_AGAIN = "nothing was changed; try again"
_RESTORE = "restore it from a copy; nothing was changed"
_KEYSTORE = "name an encrypted key file, a keystore of version 3, as wallets export it"
_NO_KEY = "export the account's key from its wallet again"
_WHOSE = "is it the right file, or was it changed? Restore it from a copy"
_KEY_BYTES = 32
_CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""The order of secp256k1: private keys are the numbers from 1 to below it."""


def read_password(password_file: Path | None = None, *, confirm: bool = False, notebook: bool = False) -> str:
    """Return the password from `password_file`, or else from SONAR_PASSWORD, from the file that
    SONAR_PASSWORD_FILE names, or from the terminal, or the `notebook` (asked twice with `confirm`).

    Raises KeyFileError on a file that others may read, on a password that is empty or not UTF-8, and if
    nobody can be asked.
    """
    if password_file is None and PASSWORD_VARIABLE not in os.environ and PASSWORD_FILE_VARIABLE in os.environ:
        password_file = Path(os.environ[PASSWORD_FILE_VARIABLE])
    if password_file is not None:
        password = read_private_text(password_file, "password file").rstrip("\r\n")
    elif PASSWORD_VARIABLE in os.environ:
        password = os.environ[PASSWORD_VARIABLE]
    else:
        password = _asked(confirm, notebook)
    if not password:
        raise KeyFileError("the password is empty", hint="choose one; it protects the account's money")
    encoded(password)
    return password


def read_new_password(password_file: Path | None) -> str:
    """Return the password that a keystore is to get: of a file, or asked for twice.

    Raises KeyFileError as `read_password`. The environment holds the old one, so it is not looked at.
    """
    if password_file is not None:
        password = read_private_text(password_file, "new password's file").rstrip("\r\n")
    elif sys.stdin is None or not sys.stdin.isatty():
        raise KeyFileError("no new password", hint="name a file of mode 0600 with --new-password-file")
    else:
        password = _asked(confirm=True, notebook=False)
    if not password:
        raise KeyFileError("the new password is empty", hint="choose one; it protects the account's money")
    encoded(password)
    return password


def _asked(confirm: bool, notebook: bool) -> str:
    nobody = KeyFileError(
        "no password for the keystore",
        hint=f"set {PASSWORD_VARIABLE}, or name a file of mode 0600 with --password-file or "
        f"{PASSWORD_FILE_VARIABLE}",
    )
    if not notebook and (sys.stdin is None or not sys.stdin.isatty()):  # None: started with it closed
        raise nobody
    try:
        password = getpass.getpass(_NEW_PROMPT if confirm else _PROMPT)
        if confirm and getpass.getpass("The same again: ") != password:
            raise KeyFileError("the passwords differ", hint="try again")
    except NotImplementedError as error:  # a notebook that runs without a reader
        raise nobody from error
    return password


def encoded(password: str) -> bytes:
    """Return the password as bytes. Raises KeyFileError if it came from bytes that are not UTF-8."""
    try:
        return password.encode()
    except UnicodeEncodeError as error:
        hint = "write it in UTF-8, also where its file or the environment holds it"
        raise KeyFileError("the password is not in UTF-8", hint=hint) from error


def create(folder: Path, password: str, *, dev: bool = False) -> LocalAccount:
    """Make a new account, save it in `folder`, and return it. `dev` makes unlocking cheap, and weak."""
    from eth_account import Account

    account: LocalAccount = Account.create()
    save(folder, account, password, dev=dev)
    return account


def save(folder: Path, account: LocalAccount, password: str, *, dev: bool = False) -> Path:
    """Write the account's encrypted key to `folder` and return the file. An account that is there is kept.

    Raises KeyFileError, MemoryShort.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{account.address}.json"
    content = _encrypted(account, password, _SCRYPT_N_DEV if dev else _SCRYPT_N, folder)
    if not path.exists():
        write_private(path, content)
    return path


def resealed(path: Path, old: str, new: str, *, light: bool) -> bytes:
    """Return a key file's content under another password; `light` keeps a light scrypt, if it has one.

    Raises KeyFileError, MemoryShort.
    """
    account = load(path, old)
    told = _fields(path)["crypto"].get("kdfparams", {}).get("n", _SCRYPT_N)
    return _encrypted(account, new, told if light and told < _SCRYPT_N else _SCRYPT_N, path)


def _encrypted(account: LocalAccount, password: str, cost: int, place: Path) -> bytes:
    from eth_account import Account

    with reserved(scrypt_bytes(cost, 8, 1), f"encrypting the key in {place}"):
        fields = Account.encrypt(bytes(account.key), password, kdf="scrypt", iterations=cost)
    return json.dumps(fields).encode()


def sealed(folder: Path, *, light: bool) -> dict[Path, Callable[[Path, str, str], bytes]]:
    """Return how each key file in a keystore gets another password: for `sonar.home.password.change`."""

    def reseal(path: Path, old: str, new: str) -> bytes:
        return resealed(path, old, new, light=light)

    return dict.fromkeys(sorted(folder.rglob("0x*.json")), reseal)


def addresses(folder: Path) -> list[Address]:
    """Return the accounts whose keys are in `folder`, in order of address. Raises KeyFileError."""
    found = []
    for path in folder.glob("0x*.json"):
        try:
            found.append(parse_address(path.stem))
        except ConfigError as error:
            problem = f"{path} is not named by its account's address"
            raise KeyFileError(problem, hint="name it so; or move it elsewhere, if it is a copy") from error
    return sorted(found, key=lambda address: int(address, 16))


def find(folder: Path, address: Address | None = None) -> Path:
    """Return the key file of `address`, or of the only account there is. Raises KeyFileError."""
    found = addresses(folder)
    if address is None:
        if len(found) != 1:
            raise KeyFileError(
                f"{folder} has {len(found)} accounts, not one",
                hint="keep one key file there, and move the others elsewhere"
                if found
                else "put its key file back from a copy; or make a new account with `init`",
            )
        address = found[0]
    if address not in found:
        raise KeyFileError(f"{folder} has no key of {address}", hint="is this the right home?")
    return folder / f"{address}.json"


def load(path: Path, password: str) -> LocalAccount:
    """Return the account of a key file.

    Raises KeyFileError on its mode, its format, a wrong password or a key that is none, and MemoryShort.
    """
    from eth_account import Account

    path = expanded(path, "keystore")
    fields = _fields(path)
    try:
        with reserved(_memory_bytes(fields), f"unlocking {path}"):
            key = bytes(Account.decrypt(fields, password))
    except ValueError as error:
        wrong, cut = "mac mismatch" in str(error).lower(), _cut_off(fields)
        told = f"the file is damaged or not a keystore ({cut or error})"
        problem = "the password is wrong" if (wrong := wrong and not cut) else told
        raise KeyFileError(f"{path}: {problem}", hint=_TRY_AGAIN if wrong else _RESTORE) from error
    except MemoryShort:
        raise
    except Exception as error:  # the library may raise anything on a damaged file
        problem = f"the file is damaged or not a keystore ({type(error).__name__})"
        raise KeyFileError(f"{path}: {problem}", hint=_RESTORE) from error
    account: LocalAccount = Account.from_key(_key(path, key))
    _check_address(path, fields, account.address)
    return account


def _fields(path: Path) -> dict[str, Any]:
    """Return the fields of a key file, their names in lower case. Raises KeyFileError."""
    data = read_private(path, "key file")
    try:
        fields = json.loads(text_of(data, "text"), object_pairs_hook=_bearable)
    except (ValueError, RecursionError, ConfigError) as error:
        told = f" ({error})" if data.strip() else ": it is empty"
        raise KeyFileError(f"{path}: the file is damaged or not a keystore{told}", hint=_RESTORE) from error
    if not isinstance(fields, dict) or "crypto" not in fields:
        problem = f"{path}: the file is damaged or not a keystore: it has no `crypto`"
        raise KeyFileError(problem, hint=f"{_KEYSTORE}, or {_RESTORE}")
    if fields.get("version") != 3:
        problem = f"{path}: the keystore has version {str(fields.get('version'))[:20]}, and 3 is read"
        raise KeyFileError(problem, hint=_KEYSTORE)
    return fields


def _cut_off(fields: dict[str, Any]) -> str:
    """Return what is wrong with the length of a file's encrypted key, which no password can open then."""
    told = fields["crypto"].get("ciphertext") if isinstance(fields["crypto"], dict) else None
    if not isinstance(told, str):
        return ""
    digits = len(told.removeprefix("0x"))
    fine = digits in (2 * _KEY_BYTES - 2, 2 * _KEY_BYTES)  # some wallets drop a zero in front
    return "" if fine else f"its `crypto.ciphertext` has {digits} hex digits, not {2 * _KEY_BYTES}"


def _memory_bytes(fields: dict[str, Any]) -> int:
    """Return what it takes to derive the key of a file. Raises ValueError."""
    crypto = fields["crypto"]
    params = crypto.get("kdfparams") if isinstance(crypto, dict) else None
    if not isinstance(params, dict):
        raise ValueError("it has no `crypto.kdfparams`")
    if crypto.get("kdf") != "scrypt":
        return 0
    if missing := [name for name in ("n", "r", "p", "dklen") if name not in params]:
        raise ValueError(f"scrypt has no {missing[0]!r} in `crypto.kdfparams`")
    if params["n"] < 2:
        raise ValueError("scrypt's n is a power of two, 2 at least")
    return scrypt_bytes(params["n"], params["r"], params["p"])


def _key(path: Path, key: bytes) -> bytes:
    """Return a file's key as 32 bytes. Raises KeyFileError, not showing it, if it is no private key."""
    if len(key) == _KEY_BYTES - 1:  # some wallets drop a leading zero
        key = bytes(1) + key
    if len(key) != _KEY_BYTES:
        problem = f"{path} holds {len(key)} bytes, and a private key has {_KEY_BYTES}"
        raise KeyFileError(problem, hint=_NO_KEY)
    if not 0 < int.from_bytes(key) < _CURVE_ORDER:
        raise KeyFileError(
            f"{path} holds a number that is not a private key: zero, or too large", hint=_NO_KEY
        )
    return key


def _check_address(path: Path, fields: dict[str, Any], found: str) -> None:
    """Check that name and `address` of a file are those of its key. Raises KeyFileError."""
    if path.stem.startswith("0x") and path.stem.lower() != found.lower():
        raise KeyFileError(f"{path} holds the key of another account, {found}", hint=_WHOSE)
    told = fields.get("address")
    if told is None or told == "":  # wallets may leave it out, for privacy
        return
    if not isinstance(told, str) or told.lower().removeprefix("0x") != found.lower().removeprefix("0x"):
        problem = f"{path} says that it belongs to {printable(str(told))[:60]}, but its key is {found}'s"
        raise KeyFileError(problem, hint=_WHOSE)


def _bearable(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of a keystore, its names in lower case as they are read.

    Raises ValueError if its key would take hours or all memory to derive: the file may be any wallet's.
    """
    fields = {name.lower(): value for name, value in pairs}
    costs = [fields.get(name, 1) for name in ("n", "r", "p", "c", "dklen")]
    if not all(type(cost) is int and cost > 0 for cost in costs):
        raise ValueError("a parameter of the key derivation is not a positive integer")
    if math.prod(costs[:-1]) > _COST_MAX or costs[-1] > _DERIVED_BYTES_MAX:
        raise ValueError("its key takes too long to derive, or too much memory")
    return fields


def read_private(path: Path, what: str, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """Return a file's bytes, if nobody but its user may read it. Raises KeyFileError.

    A root-owned file that others may read but not write is accepted if the user cannot change that: Docker
    Swarm and Kubernetes mount secrets so, and whoever mounts them decides who may read them.
    """
    path = expanded(path, what)
    try:
        with path.open("rb") as file:
            if not _kept_private(os.fstat(file.fileno()), os.geteuid(), lambda: _read_only(file.fileno())):
                raise KeyFileError(f"others may read the {what} {path}", hint=f"chmod 600 {path}")
            data = file.read(max_bytes + 1)
    except OSError as error:
        problem = f"the {what} {path} cannot be read: {error.strerror}"
        raise KeyFileError(problem, hint=remedy(error, path)) from error
    if len(data) > max_bytes:
        problem = f"the {what} {path} has more than {max_bytes} bytes"
        raise KeyFileError(problem, hint="is it the right file?")
    return data


def read_private_text(path: Path, what: str, max_bytes: int = MAX_FILE_BYTES) -> str:
    """Return the text of a file that nobody but its user may read, as `text_of`. Raises KeyFileError."""
    data = read_private(path, what, max_bytes)
    try:
        return text_of(data, f"the {what} {path}")
    except ConfigError as error:
        raise KeyFileError(str(error), hint=error.hint) from error


def _kept_private(found: os.stat_result, user: int, read_only: Callable[[], bool]) -> bool:
    """Tell whether a file is as private as `user` can have it."""
    others = stat.S_IMODE(found.st_mode) & 0o077
    if not others:
        return True
    return found.st_uid == 0 and not others & 0o022 and (user != 0 or read_only())


def _read_only(descriptor: int) -> bool:
    return bool(os.fstatvfs(descriptor).f_flag & os.ST_RDONLY)


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its user may read, whole or not at all, and replace what was there.

    Raises KeyFileError.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with suppress(FileNotFoundError):
            temporary.unlink()  # left by a kill, or put there by somebody who would have us write elsewhere
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        problem = f"{path} cannot be written: {error.strerror}"
        raise KeyFileError(problem, hint=remedy(error, path)) from error


def load_raw(path: Path) -> LocalAccount:
    """Return the account of a file with a bare key in hex: faucets of development networks, nothing else."""
    from eth_account import Account

    text = read_private_text(path, "faucet's key").strip()
    try:
        key = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:  # without the content: it may still be a key
        raise KeyFileError(f"{path} holds no key in hex", hint=_RESTORE) from None
    account: LocalAccount = Account.from_key(_key(path, key))
    return account
