"""Feature maps that a bounty names: what is posted, who can take part, and what it is called."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pysonar.bounty.holdout import Array
from pysonar.campaign.aggregate import Course, Point, held_weights, next_point, optimiser_of, start_of
from sonar.families.quadratic.inspection import Opened, Rules, inspect
from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sonar.families.quadratic.step import ORIGIN, GradientMemory, Visited

from pysonar.bounty.bounty import Bounty
from pysonar.campaign.model import LinearModel
from pysonar.campaign.posting import prepare
from pysonar.campaign.shelf import Shelf
from pysonar.keys.key import Key
from sonar.data import examples
from sonar.errors import DataError, SonarError
from sonar.families.quadratic.answer import LocalMap, local_map
from sonar.families.quadratic.maps import in_words, names_of, transform
from sonar.manifests.model import ModelManifest
from sonar.paillier.affine import check_bounds
from sonar.paillier.vector import encode_weights

TABLE = examples.load("diabetes")
POLYNOMIAL: dict[str, Any] = {"feature_map": "polynomial"}
FOURIER: dict[str, Any] = {"feature_map": "fourier", "n_components": 12}


def bounty_of(x: Array, y: Array, **settings: Any) -> Bounty:
    names = [f"c{i}" for i in range(x.shape[1])]
    return Bounty.of(x, y, target="y", features=names, **({"name": "t", "min_mines": 2} | settings))


def told(bounty: Bounty) -> str:
    """What `explain` says, whatever the width of its lines."""
    return " ".join(bounty.explain().split())


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
    bounty = bounty_of(x, rng.normal(5, 1, rows), **POLYNOMIAL, degree=degree, clip=1000.0)
    spec = bounty.design.spec
    expand = PolynomialFeatures(degree, include_bias=False)
    products = expand.fit_transform(StandardScaler().fit_transform(x))
    phi = transform(spec, x)
    assert phi[:, :-1] == fixed(StandardScaler().fit_transform(products))
    assert names_of(spec) == (*expand.get_feature_names_out(list(spec.features)), "(bias)")
    assert (spec.weights, bounty.design.bias) == (phi.shape[1], phi.shape[1] - 1)
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
    spec = bounty_of(x, y, **FOURIER, **given_).design.spec
    cosines = RBFSampler(n_components=12, **sampler).fit_transform(StandardScaler().fit_transform(x))
    assert transform(spec, x)[:, :-1] == fixed(StandardScaler().fit_transform(cosines))
    assert names_of(spec) == (*(f"fourier {i}" for i in range(1, 13)), "(bias)")


@pytest.mark.parametrize("settings", [{}, POLYNOMIAL, FOURIER])
def test_what_is_explained_is_posted_and_gone_on_with(tmp_path: Path, settings: dict[str, Any]) -> None:
    fields = "".join(f"{name} = {value!r}\n" for name, value in settings.items())
    (tmp_path / "bounty.toml").write_text(f'name = "d"\n{fields}[holdout]\nexample = "diabetes"\n')
    explained = Bounty.from_toml(tmp_path / "bounty.toml")
    assert in_words(explained.design.spec) in told(explained)
    posted = Bounty.example("diabetes", name="d", **settings)
    key = Key.generate(1024, insecure=True)
    manifest = ModelManifest.from_bytes(prepare(posted, key).model_manifest)
    shelf = Shelf(tmp_path)
    shelf.keep(posted)
    taken = shelf.take("d")
    assert explained == posted == taken
    assert explained.design.spec == manifest.family == taken.design.spec
    assert manifest.plan == taken.design.plan_spec
    model = LinearModel(manifest.family, np.arange(float(manifest.family.weights)), 1.0)
    model.save(tmp_path / "model.json")
    x = TABLE.matrix(posted.features)
    assert (LinearModel.load(tmp_path / "model.json").predict(x) == model.predict(x)).all()


def test_a_bounty_tells_what_its_map_asks_for_and_tells() -> None:
    text = told(Bounty.example("diabetes", **POLYNOMIAL))
    assert "standardised to ±8, then products of up to 2, then standardised to ±8: 66 weights" in text
    assert "198 to 65535 rows" in text
    assert "up to 2 columns of 0 and 1, five rows of each combination" in text
    assert "products of up to 4 columns; of columns of 0 and 1 these count the rows that have 4" in text
    assert "deviations of your holdout's columns and of their products" in text
    text = told(Bounty.example("diabetes", feature_map="fourier", n_components=100))
    assert "100 random cosines" in text
    assert "478 to 65535 rows" in text  # more than three per weight
    assert "drawn at random and published" in text
    assert "products" not in Bounty.example("diabetes").explain()


@pytest.mark.parametrize(
    ("columns", "settings", "field", "told"),
    [
        (3, {"degree": 2}, "degree", "has no effect but with feature_map = 'polynomial'"),
        (3, FOURIER | {"degree": 2}, "degree", "has no effect"),
        (3, {"gamma": 1.0}, "gamma", "has no effect but with feature_map = 'fourier'"),
        (3, POLYNOMIAL | {"n_components": 5}, "n_components", "has no effect"),
        (3, POLYNOMIAL | {"random_state": 0}, "random_state", "has no effect"),
        (3, {"feature_map": "fourier"}, "n_components", "is missing"),
        (44, POLYNOMIAL, "degree", "2 makes 1035 weights of 44 columns; a model has at most 1000"),
        (20, POLYNOMIAL | {"degree": 3}, "degree", "3 makes 1771 weights of 20 columns"),
        (3, FOURIER | {"n_components": 1000}, "n_components", "1000 makes 1001 weights with the bias"),
        (60, FOURIER | {"n_components": 999}, "n_components", "59940 published numbers; at most 58254"),
        (3, POLYNOMIAL | {"degree": 4}, "degree", "less than or equal to 3 (got 4)"),
        (3, FOURIER | {"gamma": 0.0}, "gamma", "greater than or equal to"),
        (3, {"feature_map": "cubic"}, "feature_map", "'standard', 'polynomial' or 'fourier'"),
        (43, POLYNOMIAL | {"commit_window_s": 40}, "commit_window_s", "too short for updates that take"),
    ],
)
def test_a_map_that_cannot_be_is_told_by_its_field(
    columns: int, settings: dict[str, Any], field: str, told: str
) -> None:
    x = np.random.default_rng(0).normal(size=(30, columns))
    with pytest.raises(SonarError) as caught:
        bounty_of(x, 5 + x[:, 0], **settings)
    assert str(caught.value).startswith(f"{field}: ")
    assert told in str(caught.value)
    assert caught.value.hint


def test_the_largest_maps_fit_into_a_manifest() -> None:
    rng = np.random.default_rng(0)
    windows = {"commit_window_s": 600}
    for columns, settings in ((58, FOURIER | {"n_components": 999}), (43, POLYNOMIAL)):
        names = [chr(0x20000 + i) * 64 for i in range(columns)]
        x = rng.normal(size=(30, columns))
        bounty = Bounty.of(x, 5 + x[:, 0], target="y", features=names, name="w", **settings, **windows)
        manifest = prepare(bounty, Key.generate(1024, insecure=True)).model_manifest
        assert ModelManifest.from_bytes(manifest).spec == bounty.design.spec


def test_a_square_that_says_nothing_is_left_alone() -> None:
    """Of a column of two values, in half of the rows each, it is the same in all rows, up to rounding."""
    rng = np.random.default_rng(0)
    x = np.column_stack([np.tile([1.2, 3.7], 50), rng.normal(size=100)])
    bounty = bounty_of(x[:40], 9 + x[:40, 1], **POLYNOMIAL)
    design = bounty.design
    assert np.abs(transform(design.spec, x)[:, names_of(design.spec).index("c0^2")]).max() < 1e-6
    assert design.weight_max == bounty_of(x[:40], 9 + x[:40, 1]).design.weight_max
    own = local_map(design.spec, x[40:], 9 + x[40:, 1], data_frac=design.plan.data_frac)
    check_bounds(design.plan, own.a_int.tolist(), own.b_int.tolist())


def test_a_weight_at_its_bound_is_named_by_its_product() -> None:
    design = Bounty.example("diabetes", **POLYNOMIAL).design
    most = design.plan.bounds.weight_max
    weights = [0] * design.plan.weights
    weights[10], weights[-1] = most, -most
    assert held_weights(weights, design) == ["age^2", "(bias)"]


def test_coefficients_of_products_are_scikit_learns() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(5, 2, (60, 3))
    y = 7 + x[:, 0] * x[:, 1] + rng.normal(size=60)
    design = bounty_of(x, y, **POLYNOMIAL, clip=1000.0).design
    best = np.linalg.lstsq(design.holdout.phi, y, rcond=None)[0]
    point = Point(tuple(encode_weights(best, design.plan)), ORIGIN, 0)
    own = LinearModel.of(design, Course((*start_of(design).points, point))).coefficients
    scaled = StandardScaler().fit_transform(x)
    fit = LinearRegression().fit(PolynomialFeatures(2, include_bias=False).fit_transform(scaled), y)
    assert [*own.values()] == pytest.approx([*fit.coef_, fit.intercept_], abs=1e-4)
    assert list(own)[3:5] == ["c0^2", "c0 c1"]


def test_coefficients_with_one_name_are_not_mixed_up() -> None:
    x = np.random.default_rng(0).normal(size=(30, 3))
    bounty = Bounty.of(x, 5 + x[:, 0], target="y", features=["a", "b", "a b"], name="t", **POLYNOMIAL)
    model = LinearModel(bounty.design.spec, np.zeros(10), 1.0)
    with pytest.raises(DataError, match="one name"):
        _ = model.coefficients


# ---- campaigns in the clear


def shards(bounty: Bounty, x: Array, y: Array, parts: list[Array]) -> list[LocalMap]:
    """Each mine's map; raises BoundsError if it breaks what the bounty declares."""
    design = bounty.design
    maps = [local_map(design.spec, x[rows], y[rows], data_frac=design.plan.data_frac) for rows in parts]
    for own in maps:
        check_bounds(design.plan, own.a_int.tolist(), own.b_int.tolist())
    return maps


