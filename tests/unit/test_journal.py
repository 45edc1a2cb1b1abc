"""The journal: what was put is there again, whole or not at all, and a damaged file is said to be one."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sonar.errors import JournalBlocked, JournalError
from sonar.home.journal import Journal

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(2**7000), max_value=2**7000)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary(max_size=64),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text("abc_$", max_size=4).filter(lambda k: not k.startswith("$")), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(value=VALUES)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_value_comes_back_equal_and_of_its_type(tmp_path: Path, value: Any) -> None:
    with Journal(tmp_path / "j") as journal:
        journal.put("k", value)
        journal.log("happened", value=value)
        assert repr(journal.get("k")) == repr(value)
        assert repr(journal.events()[-1].data["value"]) == repr(value)


def test_values_survive_a_new_process(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        journal.put("a/1", b"\x00\xff")
        journal.put("a/2", 2**3000)
        journal.put("b", {"x": [1, (2, 3)]})
        journal.delete("never there")
    with Journal(tmp_path / "j") as journal:
        assert journal.items("a/") == [("a/1", b"\x00\xff"), ("a/2", 2**3000)]
        assert journal.get("b") == {"x": [1, [2, 3]]}
        assert journal.get("c", 7) == 7
        assert "b" in journal
        assert "c" not in journal


def test_a_prefix_is_taken_literally(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        for key in ("a%/1", "ab/1", "a_/1"):
            journal.put(key, key)
        assert journal.items("a%") == [("a%/1", "a%/1")]


def test_a_transaction_that_raises_changes_nothing(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        journal.put("k", 1)
        with suppress(ZeroDivisionError), journal.transaction():
            journal.put("k", 2)
            journal.log("lost")
            raise ZeroDivisionError
        assert journal.get("k") == 1
        assert journal.events() == []


def test_nested_transactions_join_and_lose_only_their_own_changes(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        with journal.transaction():
            journal.put("outer", 1)
            with journal.transaction():
                journal.put("inner", 1)
            with suppress(ZeroDivisionError), journal.transaction():
                journal.put("outer", 2)
                raise ZeroDivisionError
        assert journal.items() == [("inner", 1), ("outer", 1)]
        with suppress(ZeroDivisionError), journal.transaction():
            with journal.transaction():
                journal.put("inner", 3)
            raise ZeroDivisionError
        assert journal.get("inner") == 1


def test_the_log_is_read_by_name_and_from_a_line(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        for number in range(3):
            journal.log("odd" if number % 2 else "even", number=number)
        assert [line.data["number"] for line in journal.events("even")] == [0, 2]
        assert [line.data["number"] for line in journal.events(after=journal.events()[0].seq)] == [1, 2]


def test_threads_do_not_mix_their_transactions(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        journal.put("n", 0)

        def count() -> None:
            for _ in range(20):
                with journal.transaction():
                    journal.put("n", journal.get("n") + 1)

        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert journal.get("n") == 80


def test_what_was_put_outlives_sigkill(tmp_path: Path) -> None:
    script = (
        "import sys; from sonar.home.journal import Journal\n"
        "j = Journal(sys.argv[1])\n"
        "for i in range(10**6): j.put('n', i); print(i, flush=True)"
    )
    path = tmp_path / "j"
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        last = [int(child.stdout.readline()) for _ in range(5)][-1]
        os.kill(child.pid, signal.SIGKILL)
        last = max([last, *(int(line) for line in child.stdout.read().split())])
    with Journal(path) as journal:
        assert journal.get("n") >= last


def test_the_file_is_private(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        journal.put("k", 1)
        assert stat.S_IMODE((tmp_path / "j").stat().st_mode) == 0o600


@pytest.mark.parametrize("value", [{1, 2}, object(), {1: 2}, {"$hex": "00"}])
def test_values_it_cannot_keep_are_refused(tmp_path: Path, value: Any) -> None:
    with Journal(tmp_path / "j") as journal, pytest.raises(TypeError, match="the journal takes no"):
        journal.put("k", value)


def test_a_text_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_text("name,age\n" * 100)
    with pytest.raises(JournalError, match="not a database"):
        Journal(path)
    assert path.read_text() == "name,age\n" * 100


def test_the_database_of_another_program_is_refused(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "j")
    db.execute("CREATE TABLE t (x)")
    db.commit()
    db.close()
    with pytest.raises(JournalError, match="another program"):
        Journal(tmp_path / "j")


def test_another_format_is_refused_with_what_to_do(tmp_path: Path) -> None:
    for other, told, to_do in (
        (1, "an older Sonar", "new home"),
        (9, "a newer Sonar", "update Sonar"),
    ):
        Journal(tmp_path / f"{other}").close()
        db = sqlite3.connect(tmp_path / f"{other}")
        db.execute(f"PRAGMA user_version={other}")
        db.close()
        with pytest.raises(JournalError, match=f"has version {other}, from {told}") as caught:
            Journal(tmp_path / f"{other}")
        assert to_do in caught.value.hint


def test_a_damaged_value_names_its_key(tmp_path: Path) -> None:
    Journal(tmp_path / "j").close()
    db = sqlite3.connect(tmp_path / "j")
    db.execute("""INSERT INTO entries VALUES ('k', '{"$hex":"zz"}')""")
    db.commit()
    db.close()
    with Journal(tmp_path / "j") as journal, pytest.raises(JournalError, match="damaged value at 'k'"):
        journal.get("k")


def test_a_journal_that_cannot_be_written_now_says_so(tmp_path: Path) -> None:
    with Journal(tmp_path / "j") as journal:
        journal._db.execute("PRAGMA query_only = ON")  # as on a full disk
        with pytest.raises(JournalBlocked, match="cannot be used"):
            journal.put("k", 1)
        journal._db.execute("PRAGMA query_only = OFF")
        journal.put("k", 1)


def test_a_missing_folder_and_a_closed_journal_give_our_error(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="cannot be"):
        Journal(tmp_path / "no" / "j")
    journal = Journal(tmp_path / "j")
    journal.close()
    with pytest.raises(JournalError, match="closed"):
        journal.get("k")


def test_a_schema_that_is_no_text_is_told_as_damage(tmp_path: Path) -> None:
    """SQLite quotes it in its message, which Python then cannot read."""
    path = tmp_path / "journal"
    Journal(path).close()
    path.write_bytes(path.read_bytes().replace(b"CREATE TABLE log", b"CREATE T\xbbBLE log"))
    with pytest.raises(JournalError, match="cannot be read"):
        Journal(path)
