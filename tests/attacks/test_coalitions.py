"""Coalitions: what a scientist knows who has t - 1 capsules in her hand, by the rank of all she sees.

Whatever she knows of answers is linear, but for the counted bits of functionals: X = P + the masks of all
classes, the masks of every class that one of her capsules holds, and for each opened set what the others tell
of theirs. So the span of it says exactly which sums of answers she knows, and no statistical guess is needed
(`test_distinguisher` makes one all the same, on the real masks).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from random import Random

import numpy as np
import pytest
from numpy.typing import NDArray

from sonar.veil.atoms import Atoms, choose, weight_fault
from sonar.veil.classes import Classes

SHAPES = [Classes(3, 2), Classes(2, 2), Classes(5, 3)]
PRIME = 2**31 - 1
"""Stands for n: ranks modulo a prime, so that products of two numbers fit into 64 bits."""
LEAST = 3
MINES = 7
ROUNDS = 4
Matrix = NDArray[np.int64]


def reduced(rows: Matrix) -> Matrix:
    """The row echelon form modulo PRIME, without rows of zeros."""
    rows = rows % PRIME
    rank = 0
    for column in range(rows.shape[1]):
        pivots = np.flatnonzero(rows[rank:, column])
        if not len(pivots):
            continue
        rows[[rank, rank + pivots[0]]] = rows[[rank + pivots[0], rank]]
        rows[rank] = rows[rank] * pow(int(rows[rank, column]), -1, PRIME) % PRIME
        below = np.flatnonzero(rows[rank + 1 :, column]) + rank + 1
        rows[below] = (rows[below] - rows[below, column : column + 1] * rows[rank]) % PRIME
        rank += 1
    return rows[:rank]


def rank_of(rows: Matrix) -> int:
    return len(reduced(rows))


@dataclass
class Campaign:
    """Who answered what, and which sums the capsules told: (members, round, set) each.

    `questions` int64[rounds, unknowns]: mine i's answer in a round is linear in what its data make unknown,
    so rounds with the same question have the same answer of it.
    """

    classes: Classes
    questions: Matrix
    weights: list[int]
    sums: list[tuple[tuple[int, ...], int, frozenset[int]]] = field(default_factory=list)

    @property
    def unknowns(self) -> int:
        return MINES * int(self.questions.shape[1])

    def answer(self, mine: int, round_number: int) -> Matrix:
        """The answer's coefficients in all mines' unknowns."""
        row = np.zeros((MINES, self.questions.shape[1]), np.int64)
        row[mine] = self.questions[round_number]
        return row.ravel()

    def known(self, coalition: Sequence[int]) -> Matrix:
        """A basis of all sums of answers that the scientist knows with these capsules."""
        answers = [(mine, r) for r in range(len(self.questions)) for mine in range(MINES)]
        every = ((c, mine, r) for mine, r in answers for c in range(self.classes.count))
        masks = {each: column for column, each in enumerate(every)}
        rows: list[Matrix] = []

        def learn(plain: Matrix, *terms: tuple[int, int, int, int]) -> None:
            row = np.zeros(len(masks) + self.unknowns, np.int64)
            row[len(masks) :] = plain
            for weight, c, mine, r in terms:
                row[masks[c, mine, r]] = weight
            rows.append(row)

        nothing = np.zeros(self.unknowns, np.int64)
        for mine, r in answers:
            learn(self.answer(mine, r), *((1, c, mine, r) for c in range(self.classes.count)))
        for c in sorted({c for member in coalition for c in self.classes.held_by(member)}):
            for mine, r in answers:
                learn(nothing, (1, c, mine, r))
        for members, r, opened in self.sums:
            for c in sorted({c for member in members for c in self.classes.held_by(member)}):
                learn(nothing, *((self.weights[mine], c, mine, r) for mine in sorted(opened)))
        echelon = reduced(np.array(rows))
        free = ~echelon[:, : len(masks)].any(axis=1)
        return echelon[free, len(masks) :]

    def exposed(self, coalition: Sequence[int]) -> list[tuple[int, ...]]:
        """The groups of fewer than LEAST mines of which something is known apart from all others."""
        known, width = self.known(coalition), self.questions.shape[1]
        everything = rank_of(known)
        found = []
        for size in range(1, LEAST):
            for group in combinations(range(MINES), size):
                others = np.repeat(~np.isin(np.arange(MINES), group), width)
                if everything and rank_of(known[:, others]) < everything:
                    found.append(group)
        return found

    def opened_sums(self) -> int:
        """The rank of the sums that were opened as they should be: by all classes."""
        rows = [
            sum(
                (self.weights[mine] * self.answer(mine, r) for mine in opened),
                np.zeros(self.unknowns, np.int64),
            )
            for members, r, opened in self.sums
            if len(members) >= self.classes.threshold
        ]
        return rank_of(np.array(rows))


def unrelated() -> Matrix:
    """A new question each round."""
    return np.eye(ROUNDS, dtype=np.int64)


def equal() -> Matrix:
    """Equal weights each round, encrypted anew: the same answers."""
    return np.ones((ROUNDS, 1), np.int64)


def linear() -> Matrix:
    """b - A w, one row of it, for a model of three weights: the pooled sums are known in the end."""
    weights = [[1, 5, 0, 0], [1, 0, 7, 0], [1, 2, 2, 9], [1, 5, 0, 0]]
    return np.array(weights, np.int64)


QUESTIONS: list[Callable[[], Matrix]] = [unrelated, equal, linear]


class Chain:
    """What `fixCohort` fixes: one set a round, the first."""

    def __init__(self) -> None:
        self.fixed: dict[int, frozenset[int]] = {}

    def fix(self, round_number: int, mines: frozenset[int]) -> None:
        self.fixed.setdefault(round_number, mines)


class Capsule:
    """Goes by the chain alone: for which set, and which sets there were."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain

    def restore(self) -> None:
        """Lose all that is not on the chain."""

    def opens(self, round_number: int, asked: frozenset[int]) -> frozenset[int] | None:
        fixed = self.chain.fixed[round_number]
        before = Atoms(named(mines) for r, mines in self.chain.fixed.items() if r < round_number)
        return None if before.fault(named(fixed), LEAST) else fixed


