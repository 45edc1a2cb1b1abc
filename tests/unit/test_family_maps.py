"""Feature maps that a scientist wishes for: what they compute, and campaigns through them in the clear."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.kernel_approximation import RBFSampler
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from sonar.data import examples
from sonar.errors import SonarError
from sonar.families.opened import Opened, Rounds
from sonar.families.quadratic.answer import LocalMap
from sonar.families.quadratic.course import held_weights
from sonar.families.quadratic.design import Design
from sonar.families.quadratic.inspection import inspect, rules_of
from sonar.families.quadratic.maps.base import BaseWish
from sonar.families.quadratic.maps.fourier import FourierWish
from sonar.families.quadratic.maps.polynomial import PolynomialWish
from sonar.families.quadratic.maps.standard import StandardWish
from sonar.families.quadratic.optimisers.base import ORIGIN, Visited
from sonar.families.quadratic.optimisers.gradient_memory import GradientMemory
from sonar.families.registry import family_of
from sonar.paillier.affine import check_bounds
from tests.family_kit import Array, design_like, losses_of, map_of, opened_sum, weight_of

TABLE = examples.load("diabetes")
POLYNOMIAL = PolynomialWish()
FOURIER = FourierWish(n_components=12)


def design_for(x: Array, y: Array, wish: BaseWish, **fields: Any) -> Design:
    names = [f"c{i}" for i in range(x.shape[1])]
    return design_like(x, y, names, ["y"], feature_map=wish, **fields)


def fixed(x: Array) -> Any:
    """Within the fixed point of published constants."""
    return pytest.approx(x, abs=1e-6, rel=1e-6)


@given(
    columns=st.integers(1, 5),
    degree=st.sampled_from([2, 3]),
    rows=st.integers(10, 30),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_polynomial_is_scikit_learns_between_two_scalers(
    columns: int, degree: int, rows: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(rng.normal(0, 100, columns), rng.uniform(0.01, 100, columns), (rows, columns))
    wish = PolynomialWish(degree=degree, clip=1000.0)
    spec = design_for(x, rng.normal(5, 1, rows), wish).spec
    expand = PolynomialFeatures(degree, include_bias=False)
    products = expand.fit_transform(StandardScaler().fit_transform(x))
    phi = spec.transform(x)
    assert phi[:, :-1] == fixed(StandardScaler().fit_transform(products))
    assert spec.weight_names == (*expand.get_feature_names_out(list(spec.features)), "(bias)")
    assert spec.weights == spec.width == phi.shape[1]
    assert (phi[:, -1] == 1).all()


@pytest.mark.parametrize(
    ("given_", "sampler"),
    [
        ({}, {"gamma": "scale", "random_state": 0}),
        ({"gamma": 0.3, "random_state": 7}, {"gamma": 0.3, "random_state": 7}),
    ],
)
def test_fourier_features_are_scikit_learns_rbf_sampler(
    given_: dict[str, Any], sampler: dict[str, Any]
) -> None:
    x, y = np.random.default_rng(0).normal(3, 5, (40, 4)), np.arange(40.0)
    spec = design_for(x, y, FourierWish(n_components=12, **given_)).spec
    cosines = RBFSampler(n_components=12, **sampler).fit_transform(StandardScaler().fit_transform(x))
    assert spec.transform(x)[:, :-1] == fixed(StandardScaler().fit_transform(cosines))
    assert spec.weight_names == (*(f"fourier {i}" for i in range(1, 13)), "(bias)")


@pytest.mark.parametrize(
    ("columns", "wish", "field", "told"),
    [
        (3, FourierWish(), "n_components", "is missing"),
        (44, POLYNOMIAL, "degree", "2 makes 1035 weights of 44 columns; a model has at most 1000"),
        (20, PolynomialWish(degree=3), "degree", "3 makes 1771 weights of 20 columns"),
        (3, FourierWish(n_components=1000), "n_components", "1000 makes 1001 weights with the bias"),
        (60, FourierWish(n_components=999), "n_components", "59940 published numbers; at most 58254"),
        (1000, StandardWish(), "features", "1000 columns and a bias"),
    ],
)
def test_a_map_that_cannot_be_is_told_by_its_field(
    columns: int, wish: BaseWish, field: str, told: str
) -> None:
    x = np.random.default_rng(0).normal(size=(30, columns))
    with pytest.raises(SonarError) as caught:
        design_for(x, 5 + x[:, 0], wish)
    assert str(caught.value).startswith(f"{field}: ")
    assert told in str(caught.value)
    assert caught.value.hint


def test_a_square_that_says_nothing_is_left_alone() -> None:
    """Of a column of two values, in half of the rows each, it is the same in all rows, up to rounding."""
    rng = np.random.default_rng(0)
    x = np.column_stack([np.tile([1.2, 3.7], 50), rng.normal(size=100)])
    design = design_for(x[:40], 9 + x[:40, 1], POLYNOMIAL)
    assert np.abs(design.spec.transform(x)[:, design.spec.weight_names.index("c0^2")]).max() < 1e-6
    assert design.weight_max == pytest.approx(design_for(x[:40], 9 + x[:40, 1], StandardWish()).weight_max)
    own = map_of(design.spec, x[40:], 9 + x[40:, 1], design.plan.data_frac)
    check_bounds(design.plan, own.a_int, own.b_int)


def test_a_weight_at_its_bound_is_named_by_its_product() -> None:
    x, y = TABLE.matrix(examples.DIABETES_FEATURES)[:42], TABLE.column("target")[:42]
    design = design_like(x, y, examples.DIABETES_FEATURES, ["target"], feature_map=POLYNOMIAL)
    most = design.plan.bounds.weight_max
    weights = [0] * design.plan.weights
    weights[10], weights[-1] = most, -most
    assert held_weights(weights, design) == ["age^2", "(bias)"]


def shards(design: Design, x: Array, y: Array, parts: Sequence[NDArray[np.intp]]) -> list[LocalMap]:
    """Each mine's map; raises BoundsError if it breaks what the bounty declares."""
    maps = [map_of(design.spec, x[rows], y[rows], design.plan.data_frac) for rows in parts]
    for own in maps:
        check_bounds(design.plan, own.a_int, own.b_int)
    return maps


