"""The derived status: the table of phases at each deadline, and its laws over time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonar.protocol.ids import ETHER, BountyId, Digest, parse_address
from sonar.protocol.phase import BountyState, Status, Terms, deadlines_of, status_of

TERMS = Terms(ETHER, 4, 2, 3, 10, 20, 30, 5, 2, 1000, 900, 100)
OPEN = BountyState(
    BountyId(b"b" * 32),
    parse_address("0x" + "11" * 20),
    1000,
    1,
    0,
    0,
    False,
    TERMS,
    1024,
    900,
    Digest(b"m" * 32),
)
ORDER = [Status.COMMIT, Status.REVEAL, Status.SETTLE, Status.OVERDUE]


def test_deadlines_are_absolute_from_the_opening() -> None:
    assert deadlines_of(OPEN) == (1010, 1030, 1060)


@pytest.mark.parametrize(
    ("committed", "revealed", "now", "status"),
    [
        (0, 0, 1000, Status.COMMIT),
        (3, 0, 1009, Status.COMMIT),
        (3, 0, 1010, Status.REVEAL),
        (4, 0, 1000, Status.REVEAL),  # full
        (3, 2, 1029, Status.REVEAL),
        (3, 3, 1010, Status.SETTLE),  # all revealed
        (4, 4, 1001, Status.SETTLE),
        (3, 2, 1030, Status.SETTLE),
        (3, 2, 1059, Status.SETTLE),
        (3, 2, 1060, Status.OVERDUE),
        (0, 0, 1010, Status.FAILED),
        (1, 0, 1010, Status.REVEAL),  # stays open below min_mines: a stake must be able to come back
        (1, 1, 1010, Status.FAILED),
        (3, 1, 1030, Status.FAILED),
        (3, 1, 9999, Status.FAILED),
    ],
)
def test_status(committed: int, revealed: int, now: int, status: Status) -> None:
    bounty = replace(OPEN, committed=committed, revealed=revealed)
    assert status_of(bounty, now) is status
    assert status_of(replace(bounty, closed=True), now) is Status.CLOSED


QUIET = replace(OPEN, terms=replace(TERMS, quiet_s=3))


@pytest.mark.parametrize(
    ("committed", "last_commit", "commit_ends"),
    [
        (0, 0, 1010),
        (1, 1004, 1010),  # fewer than min_mines: the whole window
        (2, 1004, 1007),
        (3, 1006, 1009),
        (3, 1008, 1010),  # never later than the window
    ],
)
def test_a_quiet_end_is_the_commit_phases_alone(committed: int, last_commit: int, commit_ends: int) -> None:
    bounty = replace(QUIET, committed=committed, last_commit_s=last_commit)
    assert deadlines_of(bounty) == (commit_ends, 1030, 1060)
    assert deadlines_of(replace(bounty, terms=TERMS)) == (1010, 1030, 1060)
    assert status_of(bounty, commit_ends - 1) is Status.COMMIT
    assert status_of(bounty, commit_ends) is (Status.REVEAL if committed else Status.FAILED)


@given(st.integers(0, 4), st.integers(0, 4), st.lists(st.integers(1000, 1100), min_size=2, max_size=8))
def test_a_phase_never_goes_backwards(committed: int, revealed: int, times: list[int]) -> None:
    last = 1005 if committed else 0
    bounty = replace(QUIET, committed=committed, revealed=min(revealed, committed), last_commit_s=last)
    seen = [status_of(bounty, now) for now in sorted(times)]
    if Status.FAILED in seen:
        first = seen.index(Status.FAILED)
        assert set(seen[first:]) == {Status.FAILED}
        seen = seen[:first]
    ranks = [ORDER.index(status) for status in seen]
    assert ranks == sorted(ranks)


def test_escrow_and_the_part_of_the_reward_that_is_earned() -> None:
    assert TERMS.escrow_units == 1000 + 2 * 4 * 3
    assert [TERMS.reward_at(loss) for loss in (1000, 900, 500, 101, 100, 0)] == [0, 0, 500, 998, 1000, 1000]


def test_what_is_due_of_the_reward_when_the_scientist_is_overdue() -> None:
    assert [TERMS.overdue_at(loss) for loss in (900, 500, 100)] == [1000, 500, 0]
    half = replace(TERMS, overdue_bps=5_000)
    assert [half.overdue_at(loss) for loss in (900, 501, 100)] == [500, 251, 0]
    assert replace(TERMS, overdue_bps=0).overdue_at(900) == 0
