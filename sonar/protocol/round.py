"""One mine's round, from training to payment: the states, the events, and a table of which leads where.

Theory of operation. A round of a bounty is, for one mine, a walk through the states below. What happens (a
transaction of ours was sent, or was seen on the chain with enough confirmations; a deadline passed) is an
event. `advance` looks both up in one table; everything that affects the walk is in this file. An event that
the table does not have in that state is a fault of our own code: it raises and changes nothing. The node
writes the new state to its journal before it acts on it, so that a restart continues from there.

Sent is a state of its own because a sent transaction may be mined at any time later: in COMMITTING and
REVEALING the mine does not know yet, and after a restart it looks for the receipt, or sends the same bytes
again. Until the commit is sent, nothing is lost by giving up; from then on a stake is at risk, and only a
reveal gets it back.

That a window is over is at first only one node's word, and no event. A round is skipped, or its stake
forfeit, only when the chain has moved on to the next one, deep enough to be believed. If a commit still turns
out to stand in an open round, it is taken up again.
"""

from __future__ import annotations

from enum import Enum

from sonar.errors import LocalProtocolError


class RoundState(Enum):
    """Where a mine stands in one round. The values go into the journal."""

    IDLE = "idle"
    TRAINED = "trained"  # update, salt and seal are in the journal
    COMMITTING = "committing"
    COMMITTED = "committed"
    REVEALING = "revealing"
    REVEALED = "revealed"
    PAID = "paid"  # stake back, and more
    NO_SHARE = "no share"  # settled with a share of 0: stake back, and a fee if the update was accepted
    RETURNED = "returned"  # the round failed: stake back, and perhaps forfeits
    SKIPPED = "skipped"  # never committed; nothing was at stake
    FORFEIT = "forfeit"  # committed and not revealed: the stake is gone


class RoundEvent(Enum):
    """What can happen to a mine in one round."""

    TRAINED = "trained"
    COMMIT_SENT = "commit sent"
    COMMIT_SEEN = "commit seen"
    COMMIT_REFUSED = "commit refused or too late"
    REVEAL_SENT = "reveal sent"
    REVEAL_SEEN = "reveal seen"
    REVEAL_MISSED = "reveal window over, not revealed"
    REVEAL_TAKEN_BACK = "a reorganisation took the reveal back"
    COMMIT_STANDS = "given up, and the commit stands after all"
    SETTLED_WITH_SHARE = "settled, share > 0, or overdue"
    SETTLED_WITHOUT_SHARE = "settled, share 0"
    ROUND_FAILED = "round failed, stake back"


_S, _E = RoundState, RoundEvent

OWN_ACTS = frozenset({_E.TRAINED, _E.COMMIT_SENT, _E.REVEAL_SENT})
"""The events that the mine itself causes; all others happen whatever it does."""

TRANSITIONS: dict[RoundState, dict[RoundEvent, RoundState]] = {
    _S.IDLE: {_E.TRAINED: _S.TRAINED, _E.COMMIT_REFUSED: _S.SKIPPED},
    _S.TRAINED: {_E.COMMIT_SENT: _S.COMMITTING, _E.COMMIT_REFUSED: _S.SKIPPED},
    _S.COMMITTING: {_E.COMMIT_SEEN: _S.COMMITTED, _E.COMMIT_REFUSED: _S.SKIPPED},
    _S.COMMITTED: {
        _E.REVEAL_SENT: _S.REVEALING,
        _E.REVEAL_MISSED: _S.FORFEIT,
        _E.COMMIT_REFUSED: _S.SKIPPED,  # a reorganisation took it back, and then it was too late
    },
    _S.REVEALING: {
        _E.REVEAL_SEEN: _S.REVEALED,
        _E.REVEAL_MISSED: _S.FORFEIT,
        _E.COMMIT_REFUSED: _S.SKIPPED,
    },
    _S.REVEALED: {
        _E.COMMIT_REFUSED: _S.SKIPPED,
        _E.REVEAL_TAKEN_BACK: _S.FORFEIT,
        _E.SETTLED_WITH_SHARE: _S.PAID,
        _E.SETTLED_WITHOUT_SHARE: _S.NO_SHARE,
        _E.ROUND_FAILED: _S.RETURNED,
    },
    _S.PAID: {},
    _S.NO_SHARE: {},
    _S.RETURNED: {},
    _S.SKIPPED: {_E.COMMIT_STANDS: _S.COMMITTED},
    _S.FORFEIT: {_E.COMMIT_STANDS: _S.COMMITTED},
}


def advance(state: RoundState, event: RoundEvent) -> RoundState:
    """Return where `event` leads from `state`. Raises LocalProtocolError when it cannot happen there."""
    following = TRANSITIONS[state].get(event)
    if following is None:
        possible = ", ".join(repr(each.value) for each in TRANSITIONS[state]) or "nothing, the round is over"
        raise LocalProtocolError(
            f"{event.value!r} cannot happen in state {state.value!r}; possible: {possible}"
        )
    return following


def is_final(state: RoundState) -> bool:
    """Tell whether the round is over for this mine."""
    return set(TRANSITIONS[state]) <= {_E.COMMIT_STANDS}


def has_stake_at_risk(state: RoundState) -> bool:
    """Tell whether the mine can lose its stake by doing nothing from now on."""
    return not is_final(state) and any(
        to is RoundState.FORFEIT or has_stake_at_risk(to)
        for event, to in TRANSITIONS[state].items()
        if event not in OWN_ACTS and event is not RoundEvent.REVEAL_TAKEN_BACK
    )


def mermaid() -> str:
    """Return the table as a Mermaid state diagram, for the docs."""
    name = {state: state.name for state in RoundState}
    lines = ["stateDiagram-v2", f"    [*] --> {name[RoundState.IDLE]}"]
    for state, events in TRANSITIONS.items():
        lines += [f"    {name[state]} --> {name[to]}: {event.value}" for event, to in events.items()]
        if is_final(state):
            lines.append(f"    {name[state]} --> [*]")
    return "\n".join(lines) + "\n"
