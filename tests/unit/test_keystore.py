"""Keys at rest: encrypted, private, and every way to open them wrongly is told apart."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import tempfile
import traceback
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_keyfile.keyfile import encrypt_aes_ctr
from eth_utils.crypto import keccak
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sonar.errors import KeyFileError
from sonar.home import keystore
from sonar.protocol.ids import Address

PASSWORD = "correct horse"


def test_a_key_comes_back_with_its_password_alone(tmp_path: Path) -> None:
    account = keystore.create(tmp_path, PASSWORD, dev=True)
    path = keystore.find(tmp_path)
    assert path.name == f"{account.address}.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert bytes(account.key).hex() not in path.read_text().lower()
    assert keystore.load(path, PASSWORD).key == account.key
    with pytest.raises(KeyFileError, match="the password is wrong"):
        keystore.load(path, PASSWORD + " ")


def test_only_development_networks_get_the_light_kdf(tmp_path: Path) -> None:
    account = Account.create()
    for dev, n in ((True, 2**12), (False, 2**18)):
        path = keystore.save(tmp_path / str(dev), account, PASSWORD, dev=dev)
        assert json.loads(path.read_text())["crypto"]["kdfparams"]["n"] == n


def test_another_wallets_file_is_read(tmp_path: Path) -> None:
    account = Account.create()
    path = tmp_path / "UTC--2026-01-01--wallet"
    path.write_text(json.dumps(Account.encrypt(account.key, PASSWORD, kdf="pbkdf2", iterations=2_000)))
    path.chmod(0o600)
    assert keystore.load(path, PASSWORD).address == account.address


@pytest.mark.parametrize(
    "params",
    [
        {"n": 2**21},
        {"p": 2**12},
        {"r": 2**20},
        {"n": "x", "r": 2**33},
        {"n": 2**40, "r": 0},
        {"dklen": 2**40},
    ],
)
def test_a_file_whose_key_would_take_hours_or_all_memory_is_refused(
    tmp_path: Path, params: dict[str, object]
) -> None:
    keystore.create(tmp_path, PASSWORD, dev=True)
    path = keystore.find(tmp_path)
    fields = json.loads(path.read_text())
    fields["Crypto"] = fields.pop("crypto")  # as some wallets spell it
    path.write_text(json.dumps(fields))
    assert keystore.load(path, PASSWORD)
    fields["Crypto"]["kdfparams"] = {name.upper(): value for name, value in (KDF | params).items()}
    path.write_text(json.dumps(fields))
    with pytest.raises(KeyFileError, match="damaged or not a keystore"):
        keystore.load(path, PASSWORD)


KDF = {"n": 2**14, "r": 8, "p": 1, "dklen": 32, "salt": "ab" * 16}


def test_a_saved_key_is_never_overwritten(tmp_path: Path) -> None:
    account = keystore.create(tmp_path, PASSWORD, dev=True)
    path = keystore.save(tmp_path, account, "another password", dev=True)
    assert keystore.load(path, PASSWORD).address == account.address


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "nonsense", '{"version": 3, "crypto": {}}', "[" * 2_000, "\xff"]
)
def test_a_damaged_file_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key.json"
    path.write_bytes(text.encode("latin-1"))
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match="damaged or not a keystore") as caught:
        keystore.load(path, PASSWORD)
    assert "restore" in caught.value.hint


def test_a_costly_kdf_from_a_strangers_file_is_refused(tmp_path: Path) -> None:
    fields = Account.encrypt(Account.create().key, PASSWORD, iterations=2)
    fields["crypto"]["kdfparams"]["n"] = 2**30
    path = tmp_path / "key.json"
    path.write_text(json.dumps(fields))
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match="damaged or not a keystore"):
        keystore.load(path, PASSWORD)


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    keystore.create(tmp_path, PASSWORD, dev=True)
    path = keystore.find(tmp_path)
    path.chmod(0o640)
    with pytest.raises(KeyFileError, match="others may read") as caught:
        keystore.load(path, PASSWORD)
    assert caught.value.hint == f"chmod 600 {path}"


def test_a_file_named_after_another_account_is_refused(tmp_path: Path) -> None:
    keystore.create(tmp_path, PASSWORD, dev=True)
    path = keystore.find(tmp_path)
    other = path.with_name(f"{Account.create().address}.json")
    path.rename(other)
    with pytest.raises(KeyFileError, match="key of another account"):
        keystore.load(other, PASSWORD)


def test_which_account_is_meant_must_be_clear(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="has 0 accounts"):
        keystore.find(tmp_path)
    first = keystore.create(tmp_path, PASSWORD, dev=True)
    keystore.create(tmp_path, PASSWORD, dev=True)
    with pytest.raises(KeyFileError, match="has 2 accounts") as caught:
        keystore.find(tmp_path)
    assert "--" not in caught.value.hint  # no option chooses one
    assert keystore.find(tmp_path, Address(first.address)).stem == first.address
    with pytest.raises(KeyFileError, match="has no key of"):
        keystore.find(tmp_path, Address(Account.create().address))
    copy = tmp_path / f"{first.address}-copy.json"
    copy.touch()
    with pytest.raises(KeyFileError, match=f"{copy} is not named by its account's address"):
        keystore.find(tmp_path)


def test_passwords_come_from_file_then_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "password"
    path.write_text("from file\n")
    path.chmod(0o600)
    monkeypatch.setenv("SONAR_PASSWORD", "from environment")
    assert keystore.read_password(path) == "from file"
    assert keystore.read_password() == "from environment"
    path.chmod(0o644)
    with pytest.raises(KeyFileError, match="others may read the password file"):
        keystore.read_password(path)
    with pytest.raises(KeyFileError, match="cannot be read"):
        keystore.read_password(tmp_path / "missing")
    monkeypatch.setenv("SONAR_PASSWORD", "")
    with pytest.raises(KeyFileError, match="empty"):
        keystore.read_password()
    monkeypatch.setenv("SONAR_PASSWORD", "from environment")
    for file in (path, named := tmp_path / "named"):
        file.write_text(f"from {file.name}\n")
        file.chmod(0o600)
    monkeypatch.setenv("SONAR_PASSWORD_FILE", str(named))
    assert keystore.read_password() == "from environment"
    assert keystore.read_password(path) == "from password"
    monkeypatch.delenv("SONAR_PASSWORD")
    assert keystore.read_password() == "from named"
    monkeypatch.delenv("SONAR_PASSWORD_FILE")
    monkeypatch.setattr("sys.stdin", None)  # started with it closed
    with pytest.raises(KeyFileError, match="no password"):
        keystore.read_password()


def test_a_password_that_is_no_utf_8_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "password"
    path.write_bytes("Schlüssel\n".encode("latin-1"))
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match="not in UTF-8") as caught:
        keystore.read_password(path)
    assert "ssel" not in str(caught.value)
    monkeypatch.setenv("SONAR_PASSWORD", "Schl\udcfcssel")  # as Python reads such an environment
    with pytest.raises(KeyFileError, match="not in UTF-8"):
        keystore.read_password()
    path.write_text("Schlüssel\n", encoding="utf-8")
    assert keystore.read_password(path) == "Schlüssel"


def test_a_file_is_written_whole_or_its_old_content_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    keystore.write_private(path, b"old")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(KeyFileError, match="file cannot be written: No space left on device"):
        keystore.write_private(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(KeyFileError, match="cannot be written"):
        keystore.write_private(tmp_path / "missing" / "file", b"new")


def test_nobody_can_have_a_secret_written_to_a_file_of_theirs(tmp_path: Path) -> None:
    """A link under the name of the temporary file, or a file there that others may read."""
    path, theirs = tmp_path / "file", tmp_path / "theirs"
    temporary = tmp_path / f".file.{os.getpid()}.new"
    theirs.write_bytes(b"untouched")
    temporary.symlink_to(theirs)
    keystore.write_private(path, b"secret")
    assert (path.read_bytes(), theirs.read_bytes()) == (b"secret", b"untouched")
    assert not path.is_symlink()
    temporary.touch()
    temporary.chmod(0o666)
    keystore.write_private(path, b"secret again")
    assert path.read_bytes() == b"secret again"
    assert path.stat().st_mode & 0o777 == 0o600


# ---- what other wallets, and people, put in a key file

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
KEY = (7 << 240 | 11).to_bytes(32)  # begins with a zero byte


def keystore_of(key: bytes, **changes: object) -> dict[str, Any]:
    """A keystore of version 3 around any bytes."""
    n, salt, iv = 2**10, bytes(16), bytes(16)
    derived = hashlib.scrypt(PASSWORD.encode(), salt=salt, n=n, r=8, p=1, dklen=32)
    text = encrypt_aes_ctr(key, derived[:16], int.from_bytes(iv))
    params = {"n": n, "r": 8, "p": 1, "dklen": 32, "salt": salt.hex()}
    crypto = {"kdf": "scrypt", "kdfparams": params, "cipher": "aes-128-ctr", "cipherparams": {"iv": iv.hex()}}
    crypto |= {"ciphertext": text.hex(), "mac": keccak(derived[16:32] + text).hex()}
    return {"version": 3, "crypto": crypto, **changes}


def put(folder: Path, fields: object) -> Path:
    path = folder / "key.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(fields))
    return path


def test_a_key_without_its_zero_in_front_is_the_same_key(tmp_path: Path) -> None:
    for key in (KEY, KEY[1:]):
        assert bytes(keystore.load(put(tmp_path, keystore_of(key)), PASSWORD).key) == KEY
    for number in (1, ORDER - 1):
        assert (
            int(keystore.load(put(tmp_path, keystore_of(number.to_bytes(32))), PASSWORD).key.hex(), 16)
            == number
        )


@pytest.mark.parametrize(
    ("key", "told"),
    [
        (b"", "holds 0 bytes"),
        (KEY[2:], "holds 30 bytes"),
        (KEY + b"\0", "holds 33 bytes"),
        (b"\0" + KEY, "holds 33 bytes"),
        (KEY * 2, "holds 64 bytes"),
        (KEY.hex().encode(), "holds 64 bytes"),
        (b"test test test test test test test test test test test junk", "holds 59 bytes"),
        (bytes(31), "is not a private key"),
        (bytes(32), "is not a private key"),
        (ORDER.to_bytes(32), "is not a private key"),
        ((2**256 - 1).to_bytes(32), "is not a private key"),
    ],
)
def test_what_is_no_key_is_refused_and_not_shown(tmp_path: Path, key: bytes, told: str) -> None:
    with pytest.raises(KeyFileError, match=told) as caught:
        keystore.load(put(tmp_path, keystore_of(key)), PASSWORD)
    shown = "".join(traceback.format_exception(caught.value)) + caught.value.hint
    assert "export" in caught.value.hint
    if len(key) > 8:
        assert key.hex() not in shown
        assert "junk" not in shown


@given(st.binary(max_size=70))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_whatever_a_keystore_holds_it_is_a_key_or_a_clear_error(tmp_path: Path, key: bytes) -> None:
    path = put(tmp_path, keystore_of(key))
    padded = key.rjust(32, b"\0")
    if len(key) in (31, 32) and 0 < int.from_bytes(key) < ORDER:
        assert bytes(keystore.load(path, PASSWORD).key) == padded
    else:
        with pytest.raises(KeyFileError):
            keystore.load(path, PASSWORD)


def test_the_address_that_a_file_tells_is_its_keys(tmp_path: Path) -> None:
    own = str(Account.from_key(KEY).address)
    for told in (own, own.lower(), own.lower()[2:], own[2:].upper(), "", None):
        assert keystore.load(put(tmp_path, keystore_of(KEY, address=told)), PASSWORD).address == own
    for other in (Account.create().address, "junk", 7, ["x"]):
        with pytest.raises(KeyFileError, match=f"but its key is {own}"):
            keystore.load(put(tmp_path, keystore_of(KEY, address=other)), PASSWORD)


def without(fields: dict[str, Any], *path: str) -> dict[str, Any]:
    inner = fields
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return fields


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (keystore_of(KEY, version=1), "has version 1, and 3 is read"),
        (keystore_of(KEY, version=4), "has version 4, and 3 is read"),
        (keystore_of(KEY, version="3"), "has version"),
        (without(keystore_of(KEY), "version"), "has version None"),
        ({"version": 3, "address": "ab"}, "has no `crypto`"),
        ({"mnemonic": "test test junk"}, "has no `crypto`"),
        ([1], "has no `crypto`"),
        ("key", "has no `crypto`"),
        (keystore_of(KEY, crypto=[]), "damaged or not a keystore"),
        (without(keystore_of(KEY), "crypto", "kdfparams"), "kdfparams"),
        (without(keystore_of(KEY), "crypto", "kdfparams", "n"), "scrypt has no 'n'"),
        (without(keystore_of(KEY), "crypto", "kdfparams", "salt"), "damaged or not a keystore"),
        (without(keystore_of(KEY), "crypto", "mac"), "damaged or not a keystore"),
        (without(keystore_of(KEY), "crypto", "ciphertext"), "damaged or not a keystore"),
    ],
)
def test_json_of_another_kind_or_version_is_told(tmp_path: Path, fields: object, told: str) -> None:
    with pytest.raises(KeyFileError, match=told) as caught:
        keystore.load(put(tmp_path, fields), PASSWORD)
    assert caught.value.hint
    assert "junk" not in str(caught.value)


def test_a_key_that_was_cut_off_is_damage_and_no_wrong_password(tmp_path: Path) -> None:
    fields = keystore_of(KEY)
    fields["crypto"]["ciphertext"] = fields["crypto"]["ciphertext"][:-4]
    with pytest.raises(KeyFileError, match=r"damaged.*has 60 hex digits, not 64"):
        keystore.load(put(tmp_path, fields), PASSWORD)


@pytest.mark.parametrize("n", [0, 1, 3, -2, 2**30, 2**31 * 100])
def test_a_cost_that_scrypt_does_not_take_is_refused(tmp_path: Path, n: int) -> None:
    fields = keystore_of(KEY)
    fields["crypto"]["kdfparams"]["n"] = n
    with pytest.raises(KeyFileError, match="damaged or not a keystore"):
        keystore.load(put(tmp_path, fields), PASSWORD)


def test_hex_is_read_as_wallets_write_it(tmp_path: Path) -> None:
    fields = keystore_of(KEY)
    crypto = fields["crypto"]
    for name in ("mac", "ciphertext"):
        crypto[name] = "0x" + crypto[name].upper()
    crypto["kdfparams"]["salt"] = "0x" + crypto["kdfparams"]["salt"]
    fields["Crypto"] = fields.pop("crypto")
    assert bytes(keystore.load(put(tmp_path, fields), PASSWORD).key) == KEY


def test_what_is_no_text_file_is_refused_before_it_is_read_whole(tmp_path: Path) -> None:
    path = put(tmp_path, {})
    with path.open("wb") as file:
        file.truncate(100 << 20)
    with pytest.raises(KeyFileError, match="has more than 65536 bytes"):
        keystore.load(path, PASSWORD)
    path.write_bytes(os.urandom(1000) + b"\xff")
    with pytest.raises(KeyFileError, match="damaged or not a keystore"):
        keystore.load(path, PASSWORD)
    path.write_bytes(b"")
    with pytest.raises(KeyFileError, match="it is empty"):
        keystore.load(path, PASSWORD)
    with pytest.raises(KeyFileError, match=r"Is a directory|others may read"):
        keystore.load(tmp_path, PASSWORD)


@pytest.mark.parametrize(
    "text", ["", "0x", "xyz", "11" * 31 + "1", "11" * 33, "00" * 32, "ff" * 32, "\u0661" * 64]
)
def test_a_faucets_key_is_a_key(tmp_path: Path, text: str) -> None:
    path = put(tmp_path, {})
    path.write_text(text)
    with pytest.raises(KeyFileError) as caught:
        keystore.load_raw(path)
    assert len(text) < 3 or text not in str(caught.value)
    path.write_text("0x" + KEY.hex().upper() + "\n")
    assert bytes(keystore.load_raw(path).key) == KEY


# ---- secrets that somebody else mounts


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o444])
@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a file of root's")
def test_a_secret_of_roots_that_cannot_be_changed_is_taken(mode: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "password"
        path.write_text("secret\n")
        os.chown(path, 0, 65534)
        path.chmod(mode)
        Path(folder).chmod(0o755)
        with pytest.raises(KeyFileError, match="others may read") if mode != 0o400 else nullcontext():
            keystore.read_password(path)  # who owns it can change it, and is asked to
        os.setegid(65534)
        os.seteuid(65534)
        try:
            with pytest.raises(KeyFileError, match="Permission") if mode == 0o400 else nullcontext():
                assert keystore.read_password(path) == "secret"
        finally:
            os.seteuid(0)
            os.setegid(0)


@pytest.mark.parametrize(
    ("owner", "mode", "user", "read_only", "taken"),
    [
        (1000, 0o600, 1000, False, True),
        (1000, 0o400, 1000, False, True),
        (1000, 0o640, 1000, False, False),
        (1000, 0o604, 1000, True, False),  # its owner can change it where it is mounted from
        (0, 0o444, 1000, True, True),  # Docker Swarm, Kubernetes
        (0, 0o440, 1000, False, True),
        (0, 0o644, 0, True, True),  # the same, in a container that runs as root
        (0, 0o644, 0, False, False),
        (0, 0o664, 1000, True, False),  # what others write is nobody's secret
        (0, 0o646, 1000, True, False),
        (1001, 0o644, 1000, True, False),  # another user's
    ],
)
def test_who_may_read_a_secret(owner: int, mode: int, user: int, read_only: bool, taken: bool) -> None:
    found = os.stat_result((stat.S_IFREG | mode, 0, 0, 1, owner, 0, 0, 0, 0, 0))
    assert keystore._kept_private(found, user, lambda: read_only) is taken
