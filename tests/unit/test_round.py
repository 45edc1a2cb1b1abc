"""The table of a mine's round: its laws, and the diagram that is drawn from it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonar.errors import LocalProtocolError
from sonar.protocol.round import (
    TRANSITIONS,
    RoundEvent,
    RoundState,
    advance,
    has_stake_at_risk,
    is_final,
    mermaid,
)

E, S = RoundEvent, RoundState

HONEST = [E.TRAINED, E.COMMIT_SENT, E.COMMIT_SEEN, E.REVEAL_SENT, E.REVEAL_SEEN]


def walk(events: list[RoundEvent]) -> RoundState:
    state = S.IDLE
    for event in events:
        state = advance(state, event)
    return state


@pytest.mark.parametrize(
    ("events", "end"),
    [
        ([*HONEST, E.SETTLED_WITH_SHARE], S.PAID),
        ([*HONEST, E.SETTLED_WITHOUT_SHARE], S.NO_SHARE),
        ([*HONEST, E.ROUND_FAILED], S.RETURNED),
        ([E.COMMIT_REFUSED], S.SKIPPED),
        ([*HONEST[:1], E.COMMIT_REFUSED], S.SKIPPED),
        ([*HONEST[:2], E.COMMIT_REFUSED], S.SKIPPED),
        ([*HONEST[:3], E.COMMIT_REFUSED], S.SKIPPED),
        ([*HONEST[:4], E.COMMIT_REFUSED], S.SKIPPED),
        ([*HONEST[:3], E.REVEAL_MISSED], S.FORFEIT),
        ([*HONEST[:4], E.REVEAL_MISSED], S.FORFEIT),
        ([*HONEST, E.REVEAL_TAKEN_BACK], S.FORFEIT),
        ([*HONEST, E.COMMIT_REFUSED], S.SKIPPED),
    ],
)
def test_every_way_through(events: list[RoundEvent], end: RoundState) -> None:
    assert walk(events) is end
    assert is_final(end)


def test_every_state_is_in_the_table_and_can_be_reached() -> None:
    reached, todo = {S.IDLE}, [S.IDLE]
    while todo:
        for following in TRANSITIONS[todo.pop()].values():
            if following not in reached:
                reached.add(following)
                todo.append(following)
    assert reached == set(TRANSITIONS) == set(RoundState)
    assert {event for events in TRANSITIONS.values() for event in events} == set(RoundEvent)


@given(st.lists(st.sampled_from(RoundEvent), max_size=30))
def test_illegal_events_change_nothing_and_no_state_comes_back(events: list[RoundEvent]) -> None:
    state, seen = S.IDLE, [S.IDLE]
    for event in events:
        try:
            state = advance(state, event)
            if event is E.COMMIT_STANDS:
                seen = [S.IDLE]
            assert state not in seen
            seen.append(state)
        except LocalProtocolError:
            assert event not in TRANSITIONS[state]
    assert len(seen) <= 7


def test_the_error_says_what_could_have_happened() -> None:
    with pytest.raises(
        LocalProtocolError, match=r"'reveal sent' cannot happen in state 'idle'; possible: 'trained'"
    ):
        advance(S.IDLE, E.REVEAL_SENT)
    with pytest.raises(LocalProtocolError, match="the round is over"):
        advance(S.PAID, E.TRAINED)


def test_stake_is_at_risk_from_the_sending_of_the_commit_to_the_reveal_only() -> None:
    """A commit that was sent may be mined whenever it likes: nothing that its mine does is needed for it."""
    at_risk = {state for state in RoundState if has_stake_at_risk(state)}
    assert at_risk == {S.COMMITTING, S.COMMITTED, S.REVEALING}


def test_the_diagram_has_every_transition() -> None:
    lines = mermaid().splitlines()
    assert lines[:2] == ["stateDiagram-v2", "    [*] --> IDLE"]
    arrows = [line for line in lines if ": " in line]
    assert len(arrows) == sum(len(events) for events in TRANSITIONS.values())
    assert "    COMMITTED --> FORFEIT: reveal window over, not revealed" in lines
    assert "    PAID --> [*]" in lines