def fixed_point_run(bounty: Bounty, maps: list[LocalMap], rounds: int) -> tuple[list[int], list[str]]:
    """The losses that encrypted rounds have, and every test that an honest mine failed."""
    design, plan = bounty.design, bounty.design.plan
    optimiser, course = optimiser_of("gradient-memory", None, design), start_of(design)
    rules = Rules(plan, True, design.bias, 1 << plan.data_frac, 2, secrets.randbits)
    history: list[Opened] = []
    failed: list[str] = []
    for number in range(1, rounds + 1):
        w = np.array(course.current.weights_int, dtype=object)
        updates = [m.b_int * 2**plan.weight_frac - m.a_int @ w for m in maps]
        opened = {str(i): tuple(map(int, update)) for i, update in enumerate(updates)}
        history.append(Opened(course.current.weights_int, opened))
        failed += filter(None, inspect(rules, history, lambda _mine: True).values())
        sums = sum(m.rows * update for m, update in zip(maps, updates, strict=True))
        course = course.seen(number, list(sums), sum(m.rows for m in maps), ["all"], plan)
        course = course.moved(next_point(course, optimiser, design))
    return [point.loss for point in course.points], failed


def float_run(bounty: Bounty, x: Array, y: Array, rounds: int) -> list[int]:
    """The same with no rounding to fixed point."""
    design, holdout = bounty.design, bounty.design.holdout
    phi = transform(design.spec, x)
    optimiser = GradientMemory(holdout.curvature, design.bias, design.weight_max)
    weights, coefficients, visited = np.zeros(design.plan.weights), ORIGIN, []
    losses = [holdout.loss_milli(weights)]
    for number in range(1, rounds + 1):
        gradient = phi.T @ (y - phi @ weights) / len(y)
        visited.append(Visited(number, weights, gradient, frozenset("all"), coefficients))
        step = optimiser.step(visited)
        weights, coefficients = step.weights, step.coefficients
        losses.append(holdout.loss_milli(weights))
    return losses


