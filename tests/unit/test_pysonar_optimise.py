"""The optimiser and the contribution, in the clear, on the diabetes data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from math import factorial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import lsq_linear
from sklearn.datasets import load_diabetes

from pysonar.bounty.request import Bounty
from sonar.families.quadratic.optimisers.base import ORIGIN, Coefficients, Ground, Optimiser, Visited
from sonar.families.quadratic.optimisers.gradient_descent import GradientDescent, default_rate
from sonar.families.quadratic.optimisers.gradient_memory import GradientMemory
from sonar.families.quadratic.score import score_vectors
from sonar.settling.shares import shares_of
from tests.family_kit import design_like, least_squares, losses_of, map_of, run_clear

HOLDOUT = 42
BIAS = 10
WEIGHT_MAX = 4096.0
Array = NDArray[np.float64]


def _fixed(values: Array, fraction_bits: int) -> Array:
    fixed: Array = np.round(values * 2**fraction_bits) / 2**fraction_bits
    return fixed


def ground(curvature: Array, rows: int = HOLDOUT, weight_max: float = WEIGHT_MAX) -> Ground:
    return Ground(curvature, rows, 1, weight_max)


Makes = Callable[["Clear"], Optimiser]


def memory(weight_max: float = WEIGHT_MAX, preconditioned: bool = True) -> Makes:
    return lambda job: GradientMemory(ground(job.curvature, weight_max=weight_max), preconditioned)


@dataclass
class Clear:
    """The whole job without encryption: the same fixed point, the same optimiser, no chain."""

    make: Makes = field(default_factory=memory)
    present: Callable[[int], Sequence[int]] = lambda number: range(10)
    mines: int = 10
    visited: list[Visited] = field(default_factory=list)

    def __post_init__(self) -> None:
        data = load_diabetes(scaled=False)
        raw, target = data.data, data.target
        self.z = (target - target[:HOLDOUT].mean()) / target[:HOLDOUT].std()
        mean, deviation = raw[:HOLDOUT].mean(0), raw[:HOLDOUT].std(0)
        standard = np.clip((raw - mean) / deviation, -8, 8)
        self.phi = np.hstack([standard, np.ones((len(raw), 1))])
        self.rows = np.array_split(np.arange(HOLDOUT, HOLDOUT + 400), self.mines)
        self.a = [_fixed(self.phi[r].T @ self.phi[r] / len(r), 24) for r in self.rows]
        self.b = [_fixed(self.phi[r].T @ self.z[r] / len(r), 24) for r in self.rows]
        held = self.phi[:HOLDOUT]
        self.curvature = held.T @ held / HOLDOUT
        self.optimiser = self.make(self)
        self.updates: list[dict[int, Array]] = []

    def loss(self, w: Array) -> float:
        """In parts of the null model's, which is 1: the target's deviation is."""
        return float(np.mean((self.phi[:HOLDOUT] @ w - self.z[:HOLDOUT]) ** 2))

    def loss_gradient(self, w: Array) -> Array:
        held = self.phi[:HOLDOUT]
        gradient: Array = 2 * held.T @ (held @ w - self.z[:HOLDOUT]) / HOLDOUT
        return gradient

    def run(self, rounds: int) -> list[int]:
        """Return the losses in millionths, the start's first."""
        weights, coefficients = np.zeros(BIAS + 1), ORIGIN
        self.points = [(weights, coefficients)]
        for number in range(1, rounds + 1):
            cohort = list(self.present(number))
            updates = {i: self.b[i] - self.a[i] @ weights for i in cohort}
            total = sum(len(self.rows[i]) for i in cohort)
            gradient = sum((len(self.rows[i]) * updates[i] for i in cohort), np.zeros(BIAS + 1)) / total
            self.updates.append(updates)
            names = frozenset(map(str, cohort))
            self.visited.append(Visited(number, weights, gradient, names, coefficients))
            step = self.optimiser.step(self.visited)
            weights, coefficients = _fixed(step.weights, 24), step.coefficients
            self.points.append((weights, coefficients))
        return [round(1e6 * self.loss(w)) for w, _ in self.points]

    def rebuilt(self, coefficients: Coefficients) -> Array:
        """The weights that coefficients stand for."""
        w = np.zeros(BIAS + 1)
        for point in self.visited:
            w += coefficients.apply(point.number, point.gradient, self.optimiser.precondition)
        return w


MSE = 5_572.281746
"""The null model's on the first 42 rows: what a million stands for."""
POOLED = 2_505.272
TARGET = 2_620.0


