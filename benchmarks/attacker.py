"""The attacker of `benchmarks.attack` against a mine that has a ledger and a budget.

She sees what 50 bounties are told by the mine's own code of a release: some ask the same, and are told the
same again; some ask for what the budget does not afford, and are told nothing. She knows all rows but one, of
which she knows that it is one of two, and with shared noise the other mines' rows too.

What is released does not depend on the row: whole trials, with ledger and budget, check that. The other
trials draw the noise of what is released, by the same code without a ledger.
"""

from __future__ import annotations

import math
import secrets
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.attack import empirical_epsilon
from benchmarks.figures import Figure, document_of
from mine.data.dataset import DataSet, register_csv
from mine.privacy.accounts import Asked, Privacy
from mine.privacy.ledger import Ledger
from mine.privacy.policy import Budget, PrivacyPolicy
from mine.work.release import Drawing
from sonar.data.fixed import Q32_ONE, to_q32
from sonar.errors import ConsentError
from sonar.families.quadratic.maps.clip import Clip
from sonar.families.quadratic.noise import QuadraticNoise
from sonar.families.quadratic.spec import QuadraticSpec
from sonar.families.quadratic.target import Target
from sonar.families.registry import family_of
from sonar.home.journal import Journal
from sonar.privacy.release import noisy
from sonar.privacy.terms import RowSums

Values = NDArray[np.float64]

TRIALS, QUICK_TRIALS, WHOLE = 5_000, 1_000, 20
"""With each row."""
BOUNTIES, KINDS, AFFORDED = 50, 10, 4
ROWS, ROW_MAX, CONSTANT = 40, 4096, 1024


@dataclass(frozen=True)
class World:
    """Two data sets that differ in one row, and bounties of `KINDS` kinds; the budget affords `AFFORDED`."""

    data: tuple[DataSet, DataSet]
    specs: tuple[QuadraticSpec, ...]
    budget: Budget
    parts: int

    @classmethod
    def make(cls, folder: Path, budget: Budget, parts: int = 1) -> World:
        """Write the data, and price the bounties."""
        rows = np.round(np.random.default_rng(7).normal(size=(ROWS, 3)), 3)
        data = []
        for name, row in (("first", [4.0, 0.0, 0.0]), ("second", [0.0, 4.0, 0.0])):
            path = folder / f"{name}.csv"
            lines = [",".join(map(str, each)) for each in [*rows[:-1].tolist(), row]]
            path.write_text("\n".join(["a,b,y", *lines]) + "\n")
            data.append(register_csv(path, name))
        deviation = _deviation_for(budget.rho / AFFORDED)
        specs = tuple(_spec(200 + number % KINDS, deviation, parts) for number in range(BOUNTIES))
        return cls((data[0], data[1]), specs, budget, parts)

    def sums(self, which: int, spec: QuadraticSpec) -> RowSums:
        """The exact sums of one of the data sets for a bounty."""
        family = family_of(spec)
        return family.sums(spec, self.data[which].batches(family.columns(spec)))

    def released(self, which: int) -> list[RowSums]:
        """The exact sums of what is released of one of the data sets: what is asked for first."""
        return [self.sums(which, spec) for spec in self.specs[:AFFORDED]]


def _deviation_for(rho: Fraction) -> int:
    """A deviation whose price is at most `rho`, and hardly less."""
    return math.isqrt(math.ceil(Fraction((ROW_MAX**2 + CONSTANT**2) ** 2) / rho)) + 1


def _spec(target_unit: int, deviation: int, parts: int) -> QuadraticSpec:
    return QuadraticSpec(
        features=("a", "b"),
        targets=(Target(name="y", centre_q32=0, scale_q32=Q32_ONE, clip_q32=to_q32(100.0)),),
        stages=(Clip(clip_q32=to_q32(8.0)),),
        rows_min=ROWS,  # the fewest that a mine may have: its rows are hidden least
        noise=QuadraticNoise(
            frac=10,
            row_max=ROW_MAX,
            constant=CONSTANT,
            target_unit=target_unit,
            deviation=deviation,
            parts=parts,
        ),
    )


def whole_trial(world: World, which: int, folder: Path) -> list[tuple[int, ...] | None]:
    """What each bounty sees of a data set, by the mine's own code; None for one that is refused."""
    ledger, dataset = Ledger(folder / "privacy.sqlite"), world.data[which]
    policy = PrivacyPolicy(world.budget.epsilon, world.budget.delta)
    seen: list[tuple[int, ...] | None] = []
    with Journal(folder / "journal.sqlite", lasting=False) as journal:
        privacy = Privacy(ledger, journal, policy)
        for number, spec in enumerate(world.specs):
            family = family_of(spec)
            price, sums = family.price(spec), family.sums_id(spec)
            if world.parts > 1:  # shared noise is for one bounty, as in `Task.sums_id`
                sums += bytes([number])
            asked = Asked(price, sums, True, 0, world.parts)
            drawing = Drawing(privacy, asked, hex(number), "her", "net", number, lambda: ())
            name = ledger.release_name(dataset, sums, world.parts)
            try:
                seen.append(drawing.release(name, family, spec, dataset).values)
            except ConsentError:
                seen.append(None)
    ledger.close()
    return seen