def correlated(seed: int, rows: int) -> tuple[Array, Array]:
    """Five columns, of which two are almost copies, and a target that is no line in them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 5))
    x[:, 3] = x[:, 0] + 0.1 * rng.normal(size=rows)
    x[:, 4] = x[:, 1] + 0.02 * rng.normal(size=rows)
    y = 3 + x[:, 0] * x[:, 1] + x[:, 2] ** 2 + 0.5 * x[:, 3] + 0.3 * rng.normal(size=rows)
    return x, 1000 * y


@pytest.mark.parametrize("settings", [POLYNOMIAL, POLYNOMIAL | {"degree": 3}, FOURIER | {"n_components": 69}])
def test_encrypted_rounds_lose_no_six_digits(settings: dict[str, Any]) -> None:
    for seed in range(4):
        x, y = correlated(seed, 1200)
        bounty = bounty_of(x[:200], y[:200], **settings)
        maps = shards(bounty, x, y, np.array_split(np.arange(200, 1200), 5))
        losses, _ = fixed_point_run(bounty, maps, 7)
        assert losses == pytest.approx(float_run(bounty, x[200:], y[200:], 7), rel=1e-6)


@pytest.mark.parametrize(
    ("settings", "columns", "mines"),
    [
        (POLYNOMIAL, ["bmi", "bp", "s5"], 10),
        (POLYNOMIAL, ["sex", "bmi", "bp", "s5"], 8),
        (POLYNOMIAL | {"degree": 3}, ["bmi", "bp", "s5"], 6),
        (FOURIER, [name for name in TABLE.columns if name != "target"], 10),
    ],
)
def test_no_honest_mine_is_left_out(settings: dict[str, Any], columns: list[str], mines: int) -> None:
    x, y = TABLE.matrix(columns), TABLE.column("target")
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(len(y))
        bounty = bounty_of(x[order[:42]], y[order[:42]], **settings)
        parts = np.array_split(order[42:], mines)
        assert all(len(rows) >= bounty.design.spec.least_rows for rows in parts)
        maps = shards(bounty, x, y, parts)
        losses, failed = fixed_point_run(bounty, maps, 7)
        assert failed == []
        pooled = np.linalg.lstsq(transform(bounty.design.spec, x[order[42:]]), y[order[42:]], rcond=None)[0]
        assert min(losses) < 1.1 * bounty.design.holdout.loss_milli(pooled)


def test_local_steps_on_products_do_not_diverge() -> None:
    """Of heavy tails: a mine's curvature is three times the holdout's now and then."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        x = rng.standard_t(4, size=(570, 4))
        bounty = bounty_of(x[:70], 5 + x[:70, 0], **POLYNOMIAL, local_steps=3)
        shards(bounty, x, np.clip(5 + x[:, 0], -30, 30), np.array_split(np.arange(70, 570), 5))


def test_a_mine_with_rows_of_one_kind_keeps_the_bounds() -> None:
    """Its products lie where they are large: the tenth with the largest values of a column."""
    x, y = TABLE.matrix(["bmi", "bp", "s5"]), TABLE.column("target")
    for seed in range(20):
        order = np.random.default_rng(seed).permutation(len(y))
        bounty = bounty_of(x[order[:42]], y[order[:42]], **POLYNOMIAL)
        rest = order[42:]
        shards(bounty, x, y, np.array_split(rest[np.argsort(x[rest, 0])], 10))
