"""The capsule's ledger: what limits what is told, in one transaction each, whatever ends the process."""

from __future__ import annotations

import os
import signal
import sqlite3
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capsule.home.database import FORMAT
from capsule.home.entries import Answered, Ask
from capsule.home.ledger import HOUR_S, Ledger
from capsule.problems import Refused
from sonar.errors import JournalBlocked, JournalError
from sonar.protocol.ids import Address, BountyId, Digest

BOUNTY, OTHER = BountyId(b"b" * 32), BountyId(b"o" * 32)
MINE, TWIN = Address("0x" + "1" * 40), Address("0x" + "2" * 40)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.sqlite")


def answer(name: str, kind: str = "functional", bounty: BountyId = BOUNTY, number: int = 1) -> Answered:
    return Answered(name.encode().ljust(32, b"."), bounty, number, kind, 1, b"signed " + name.encode())


def ask(name: str, bits: int = 4, mine: Address = MINE) -> Ask:
    return Ask(mine, name.encode(), bits, (1, 2))


def tell(ledger: Ledger, name: str, *asks: Ask, bits: int = 10, most: int = 100, number: int = 1) -> int:
    return ledger.record_asks(answer(name, number=number), asks, bits=bits, bits_per_mine=most)


def test_bits_count_once_each_by_mine_and_round(ledger: Ledger) -> None:
    assert tell(ledger, "one", ask("a"), ask("b")) == 8
    assert tell(ledger, "two", ask("a"), ask("b")) == 0
    assert tell(ledger, "three", ask("a", mine=TWIN)) == 4
    assert tell(ledger, "four", ask("c"), number=2) == 4
    assert ledger.bits_of(BOUNTY) == {MINE: 12, TWIN: 4}
    assert ledger.told(BOUNTY, 1)[MINE, b"a"] == (1, 2)
    assert ledger.totals() == (16, 0)


def test_what_is_too_much_leaves_no_trace(ledger: Ledger) -> None:
    tell(ledger, "one", ask("a"), ask("b"))
    for limits, name in (({"bits": 11}, "round"), ({"bits": 99, "most": 11}, "over all")):
        with pytest.raises(Refused, match=name) as refused:
            tell(ledger, "two", ask("a"), ask("c"), **limits)
        assert (refused.value.code, refused.value.mine) == ("budget", MINE)
    assert ledger.bits_of(BOUNTY) == {MINE: 8}
    assert ledger.answered(answer("two").request) is None
    with pytest.raises(Refused, match=r"12 bits .* 11 may"):
        ledger.check_room(BOUNTY, 1, [(MINE, 4)], bits=11, bits_per_mine=100)
    ledger.check_room(BOUNTY, 1, [(MINE, 4), (TWIN, 11)], bits=12, bits_per_mine=100)


@settings(max_examples=60, deadline=None)
@given(
    requests=st.lists(
        st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 6)), min_size=1, max_size=4), max_size=12
    ),
    limit=st.integers(1, 16),
)
def test_whatever_is_asked_in_whatever_order_no_more_than_the_limit_is_told(
    requests: list[list[tuple[str, int]]], limit: int
) -> None:
    ledger, told = Ledger(Path(tempfile.mkdtemp()) / "ledger.sqlite"), set[tuple[bytes, int]]()
    for number, asks in enumerate(requests):
        made = [ask(f"{name}{bits}", bits) for name, bits in asks]
        try:
            tell(ledger, str(number), *made, bits=limit)
            told |= {(one.digest, one.bits) for one in made}
        except Refused:
            continue
    assert sum(bits for _, bits in told) == ledger.bits_of(BOUNTY).get(MINE, 0) <= limit
    ledger.close()


def test_two_threads_tell_no_more_than_one_after_the_other(ledger: Ledger) -> None:
    refused = []

    def work(name: str) -> None:
        for number in range(20):
            try:
                tell(ledger, f"{name}{number}", ask(f"{name}{number}", 1), bits=10)
            except Refused:
                refused.append(name)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.bits_of(BOUNTY) == {MINE: 10}
    assert len(refused) == 70


def test_a_nonce_counts_once_and_so_many_in_an_hour(ledger: Ledger) -> None:
    def admit(name: str, at_s: int, bounty: BountyId = BOUNTY) -> None:
        ledger.admit(name.encode() * 32, bounty, at_s, at_s + 60, per_hour=2)

    admit("a", 0)
    with pytest.raises(Refused, match="nonce"):
        admit("a", 1)
    admit("b", 1)
    with pytest.raises(Refused, match="hour"):
        admit("c", 2)
    admit("d", 2, OTHER)
    admit("c", HOUR_S + 1)
    with pytest.raises(Refused, match="nonce"):
        admit("c", HOUR_S + 1)
    admit("a", 3 * HOUR_S)  # its request has long expired