def check_what_is_released(world: World, trials: int) -> None:
    """Check in whole trials that what the budget affords is released, once each, and nothing else."""
    for number in range(trials):
        with tempfile.TemporaryDirectory() as folder:
            seen = whole_trial(world, number % 2, Path(folder))
        for place, values in enumerate(seen):
            first = place % KINDS if world.parts == 1 else place
            assert (values is not None) == (first < AFFORDED), "the budget was not kept"
            assert values == seen[first], "the same sums were released twice"


@dataclass(frozen=True)
class Attacker:
    """Knows the exact sums of either data set, and the noise's variances. `power` is twice the zCDP between
    the two.
    """

    halfway: Values
    weights: Values
    power: float

    @classmethod
    def of(cls, world: World, deviation: Fraction = Fraction(1)) -> Attacker:
        """The best one there is, if the noise is of `deviation` times as much as it should be."""
        one, two = (_floats([x for s in world.released(which) for x in s.values]) for which in (0, 1))
        variances = _floats([v * deviation**2 for s in world.released(0) for v in s.variances])
        return cls((one + two) / 2, (two - one) / variances, float(((two - one) ** 2 / variances).sum()))

    def statistic(self, seen: Values) -> float:
        """The logarithm of the likelihood ratio: normal, of mean -+power / 2 and variance `power`."""
        return float((seen - self.halfway) @ self.weights)


def _floats(values: Sequence[int] | Sequence[Fraction]) -> Values:
    return np.array([float(value) for value in values])


def statistics(world: World, which: int, trials: int, deviation: Fraction = Fraction(1)) -> Values:
    """The attacker's statistic in each trial, with noise drawn anew; of `deviation` times as much, for tests.

    Of shared noise she sees the sum over `parts` mines, and knows the rows of all others.
    """
    attacker, exact = Attacker.of(world, deviation), world.released(which)
    less = [RowSums(s.values, [v * deviation**2 for v in s.variances], s.rows, 0) for s in exact]
    zeros = [0] * sum(len(s.values) for s in exact)
    variances = [v for s in less for v in s.variances]
    others = RowSums(zeros * (world.parts - 1), variances * (world.parts - 1), ROWS, 0)
    found = []
    for _ in range(trials):
        seen = np.concatenate([_floats(noisy(s, world.parts, secrets.token_bytes)) for s in less])
        if world.parts > 1:
            more = _floats(noisy(others, world.parts, secrets.token_bytes))
            seen += more.reshape(world.parts - 1, -1).sum(axis=0)
        found.append(attacker.statistic(seen))
    return np.array(found)


def found_out(world: World, trials: int, deviation: Fraction = Fraction(1)) -> float:
    """The epsilon that she shows in so many trials with either row."""
    first, second = (statistics(world, which, trials, deviation) for which in (0, 1))
    return empirical_epsilon(first, second, world.budget.delta)


def wins_without_noise(world: World, trials: int) -> float:
    """How often the same attacker names the row if sums are told as they are."""
    attacker, wins = Attacker.of(world), 0
    for _ in range(trials):
        which = secrets.randbelow(2)
        seen = _floats([x for s in world.released(which) for x in s.values])
        wins += (attacker.statistic(seen) > 0) == bool(which)
    return wins / trials


def privacy_attacker(quick: bool, trials: int = 0) -> dict[str, Any]:
    """The empirical epsilon of 10,000 trials against the declared ones; if `quick`, of 2,000."""
    trials = trials or (QUICK_TRIALS if quick else TRIALS)
    figures: dict[str, Figure] = {}
    for epsilon, parts in ((1.0, 1), (8.0, 1), (1.0, 3)):
        with tempfile.TemporaryDirectory() as folder:
            world = World.make(Path(folder), Budget(epsilon, 1e-5), parts)
            check_what_is_released(world, 2 if quick else WHOLE)
            whose = "local" if parts == 1 else f"shared by {parts}"
            found = found_out(world, trials)
            figures[f"{whose}, epsilon {epsilon:g}: empirical epsilon"] = Figure.most(found, epsilon)
            figures["wins without noise"] = Figure.least(wins_without_noise(world, WHOLE), 1.0)
    note = (
        f"{2 * trials:,} trials; {BOUNTIES} bounties of {KINDS} kinds, of which the budget affords "
        f"{AFFORDED}; delta 1e-5"
    )
    return document_of(figures, "epsilon", note)
