"""The tests of a round's veiled answers: what each mine is asked, and what the told bits say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from sonar.families.quadratic.comparison import Reference
from sonar.families.quadratic.inspection import Rules
from sonar.families.quadratic.veiled import curved, directions
from sonar.families.quadratic.veiled.base import Question
from sonar.families.quadratic.veiled.curved import CURVATURE_BITS, Curved
from sonar.families.quadratic.veiled.directions import Block, Twinned
from sonar.families.quadratic.veiled.identities import (
    BOUND_BITS,
    REMAINDER_BITS,
    ZERO_BITS,
    questions_of,
)
from sonar.families.quadratic.veiled.scoring import REST_BITS, SCORE_BITS
from sonar.families.veiled import Asked, Sent
from sonar.paillier.slots import SlotPlan
from sonar.veil.functionals import Measured

MOST_BITS = (
    max(2 * ZERO_BITS + 2 * BOUND_BITS, ZERO_BITS + BOUND_BITS + REMAINDER_BITS + CURVATURE_BITS)
    + directions.ALONG_BITS
    + directions.MANY * directions.MANY_BITS
    + SCORE_BITS
    + REST_BITS
)
"""The most bits that tests and scores take of a mine in a round."""
Heard = Mapping[str, tuple[Measured, ...]]


@dataclass(frozen=True)
class Tests:
    """A round's tests: of each mine alone, then beside the others.

    `new`: mines whose first answer this is, after others have begun.
    """

    alone: Mapping[str, tuple[Question, ...]]
    curved: Mapping[str, Curved]
    blocks: Mapping[str, Block]
    twinned: Twinned | None
    rows: Mapping[str, int]
    new: frozenset[str]
    min_mines: int

    @cached_property
    def asks(self) -> Mapping[str, tuple[Asked, ...]]:
        """What each mine is asked."""
        shared = tuple(asked for block in self.blocks.values() for asked in block.asked)
        return {
            mine: (
                *(question.asked for question in questions),
                *(one.asked for one in [self.curved.get(mine)] if one),
                *shared,
            )
            for mine, questions in self.alone.items()
        }

    def judged(self, heard: Heard) -> tuple[dict[str, str | None], dict[str, str]]:
        """Return the first failed test of each mine, or None; and the twins, by mine the first of its group.

        `heard`: what is known of each of a mine's `asks`, in their order. Mines that are not in it are not
        judged: those that were left out for good count neither towards medians nor towards least cohorts.
        """
        failed: dict[str, str | None] = {mine: self._alone(mine, heard[mine]) for mine in sorted(heard)}
        for compare in (self._curved, self._newcomers, self._beside):
            left = {mine: heard[mine] for mine, test in failed.items() if test is None}
            failed |= compare(left)
        return failed, self._twins({mine: heard[mine] for mine, test in failed.items() if test is None})

    def _alone(self, mine: str, heard: Sequence[Measured]) -> str | None:
        questions = self.alone[mine]
        for question, told in zip(questions, heard, strict=False):
            if not question.holds(told):
                return question.test
        one = self.curved.get(mine)
        return "positive" if one is not None and one.negative(heard[len(questions)]) else None

    def _curved(self, heard: Heard) -> dict[str, str]:
        asked = {mine: self.curved[mine] for mine in heard if mine in self.curved}
        return curved.odd_ones(asked, {mine: heard[mine][len(self.alone[mine])] for mine in asked})

    def _newcomers(self, heard: Heard) -> dict[str, str]:
        new = self.new & set(heard)
        return dict.fromkeys(new, "newcomer") if len(set(heard) - new) >= self.min_mines else {}

    def _beside(self, heard: Heard) -> dict[str, str]:
        found: dict[str, str] = {}
        for test, block in self.blocks.items():
            found |= dict.fromkeys(block.far(self._of(test, heard)), test)
        return found

    def _twins(self, heard: Heard) -> dict[str, str]:
        if self.twinned is None:
            return {}
        pairs = self.twinned.pairs(self._of("unlike", heard), self.rows)
        first = {mine: mine for mine in heard}
        for a, b in sorted(pairs):
            old, new = sorted((first[a], first[b]), reverse=True)
            first = {mine: new if head == old else head for mine, head in first.items()}
        heads = Counter(first.values())
        return {mine: head for mine, head in first.items() if heads[head] > 1}

    def _of(self, test: str, heard: Heard) -> dict[str, tuple[Measured, ...]]:
        """Return what was heard of one block."""
        start = 0
        for name, block in self.blocks.items():
            if name == test:
                end = start + len(block.asked)
                break
            start += len(block.asked)
        shared = sum(len(block.asked) for block in self.blocks.values())
        return {mine: told[len(told) - shared :][start:end] for mine, told in heard.items()}


def tests_of(
    rules: Rules,
    plan: SlotPlan,
    rounds: Sequence[Sent],
    reference: Reference | None,
    rows: Mapping[str, int],
    draw: Callable[[int], int],
) -> Tests:
    """Return the tests of the last of `rounds`, which are all of a bounty so far, ascending.

    `reference`: what the holdout says of answers to its weights; None leaves out what compares with it.
    `rows`: those that the mines say they have. `draw(bits)` gives random bits that were known to nobody
    before all answers were revealed, and that follow from public facts, so that others get the same tests.
    """
    *earlier, now = rounds
    before = {mine: tuple(one for one in earlier if mine in one.mines) for mine in now.mines}
    histories = {tuple(one.round for one in past): past for past in before.values()}
    asked = {
        key: (
            tuple(questions_of(rules, past, now, draw)),
            curved.curved(plan, reference, past[0], now) if past else None,
        )
        for key, past in sorted(histories.items())
    }
    of = {mine: asked[tuple(one.round for one in before[mine])] for mine in sorted(now.mines)}
    begun = any(one.mines for one in earlier)
    blocks, twinned = _blocks(plan, earlier, now, reference, draw)
    return Tests(
        alone={mine: questions for mine, (questions, _) in of.items()},
        curved={mine: one for mine, (_, one) in of.items() if one is not None},
        blocks=blocks,
        twinned=twinned,
        rows=rows,
        new=frozenset(mine for mine, past in before.items() if not past and begun),
        min_mines=rules.min_mines,
    )


def _blocks(
    plan: SlotPlan,
    earlier: Sequence[Sent],
    now: Sent,
    reference: Reference | None,
    draw: Callable[[int], int],
) -> tuple[dict[str, Block], Twinned | None]:
    if reference is None:
        return {}, None
    unlike, twinned = directions.unlike_block(plan, now.round, reference, draw, _entering(earlier, now.mines))
    return {"against": directions.against_block(plan, now.round, reference), "unlike": unlike}, twinned


def _entering(earlier: Sequence[Sent], mines: Collection[str]) -> bool:
    """Whether a mine may enter its first sum, so that twins must be looked for.

    A mine that comes after others is compared only, in its first round.
    """
    sent = [one.mines for one in earlier if one.mines]
    answers = {mine: sum(mine in each for each in sent) for mine in mines}
    late = {mine for mine in mines if not sent or mine not in sent[0]}
    return any(answers[mine] <= 1 for mine in late)
