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
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sonar.errors import ConfigError, KeyFileError
from sonar.protocol.ids import Address, parse_address

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

PASSWORD_VARIABLE = "SONAR_PASSWORD"  # noqa: S105 - the variable's name
PASSWORD_FILE_VARIABLE = "SONAR_PASSWORD_FILE"  # noqa: S105
BESIDE = "password"
"""The file in a home that holds its password, where whoever made it wanted nobody to be asked."""
MAX_FILE_BYTES = 64 * 1024
# Measured: 0.9 s and 256 MiB for each unlock, and 0.06 s.
_SCRYPT_N = 2**18
_SCRYPT_N_DEV = 2**14
_COST_MAX = 2**23
"""Of scrypt's n r p, 2^21 in most wallets, or of the rounds of PBKDF2: seconds, and at most a gigabyte."""
_DERIVED_BYTES_MAX = 64
_PROMPT = "Password of the keystore: "
_NEW_PROMPT = "A new password, for the keystore: "
_TRY_AGAIN = "nothing was changed; try again"
_RESTORE = "restore it from a copy; nothing was changed"


def read_password(password_file: Path | None = None, *, confirm: bool = False, notebook: bool = False) -> str:
    """Return the password from `password_file`, or else from SONAR_PASSWORD, from the file that
    SONAR_PASSWORD_FILE names, or from the terminal, or the `notebook` (asked twice with `confirm`).

    Raises KeyFileError on a file that others may read, on a password that is empty or no UTF-8, and where
    nobody can be asked.
    """
    if password_file is None and PASSWORD_VARIABLE not in os.environ and PASSWORD_FILE_VARIABLE in os.environ:
        password_file = Path(os.environ[PASSWORD_FILE_VARIABLE])
    if password_file is not None:
        password = (
            read_private(password_file, "password file").decode(errors="surrogateescape").rstrip("\r\n")
        )
    elif PASSWORD_VARIABLE in os.environ:
        password = os.environ[PASSWORD_VARIABLE]
    else:
        password = _asked(confirm, notebook)
    if not password:
        raise KeyFileError("the password is empty", hint="choose one; it protects the account's money")
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
    """Return the password as bytes. Raises KeyFileError on what came out of bytes that were no UTF-8."""
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
    """Write the account's encrypted key to `folder` and return the file. An account that is there is kept."""
    from eth_account import Account

    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{account.address}.json"
    fields = Account.encrypt(
        bytes(account.key), password, kdf="scrypt", iterations=_SCRYPT_N_DEV if dev else _SCRYPT_N
    )
    if not path.exists():
        write_private(path, json.dumps(fields).encode())
    return path


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
                else "create one with `init`",
            )
        address = found[0]
    if address not in found:
        raise KeyFileError(f"{folder} has no key of {address}", hint="is this the right home?")
    return folder / f"{address}.json"


def load(path: Path, password: str) -> LocalAccount:
    """Return the account of a key file. Raises KeyFileError on its mode, its format or a wrong password."""
    from eth_account import Account

    data = read_private(path, "key file")
    try:
        fields: dict[str, Any] = json.loads(data, object_pairs_hook=_bearable)
        key = Account.decrypt(fields, password)
    except ValueError as error:
        wrong = "mac mismatch" in str(error).lower()
        problem = "the password is wrong" if wrong else "the file is damaged or no keystore"
        raise KeyFileError(f"{path}: {problem}", hint=_TRY_AGAIN if wrong else _RESTORE) from error
    except Exception as error:  # the library raises what it likes on a damaged file
        problem = f"the file is damaged or no keystore ({type(error).__name__})"
        raise KeyFileError(f"{path}: {problem}", hint=_RESTORE) from error
    account: LocalAccount = Account.from_key(key)
    if path.stem.startswith("0x") and path.stem.lower() != account.address.lower():
        raise KeyFileError(f"{path} holds the key of another account, {account.address}")
    return account


def _bearable(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of a keystore, its names in lower case as they are read.

    Raises ValueError if its key would take hours or all memory to derive: the file may be any wallet's.
    """
    fields = {name.lower(): value for name, value in pairs}
    costs = [fields.get(name, 1) for name in ("n", "r", "p", "c", "dklen")]
    if not all(type(cost) is int and cost > 0 for cost in costs):
        raise ValueError("a parameter of the key derivation is no positive integer")
    if math.prod(costs[:-1]) > _COST_MAX or costs[-1] > _DERIVED_BYTES_MAX:
        raise ValueError("its key takes too long to derive")
    return fields


def read_private(path: Path, what: str, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """Return a file's bytes, if nobody but its user may read it. Raises KeyFileError."""
    try:
        with path.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise KeyFileError(f"others may read the {what} {path}", hint=f"chmod 600 {path}")
            data = file.read(max_bytes + 1)
    except OSError as error:
        hint = f"is the path right, and is the file this user's? {_RESTORE}"
        raise KeyFileError(f"the {what} {path} cannot be read: {error.strerror}", hint=hint) from error
    if len(data) > max_bytes:
        raise KeyFileError(f"the {what} {path} has more than {max_bytes} bytes")
    return data


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its user may read, whole or not at all, and replace what was there.

    Raises KeyFileError.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        hint = "is the disk full, or the folder read-only?"
        raise KeyFileError(f"{path} cannot be written: {error.strerror}", hint=hint) from error


def load_raw(path: Path) -> LocalAccount:
    """Return the account of a file with a bare key in hex: faucets of development networks, nothing else."""
    from eth_account import Account

    try:
        account: LocalAccount = Account.from_key(read_private(path, "faucet's key").decode().strip())
    except ValueError as error:
        raise KeyFileError(f"{path} holds no key in hex", hint=_RESTORE) from error
    return account
