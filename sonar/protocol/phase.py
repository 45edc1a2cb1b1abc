"""A bounty as the contract stores it, and its status, which is derived from terms, counts and chain time.

`status_of` says the same as the contract's `statusOf`: the status is never stored, deadlines are absolute
from the round's opening and half-open (a phase holds while now < end), and early ends only open the next
phase sooner.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from sonar.frozen import frozen
from sonar.protocol.ids import Address, BountyId, Digest

WHOLE_BPS = 10_000
"""The whole of something, in basis points."""
LEAST_COHORT = 2
"""The fewest mines that a sum may tell of, whatever the terms say: the sum of one answer is that answer."""
NOBODY = Address("0x" + "0" * 40)
"""The settler of a bounty that its scientist settles alone."""


class Status(IntEnum):
    """Where a bounty stands; the values are the contract's."""

    NONE = 0
    COMMIT = 1
    REVEAL = 2
    SETTLE = 3
    FAILED = 4
    OVERDUE = 5
    CLOSED = 6


class CloseReason(IntEnum):
    """Why a bounty was closed; the values are the contract's."""

    NO_COMMITS = 0
    BY_SCIENTIST = 1
    TARGET_REACHED = 2
    LAST_ROUND = 3
    OVERDUE = 4
    LAST_ROUND_FAILED = 5


class EntryState(IntEnum):
    """What a mine did in its latest round of a bounty; the values are the contract's."""

    NONE = 0
    COMMITTED = 1
    REVEALED = 2


@frozen
class Terms:
    """A bounty's immutable rules. Windows in seconds, losses in millionths of the null model's.

    Amounts are in the smallest units of `asset`: of ether, in wei. Besides the scientist, `settler` must sign
    each settlement. `overdue_bps`: the part of the unpaid reward that is due to those who revealed when she
    does not settle. `quiet_s`: once `min_mines` have committed, the commit phase ends this long after the
    last commit, or with its window if that ends first; 0 is off.
    """

    asset: Address
    cohort_cap: int
    min_mines: int
    rounds: int
    commit_window_s: int
    reveal_window_s: int
    settle_window_s: int
    stake_units: int
    fee_units: int
    reward_units: int
    initial_loss: int
    target_loss: int
    allow_root: bytes = b"\0" * 32
    settler: Address = NOBODY
    overdue_bps: int = WHOLE_BPS
    quiet_s: int = 0

    @property
    def least(self) -> int:
        """The fewest mines that a sum, or a difference of sums, may tell of."""
        return max(self.min_mines, LEAST_COHORT)

    @property
    def escrow_units(self) -> int:
        """What the scientist must send with the bounty: the reward, and every fee that can fall due."""
        return self.reward_units + self.fee_units * self.cohort_cap * self.rounds

    def reward_at(self, loss: int) -> int:
        """Return R(loss), the part of the reward that reaching `loss` has earned in all."""
        gained = self.initial_loss - max(min(loss, self.initial_loss), self.target_loss)
        return self.reward_units * gained // (self.initial_loss - self.target_loss)

    def overdue_at(self, best_loss: int) -> int:
        """Return the part of the reward that is due, in equal parts, when the scientist is overdue."""
        return (self.reward_units - self.reward_at(best_loss)) * self.overdue_bps // WHOLE_BPS


@frozen
class BountyState:
    """A bounty as the contract holds it at one block.

    `last_commit_s`: chain time of the round's last commit; 0 without one, or without a quiet end.
    `cohort_fixed`: whether the scientist has said which cohort of the round is summed.
    """

    bounty: BountyId
    scientist: Address
    opened_s: int
    round: int
    committed: int
    revealed: int
    closed: bool
    terms: Terms
    escrow_units: int
    best_loss: int
    model_digest: Digest
    cohort_fixed: bool = False
    last_commit_s: int = 0


@frozen
class Entry:
    """A mine's latest round in a bounty. `seal` is its first 29 bytes, all that the contract keeps."""

    round: int
    state: EntryState
    seal: bytes


class Deadlines(NamedTuple):
    """When the phases of a round end, in chain seconds."""

    commit_s: int
    reveal_s: int
    settle_s: int


def deadlines_of(bounty: BountyState) -> Deadlines:
    """Return the ends of the current round's phases, in chain seconds.

    Only the commit phase can have a quiet end, which moves with each commit.
    """
    terms = bounty.terms
    commit = bounty.opened_s + terms.commit_window_s
    reveal = commit + terms.reveal_window_s
    settle = reveal + terms.settle_window_s
    if terms.quiet_s and bounty.committed >= terms.min_mines:
        commit = min(commit, bounty.last_commit_s + terms.quiet_s)
    return Deadlines(commit, reveal, settle)


def status_of(bounty: BountyState, now_s: int) -> Status:
    """Return the bounty's status at chain time `now_s`."""
    if bounty.closed:
        return Status.CLOSED
    ends = deadlines_of(bounty)
    if now_s < ends.commit_s and bounty.committed < bounty.terms.cohort_cap:
        return Status.COMMIT
    if now_s < ends.reveal_s and bounty.revealed < bounty.committed:
        return Status.REVEAL
    if bounty.revealed < bounty.terms.min_mines:
        return Status.FAILED
    return Status.SETTLE if now_s < ends.settle_s else Status.OVERDUE
