"""Paths as people write them, texts as editors save them, and what is said when the disk says no."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import threading
import tomllib
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from mine.consent import Policy
from pysonar.bounty.request import Bounty
from pysonar.bounty.tables import read
from pysonar.keys.ledger import Ledger
from sonar.data.table import parse_csv
from sonar.errors import ConfigError, DataError, JournalBlocked, SonarError
from sonar.home import keystore
from sonar.home.files import (
    expanded,
    in_full,
    read_bytes,
    read_if_there,
    read_text,
    remedy,
    remedy_of_database,
    text_of,
)
from sonar.home.folder import Home, default_home
from sonar.home.journal import Journal
from sonar.home.parties import prepare_home
from sonar.home.settings import NetworkConfig
from sonar.home.settlement import read_signature
from sonar.store.kubo.swarm import new_swarm_key, read_swarm_key
from tests.unit.test_settings import GOOD

MARK = b"\xef\xbb\xbf"
CRLF = b"\r\n"


# ---- paths


@pytest.mark.parametrize("written", ["~", "$HOME", "${HOME}"])
def test_the_users_folder_is_looked_up(written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded(written, "f") == tmp_path
    assert expanded(f"{written}/a/b c", "f") == tmp_path / "a/b c"
    assert expanded(Path(f"{written}/a"), "f") == tmp_path / "a"


@given(st.text(st.characters(exclude_characters="\0"), min_size=1).filter(lambda text: text[0] not in "~$"))
def test_any_other_path_stays_as_it_is(text: str) -> None:
    assert expanded(text, "f") == Path(text)


@pytest.mark.parametrize("written", ["$DATA/x", "${DATA}/x", "$HOMEX", "$SONAR_PASSWORD"])
def test_another_variable_is_refused_not_made_a_folder(written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SONAR_PASSWORD", "secret")
    with pytest.raises(ConfigError, match=r"store\.path: .* begins with the variable") as caught:
        expanded(written, "store.path")
    assert "secret" not in str(caught.value)
    assert "in full" in caught.value.hint


def test_what_is_no_path_names_its_field(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"csv: .* zero byte"):
        expanded("a\0b", "csv")
    with pytest.raises(ConfigError, match="home: ~nosuch-user/x cannot be found"):
        in_full("~nosuch-user/x", "home")
    (tmp_path / "a").symlink_to(tmp_path / "a")
    with pytest.raises(ConfigError, match="cannot be"):
        read_bytes(tmp_path / "a", "csv")


def test_settings_name_the_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    kubo = 'kind = "kubo"\nswarm_key_file = "$HOME/swarm.key"'
    for old, new in (
        ('path = "store"', 'path = "~/blobs"'),
        ('path = "store"', 'path = "${HOME}/blobs"'),
        ('kind = "folder"\npath = "store"', kubo),
        ("[store]", '[faucet]\nkey_file = "~/f"\n[store]'),
    ):
        path = tmp_path / "network.toml"
        path.write_text("dev = true\n" + GOOD.replace(old, new))
        monkeypatch.chdir(tmp_path)
        network = NetworkConfig.load(Path("~/network.toml"))
        named = [network.store.path or network.store.swarm_key_file]
        named += [network.faucet.key_file] if network.faucet else []
        assert {Path(path).parent for path in named} == {tmp_path}
    assert not (tmp_path / "~").exists()
    monkeypatch.setenv("SONAR_HOME", "~/x")
    assert default_home("mine") == tmp_path / "x"
    Home(Path("$HOME/made"), "mine")
    assert (tmp_path / "made/home.toml").exists()
    new_swarm_key(Path("~/swarm.key"))
    assert (tmp_path / "swarm.key").exists()


def test_a_bountys_files_name_the_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "allowed").write_text("0x52908400098527886E0F7030069857D2E4169EE7\n")
    (tmp_path / "b.toml").write_text('allow_file = "$HOME/allowed"\n')
    assert read(Path("~/b.toml"))["allow"] == ["0x52908400098527886E0F7030069857D2E4169EE7"]
    rows = "".join(f"{i},{i * i % 7}\n" for i in range(40))
    (tmp_path / "rows.csv").write_text("a,y\n" + rows)
    text = 'name = "b"\nrounds = 2\nreward = "1 ether"\n[holdout]\ncsv = "~/rows.csv"\ntarget = "y"\n'
    (tmp_path / "b.toml").write_text(text)
    assert Bounty.from_toml("~/b.toml").held_out.rows == 40


# ---- texts


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\ufeff")))
def test_a_mark_and_the_line_ends_of_windows_do_no_harm(text: str) -> None:
    plain = text.encode()
    assert text_of(plain, "f") == text
    assert text_of(MARK + plain.replace(b"\n", CRLF), "f") == text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf_16_is_told_by_its_name(encoding: str) -> None:
    with pytest.raises(ConfigError, match=r"f: is not a text in UTF-8; it looks like UTF-16") as caught:
        text_of("name = 'x'\n".encode(encoding), "f")
    assert caught.value.hint == "save it as UTF-8"


def test_other_bytes_are_told_by_their_line_and_never_shown() -> None:
    with pytest.raises(ConfigError, match="f: is not in UTF-8, in line 3 first") as caught:
        text_of("a\nb\nSchlüssel".encode("latin-1"), "f")
    assert "ssel" not in str(caught.value)


def _password(path: Path) -> str:
    return keystore.read_password(path)


def _allowed(path: Path) -> Any:
    bounty = path.with_name("bounty.toml")
    bounty.write_text(f'allow_file = "{path.name}"\n')
    return read(bounty)


def _policy(path: Path) -> Policy:
    return Policy.load(path.parent)


def _account(path: Path) -> str:
    return str(keystore.load(path, "pw").address)


def _mark(path: Path) -> str:
    return Home(path.parent, "mine").role


KEYSTORE = json.dumps(Account.encrypt(b"\x11" * 32, "pw", kdf="pbkdf2", iterations=2), indent=1).encode()
READERS: list[tuple[str, Callable[[Path], Any], bytes]] = [
    ("password", _password, "pässword\n".encode()),
    ("allowed", _allowed, b"0x52908400098527886E0F7030069857D2E4169EE7\n# x\n"),
    ("network.toml", NetworkConfig.load, GOOD.encode()),
    ("mine.toml", _policy, b"[policy]\nmax_rounds = 3\n"),
    ("b.toml", read, b'name = "b"\nrounds = 3\n'),
    ("swarm.key", read_swarm_key, b"/key/swarm/psk/1.0.0/\n/base16/\n" + b"ab" * 32 + b"\n"),
    ("faucet.key", lambda path: keystore.load_raw(path).address, b"0x" + b"11" * 32 + b"\n"),
    ("key.json", _account, KEYSTORE),
    ("s.signature", read_signature, b"0x" + b"ab" * 65 + b"\n"),
    ("home.toml", _mark, b'role = "mine"\nformat = 1\n'),
]


@pytest.mark.parametrize(("name", "reader", "data"), READERS, ids=[name for name, _, _ in READERS])
def test_every_text_file_may_come_from_windows(
    name: str, reader: Callable[[Path], Any], data: bytes, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.touch(mode=0o600)
    path.write_bytes(data)
    plain = reader(path)
    for changed in (MARK + data, data.replace(b"\n", CRLF), MARK + data.replace(b"\n", CRLF)):
        path.write_bytes(changed)
        assert reader(path) == plain
    for encoding in ("utf-16", "utf-16-le"):
        path.write_bytes(data.decode().encode(encoding))
        with pytest.raises(SonarError) as caught:
            reader(path)
        if name != "home.toml":  # ours alone: no editor is thought of
            assert "UTF-8" in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_table_in_utf_16_is_told_how_to_be_saved(encoding: str) -> None:
    with pytest.raises(DataError, match="UTF-16") as caught:
        parse_csv("a,b\n1,2\n".encode(encoding), "rows.csv")
    assert "UTF-8" in caught.value.hint
    windows = parse_csv(MARK + b"a,b\r\n1,2\r\n", "rows.csv")
    assert (windows.columns, windows.values.tolist()) == (("a", "b"), [[1.0, 2.0]])


@pytest.mark.parametrize(
    ("module", "name", "variable"),
    [("sonar.localchain.anvil", "find", "SONAR_ANVIL"), ("sonar.store.kubo.repo", "find_ipfs", "SONAR_IPFS")],
)
def test_programs_are_named_like_files(
    module: str, name: str, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "program").touch(mode=0o755)
    monkeypatch.setenv(variable, "~/program")
    assert getattr(import_module(module), name)() == tmp_path / "program"
    monkeypatch.setenv(variable, "~/none")
    with pytest.raises(ConfigError, match=f"{variable}: .*none is not a program"):
        getattr(import_module(module), name)()


# ---- names that are no UTF-8


def test_a_folder_whose_name_is_no_utf_8_works_or_is_told(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/Gr\xf6\xdfe"))
    home = Home(folder / "home", "mine")
    with Journal(home.journal) as journal:
        journal.put("data", {"source": str(folder / "rows.csv")})
        journal.log("added", source=str(folder))
    with Journal(home.journal) as journal:
        assert journal.get("data") == {"source": str(folder / "rows.csv")}
        assert journal.events()[0].data == {"source": str(folder)}
    (folder / "network.toml").write_text(GOOD)
    network = NetworkConfig.load(folder / "network.toml")
    assert network.store.path == str(folder / "store")
    with pytest.raises(ConfigError, match="is not in UTF-8, as TOML must be") as caught:
        network.save(home.network)  # which would name the store in full
    assert "another name" in caught.value.hint
    assert [one.name for one in home.path.iterdir() if one.name.startswith("network")] == []


# ---- what the disk says


def test_a_missing_file_is_none_or_an_error(tmp_path: Path) -> None:
    assert read_if_there(tmp_path / "x", "csv") is None
    with pytest.raises(ConfigError, match=r"csv: .*x cannot be read: No such file") as caught:
        read_text(tmp_path / "x", "csv")
    assert caught.value.hint == "is the path right?"
    with pytest.raises(ConfigError) as caught:
        read_text(tmp_path / "no/x", "csv")
    assert caught.value.hint == f"there is no folder {tmp_path}/no: make it, or name another"
    with pytest.raises(ConfigError, match="Is a directory") as caught:
        read_text(tmp_path, "csv")
    assert "name a file" in caught.value.hint
    (tmp_path / "x").write_bytes(b"123")
    assert read_bytes(tmp_path / "x", "csv", 3) == b"123"
    with pytest.raises(ConfigError, match=r"csv: .*x has more than 2 bytes"):
        read_bytes(tmp_path / "x", "csv", 2)
    with pytest.raises(ConfigError, match="Not a directory") as caught:
        read_bytes(tmp_path / "x/y", "csv")
    assert caught.value.hint == f"{tmp_path}/x is a file, not a folder: name another path"


def test_a_pipe_is_read_where_a_person_named_it_and_refused_where_none_did(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    with pytest.raises(ConfigError, match="is not a file"):
        read_if_there(pipe, "signature", never_wait=True)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"from a pipe\n",))
    writer.start()
    assert keystore.read_password(pipe) == "from a pipe"
    writer.join()


@pytest.mark.parametrize("number", [*errno.errorcode])
def test_every_fault_of_a_disk_has_something_to_do(number: int, tmp_path: Path) -> None:
    assert remedy(OSError(number, os.strerror(number)), tmp_path / "x")


def test_saving_where_there_is_no_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(SonarError, match="cannot be written: No such file") as caught:
        keystore.write_private(tmp_path / "nonexistent" / "model.json", b"")
    assert caught.value.hint == f"there is no folder {tmp_path}/nonexistent: make it, or name another"


def test_a_home_has_a_path_that_its_files_can_be_opened_by(tmp_path: Path) -> None:
    odd = tmp_path / "with spaces" / "Größe 数据" / "it's"
    with Journal(Home(odd, "mine").journal) as journal:
        journal.put("a", 1)
    left = 384 - len(os.fsencode(tmp_path)) - 1
    longest = tmp_path / ("d" * (left // 2) + "/" + "d" * (left - left // 2 - 1))
    with Journal(Home(longest, "mine").journal) as journal:
        journal.put("a", 1)
    with pytest.raises(ConfigError, match="has 385 bytes, and a home's at most 384") as caught:
        Home(Path(f"{longest}d"), "mine")
    assert caught.value.hint == "name a shorter one"
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="home: ") as caught:
        Home(tmp_path / "file", "mine")
    assert "is a file, not a folder" in caught.value.hint


def test_what_keeps_a_database_from_being_used_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    assert remedy_of_database(path, "database is locked").startswith(
        "another program has journal.sqlite open"
    )
    assert "full" in remedy_of_database(path, "database or disk is full")
    assert "there is no folder" in remedy_of_database(tmp_path / "no/j", "unable to open database file")
    assert remedy_of_database(path, "disk I/O error") == "is the disk there, and does it work?"
    with pytest.raises(JournalBlocked) as caught:
        Journal(tmp_path / "no" / "journal.sqlite")
    assert caught.value.hint == f"there is no folder {tmp_path}/no: make it, or name another"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 256 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_is_read_only_is_told(disk: Path) -> None:
    home = Home(disk / "home", "mine")
    Journal(home.journal).close()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    for attempt in (
        lambda: Journal(home.journal).put("a", 1),
        lambda: home.lock(),
        lambda: Home(disk / "new", "mine"),
        lambda: keystore.write_private(disk / "x", b""),
        lambda: prepare_home(disk / "party"),
        lambda: _network().save(disk / "network.toml"),
        lambda: Ledger(disk / "ledger", bytes(32)),
    ):
        with pytest.raises(SonarError) as caught:
            attempt()
        assert "read-only" in caught.value.hint, caught.value


def test_a_disk_that_is_full_is_told(disk: Path) -> None:
    home = Home(disk / "home", "mine")
    with Journal(home.journal) as journal:
        fill(disk)
        for attempt in (
            lambda: journal.put("a", "x" * 100_000),
            lambda: keystore.write_private(disk / "x", b"x" * 10_000),
            lambda: prepare_home(home.path),
            lambda: _network().save(disk / "network.toml"),
            lambda: Ledger(disk / "ledger", bytes(32)),
        ):
            with pytest.raises(SonarError) as caught:
                attempt()
            assert "make room" in caught.value.hint, caught.value
        assert not (disk / "network.toml.new").exists()
        (disk / "fill").unlink()
        journal.put("a", 1)  # goes on as if nothing had been


def fill(disk: Path) -> None:
    with (disk / "fill").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def _network() -> NetworkConfig:
    return NetworkConfig.checked(Path("n"), tomllib.loads(GOOD))
