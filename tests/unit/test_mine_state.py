from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mine.data.dataset import DataSet
from mine.work.ending import _course
from mine.work.state import DECISIONS, Book, Command, Joined, Part, Refusal, decide
from sonar.errors import JournalError, LocalProtocolError
from sonar.home.journal import Journal
from sonar.protocol.ids import BountyId, Cid, Digest
from sonar.protocol.phase import Status
from sonar.protocol.round import RoundEvent, RoundState, has_stake_at_risk, is_final

ONE, TWO = BountyId(b"\1" * 32), BountyId(b"\2" * 32)
DATA = DataSet("d", "csv", "/d.csv", "ab" * 32, ("a", "y"), 30)
RUNNING = [status for status in Status if status not in (Status.NONE, Status.CLOSED)]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal.sqlite")


@pytest.mark.parametrize(("state", "status"), list(product(RoundState, Status)))
def test_decisions(state: RoundState, status: Status) -> None:
    command = decide(state, status)
    if is_final(state) or status in (Status.NONE, Status.CLOSED):
        assert command is Command.WAIT
    if command in (Command.TRAIN, Command.COMMIT):
        assert status is Status.COMMIT
        assert state is RoundState.COMMITTING or not has_stake_at_risk(state)
    if command is Command.REVEAL:
        assert status is Status.REVEAL
        assert has_stake_at_risk(state)
    if command is Command.EXPIRE:
        assert (state, status) in {
            (RoundState.REVEALED, Status.FAILED),
            (RoundState.REVEALED, Status.OVERDUE),
        }
    if command is Command.MISS:  # it gives nothing up: that takes the end of the round
        assert status not in (Status.NONE, Status.COMMIT)


@pytest.mark.parametrize(("state", "status"), list(product(RoundState, RUNNING)))
def test_a_mine_with_something_to_do_never_just_waits(state: RoundState, status: Status) -> None:
    idle_is_right = (
        is_final(state)
        or (state in (RoundState.COMMITTED, RoundState.REVEALING) and status is Status.COMMIT)
        or (state is RoundState.REVEALED and status in (Status.COMMIT, Status.REVEAL, Status.SETTLE))
    )
    assert ((state, status) not in DECISIONS) == idle_is_right


@given(
    state=st.sampled_from([state for state in RoundState if not is_final(state)]),
    seen=st.sampled_from([(False, False), (True, False), (True, True)]),
)
def test_a_round_that_is_over_always_ends_or_awaits_its_payment(
    state: RoundState, seen: tuple[bool, bool]
) -> None:
    part, (committed, revealed) = Part(ONE, 1, state), seen
    for event in _course(state, committed, revealed):
        part = part.after(event)
    assert is_final(part.state) or part.state is RoundState.REVEALED
    if state in (RoundState.COMMITTED, RoundState.REVEALING, RoundState.REVEALED):
        lost = RoundState.FORFEIT if committed else RoundState.SKIPPED
        assert part.state is (RoundState.REVEALED if revealed else lost)


def test_a_part_outlives_the_process_with_its_secrets(journal: Journal) -> None:
    book = Book(journal)
    part = replace(
        Part(ONE, 3).after(RoundEvent.TRAINED),
        salt=b"s" * 32,
        seal=b"z" * 32,
        update=b"u" * 32,
        links=(Cid.of_blob(b"\0\xff"), Cid.of_blob(b"more")),
        since_block=7,
    )
    book.save(part, uses=DATA.digest)
    again = Book(Journal(journal.path))
    assert again.part(ONE, 3) == part
    assert again.part(ONE, 4) == Part(ONE, 4)
    assert again.parts(TWO) == []
    assert again.uses(DATA.digest) == 1
    book.save(part.after(RoundEvent.COMMIT_REFUSED), uses=DATA.digest)
    assert again.open_parts(ONE) == []
    assert again.uses(DATA.digest) == 1


def test_an_impossible_event_changes_nothing(journal: Journal) -> None:
    book = Book(journal)
    part = book.save(Part(ONE, 1).after(RoundEvent.TRAINED))
    with pytest.raises(LocalProtocolError):
        book.save(part.after(RoundEvent.REVEAL_SEEN))
    assert book.part(ONE, 1) == part


def test_a_use_is_recorded_with_the_update_or_not_at_all(journal: Journal) -> None:
    book = Book(journal)

    class Broken(Exception):
        pass

    def cut_short() -> None:
        with journal.transaction():
            book.save(Part(ONE, 1).after(RoundEvent.TRAINED), uses=DATA.digest)
            raise Broken

    with pytest.raises(Broken):
        cut_short()
    assert book.uses(DATA.digest) == 0
    assert book.parts(ONE) == []


def test_joining_leaving_and_refusals(journal: Journal) -> None:
    book = Book(journal)
    joined = Joined(ONE, DATA, Digest(b"m" * 32), Digest(b"k" * 32), "digest", block=5)
    refusal = Refusal(ONE, "terms.fee_units: too low", "lower the floor")
    assert book.refuse(refusal)
    assert not book.refuse(refusal)
    assert book.refuse(replace(refusal, error="another"))
    assert len(journal.events("refusal")) == 2
    book.join(joined)
    assert book.refusals() == []
    book.join(replace(joined, over=True))
    assert book.joined() == [replace(joined, over=True)]
    book.leave(ONE)
    assert book.joined() == []


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("data", {"kind": "an index of shells"}),
        ("round", {"links": ["bafk"]}),
        ("round", {"links": 7}),
        ("round", {"blob": b"bytes"}),
    ],
)
def test_a_record_that_this_version_cannot_mean_is_told(
    journal: Journal, kind: str, change: dict[str, object]
) -> None:
    book = Book(journal)
    book.register(DATA)
    book.save(Part(ONE, 1).after(RoundEvent.TRAINED))
    ((key, record),) = journal.items(f"{kind}/")
    journal.put(key, {**record, **change})
    with pytest.raises(JournalError, match="that this version does not read") as caught:
        book.datasets() if kind == "data" else book.parts()
    assert "the version of Sonar that wrote it" in caught.value.hint


def test_records_of_another_version_are_told(journal: Journal) -> None:
    """A mine that went back to an older version must not end by a bug with its stake in a round."""
    book = Book(journal)
    book.register(DATA)
    book.join(Joined(ONE, DATA, Digest(b"m" * 32), Digest(b"k" * 32), "digest", block=5))
    book.refuse(Refusal(TWO, "no", "hint"))
    book.save(Part(ONE, 1).after(RoundEvent.TRAINED))
    for key, record in journal.items():
        if key.startswith("joined/"):
            journal.put(key, {**record, "dataset": 7})
        elif key.startswith("round/"):
            journal.put(key, {**record, "state": "unheard of"})
        else:
            journal.put(key, {**record, "fresh": 1})
    for read in (
        book.datasets,
        book.joined,
        book.refusals,
        lambda: book.parts(ONE),
        lambda: book.part(ONE, 1),
    ):
        with pytest.raises(JournalError, match="that this version does not read") as caught:
            read()
        assert "the version of Sonar that wrote it" in caught.value.hint