def fixed_point_run(design: Design, maps: list[LocalMap], rounds: int) -> tuple[list[int], list[str]]:
    """The losses that encrypted rounds have, and every test that an honest mine failed."""
    family, optimiser = family_of(design.spec), GradientMemory(design.ground)
    course, rules = family.start(design), rules_of(design.spec, design.plan, 2, secrets.randbits)
    history: list[Opened] = []
    failed: list[str] = []
    for number in range(1, rounds + 1):
        w = course.current.weights_int
        opened = {str(i): tuple(one.answer(w, design.plan.weight_frac)) for i, one in enumerate(maps)}
        verdicts = inspect(rules, Rounds(history), Opened(w, opened), lambda _mine: True)
        history.append(Opened(w, opened))
        failed += filter(None, verdicts.values())
        rows = sum(weight_of(one, design) for one in maps)
        course = course.seen(number, opened_sum(maps, course, design), rows, ["all"], design.plan)
        course = course.moved(family.step(design, optimiser, course))
    return losses_of(course), failed


def float_run(design: Design, x: Array, y: Array, rounds: int) -> list[int]:
    """The same with no rounding to fixed point."""
    phi, target = design.spec.transform(x), design.spec.targets[0]
    z = np.clip((y - target.centre) / target.scale, -target.clip, target.clip)
    optimiser = GradientMemory(design.ground)
    weights, coefficients, visited = np.zeros(design.plan.weights), ORIGIN, []
    losses = [design.holdout.loss(weights)]
    for number in range(1, rounds + 1):
        gradient = phi.T @ (z - phi @ weights) / len(z)
        visited.append(Visited(number, weights, gradient, frozenset("all"), coefficients))
        step = optimiser.step(visited)
        weights, coefficients = step.weights, step.coefficients
        losses.append(design.holdout.loss(weights))
    return losses


def correlated(seed: int, rows: int) -> tuple[Array, Array]:
    """Five columns, of which two are almost copies, and a target that is no line in them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 5))
    x[:, 3] = x[:, 0] + 0.1 * rng.normal(size=rows)
    x[:, 4] = x[:, 1] + 0.02 * rng.normal(size=rows)
    y = 3 + x[:, 0] * x[:, 1] + x[:, 2] ** 2 + 0.5 * x[:, 3] + 0.3 * rng.normal(size=rows)
    return x, 1000 * y


@pytest.mark.parametrize(
    "wish", [StandardWish(), POLYNOMIAL, PolynomialWish(degree=3), FourierWish(n_components=69)]
)
def test_encrypted_rounds_lose_no_six_digits(wish: BaseWish) -> None:
    for seed in range(4):
        x, y = correlated(seed, 1200)
        design = design_for(x[:200], y[:200], wish)
        maps = shards(design, x, y, np.array_split(np.arange(200, 1200), 5))
        losses, _ = fixed_point_run(design, maps, 7)
        assert losses == pytest.approx(float_run(design, x[200:], y[200:], 7), rel=1e-6, abs=1.5)


@pytest.mark.parametrize(
    ("wish", "columns", "mines"),
    [
        (POLYNOMIAL, ["bmi", "bp", "s5"], 10),
        (POLYNOMIAL, ["sex", "bmi", "bp", "s5"], 8),
        (PolynomialWish(degree=3), ["bmi", "bp", "s5"], 6),
        (FOURIER, [name for name in TABLE.columns if name != "target"], 10),
    ],
)
def test_no_honest_mine_is_left_out(wish: BaseWish, columns: list[str], mines: int) -> None:
    x, y = TABLE.matrix(columns), TABLE.column("target")
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(len(y))
        design = design_for(x[order[:42]], y[order[:42]], wish)
        parts = np.array_split(order[42:], mines)
        assert all(len(rows) >= design.spec.least_rows for rows in parts)
        maps = shards(design, x, y, parts)
        losses, failed = fixed_point_run(design, maps, 7)
        assert failed == []
        whole = map_of(design.spec, x[order[42:]], y[order[42:]], 40)
        a, b = whole.a_int.astype(float), whole.b_int.astype(float)[:, 0]
        pooled = np.linalg.lstsq(a, b, rcond=None)[0]
        assert min(losses) < 1.1 * design.holdout.loss(pooled)


def test_local_steps_on_products_do_not_diverge() -> None:
    """Of heavy tails: a mine's curvature is three times the holdout's now and then."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        x = rng.standard_t(4, size=(570, 4))
        design = design_for(x[:70], 5 + x[:70, 0], POLYNOMIAL, local_steps=3)
        shards(design, x, np.clip(5 + x[:, 0], -30, 30), np.array_split(np.arange(70, 570), 5))


def test_a_mine_with_rows_of_one_kind_keeps_the_bounds() -> None:
    """Its products lie where they are large: the tenth with the largest values of a column."""
    x, y = TABLE.matrix(["bmi", "bp", "s5"]), TABLE.column("target")
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(len(y))
        design = design_for(x[order[:42]], y[order[:42]], POLYNOMIAL)
        rest = order[42:]
        shards(design, x, y, np.array_split(rest[np.argsort(x[rest, 0])], 10))
