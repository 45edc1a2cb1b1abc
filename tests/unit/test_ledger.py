"""The ledger: what it allowed once it allows again, and nothing else; also after kill -9."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import TypedDict

import pytest

from pysonar.keys.ledger import Aggregated, Ledger
from sonar.errors import JournalBlocked, JournalError, KeyFileError, LedgerConflict

OWNER, BOUNTY, OTHER = b"o" * 32, b"b" * 32, b"c" * 32


class Beside(TypedDict):
    """What an aggregate is recorded with."""

    weights: bytes
    cohort: bytes
    updates: dict[str, Aggregated]


HERE: Beside = {"weights": b"w", "cohort": b"all", "updates": {}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "key.ledger"


def test_one_aggregate_per_round_also_after_opening_again(path: Path) -> None:
    ledger = Ledger(path, OWNER)
    ledger.record_aggregate(BOUNTY, 1, b"first", **HERE)
    ledger.record_aggregate(BOUNTY, 1, b"first", **HERE)
    ledger.record_aggregate(BOUNTY, 2, b"second", **HERE)
    ledger.record_aggregate(OTHER, 1, b"third", **HERE)
    ledger.close()
    again = Ledger(path, OWNER)
    again.record_aggregate(BOUNTY, 1, b"first", **HERE)
    with pytest.raises(LedgerConflict, match="round 1") as caught:
        again.record_aggregate(BOUNTY, 1, b"another", **HERE)
    assert "same updates" in caught.value.hint


def test_at_the_same_weights_only_the_same_cohort(path: Path) -> None:
    ledger, other_process = Ledger(path, OWNER), Ledger(path, OWNER)
    ledger.record_aggregate(BOUNTY, 1, b"first", **HERE)
    for bounty, number in ((BOUNTY, 2), (OTHER, 1)):
        with pytest.raises(LedgerConflict, match="another cohort"):
            other_process.record_aggregate(
                bounty, number, b"second", weights=b"w", cohort=b"but one", updates={}
            )
    other_process.record_aggregate(BOUNTY, 2, b"second", **HERE)  # the refusals used nothing up
    other_process.record_aggregate(BOUNTY, 3, b"third", weights=b"moved", cohort=b"but one", updates={})


def test_an_aggregate_that_told_nothing_leaves_its_weights_to_others(path: Path) -> None:
    ledger = Ledger(path, OWNER)
    ledger.record_aggregate(BOUNTY, 1, b"first", **HERE)
    ledger.void_aggregate(BOUNTY, 1)
    ledger.record_aggregate(BOUNTY, 1, b"first", **HERE)
    ledger.record_aggregate(BOUNTY, 2, b"second", weights=b"w", cohort=b"but one", updates={})
    with pytest.raises(LedgerConflict, match="another aggregate of round 1"):
        ledger.record_aggregate(BOUNTY, 1, b"another", **HERE)
    with pytest.raises(LedgerConflict, match="another cohort"):
        ledger.record_aggregate(BOUNTY, 3, b"third", **HERE)


def test_two_processes_cannot_both_be_first(path: Path) -> None:
    one, two = Ledger(path, OWNER), Ledger(path, OWNER)
    one.record_aggregate(BOUNTY, 1, b"first", **HERE)
    with pytest.raises(LedgerConflict, match="another aggregate of round 1"):
        two.record_aggregate(BOUNTY, 1, b"another", **HERE)


def test_an_entry_survives_kill_9(path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from pysonar.keys.ledger import Ledger\n"
        f"Ledger(Path(sys.argv[1]), {OWNER!r}).record_aggregate({BOUNTY!r}, 1, b'first', **{HERE!r})\n"
        "print('recorded', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"recorded\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    ledger = Ledger(path, OWNER)
    ledger.record_aggregate(BOUNTY, 1, b"first", **HERE)
    with pytest.raises(LedgerConflict, match="another aggregate of round 1"):
        ledger.record_aggregate(BOUNTY, 1, b"another", **HERE)


def test_every_entry_is_durable_before_it_counts(path: Path) -> None:
    ledger = Ledger(path, OWNER)
    ledger.record_aggregate(BOUNTY, 1, b"first", **HERE)
    assert ledger._db.execute("PRAGMA synchronous").fetchone() == (3,)
    assert ledger._db.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # whoever copies it has every entry


def test_a_ledger_with_a_write_ahead_log_keeps_its_entries_and_becomes_one_file(path: Path) -> None:
    old = Ledger(path, OWNER)
    old._db.execute("PRAGMA journal_mode = WAL")  # as older versions wrote it, and were killed
    old.record_aggregate(BOUNTY, 1, b"first", **HERE)
    moved = path.parent / "moved"
    moved.mkdir()
    for file in (path, path.with_name(path.name + "-wal")):
        shutil.copy2(file, moved)
    ledger = Ledger(moved / path.name, OWNER)
    with pytest.raises(LedgerConflict, match="another aggregate of round 1"):
        ledger.record_aggregate(BOUNTY, 1, b"another", **HERE)
    assert [file.name for file in moved.iterdir()] == [path.name]


def test_an_empty_file_is_no_ledger(path: Path) -> None:
    """A copy that was cut off would allow every decryption again."""
    path.touch(0o600)
    for _ in range(2):
        with pytest.raises(KeyFileError, match="is empty") as caught:
            Ledger(path, OWNER)
        assert "copy it" in caught.value.hint


def test_the_first_scores_of_a_round_stand(path: Path) -> None:
    ledger = Ledger(path, OWNER)
    assert ledger.scores(BOUNTY, 1) is None
    assert ledger.record_scores(BOUNTY, 1, 16, {"x": 5, "y": -7}) == {"x": 5, "y": -7}
    assert Ledger(path, OWNER).record_scores(BOUNTY, 1, 16, {"x": 6, "z": 0}) == {"x": 5, "y": -7}
    assert ledger.scores(BOUNTY, 1) == {"x": 5, "y": -7}
    assert ledger.scores(BOUNTY, 2) is ledger.scores(OTHER, 1) is None


def given(**updates: bytes) -> dict[str, Aggregated]:
    return {mine: Aggregated(ciphertexts, 7) for mine, ciphertexts in updates.items()}


def test_an_update_is_part_of_one_aggregate(path: Path) -> None:
    ledger = Ledger(path, OWNER)
    both = given(x=b"1", y=b"2")
    for _ in range(2):
        ledger.record_aggregate(BOUNTY, 1, b"first", weights=b"w", cohort=b"all", updates=both)
    for bounty, number, updates in ((OTHER, 1, given(x=b"1")), (BOUNTY, 2, given(z=b"3", a=b"2"))):
        with pytest.raises(LedgerConflict, match="part of another aggregate"):
            ledger.record_aggregate(bounty, number, b"d", weights=b"v", cohort=b"some", updates=updates)
    fresh = given(x=b"4", z=b"3")  # the refused aggregate left nothing behind
    ledger.record_aggregate(BOUNTY, 2, b"d", weights=b"v", cohort=b"some", updates=fresh)
    assert ledger.aggregated(BOUNTY, 1) == both
    assert ledger.aggregated(BOUNTY, 2) == fresh
    assert ledger.aggregated(BOUNTY, 3) == ledger.aggregated(OTHER, 1) == {}


def test_a_ledger_of_an_older_version_is_refused(path: Path) -> None:
    Ledger(path, OWNER).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 0")
    with pytest.raises(KeyFileError, match="has version 0, from an older Sonar") as caught:
        Ledger(path, OWNER)
    assert "new ones take a new key" in caught.value.hint


def test_totals_count_each_bit_and_each_failure_once(path: Path) -> None:
    ledger = Ledger(path, OWNER)
    for _ in range(2):
        ledger.record_scores(BOUNTY, 1, 16, {"x": 5, "y": -7})
        ledger.record_scores(BOUNTY, 2, 16, {"x": 5})
        ledger.record_scores(OTHER, 1, 16, {"x": 5})
        ledger.record_failed_tests(BOUNTY, 2, [("y", "copy"), ("z", "range")])
        ledger.record_failed_tests(BOUNTY, 3, [("y", "copy")])
    totals = ledger.totals(BOUNTY)
    assert {mine: revealed.score_bits for mine, revealed in totals.items()} == {"x": 32, "y": 16, "z": 0}
    assert totals["y"].failed_tests == [(2, "copy"), (3, "copy")]
    assert ledger.failed_before(BOUNTY, 3) == [("y", "copy"), ("z", "range")]
    assert ledger.failed_before(BOUNTY, 2) == []


def test_the_file_is_private_and_belongs_to_one_key(path: Path) -> None:
    Ledger(path, OWNER).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(KeyFileError, match="another key"):
        Ledger(path, b"x" * 32)


def test_a_file_that_is_no_ledger_is_refused(path: Path) -> None:
    path.write_bytes(b"not a database at all, but long enough to be taken for one" * 30)
    with pytest.raises(KeyFileError, match="cannot be read"):
        Ledger(path, OWNER)
    with pytest.raises(KeyFileError, match="cannot be made"):
        Ledger(path.parent / "missing" / "ledger", OWNER)


def test_copying_keeps_every_entry(path: Path) -> None:
    memory = Ledger(None, OWNER)
    memory.record_aggregate(BOUNTY, 1, b"first", **HERE)
    memory.copy_to(Ledger(path, OWNER))
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT bounty, round, digest FROM aggregate").fetchall() == [(BOUNTY, 1, b"first")]


def test_a_ledger_that_cannot_be_written_allows_nothing(path: Path) -> None:
    ledger = Ledger(path, OWNER)
    ledger._db.execute("PRAGMA query_only = ON")  # as on a full disk, where root's tests could not be stopped
    with pytest.raises(JournalBlocked, match="cannot be written"):
        ledger.record_aggregate(BOUNTY, 1, b"first", **HERE)
    with pytest.raises(JournalBlocked, match="cannot be written"):
        ledger.record_scores(BOUNTY, 1, 16, {"m": 1})
    with pytest.raises(JournalBlocked, match="cannot be written"):
        ledger.record_failed_tests(BOUNTY, 1, [("m", "range")])
    ledger._db.execute("PRAGMA query_only = OFF")
    ledger.record_aggregate(BOUNTY, 1, b"another", **HERE)


def test_a_vector_is_part_of_one_sum(path: Path) -> None:
    ledger = Ledger(path, OWNER)
    ledger.record_sum([b"a", b"b"], b"first")
    ledger.record_sum([b"a", b"b"], b"first")
    for vectors in ([b"c", b"a"], [b"a", b"b", b"c"]):
        with pytest.raises(LedgerConflict, match="part of another sum"):
            Ledger(path, OWNER).record_sum(vectors, b"second")
    ledger.record_sum([b"c", b"d"], b"third")  # the refused sums left nothing behind


def test_a_damaged_ledger_is_told(path: Path) -> None:
    ledger = Ledger(path, OWNER)
    for scores in ("not JSON", "[1]", '{"m": "x"}', "7"):
        ledger._db.execute("DELETE FROM score")
        ledger._db.execute("INSERT INTO score VALUES (?, 1, 16, ?)", [BOUNTY, scores])
        with pytest.raises(JournalError, match="cannot be read") as caught:
            ledger.record_scores(BOUNTY, 1, 16, {"m": 1})
        assert not isinstance(caught.value, JournalBlocked)  # nobody waits for that to pass
    ledger._db.execute("UPDATE score SET scores = 'not JSON'")
    with pytest.raises(JournalError, match="cannot be read"):
        ledger.totals(BOUNTY)
    ledger._db.execute("DROP TABLE failed_test")
    with pytest.raises(JournalError, match="cannot be read"):
        ledger.failed_before(BOUNTY, 2)


def test_a_schema_that_is_no_text_is_told(path: Path) -> None:
    """SQLite quotes it in its message, which Python then cannot read."""
    Ledger(path, OWNER).close()
    path.write_bytes(path.read_bytes().replace(b"CREATE TABLE score", b"CREATE T\xbbBLE score"))
    with pytest.raises(KeyFileError, match="cannot be read"):
        Ledger(path, OWNER)
