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
    AGAIN,
    AGAIN_BITS,
    BOUND_BITS,
    JUNK_BITS,
    REMAINDER_BITS,
    ZERO_BITS,
    junk_of,
    questions_of,
)
from sonar.families.quadratic.veiled.moved import MOVED_BITS, Moved, moved_of
from sonar.families.quadratic.veiled.scoring import REST_BITS, WHOLE_BITS
from sonar.families.veiled import Asked, Sent
from sonar.paillier.slots import SlotPlan
from sonar.veil.functionals import Measured

_FIRST_BITS = 2 * ZERO_BITS + 2 * BOUND_BITS + AGAIN * AGAIN_BITS
_LATER_BITS = (
    ZERO_BITS
    + BOUND_BITS
    + AGAIN * AGAIN_BITS
    + max(REMAINDER_BITS, directions.MANY * MOVED_BITS)
    + CURVATURE_BITS
)
MOST_BITS = (
    JUNK_BITS
    + max(_FIRST_BITS, _LATER_BITS)
    + directions.MANY * directions.MANY_BITS
    + directions.ALONG_BITS
    + max(WHOLE_BITS + REST_BITS, JUNK_BITS)
)
"""The most bits that tests and scores take of a mine in a round; `spoilers_of` comes in place of scores."""
Heard = Mapping[str, tuple[Measured, ...]]


@dataclass(frozen=True)
class Tests:
    """A round's tests: of each mine alone, then beside the others.

    `new`: mines whose first answer this is, after others have begun.
    """

    alone: Mapping[str, tuple[Question, ...]]
    curved: Mapping[str, Curved]
    moved: Sequence[Moved]
    blocks: Mapping[str, Block]
    twinned: Twinned | None
    rows: Mapping[str, int]
    new: frozenset[str]
    min_mines: int

    @cached_property
    def asks(self) -> Mapping[str, tuple[Asked, ...]]:
        """What each mine is asked."""
        return {
            mine: tuple(asked for group in groups.values() for asked in group)
            for mine, groups in self._groups.items()
        }

    @cached_property
    def _groups(self) -> dict[str, dict[str, tuple[Asked, ...]]]:
        """By mine what is asked for each purpose, in the order of `asks`."""
        found: dict[str, dict[str, tuple[Asked, ...]]] = {}
        for mine, questions in self.alone.items():
            found[mine] = {"alone": tuple(question.asked for question in questions)}
            if mine in self.curved:
                found[mine]["curved"] = (self.curved[mine].asked,)
            found[mine] |= {f"moved {i}": one.asked for i, one in enumerate(self.moved) if mine in one.mines}
            found[mine] |= {test: block.asked for test, block in self.blocks.items()}
        return found

    def _of(self, purpose: str, heard: Heard) -> dict[str, tuple[Measured, ...]]:
        """What was heard for one purpose, of the mines that were asked for it."""
        found = {}
        for mine, told in heard.items():
            start = 0
            for name, group in self._groups[mine].items():
                if name == purpose:
                    found[mine] = told[start : start + len(group)]
                start += len(group)
        return found

    def judged(self, heard: Heard) -> tuple[dict[str, str | None], dict[str, str]]:
        """Return the first failed test of each mine, or None; and the twins, by mine the first of its group.

        `heard`: what is known of each of a mine's `asks`, in their order. Mines that are not in it are not
        judged: those that were left out for good count neither towards medians nor towards least cohorts.
        """
        failed: dict[str, str | None] = dict.fromkeys(sorted(heard))
        for compare in (
            self._alone,
            self._negative,
            self._curved,
            self._moved,
            self._newcomers,
            self._beside,
        ):
            left = {mine: heard[mine] for mine, test in failed.items() if test is None}
            failed |= compare(left)
        return failed, self._twins({mine: heard[mine] for mine, test in failed.items() if test is None})

    def _alone(self, heard: Heard) -> dict[str, str]:
        found: dict[str, str] = {}
        for mine, told in self._of("alone", heard).items():
            pairs = zip(self.alone[mine], told, strict=True)
            if broken := [question.test for question, one in pairs if not question.holds(one)]:
                found[mine] = broken[0]
        return found

    def _negative(self, heard: Heard) -> dict[str, str]:
        told = self._of("curved", heard)
        return {mine: "positive" for mine, (one,) in told.items() if self.curved[mine].negative(one)}

    def _curved(self, heard: Heard) -> dict[str, str]:
        told = {mine: one for mine, (one,) in self._of("curved", heard).items()}
        return curved.odd_ones({mine: self.curved[mine] for mine in told}, told)

    def _moved(self, heard: Heard) -> dict[str, str]:
        far = [moved.far(self._of(f"moved {i}", heard)) for i, moved in enumerate(self.moved)]
        return dict.fromkeys(frozenset[str]().union(*far), "unlike")

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
            curved.curved(plan, reference, past[0], now) if past and not rules.noisy else None,
        )
        for key, past in sorted(histories.items())
    }
    of = {mine: asked[tuple(one.round for one in before[mine])] for mine in sorted(now.mines)}
    begun = any(one.mines for one in earlier)
    blocks, twinned = _blocks(plan, earlier, now, reference, draw)
    return Tests(
        alone={mine: questions for mine, (questions, _) in of.items()},
        curved={mine: one for mine, (_, one) in of.items() if one is not None},
        moved=moved_of(plan, reference, earlier, now, draw) if reference and rules.unit is None else [],
        blocks=blocks,
        twinned=twinned,
        rows=rows,
        new=frozenset(mine for mine, past in before.items() if not past and begun),
        min_mines=rules.min_mines,
    )


def spoilers_of(plan: SlotPlan, round: int, mines: Collection[str], draw: Callable[[int], int]) -> Tests:
    """Return what `mines` are asked once more if the sum of their answers is none, by new lots."""
    question = junk_of(plan, round, draw)
    alone = dict.fromkeys(sorted(mines), (question,))
    return Tests(alone, {}, [], {}, None, {}, frozenset(), 1)


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
