"""The fold of a round's events: what it says, and that it says nothing that the events do not."""

from __future__ import annotations

from dataclasses import replace
from typing import TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonar.errors import RpcError
from sonar.protocol.events import (
    BountyClosed,
    CohortFixed,
    Committed,
    Event,
    Logged,
    MinePaid,
    Revealed,
    RoundFailed,
    RoundOpened,
    RoundSettled,
    Withdrawn,
)
from sonar.protocol.fold import Ending, RoundRecord, fold, record_of
from sonar.protocol.ids import ETHER, BountyId, Digest, parse_address
from sonar.protocol.phase import CloseReason

BOUNTY = BountyId(b"b" * 32)
MINES = [parse_address("0x" + digit * 40) for digit in "fa1"]
MODEL, UPDATE = Digest(b"m" * 32), Digest(b"u" * 32)


class Place(TypedDict):
    block: int
    tx_hash: str
    log_index: int


PLACE: Place = {"block": 7, "tx_hash": "0x" + "00" * 32, "log_index": 0}
SETTLED = RoundSettled(BOUNTY, 1, MODEL, 90, 90, 60, 40, MODEL, **PLACE)
FAILED = RoundFailed(BOUNTY, 1, 3, 0, **PLACE)


def closed(reason: CloseReason, number: int = 1) -> BountyClosed:
    return BountyClosed(BOUNTY, number, reason, 40, **PLACE)


def settled_round(number: int = 1) -> list[Event]:
    """The events of a round in which three mines reveal and each is paid 20."""
    return [
        RoundOpened(BOUNTY, number, MODEL, 1_000, **PLACE),
        *(Committed(BOUNTY, number, mine, b"s" * 32, **PLACE) for mine in MINES),
        *(Revealed(BOUNTY, number, mine, UPDATE, **PLACE) for mine in MINES),
        CohortFixed(BOUNTY, number, b"c" * 32, **PLACE),
        *(MinePaid(BOUNTY, number, mine, 3_333, 10, 5, 15, 0, **PLACE) for mine in MINES),
        replace(SETTLED, round=number),
    ]


def paid_other(event: Event) -> MinePaid:
    assert isinstance(event, MinePaid)
    return replace(event, share_bps=1)


def test_a_settled_round() -> None:
    record = record_of([*settled_round(), Withdrawn(ETHER, MINES[0], MINES[0], 30, **PLACE)], BOUNTY, 1)
    assert (record.ended, record.ended_block, record.earned_units) == (Ending.SETTLED, 7, 60)
    assert list(record.commits) == MINES
    assert list(record.cohort) == list(reversed(MINES))
    assert record.fixed is not None
    assert record.fixed.digest == b"c" * 32
    assert record.opened is not None
    assert record.opened.opened_s == 1_000


@pytest.mark.parametrize(
    ("events", "ended"),
    [
        ([], None),
        ([FAILED], Ending.FAILED),
        ([FAILED, closed(CloseReason.NO_COMMITS)], Ending.FAILED),
        ([FAILED, closed(CloseReason.LAST_ROUND_FAILED)], Ending.FAILED),
        ([SETTLED, closed(CloseReason.TARGET_REACHED)], Ending.SETTLED),
        ([SETTLED, closed(CloseReason.LAST_ROUND)], Ending.SETTLED),
        ([closed(CloseReason.OVERDUE)], Ending.OVERDUE),
        ([closed(CloseReason.BY_SCIENTIST)], Ending.TAKEN_BACK),
        # The node has not told yet of the settlement, or the failure, that goes before it.
        ([closed(CloseReason.TARGET_REACHED)], None),
        ([closed(CloseReason.LAST_ROUND_FAILED)], None),
    ],
)
def test_how_a_round_ended(events: list[Event], ended: Ending | None) -> None:
    record = record_of(events, BOUNTY, 1)
    assert record.ended is ended
    assert record.ended_block == (7 if ended else None)


@pytest.mark.parametrize(
    "events",
    [
        [SETTLED, FAILED],
        [SETTLED, closed(CloseReason.OVERDUE)],
        [SETTLED, replace(SETTLED, log_index=1)],
        [*settled_round(), replace(settled_round()[1], block=8)],
        [*settled_round(), paid_other(settled_round()[-2])],
    ],
)
def test_a_node_that_contradicts_itself_is_not_believed(events: list[Event]) -> None:
    with pytest.raises(RpcError, match="contradicts itself in its record of round 1"):
        fold(events)


@given(st.lists(st.sampled_from([*settled_round(1), *settled_round(2)]), max_size=40))
def test_each_round_is_the_sum_of_its_own_events_however_often_they_are_told(told: list[Event]) -> None:
    records = fold(told)
    assert set(records) == {(BOUNTY, event.round) for event in told}  # type: ignore[union-attr]
    for (bounty, number), record in records.items():
        of_round = [event for event in told if event.round == number]  # type: ignore[union-attr]
        assert record == record_of(told, bounty, number) == fold(of_round)[bounty, number]
        assert {*_events_of(record)} == {*of_round}


def _events_of(record: RoundRecord) -> list[Logged]:
    alone = (record.opened, record.fixed, record.settled, record.failed, record.closed)
    by_mine = (*record.commits.values(), *record.reveals.values(), *record.paid.values())
    return [*(event for event in alone if event), *by_mine]


SAID = [event for event in settled_round() if not isinstance(event, RoundOpened | CohortFixed)]


def test_a_record_is_whole_as_long_as_nothing_is_left_out() -> None:
    assert record_of(settled_round(), BOUNTY, 1).is_whole
    for missing in SAID:
        told = [event for event in settled_round() if event != missing]
        assert not record_of(told, BOUNTY, 1).is_whole, missing
    mine = MINES[0]
    without = [event for event in settled_round() if getattr(event, "mine", "") != mine]
    assert not record_of(without, BOUNTY, 1).is_whole  # what was paid says that somebody is missing


def test_a_failed_or_overdue_record_is_whole_by_its_counts() -> None:
    took_part = [event for event in settled_round() if isinstance(event, Committed | Revealed | MinePaid)]
    failed = replace(FAILED, committed=3, revealed=3)
    for end in (failed, closed(CloseReason.OVERDUE)):
        assert record_of([*took_part, end], BOUNTY, 1).is_whole
        assert not record_of([*took_part[:-1], end], BOUNTY, 1).is_whole
    assert not record_of([*took_part, replace(failed, committed=4)], BOUNTY, 1).is_whole
    assert not record_of([*took_part, replace(failed, revealed=2)], BOUNTY, 1).is_whole
    assert record_of([closed(CloseReason.BY_SCIENTIST)], BOUNTY, 1).is_whole
    assert not record_of([took_part[0], closed(CloseReason.BY_SCIENTIST)], BOUNTY, 1).is_whole
    assert not record_of(took_part, BOUNTY, 1).is_whole
