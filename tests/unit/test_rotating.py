"""`pysonar rotate` and `pysonar key remove`, of a home without a chain: what is asked for, refused, shown."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

import pysonar
from pysonar.bounty.request import Bounty
from pysonar.bounty.shelf import Shelf
from pysonar.campaign.records import Finished, Posting, Publication, Records
from pysonar.cli import main
from pysonar.keys import keyfile
from pysonar.keys.base import Keyring
from pysonar.keys.key import Key
from pysonar.keys.keyfile import files_of, next_file
from pysonar.keys.local import LocalHolder
from pysonar.rotating import keys_of
from pysonar.show.documents import ANSWERS, ScientistStatus, Standing
from pysonar.show.views import print_result, status_of
from pysonar.wiring import Scientist, open_scientist
from sonar.chain.sending.intent import Intent
from sonar.errors import ConfigError, KeyFileError, UsageError
from sonar.manifests.model import KeyManifest
from sonar.telling.documents import read, write
from sonar.telling.progress import NullSink
from tests.unit.network_file import write_network

TOML = """
name = "diabetes"
rounds = 3
key_bits = 1024
insecure_key = true
[holdout]
example = "diabetes"
"""
PASSWORD = "secret"


@cache
def primes(number: int, bits: int = 1024) -> tuple[int, int]:
    p, q = Key.generate(bits, insecure=True).unsafe_primes()
    return int(p), int(q)


@pytest.fixture
def scientist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Scientist:
    """A home with one bounty and its key, which was never posted."""
    monkeypatch.setenv("SONAR_PASSWORD", PASSWORD)
    home = tmp_path / "home"
    network = write_network(tmp_path)
    assert main(["init", "--home", str(home), "--network", str(network), "--dev"]) == 0
    (tmp_path / "b.toml").write_text(TOML)
    Shelf(home).keep(Bounty.from_toml(tmp_path / "b.toml"))
    capsys.readouterr()
    found = open_scientist(home, NullSink())
    found.keys.mkdir(mode=0o700)
    Key(*primes(0)).save(found.key_path("diabetes"), PASSWORD, dev=True)
    return found


def manifest(number: int) -> KeyManifest:
    return LocalHolder(Key(*primes(number))).key()


def post(scientist: Scientist, number: int = 0) -> Records:
    """Make it seem posted under this key."""
    with scientist.journal.transaction():
        scientist.journal.put(Intent.of_posting("diabetes").key, {"state": "failed"})
    records = Records(scientist.journal, "diabetes")
    records.put(Posting("", b"", manifest(number).encoded, b"model", b"", b""))
    return records


def end_round(records: Records, number: int, key: int = 0, closed: str = "") -> None:
    """Make it seem that a round ended with a model under this key."""
    key_manifest = manifest(key).encoded if key else b""
    records.put(Publication(b"d", 1, b"e", b"model", key_manifest), number)
    records.put(Finished("settled", 1, 1, 1, 1, {}, closed, 0, {}, {}), number)


def run(scientist: Scientist, capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    """Run a command with --json, and return what it tells, which is as its type says."""
    home = str(scientist.home.path)
    assert main([*arguments, "--home", home, "--json"]) == 0, capsys.readouterr().err
    text = capsys.readouterr().out
    told: dict[str, object] = json.loads(text)
    command = "key remove" if arguments[0] == "key" else arguments[0]
    assert json.loads(write(read(ANSWERS[command], text))) == told
    return told


def refused(scientist: Scientist, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main([*arguments, "--home", str(scientist.home.path)]) == 2
    return " ".join(capsys.readouterr().err.split())


def states(scientist: Scientist) -> list[tuple[str, int, int]]:
    return [(key.state, key.first_round, key.last_round) for key in keys_of(scientist, "diabetes")]


def test_a_change_is_asked_for_once_until_it_counts(
    scientist: Scientist, capsys: pytest.CaptureFixture[str]
) -> None:
    records = post(scientist)
    assert states(scientist) == [("in use", 1, 0)]
    first = run(scientist, capsys, "rotate", "diabetes")
    assert (first["again"], first["from_round"], first["bits"]) == (False, 2, 1024)
    assert first["path"] == str(scientist.keys / "diabetes+2.json")
    assert run(scientist, capsys, "rotate") == first | {"again": True}
    assert states(scientist) == [("in use", 1, 0), ("asked for", 0, 0)]
    assert len(files_of(scientist.keys, "diabetes")) == 2

    key = Key.load(Path(str(first["path"])), PASSWORD)
    new = LocalHolder(key).key()
    records.put(Publication(b"d", 1, b"e", b"model", new.encoded), 1)
    records.put(Finished("settled", 1, 1, 1, 1, {}, "", 0, {}, {}), 1)
    assert states(scientist) == [("past", 1, 1), ("in use", 2, 0)]
    again = run(scientist, capsys, "rotate")
    assert (again["again"], again["from_round"]) == (False, 3)
    assert states(scientist) == [("past", 1, 1), ("in use", 2, 0), ("asked for", 0, 0)]
    (one,) = ScientistStatus.of(status_of(scientist)).campaigns
    assert [key.state for key in one.keys] == ["past", "in use", "asked for"]
    assert read(Standing, write(one)) == one
    print_result(status_of(scientist)["campaigns"][0])
    shown = capsys.readouterr().out
    assert "round 1, past" in shown
    assert "from round 2 on, in use" in shown
    assert "no round yet, asked for" in shown


def test_before_a_bounty_is_posted_the_newest_key_is_its_first(
    scientist: Scientist, capsys: pytest.CaptureFixture[str]
) -> None:
    told = run(scientist, capsys, "rotate")
    assert told["from_round"] == 1
    assert [state for state, *_ in states(scientist)] == ["not needed", "in use"]
    taken = scientist.key(scientist.started(), PASSWORD)
    assert taken.public.fingerprint.hex() == told["fingerprint"]
    assert taken.ledger.owner == Key(*primes(0)).public.fingerprint


def test_one_ledger_for_all_keys(scientist: Scientist, capsys: pytest.CaptureFixture[str]) -> None:
    run(scientist, capsys, "rotate")
    post(scientist)
    ring = scientist.keyring(scientist.started(), PASSWORD)
    assert ring.base.public.n == Key(*primes(0)).public.n
    newest = ring.newest()
    assert newest.public.n != ring.base.public.n
    assert newest.ledger is ring.base.ledger
    assert len(list(scientist.keys.glob("*.ledger"))) == 1
    ring.close()


REFUSED: dict[str, tuple[Callable[[Scientist, Path], list[str]], str]] = {}


def refusal(said: str) -> Callable[[Callable[[Scientist, Path], list[str]]], None]:
    def keep(make: Callable[[Scientist, Path], list[str]]) -> None:
        REFUSED[make.__name__] = make, said

    return keep


@refusal("is a key that the bounty 'diabetes' has already: nothing would change")
def the_same_key(scientist: Scientist, folder: Path) -> list[str]:
    post(scientist)
    return ["rotate", "--key", str(scientist.key_path("diabetes"))]


@refusal("is a key that the bounty 'diabetes' has already")
def a_copy_of_an_old_key(scientist: Scientist, folder: Path) -> list[str]:
    end_round(post(scientist), 1, key=1)
    Key(*primes(1)).save_next(next_file(scientist.keys, "diabetes"), PASSWORD, b"\1" * 32, dev=True)
    Key(*primes(0)).save(folder / "copy.json", PASSWORD, dev=True)
    return ["rotate", "--key", str(folder / "copy.json")]


@refusal("is the key other.json of this home each bounty takes keys of its own")
def the_key_of_another_bounty(scientist: Scientist, folder: Path) -> list[str]:
    post(scientist)
    Key(*primes(2)).save(scientist.key_path("other"), PASSWORD, dev=True)
    Key(*primes(2)).save(folder / "copy.json", PASSWORD, dev=True)
    return ["rotate", "--key", str(folder / "copy.json")]


@refusal("has a prime in common with an earlier key of the bounty anybody could compute both")
def a_key_with_a_prime_of_the_first(scientist: Scientist, folder: Path) -> list[str]:
    post(scientist)
    Key(primes(0)[0], primes(1)[1]).save(folder / "related.json", PASSWORD, dev=True)
    return ["rotate", "--key", str(folder / "related.json")]


@refusal("has 2048 bits, the bounty has 1024")
def a_longer_key(scientist: Scientist, folder: Path) -> list[str]:
    post(scientist)
    Key(*primes(0, 2048)).save(folder / "long.json", PASSWORD, dev=True)
    return ["rotate", "--key", str(folder / "long.json")]


@refusal("wrong passphrase, or the file was changed")
def a_key_under_another_password(scientist: Scientist, folder: Path) -> list[str]:
    post(scientist)
    Key(*primes(1)).save(folder / "k.json", "another", dev=True)
    return ["rotate", "--key", str(folder / "k.json")]


@refusal("another key is asked for already")
def a_second_key_before_the_first_counts(scientist: Scientist, folder: Path) -> list[str]:
    post(scientist)
    Key(*primes(1)).save_next(next_file(scientist.keys, "diabetes"), PASSWORD, b"\1" * 32, dev=True)
    Key(*primes(2)).save(folder / "k.json", PASSWORD, dev=True)
    return ["rotate", "--key", str(folder / "k.json")]


@refusal("round 3 is the last one: no model comes after it")
def in_the_last_round(scientist: Scientist, folder: Path) -> list[str]:
    records = post(scientist)
    end_round(records, 1)
    end_round(records, 2)
    return ["rotate"]


@refusal("is closed, so its key cannot be changed a new bounty gets a key of its own")
def after_the_end(scientist: Scientist, folder: Path) -> list[str]:
    end_round(post(scientist), 1, closed="TARGET_REACHED")
    return ["rotate"]


@refusal("has no key that could be changed it gets one when it is first run")
def without_a_key(scientist: Scientist, folder: Path) -> list[str]:
    scientist.key_path("diabetes").unlink()
    return ["rotate"]


@refusal("none named 'elsewhere' was started in this home name one of: diabetes")
def of_an_unknown_bounty(scientist: Scientist, folder: Path) -> list[str]:
    return ["rotate", "elsewhere"]


@refusal("is open: its keys open what its mines send")
def removing_before_the_end(scientist: Scientist, folder: Path) -> list[str]:
    post(scientist)
    return ["key", "remove", "diabetes", "--yes"]


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_said_and_changes_nothing(
    scientist: Scientist, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    make, said = REFUSED[name]
    arguments = make(scientist, tmp_path)
    before = sorted(scientist.keys.glob("*.json"))
    told = refused(scientist, capsys, *arguments)
    assert said in told.replace(" hint:", ""), told
    assert sorted(scientist.keys.glob("*.json")) == before


def test_a_key_that_was_made_elsewhere_is_taken(
    scientist: Scientist, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    post(scientist)
    Key(*primes(1)).save(tmp_path / "made.json", PASSWORD, dev=True)
    told = run(scientist, capsys, "rotate", "--key", str(tmp_path / "made.json"))
    assert told["fingerprint"] == Key(*primes(1)).public.fingerprint.hex()
    ring = scientist.keyring(scientist.started(), PASSWORD)
    assert ring.newest().unsafe_primes() == primes(1)


def test_closed_bounties_lose_their_keys_and_keep_their_ledger(
    scientist: Scientist, capsys: pytest.CaptureFixture[str]
) -> None:
    records = post(scientist)
    run(scientist, capsys, "rotate")
    LocalHolder(Key.load(scientist.key_path("diabetes"), PASSWORD)).close()  # makes the archive
    end_round(records, 1, closed="TARGET_REACHED")
    assert [state for state, *_ in states(scientist)] == ["not needed", "not needed"]
    told = run(scientist, capsys, "key", "remove", "diabetes")
    names = sorted(Path(path).suffix for path in told["removed"])  # type: ignore[attr-defined]
    assert names == [".json", ".json", ".opened", ".opened-journal"]
    assert [path.suffix for path in scientist.keys.iterdir()] == [".ledger"]
    assert run(scientist, capsys, "key", "remove", "diabetes")["removed"] == []
    with pytest.raises(KeyFileError, match="were removed after it was closed"):
        scientist.key(scientist.started(), PASSWORD)
    assert [state for state, *_ in states(scientist)] == ["removed"]


def test_nothing_is_removed_without_a_yes(
    scientist: Scientist, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    end_round(post(scientist), 1, closed="TARGET_REACHED")
    monkeypatch.setattr("typer.confirm", lambda question: False)
    assert "nothing was removed" in refused(scientist, capsys, "key", "remove")
    assert scientist.key_path("diabetes").exists()


# ---- files


def test_files_are_numbered_and_names_do_not_meet(tmp_path: Path) -> None:
    for name in ("a", "a+2", "a+10", "a+x", "a+02", "a+", "ab+3", "a.2"):
        (tmp_path / f"{name}.json").touch()
    assert [path.name for path in files_of(tmp_path, "a")] == ["a.json", "a+2.json", "a+10.json"]
    assert next_file(tmp_path, "a").name == "a+11.json"
    assert next_file(tmp_path, "ab").name == "ab+4.json"
    assert next_file(tmp_path, "a.2").name == "a.2+2.json"


def test_a_key_of_another_ring_or_size_is_not_taken(tmp_path: Path) -> None:
    Key(*primes(0)).save(tmp_path / "a.json", PASSWORD, dev=True)
    base = Key.load(tmp_path / "a.json", PASSWORD)
    ring = Keyring(base, lambda: files_of(tmp_path, "a"), PASSWORD)
    Key(*primes(1)).save_next(tmp_path / "a+2.json", PASSWORD, b"\1" * 32, dev=True)
    with pytest.raises(KeyFileError, match="belongs to another bounty's keys"):
        ring.newest()
    owner = base.public.fingerprint
    Key(*primes(0, 2048)).save_next(tmp_path / "a+3.json", PASSWORD, owner, dev=True)
    with pytest.raises(KeyFileError, match="has 2048 bits, and the bounty's keys have 1024"):
        ring.newest()
    Key(*primes(2)).save_next(tmp_path / "a+4.json", PASSWORD, owner, dev=True)
    assert ring.newest().unsafe_primes() == primes(2)
    with pytest.raises(KeyFileError, match="is missing, and the bounty has rounds under it"):
        ring.of(b"\2" * 32)
    ring.close()


def test_a_later_key_cannot_be_loaded_without_the_first_ones_ledger(tmp_path: Path) -> None:
    Key(*primes(1)).save_next(tmp_path / "a+2.json", PASSWORD, b"\1" * 32, dev=True)
    with pytest.raises(KeyFileError, match=r"0101010101010101\.ledger is missing"):
        Key.load(tmp_path / "a+2.json", PASSWORD)
    assert keyfile.named(tmp_path / "a+2.json").ledger == b"\1" * 32


@pytest.mark.parametrize("seed", range(3))
def test_a_command_that_is_killed_asked_or_did_not_ask(scientist: Scientist, seed: int) -> None:
    """kill -9 in the middle of the real command: there is a whole new key, or none; then it is run again."""
    post(scientist)
    environment = {**os.environ, "SONAR_PASSWORD": PASSWORD}
    command = [sys.executable, "-m", "pysonar", "rotate", "--home", str(scientist.home.path), "--json"]
    started_s = time.monotonic()
    whole = subprocess.run(command, env=environment, capture_output=True, check=True)
    lasts_s = time.monotonic() - started_s
    (made,) = files_of(scientist.keys, "diabetes")[1:]
    assert json.loads(whole.stdout)["path"] == str(made)
    made.unlink()
    child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(lasts_s * (0.5 + 0.2 * seed))
    child.send_signal(signal.SIGKILL)
    child.wait()
    asked = files_of(scientist.keys, "diabetes")[1:]
    for path in asked:
        Key.load(path, PASSWORD)
    told = json.loads(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
    assert told["again"] is bool(asked)
    assert len(files_of(scientist.keys, "diabetes")) == 2


def test_in_a_notebook(scientist: Scientist, capsys: pytest.CaptureFixture[str]) -> None:
    post(scientist)
    with pysonar.connect(scientist.home.path, password=PASSWORD, progress=NullSink()) as session:
        told = session.rotate("diabetes")
        assert (told.again, told.from_round) == (False, 2)
        assert session.rotate(scientist.started()).again
        assert [(key.state, key.path) for key in session.keys("diabetes")] == [
            ("in use", str(scientist.key_path("diabetes"))),
            ("asked for", told.path),
        ]
        # A session holds the home's lock; the command asks beside it.
        assert run(scientist, capsys, "rotate")["again"] is True
        with pytest.raises(ConfigError, match="bounty: must be of type Bounty or Study or str"):
            session.rotate(3)  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match="key: must be of type Path or str"):
            session.rotate("diabetes", key=3)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="this session is closed"):
        session.rotate("diabetes")
