"""Tests of single updates by functionals: honest mines pass for all data, cheats are seen.

Masks, and what capsules tell, are the product's own; nothing is encrypted.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.masked import Answers
from sonar.families.quadratic.design import STRIDE
from sonar.families.quadratic.family import Quadratic
from sonar.families.quadratic.inspection import Rules
from sonar.families.veiled import Sent, VeiledTests
from sonar.paillier.slots import Bounds, SlotPlan

FRACS = 27, 20
"""Bits of a weight and of a mine's sums after the point."""


def plan_of(features: int, outputs: int, fracs: tuple[int, int]) -> SlotPlan:
    weight, data = fracs
    return SlotPlan.make(
        key_bits=512,
        weights=features * outputs,
        outputs=outputs,
        bounds=Bounds(weight_max=64 << weight, a_row_l1_max=64 * features << data, b_max=64 << data),
        mines_max=10,
        weight_rows=100,
        weight_frac=weight,
        data_frac=data,
        free_bits=41,
    )


FIRST = f"0x{0:040x}"


class Bounty:
    """Mines whose maps are of random rows, and weights as a campaign rounds them."""

    def __init__(
        self,
        seed: int,
        features: int,
        outputs: int,
        *,
        classes: int = 3,
        steps: int = 1,
        fracs: tuple[int, int] = FRACS,
    ) -> None:
        self.plan, rng = plan_of(features, outputs, fracs), np.random.default_rng(seed)
        self.rng, self.answers = rng, Answers(self.plan, random.Random(seed), classes)
        unit = 1 << self.plan.data_frac
        self.unit = unit if steps == 1 else None
        self.maps = {}
        for i in range(3):
            x = np.clip(rng.normal(size=(12, features - 1)) * rng.choice([0.0, 1e-3, 1.0, 3.0]), -8, 8)
            phi = np.c_[x, np.ones(12)]
            y = rng.normal(size=(12, outputs)) * rng.choice([0.0, 0.1, 10.0])
            a = np.rint(phi.T @ phi / 12 * unit).astype(int).astype(object)
            self.maps[f"0x{i:040x}"] = a, np.rint(phi.T @ y / 12 * unit).astype(int).astype(object)
        self.rounds: list[Sent] = []
        self.sent: dict[tuple[int, str], tuple[int, ...]] = {}

    @property
    def rules(self) -> Rules:
        return Rules(self.plan, self.unit, 2, random.getrandbits)

    def honest(self, mine: str, weights: tuple[int, ...]) -> tuple[int, ...]:
        a, b = self.maps[mine]
        w = np.array(weights, dtype=object).reshape(self.plan.outputs, -1).T
        return tuple(int(v) for v in ((b << self.plan.weight_frac) - a @ w).T.ravel())

    def round(self, *absent: str, forge: Callable[[list[int]], Sequence[int]] = list) -> VeiledTests:
        """One more round, in which the first mine forges."""
        plan, number = self.plan, len(self.rounds) + 1
        weights = self._weights(number)
        mines = frozenset(self.maps.keys() - set(absent))
        self.rounds.append(Sent(number, weights, mines))
        for mine in mines:
            self.sent[number, mine] = self.honest(mine, weights)
        if FIRST in mines:
            self.sent[number, FIRST] = tuple(forge(list(self.sent[number, FIRST])))
        draw = random.Random(self.answers.lots.getrandbits(64)).getrandbits
        rows = dict.fromkeys(mines, 12)
        return Quadratic().veiled_tests(self.rules, plan, self.rounds, None, rows, draw)

    def _weights(self, number: int) -> tuple[int, ...]:
        plan = self.plan
        if number == 1:
            mark = max((1 << plan.weight_frac) // (8 << plan.data_frac), 1)
            return ((0,) * (plan.features - 1) + (mark,)) * plan.outputs
        strides = ([STRIDE] * (plan.features - 1) + [1]) * plan.outputs
        most = min(int(self.rng.choice([1, 8, 1 << 12, 1 << 24])), plan.bounds.weight_max // STRIDE)
        drawn = self.rng.integers(-most, most + 1, plan.weights).tolist()
        return tuple(x * s for x, s in zip(drawn, strides, strict=True))

    def failed(self, tests: VeiledTests) -> dict[str, str | None]:
        """Which test each mine fails."""
        heard = {
            mine: tuple(
                self.answers.heard(asked, [self.sent[n, mine] for n, _ in asked.parts], mine)
                for asked in asks
            )
            for mine, asks in tests.asks.items()
        }
        return tests.judged(heard)[0]


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    features=st.integers(2, 12),
    outputs=st.integers(1, 3),
    away=st.integers(2, 4),
    classes=st.sampled_from([1, 3, 10]),
    steps=st.integers(1, 2),
    fracs=st.tuples(st.integers(8, 40), st.integers(12, 30)),
)
def test_an_honest_mine_passes_every_identity_and_bound(
    seed: int,
    features: int,
    outputs: int,
    away: int,
    classes: int,
    steps: int,
    fracs: tuple[int, int],
) -> None:
    """Whatever data, weights, rounds, absences, plan and masks are."""
    bounty = Bounty(seed, features, outputs, classes=classes, steps=steps, fracs=fracs)
    for number in range(1, 6):
        absent = [FIRST] if number == away else []
        failed = bounty.failed(bounty.round(*absent))
        assert set(failed.values()) <= {None, "stale", "curvature"}


FORGED: dict[str, Callable[[list[int]], Sequence[int]]] = {
    "x3": lambda u: [3 * x for x in u],
    "x-1": lambda u: [-x for x in u],
    "one more in the first place": lambda u: [u[0] + (1 << 40), *u[1:]],
    "noise": lambda u: [x + random.getrandbits(40) for x in u],
}


@pytest.mark.parametrize("outputs", [1, 2, 3])
@pytest.mark.parametrize("name", FORGED)
def test_what_does_not_come_from_one_map_is_seen(name: str, outputs: int) -> None:
    """In the third round, by symmetry: all but one in a thousand."""
    missed = 0
    for seed in range(20):
        bounty = Bounty(1000 + seed, 5, outputs)
        bounty.round()
        bounty.round()
        missed += bounty.failed(bounty.round(forge=FORGED[name]))[FIRST] is None
    assert missed <= 1


@pytest.mark.parametrize("outputs", [1, 2, 3])
@pytest.mark.parametrize("factor", [-7, -3, -1, 2, 3, 5])
def test_a_multiple_of_a_first_answer_is_seen(factor: int, outputs: int) -> None:
    for seed in range(10):
        bounty = Bounty(2000 + seed, 5, outputs)
        failed = bounty.failed(bounty.round(forge=lambda u: [factor * x for x in u]))
        assert (failed[FIRST] is None) == (factor == -7)  # by eights: see `design.MARK`