def test_a_round_has_one_sum(ledger: Ledger) -> None:
    first, second = Digest(b"1" * 32), Digest(b"2" * 32)
    for digest in (first, second):
        ledger.keep_cohort(BOUNTY, 1, digest, b"manifest of " + digest)
    ledger.record_sum(answer("one", "sum"), first)
    ledger.record_sum(answer("again", "sum"), first)
    with pytest.raises(Refused, match="another set"):
        ledger.record_sum(answer("two", "sum"), second)
    assert ledger.cohort(BOUNTY, 1, first) == b"manifest of " + first
    assert ledger.cohort(BOUNTY, 2, first) is None
    assert ledger.totals() == (0, 1)


def test_seeds_are_those_that_came_first(ledger: Ledger) -> None:
    assert ledger.freeze_seeds(BOUNTY, MINE, b"first")
    assert ledger.freeze_seeds(BOUNTY, MINE, b"first")
    assert not ledger.freeze_seeds(BOUNTY, MINE, b"other")
    assert ledger.freeze_seeds(OTHER, MINE, b"other")


def test_marks_are_the_ledger_s_last_two_states(ledger: Ledger) -> None:
    marks = [ledger.marks[0]]
    for name in ("one", "two", "three"):
        tell(ledger, name, ask(name, 1))
        assert ledger.marks[1] == marks[-1]
        marks.append(ledger.marks[0])
    tell(ledger, "three", ask("three", 1))  # nothing new
    assert ledger.marks[0] == marks[-1]
    assert len(set(marks)) == 4
    assert ledger.entries == 3


def test_files_that_are_no_ledger_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"no database at all, but long enough to be read as one" * 100)
    with pytest.raises(JournalError, match="cannot be read"):
        Ledger(path)
    path.unlink()
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE t (x)")
    with pytest.raises(JournalError, match="not a capsule's ledger"):
        Ledger(path)
    path.unlink()
    Ledger(path).close()
    with sqlite3.connect(path) as newer:
        newer.execute(f"PRAGMA user_version={FORMAT + 1}")
    with pytest.raises(JournalError, match="version"):
        Ledger(path)
    with pytest.raises(JournalBlocked, match="cannot be"):
        Ledger(tmp_path / "none" / "ledger.sqlite")


def test_a_ledger_without_its_owner_says_what_to_do(ledger: Ledger) -> None:
    ledger._run("DELETE FROM owner")
    with pytest.raises(JournalError, match=r"ledger\.sqlite has lost a row") as caught:
        _ = ledger.marks
    assert "restore the newest copy" in caught.value.hint


def test_a_ledger_is_its_user_s_alone_and_safe_against_power_cuts(ledger: Ledger) -> None:
    assert ledger.path.stat().st_mode & 0o777 == 0o600
    assert ledger._db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert ledger._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def life(path: Path, length: int) -> tuple[list[int], bool]:
    """A process that tells three answers, and is killed before its SQL statement number `length`.

    Returns which answers left, and whether it came to its end.
    """
    reading, writing = os.pipe()
    if not (child := os.fork()):
        try:
            ledger, left = Ledger(path), [length]

            def burn(_statement: str) -> None:
                left[0] -= 1
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)

            ledger._db.set_trace_callback(burn)
            for number in range(3):
                tell(ledger, f"{number}", ask(f"{number} a", 3), ask(f"{number} b", 3), bits=100)
                os.write(writing, bytes([number]))
        finally:
            os._exit(0)
    os.close(writing)
    _, status = os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as pipe:
        return list(pipe.read()), os.WIFEXITED(status)


def test_killed_before_any_statement_all_of_an_answer_is_there_or_nothing(tmp_path: Path) -> None:
    """kill -9 before each SQL statement in turn; and what left is recorded."""
    lives, done = 0, False
    while not done:
        lives += 1
        path = tmp_path / f"{lives}.sqlite"
        left, done = life(path, lives)
        with Ledger(path) as ledger:
            told = {digest for _, digest in ledger.told(BOUNTY, 1)}
            for number in range(3):
                names = {f"{number} a".encode(), f"{number} b".encode()}
                assert told & names in (set(), names)
                kept = ledger.answered(answer(f"{number}").request) is not None
                assert kept == bool(told & names)
                assert kept or number not in left
            assert ledger.entries == len(told) // 2
    assert left == [0, 1, 2]
    assert lives > 20


def test_refusals_are_counted(ledger: Ledger) -> None:
    for code in ("budget", "cohort", "budget"):
        ledger.count_refusal(code)
    assert ledger.refusals() == {"budget": 2, "cohort": 1}


def test_bounties_that_were_served(ledger: Ledger) -> None:
    scientist = Address("0x" + "3" * 40)
    ledger.serve(BOUNTY, scientist, 1)
    ledger.serve(BOUNTY, scientist, 2)
    ledger.close_bounty(BOUNTY, 77)
    ledger.close_bounty(BOUNTY, 99)
    (found,) = ledger.bounties()
    assert (found.bounty, found.scientist, found.epoch, found.closed_s) == (BOUNTY, scientist, 1, 77)
    ledger.set_blind(5)
    ledger.set_blind(3)
    assert ledger.blind_until_s == 5