class Forgetful(Capsule):
    """Goes by what it is asked and what it remembers: what the chain is for."""

    def __init__(self, chain: Chain) -> None:
        super().__init__(chain)
        self.opened: dict[int, frozenset[int]] = {}

    def restore(self) -> None:
        self.opened.clear()

    def opens(self, round_number: int, asked: frozenset[int]) -> frozenset[int] | None:
        if round_number in self.opened:
            return self.opened[round_number]
        if Atoms(map(named, self.opened.values())).fault(named(asked), LEAST):
            return None
        self.opened[round_number] = asked
        return asked


def named(mines: frozenset[int]) -> frozenset[str]:
    return frozenset(f"mine {i}" for i in mines)


def played(
    classes: Classes, questions: Matrix, seed: int, capsule: Callable[[Chain], Capsule] = Capsule
) -> Campaign:
    """A campaign with absences: each round she fixes a set, and asks each capsule for it, then for it without
    one mine; and each capsule is restored, and asked again.
    """
    random, chain = Random(seed), Chain()
    campaign = Campaign(classes, questions, [random.randrange(1, 6) for _ in range(MINES)])
    capsules = [capsule(chain) for _ in range(classes.members)]
    for r in range(ROUNDS):
        present = frozenset(i for i in range(MINES) if random.random() > 0.2)
        fixed = choose(map(named, chain.fixed.values()), named(present), LEAST, random.randrange)
        mines = frozenset(i for i in range(MINES) if f"mine {i}" in fixed)
        if not mines:
            continue
        smaller = mines - {random.choice(sorted(mines))}
        chain.fix(r, mines)
        chain.fix(r, smaller)
        for asked in (mines, smaller):
            told: dict[frozenset[int], list[int]] = {}
            for member, each in enumerate(capsules):
                opened = each.opens(r, asked)
                if opened is not None:
                    told.setdefault(opened, []).append(member)
            campaign.sums += [(tuple(members), r, opened) for opened, members in told.items()]
            for each in random.sample(capsules, random.randrange(len(capsules) + 1)):
                each.restore()
    return campaign


@pytest.mark.parametrize("classes", SHAPES, ids=str)
@pytest.mark.parametrize("question", QUESTIONS)
def test_a_coalition_knows_the_opened_sums_and_nothing_else(
    classes: Classes, question: Callable[[], Matrix]
) -> None:
    opened = 0
    for seed in range(4):
        campaign = played(classes, question(), seed)
        opened += len(campaign.sums)
        for coalition in combinations(range(classes.members), classes.threshold - 1):
            assert len(campaign.known(coalition)) == campaign.opened_sums()
            assert campaign.exposed(coalition) == []
    assert opened > 4 * ROUNDS