def test_the_demos_target_is_reached_in_two_rounds() -> None:
    losses = Clear().run(7)
    assert losses[0] == 1_000_000
    assert [round(loss * MSE / 1e6) for loss in losses[:3]] == [5572, 3055, 2536]
    assert losses[2] * MSE / 1e6 < TARGET


def test_without_the_holdouts_curvature_it_takes_longer() -> None:
    plain = Clear(memory(preconditioned=False)).run(7)
    assert plain[2] * MSE / 1e6 > TARGET > plain[5] * MSE / 1e6


def test_gradient_memory_converges_to_the_pooled_least_squares() -> None:
    clear = Clear()
    losses = clear.run(25)
    pooled = np.linalg.lstsq(clear.phi[HOLDOUT:], clear.z[HOLDOUT:], rcond=None)[0]
    assert clear.loss(pooled) * MSE == pytest.approx(POOLED, abs=0.01)
    assert losses[-1] * MSE / 1e6 == pytest.approx(POOLED, rel=1e-4)


def test_gradient_descent_is_what_gradient_memory_beats() -> None:
    losses = Clear(lambda job: GradientDescent(default_rate(job.curvature), WEIGHT_MAX)).run(50)
    assert losses == sorted(losses, reverse=True)
    assert Clear().run(7)[2] < losses[-1] < 2_700 / MSE * 1e6


def absences(seed: int) -> Callable[[int], list[int]]:
    """Each mine is away in a tenth of the rounds."""
    rng = np.random.default_rng(seed)
    return lambda _: [i for i in range(10) if rng.random() >= 0.1]


def without(gone: int, gone_from: int) -> Callable[[int], list[int]]:
    return lambda n: [i for i in range(10) if n < gone_from or i != gone]


def test_random_absences_cost_a_few_percent_at_most() -> None:
    worst, whole = 0, min(Clear().run(7))
    for seed in range(100):
        clear = Clear(present=absences(seed))
        worst = max(worst, min(clear.run(7)))
    assert worst < whole * 1.05


@pytest.mark.parametrize("gone_from", range(2, 8))
def test_a_mine_left_out_midway_does_not_throw_the_run(gone_from: int) -> None:
    whole = min(Clear().run(7))
    for gone in range(10):
        clear = Clear(present=without(gone, gone_from))
        assert min(clear.run(7)) < whole * 1.05


def test_every_visited_point_is_what_its_coefficients_say() -> None:
    clear = Clear(present=lambda n: [i for i in range(10) if (i + n) % 4])
    clear.run(6)
    for weights, coefficients in clear.points:
        # Weights are rounded to 2^-24 at each round; early roundings travel along with later steps.
        assert clear.rebuilt(coefficients) == pytest.approx(weights, abs=1e-5)


def test_what_cohorts_disagree_on_is_not_minimised_over() -> None:
    for seed in range(10):
        clear = Clear(present=absences(seed))
        assert max(clear.run(25)[5:]) < 0.464 * 1e6 * 1.35


@pytest.mark.parametrize("seed", range(5))
def test_a_holdout_that_is_flatter_than_the_mines_data_does_not_throw_the_run(seed: int) -> None:
    rng = np.random.default_rng(seed)
    phi = np.hstack([rng.normal(size=(15 + 600, 5)), np.ones((615, 1))])
    y = phi @ np.append(rng.normal(size=5), 0.3) + rng.normal(size=615)
    held, own = phi[:15], np.split(np.arange(15, 615), 10)

    def loss(w: Array) -> float:
        return float(np.mean((held @ w - y[:15]) ** 2))

    optimiser = GradientMemory(ground(held.T @ held / 15, rows=15))
    weights, coefficients, visited, losses = np.zeros(6), ORIGIN, [], []
    for number in range(1, 11):
        cohort = [i for i in range(10) if rng.random() >= 0.2]
        rows = np.concatenate([own[i] for i in cohort])
        gradient = phi[rows].T @ (y[rows] - phi[rows] @ weights) / len(rows)
        visited.append(Visited(number, weights, gradient, frozenset(map(str, cohort)), coefficients))
        step = optimiser.step(visited)
        weights, coefficients = step.weights, step.coefficients
        losses.append(loss(weights))
    pooled = least_squares(phi[15:], y[15:])
    assert max(losses) < 1.5 * loss(np.zeros(6))
    assert losses[-1] < 1.2 * loss(pooled)


def test_balanced_labels_move_the_weights_in_the_first_round() -> None:
    x = np.random.default_rng(3).normal(size=(60, 2))
    y = np.where(np.arange(60) % 2, 1.0, -1.0)
    x[:, 0] += y
    design = Bounty.of(x, y, target="ill", features=["a", "b"], name="l", loss="logistic-taylor").design
    course = run_clear(design, [map_of(design.spec, x, y, design.plan.data_frac)], 1)
    assert any(course.current.weights_int)
    assert course.current.loss < 800_000 < course.points[0].loss == 1_000_000


