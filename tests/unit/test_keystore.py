"""Keys at rest: encrypted, private, and every way to open them wrongly is told apart."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path

import pytest
from eth_account import Account

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
    for dev, n in ((True, 2**14), (False, 2**18)):
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
    with pytest.raises(KeyFileError, match="damaged or no keystore"):
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
    with pytest.raises(KeyFileError, match="damaged or no keystore") as caught:
        keystore.load(path, PASSWORD)
    assert "restore" in caught.value.hint


def test_a_costly_kdf_from_a_strangers_file_is_refused(tmp_path: Path) -> None:
    fields = Account.encrypt(Account.create().key, PASSWORD, iterations=2)
    fields["crypto"]["kdfparams"]["n"] = 2**30
    path = tmp_path / "key.json"
    path.write_text(json.dumps(fields))
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match="damaged or no keystore"):
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