@pytest.mark.parametrize("classes", SHAPES, ids=str)
def test_one_capsule_more_knows_every_answer(classes: Classes) -> None:
    """So the rank can tell: t capsules with the scientist hold all classes."""
    campaign = played(classes, unrelated(), 0)
    for coalition in combinations(range(classes.members), classes.threshold):
        assert len(campaign.known(coalition)) == campaign.unknowns == MINES * ROUNDS


@pytest.mark.parametrize("classes", SHAPES, ids=str)
@pytest.mark.parametrize("question", QUESTIONS)
def test_capsules_that_go_by_their_memory_expose_a_mine(
    classes: Classes, question: Callable[[], Matrix]
) -> None:
    """The same campaigns, without the chain: restored capsules tell two sets of one round."""
    coalition = tuple(range(classes.threshold - 1))
    found = [played(classes, question(), seed, Forgetful).exposed(coalition) for seed in range(4)]
    assert any(found)


def test_two_sets_in_two_rounds_expose_a_mine_at_equal_weights() -> None:
    """The set without one mine, a round later: what the atoms are for. It takes the same question."""
    everyone = frozenset(range(MINES))
    for questions, groups in ((equal(), [(0,)]), (unrelated(), []), (linear(), [])):
        campaign = Campaign(SHAPES[0], questions, [1] * MINES)
        campaign.sums = [((0, 1, 2), 0, everyone), ((0, 1, 2), 1, everyone - {0})]
        exposed = campaign.exposed([0])
        assert [group for group in exposed if len(group) == 1] == groups
    campaign = Campaign(SHAPES[0], linear(), [1] * MINES)  # the last question is the first again
    campaign.sums = [((0, 1, 2), 0, everyone), ((0, 1, 2), 3, everyone - {0})]
    assert (0,) in campaign.exposed([0])


def test_a_weight_that_moves_exposes_a_mine() -> None:
    """One set, but other row weights: what freezing them is for."""
    everyone = frozenset(range(MINES))
    campaign = Campaign(SHAPES[0], equal(), [1] * MINES)
    campaign.sums = [((0, 1, 2), 0, everyone)]
    known = campaign.known([0])
    campaign.weights[4] = 2
    campaign.sums = [((0, 1, 2), 1, everyone)]
    both = np.concatenate([known, campaign.known([0])])
    others = np.arange(MINES) != 4
    assert rank_of(both[:, others]) < rank_of(both) == 2


def test_weights_of_other_factors_tell_a_mines_remainders() -> None:
    """Ranks over the rationals do not see it: the answers are integers. What `weight_fault` is for."""
    random = Random(1)
    answers = [random.randrange(-(2**40), 2**40) for _ in range(MINES)]
    everyone = [frozenset(f"mine {i}" for i in range(MINES))]
    weights = [1] + [50] * (MINES - 1)
    total = sum(weight * answer for weight, answer in zip(weights, answers, strict=True))
    assert total % 50 == answers[0] % 50
    assert weight_fault(everyone, {f"mine {i}": w for i, w in enumerate(weights)})
    assert not weight_fault(everyone, {f"mine {i}": 50 for i in range(MINES)})


def test_large_weights_without_a_common_factor_tell_every_small_answer() -> None:
    """Of three mines behind a least group of two: one sum is a knapsack, and it has one solution.

    Answers are small where weights are: the change of a round, for a step of one unit, is a row of A.
    """
    random = Random(2)
    weights = [4_294_967_291, 3_000_000_019, 3_600_000_007]  # no factor divides two of them
    small = [random.randrange(1 << 14) for _ in weights]
    total = sum(weight * answer for weight, answer in zip(weights, small, strict=True))
    assert solved(total, weights, 1 << 14) == [small]
    assert all(2 * weight < sum(weights) for weight in weights)
    mines = [f"mine {i}" for i in range(3)]
    assert weight_fault([frozenset(mines)], dict(zip(mines, weights, strict=True)))


def solved(total: int, weights: Sequence[int], below: int) -> list[list[int]]:
    """All answers in [0, below) that add up to a total."""
    p, q, s = weights
    inverse = pow(s, -1, q)
    thirds = ((first, (total - p * first) * inverse % q) for first in range(below))
    rests = ((first, third, total - p * first - s * third) for first, third in thirds if third < below)
    return [[first, rest // q, third] for first, third, rest in rests if 0 <= rest < q * below]