@pytest.mark.parametrize("mean", [0.0, -200.0, 1e4, 1e6])
def test_targets_far_from_zero_are_trained_as_precisely(mean: float) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(200, 3))
    y = mean + x @ [30.0, -20.0, 10.0] + rng.normal(0, 20, 200)
    design = Bounty.of(x[:60], y[:60], target="year", features=["a", "b", "c"], name="far").design
    own = map_of(design.spec, x[60:], y[60:], design.plan.data_frac)
    course = run_clear(design, [own], 8)
    phi, target = design.spec.transform(x[60:]), design.spec.targets[0]
    wanted = (y[60:] - target.centre) / target.scale
    pooled = design.holdout.loss(least_squares(phi, wanted))
    assert course.current.loss == pytest.approx(pooled, rel=1e-5)


@pytest.mark.parametrize("outputs", [2, 3])
def test_several_targets_are_trained_as_each_alone(outputs: int) -> None:
    """A step moves each output as if it were alone, where its own steps have been as long."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(300, 4))
    y = x @ rng.normal(size=(4, outputs)) * 10.0 ** np.arange(outputs) + rng.normal(size=(300, outputs))
    names, targets = ["a", "b", "c", "d"], [f"y{i}" for i in range(outputs)]
    design = design_like(x[:60], y[:60], names, targets)
    parts = np.array_split(np.arange(60, 300), 3)
    maps = [map_of(design.spec, x[rows], y[rows], design.plan.data_frac) for rows in parts]
    course = run_clear(design, maps, 10)
    phi = design.spec.transform(x[60:])
    z = (y[60:] - y[:60].mean(0)) / y[:60].std(0)
    best = least_squares(phi, z)
    assert course.current.weights(design.plan) == pytest.approx(best.T.ravel(), abs=2e-3)
    pooled = design.holdout.loss(best.T.ravel())
    assert course.current.loss == pytest.approx(pooled, rel=1e-2)
    assert min(losses_of(course)) <= pooled * 1.01


@pytest.mark.parametrize("limit", [1 / 16, 1 / 8, 3 / 16, 5 / 16])
def test_a_weight_at_its_bound_does_not_keep_the_others_from_their_optimum(limit: float) -> None:
    clear = Clear(memory(limit))
    clear.run(20)
    phi, y = clear.phi[HOLDOUT:442], clear.z[HOLDOUT:442]

    def pooled(w: Array) -> float:
        return float(np.mean((phi @ w - y) ** 2))

    best = lsq_linear(phi, y, (-limit, limit)).x
    assert np.any(np.abs(best) > limit - 1e-6)
    assert pooled(clear.points[-1][0]) < 1.002 * pooled(best)


BOUNDED = st.lists(st.floats(-100.0, 100.0), min_size=4, max_size=4)


@given(BOUNDED, st.lists(st.floats(-1e9, 1e9), min_size=4, max_size=4), st.floats(1e-6, 1e6))
def test_no_step_exceeds_the_largest_weight_by_a_single_bit(
    start: list[float], gradient: list[float], rate: float
) -> None:
    last = Visited(1, np.array(start), np.array(gradient), frozenset({"a"}), ORIGIN)
    step = GradientDescent(rate, 100.0).step([last])
    assert np.max(np.abs(step.weights)) <= 100.0
    told = last.weights + step.coefficients.apply(1, last.gradient, lambda vector: vector)
    assert told == pytest.approx(step.weights, rel=1e-12, abs=1e-9)


@pytest.mark.parametrize("limit", [1 / 128, 1 / 8, 1 / 2])
def test_a_step_is_shortened_to_the_largest_weight(limit: float) -> None:
    clear = Clear(memory(limit))
    losses = clear.run(4)
    for weights, coefficients in clear.points:
        assert np.max(np.abs(weights)) <= limit
        assert clear.rebuilt(coefficients) == pytest.approx(weights, abs=1e-5)
    assert losses[-1] < losses[0]


def test_the_same_weights_twice_make_no_curvature_pair() -> None:
    curvature = np.eye(3)
    cohort = frozenset({"a"})
    point = Visited(1, np.zeros(3), np.array([1.0, 2.0, 3.0]), cohort, ORIGIN)
    again = Visited(2, np.zeros(3), np.array([1.0, 2.0, 3.0]), cohort, ORIGIN)
    step = GradientMemory(ground(curvature, rows=30)).step([point, again])
    assert step.weights == pytest.approx(np.array([1.0, 2.0, 3.0]) / 1.1)  # trace / rows = 0.1
    ((key, (factor, parts)),) = step.coefficients.terms.items()
    assert (key, parts) == ((2, True), {})
    assert factor == pytest.approx(1.0)


def test_at_the_optimum_there_is_no_step() -> None:
    point = Visited(1, np.ones(3), np.zeros(3), frozenset({"a"}), ORIGIN)
    step = GradientMemory(ground(np.eye(3))).step([point, point])
    assert step.weights == pytest.approx(np.ones(3))


# --- contribution ---


def _shapley_by_subsets(worth: Callable[[tuple[int, ...]], float], players: int) -> list[float]:
    values = [0.0] * players
    for player in range(players):
        others = [p for p in range(players) if p != player]
        for size in range(players):
            weight = factorial(size) * factorial(players - size - 1) / factorial(players)
            for subset in combinations(others, size):
                values[player] += weight * (worth((*subset, player)) - worth(subset))
    return values


@pytest.mark.parametrize("limit", [WEIGHT_MAX, 1 / 8])
@pytest.mark.parametrize("new_round", [1, 2, 4, 5])
def test_scores_are_the_shapley_values_of_all_subsets(new_round: int, limit: float) -> None:
    mines = 6
    clear = Clear(memory(limit), mines=mines, present=lambda n: [i for i in range(mines) if n != 3 or i != 2])
    clear.run(5)
    # From an earlier best, not only from the point before: a worse round lies between.
    best_weights, best_c = clear.points[max(0, new_round - 2)]
    _, new_c = clear.points[new_round]
    rows = [len(r) for r in clear.rows]
    totals = {s + 1: sum(rows[i] for i in updates) for s, updates in enumerate(clear.updates)}

    step = np.zeros((mines, BIAS + 1))
    difference = new_c.plus(best_c, -1.0)
    for number, updates in enumerate(clear.updates, start=1):
        for i, update in updates.items():
            part = rows[i] / totals[number] * update
            step[i] += difference.apply(number, part, clear.optimiser.precondition)
    new_weights = best_weights + step.sum(axis=0)
    assert new_weights == pytest.approx(clear.points[new_round][0], abs=1e-3)

    def worth(subset: tuple[int, ...]) -> float:
        return clear.loss(best_weights) - clear.loss(best_weights + step[list(subset)].sum(axis=0))

    expected = _shapley_by_subsets(worth, mines)

    gradient = clear.loss_gradient((best_weights + new_weights) / 2)
    vectors = score_vectors(gradient, new_c, best_c, totals, clear.optimiser.precondition)
    scores = [
        sum(
            rows[i] * float(vectors[s] @ clear.updates[s - 1][i])
            for s in vectors
            if i in clear.updates[s - 1]
        )
        for i in range(mines)
    ]
    assert scores == pytest.approx(expected, rel=1e-9, abs=1e-7)
    assert sum(scores) == pytest.approx(worth(tuple(range(mines))), rel=1e-9)


ADDRESSES = [f"0x{i:040x}" for i in range(1, 30)]


@given(st.dictionaries(st.sampled_from(ADDRESSES), st.floats(-1e12, 1e12), max_size=29))
def test_shares_are_whole_and_follow_the_scores(scores: dict[str, float]) -> None:
    cohort = ADDRESSES
    shares = shares_of(scores, cohort)
    assert set(shares) == set(cohort)
    assert sum(shares.values()) == (10_000 if scores else 0)
    assert all(share == 0 for mine, share in shares.items() if mine not in scores)
    if any(score > 0 for score in scores.values()):
        assert all(shares[mine] == 0 for mine, score in scores.items() if score <= 0)
        ranked = sorted((m for m in scores if scores[m] > 0), key=lambda m: scores[m])
        assert all(shares[a] <= shares[b] + 1 for a, b in pairwise(ranked))


def test_equal_claims_leave_the_rest_to_the_lower_addresses() -> None:
    shares = shares_of(dict.fromkeys(ADDRESSES[:3], -1.0), ADDRESSES[:4])
    assert [shares[a] for a in ADDRESSES[:4]] == [3334, 3333, 3333, 0]


def test_shares_do_not_depend_on_the_order_of_the_scores() -> None:
    scores = dict(zip(ADDRESSES, [3.0, 1e-9, 5.5, 5.5, -2.0, 7.1], strict=False))
    backwards = dict(reversed(scores.items()))
    assert shares_of(scores, ADDRESSES) == shares_of(backwards, ADDRESSES)


def test_coefficients_of_a_missing_round_are_zero() -> None:
    assert not np.any(Coefficients({(1, True): (1.0, {})}).apply(2, np.ones(3), lambda vector: vector))
