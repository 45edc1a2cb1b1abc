"""Sums that noise is added to: exact, of clipped rows, and what is made of them afterwards."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonar.errors import BoundsError, ConsentError, DataError, ManifestError
from sonar.families.quadratic.answer import LocalMap
from sonar.families.quadratic.design import Design
from sonar.families.quadratic.maps.polynomial import PolynomialWish
from sonar.families.quadratic.noise import LONGEST, QuadraticNoise
from sonar.families.quadratic.noisy.releasing import fine_enough, released_map, row_sums, sums_id
from sonar.families.quadratic.noisy.shortening import check_lengths, grid_rows
from sonar.families.quadratic.spec import QuadraticSpec
from sonar.families.registry import family_of
from tests.family_kit import Array, design_like, map_of

FRAC = 12
ONE = 1 << FRAC
NUMBERS = ("row_max", "constant", "target_unit", "deviation")
WIDE = {"frac": FRAC, "row_max": 1 << 20, "constant": ONE, "target_unit": ONE, "deviation": 1 << 30}


def world(outputs: int = 1, **wishes: Any) -> tuple[Design, Array]:
    """A design without noise, and a mine's table."""
    rng = np.random.default_rng(outputs)
    x = rng.normal(3.0, 2.0, size=(300, 3))
    y = x @ rng.normal(size=(3, outputs)) + rng.normal(size=(300, outputs))
    if wishes.get("loss") == "logistic-taylor":
        y = np.sign(y - np.median(y, axis=0))
    names = [f"y{i}" for i in range(outputs)]
    design = design_like(x[:100], y[:100], list("abc"), names, **wishes)
    return design, np.column_stack([x[100:], y[100:]])


def noisy(spec: QuadraticSpec, **fields: Any) -> QuadraticSpec:
    return QuadraticSpec.parse(spec.model_dump() | {"noise": WIDE | fields})


def as_numbers(one: LocalMap) -> tuple[Array, Array]:
    scale = 2.0**one.data_frac
    return one.a_int.astype(float) / scale, one.b_int.astype(float) / scale


@pytest.mark.parametrize("loss", ["squared", "logistic-taylor"])
@pytest.mark.parametrize("outputs", [1, 3])
def test_without_noise_and_with_wide_bounds_it_is_what_a_mine_prepares(outputs: int, loss: str) -> None:
    design, table = world(outputs, loss=loss)
    spec = noisy(design.spec, frac=16, row_max=1 << 22, constant=1 << 15, target_unit=3 << 15)
    found = row_sums(spec, [table])
    assert (found.rows, found.clipped) == (len(table), 0)
    released = released_map(spec, design.plan, found.values, found.rows)
    plain = map_of(design.spec, table[:, :3], table[:, 3:], design.plan.data_frac)
    for got, wanted in zip(as_numbers(released), as_numbers(plain), strict=True):
        np.testing.assert_allclose(got, wanted, atol=2**-12)
    assert (released.a_int == released.a_int.T).all()
    assert released.a_int[-1, -1] == plain.a_int[-1, -1]


def test_sums_are_the_products_of_whole_rows() -> None:
    design, table = world(2)
    spec = noisy(design.spec, row_max=3 * ONE)
    found = row_sums(spec, [table])
    x, y = table[:, :3], table[:, 3:]
    z = np.column_stack([(c - t.centre) / t.scale for t, c in zip(spec.targets, y.T, strict=True)])
    assert spec.noise is not None
    v, clipped = grid_rows(spec.noise, spec.transform(x), z)
    rows = [[int(one) for one in row] for row in v]
    named = [(i, j) for i in range(6) for j in range(i, 6) if not (3 <= i <= j < 5 or i == j == 5)]
    assert found.values == [sum(row[i] * row[j] for row in rows) for i, j in named]
    deviation = spec.noise.deviation
    assert found.variances == [Fraction(deviation**2, 1 if i == j else 2) for i, j in named]
    assert found.clipped == clipped
    assert 0 < clipped < len(table)


def test_the_price_bounds_what_any_other_row_changes() -> None:
    """Of the sums that are released, each in parts of its noise's deviation."""
    design, table = world()
    spec = noisy(design.spec, row_max=2 * ONE, constant=ONE)
    rng, worst = np.random.default_rng(5), Fraction(0)
    for far in (1.0, 10.0, 1e6):
        first, second = (table[:20].copy() for _ in range(2))
        first[0] = far * rng.normal(size=4)
        second[0] = -first[0] if far > 1 else far * rng.normal(size=4)
        a, b = row_sums(spec, [first]), row_sums(spec, [second])
        moved = zip(a.values, b.values, a.variances, strict=True)
        worst = max(worst, sum((Fraction((x - y) ** 2) / (2 * v) for x, y, v in moved), Fraction(0)))
    price = family_of(spec).price(spec)
    assert price is not None
    assert 0.05 * price.rho < worst <= price.rho


@given(st.lists(st.integers(1, 60), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_batches_and_the_order_of_rows_change_nothing(lengths: list[int], random: Any) -> None:
    design, table = world()
    spec = noisy(design.spec, row_max=ONE)
    order = list(range(len(table)))
    random.shuffle(order)
    cuts = np.minimum(np.cumsum([0, *lengths, len(table)]), len(table))
    batches = [table[order[a:b]] for a, b in pairwise(cuts) if a < b]
    assert row_sums(spec, batches) == row_sums(spec, [table])


def test_sums_beyond_what_a_float_or_a_word_holds_are_exact() -> None:
    noise = QuadraticNoise.parse(WIDE | {"frac": 20, "row_max": LONGEST, "constant": LONGEST})
    design, table = world()
    spec = QuadraticSpec.parse(design.spec.model_dump() | {"noise": noise.model_dump(), "stages": ()})
    rng = np.random.default_rng(0)
    table = table[rng.integers(0, len(table), 40_000)]
    table[:, 0] = 1e9 * rng.choice([-1.0, 1.0], size=len(table))
    table[:, 1:] = table[:, 1:].mean(axis=0)
    phi, z = spec.transform(table[:, :3]), (table[:, 3:] - spec.targets[0].centre) / spec.targets[0].scale
    v, clipped = grid_rows(noise, phi, z)
    assert clipped == len(v)
    exact = v.astype(object).T @ v.astype(object)
    found = row_sums(spec, [table])
    assert found.values[0] == exact[0, 0] > 1 << 63
    assert found.values[4] == exact[0, 4]


@given(
    st.lists(st.lists(st.floats(-1e300, 1e300), min_size=4, max_size=4), min_size=1, max_size=8),
    st.sampled_from([ONE, 3 * ONE, LONGEST]),
)
def test_no_row_is_longer_than_its_bound(rows: list[list[float]], row_max: int) -> None:
    noise = QuadraticNoise.parse(WIDE | {"row_max": row_max})
    table = np.array(rows)
    phi = np.column_stack([table[:, :3], np.ones(len(table))])
    v, clipped = grid_rows(noise, phi, table[:, 3:])
    for row, whole in zip(rows, v.tolist(), strict=True):
        assert sum(x * x for x in whole[:-1]) <= row_max**2
        assert whole[-1] == noise.constant
        assert all(abs(x) <= abs(value) * ONE for x, value in zip(whole, row, strict=False))
        assert all(x * value >= 0 for x, value in zip(whole, row, strict=False))
    lengths = [sum(Fraction(value) ** 2 for value in row) * ONE**2 for row in rows]
    surely = sum(length > row_max**2 * Fraction(1001, 1000) for length in lengths)
    perhaps = sum(length > row_max**2 * Fraction(999, 1000) for length in lengths)
    assert surely <= clipped <= perhaps


def test_a_row_that_is_too_long_is_refused_in_whole_numbers() -> None:
    noise = QuadraticNoise.parse(WIDE | {"row_max": 5000})
    check_lengths(noise, np.array([[3000, 4000], [0, -5000]]))
    with pytest.raises(ConsentError, match="longer on this machine"):
        check_lengths(noise, np.array([[3000, 4001]]))
    with pytest.raises(ConsentError, match="longer on this machine"):
        check_lengths(noise, np.array([[1 << 62, 1 << 62]]))  # their squares wrap around to 0


def test_what_no_cast_can_hold_is_too_long() -> None:
    noise = QuadraticNoise.parse(WIDE | {"row_max": 5000})
    for value in (-(1 << 63), (1 << 63) - 1):
        with pytest.raises(ConsentError, match="longer on this machine"):
            check_lengths(noise, np.array([[value, 0]]))


@pytest.mark.parametrize("loss", ["squared", "logistic-taylor"])
def test_no_row_decides_whether_a_mine_joins(loss: str) -> None:
    """What is infinite, overflows in the map, or is no label counts as zeros; all others count as before."""
    design, table = world(loss=loss, feature_map=PolynomialWish(degree=2))
    spec = noisy(design.spec).model_copy(update={"stages": design.spec.stages[1:2]})  # without clips
    assert not np.isfinite(spec.unsafe_transform(np.full((1, 3), 1e200))).all()
    bad = table[:4].copy()
    bad[0, 0], bad[1, 1], bad[2, :3] = np.inf, np.nan, 1e200
    bad[3, 3] = np.nan if loss == "squared" else 0.5
    found, without = row_sums(spec, [np.vstack([bad, table])]), row_sums(spec, [table])
    assert found.rows == without.rows + 4
    assert found.clipped == without.clipped + 4
    assert found.values == without.values


def test_shared_noise_must_be_wide_beside_the_last_places() -> None:
    design, table = world()
    fine = noisy(design.spec, parts=3)
    assert fine_enough(fine, design.plan)
    few = noisy(design.spec, parts=255, deviation=1 << 10).model_copy(update={"rows_min": 10**6})
    assert not fine_enough(few, design.plan)
    assert fine_enough(noisy(design.spec, deviation=1 << 10), design.plan)  # of one mine it does not matter
    found = row_sums(fine, [table])
    with pytest.raises(ConsentError, match="noise: a part of 255 is too small"):
        released_map(few, design.plan, found.values, 10**6)


def test_the_ridge_stands_on_the_diagonal_but_for_the_bias() -> None:
    design, table = world()
    spec, other = noisy(design.spec), noisy(design.spec, ridge_q32=50 << 32)
    found = row_sums(spec, [table])
    plain, ridged = (released_map(one, design.plan, found.values, found.rows) for one in (spec, other))
    added = as_numbers(ridged)[0] - as_numbers(plain)[0]
    np.testing.assert_allclose(added, np.diag([0.25, 0.25, 0.25, 0.0]), atol=2**-23)
    assert (ridged.b_int == plain.b_int).all()


def test_what_the_plan_has_no_room_for_is_refused() -> None:
    design, table = world()
    spec = noisy(design.spec)
    found = row_sums(spec, [table])
    wide = [value + (1 << 40) for value in found.values]
    with pytest.raises(BoundsError, match="a_row_l1_max"):
        released_map(spec, design.plan, wide, found.rows)
    with pytest.raises(DataError, match="are 3 numbers; the bounty's are 13"):
        released_map(spec, design.plan, found.values[:3], found.rows)
    with pytest.raises(ConsentError, match="rows"):
        released_map(spec, design.plan, found.values, 3)


def test_the_id_is_of_what_changes_the_sums() -> None:
    design, table = world()
    spec = noisy(design.spec)
    same = [noisy(design.spec, ridge_q32=5), spec.model_copy(update={"rows_min": 77})]
    assert {sums_id(one) for one in same} == {sums_id(spec)}
    assert row_sums(same[0], [table]).values == row_sums(spec, [table]).values
    others = [
        *(
            noisy(design.spec, **{name: 1 << 14})
            for name in ("row_max", "constant", "target_unit", "deviation")
        ),
        noisy(design.spec, parts=3),
        noisy(design.spec, frac=11),
        spec.model_copy(update={"features": ("a", "b", "d")}),
        spec.model_copy(update={"stages": ()}),
        spec.model_copy(update={"loss": "logistic-taylor"}),
        spec.model_copy(update={"targets": (spec.targets[0].model_copy(update={"scale_q32": 7}),)}),
    ]
    assert len({sums_id(one) for one in [spec, *others]}) == len(others) + 1


def test_shared_noise_of_many_rows_weighs_as_much_in_a_mean_as_that_of_the_fewest() -> None:
    design, table = world()
    rows_min = design.spec.rows_min
    alone, three = noisy(design.spec), noisy(design.spec, parts=3)
    few, many = (row_sums(three, [table[:rows]]) for rows in (rows_min, 10 * rows_min))
    assert few.variances == row_sums(alone, [table]).variances
    assert [v / 100 for v in many.variances] == few.variances
    more = three.model_copy(update={"rows_min": rows_min + 1})
    assert sums_id(more) != sums_id(three)


def test_sums_without_noise_are_made_by_the_other_way_alone() -> None:
    design, table = world()
    spec = noisy(design.spec)
    family = family_of(spec)
    with pytest.raises(ConsentError, match="with noise alone"):
        family.prepare(spec, design.plan, [table])
    with pytest.raises(ConsentError, match="declares none"):
        family.sums(design.spec, [table])
    with pytest.raises(ConsentError, match="declares none"):
        family.released(design.spec, design.plan, [], 200)
    with pytest.raises(ConsentError, match="rows: the data set has 9"):
        family.sums(spec, [table[:9]])
    with pytest.raises(DataError, match="takes 4 columns"):
        family.sums(spec, [table[:, :3]])


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("row_max", LONGEST + 1, "noise.row_max: is 16,777,217; from 16 to 16,777,216"),
        ("constant", 15, "noise.constant: is 15; from 16 to"),
        ("target_unit", 15, "noise.target_unit: is 15; from 16 to"),
        ("deviation", 1023, "at least 1,024"),
        ("parts", 0, "parts"),
        ("frac", 21, "frac"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(field: str, value: int, words: str) -> None:
    with pytest.raises(ManifestError, match=words):
        QuadraticNoise.parse(WIDE | {field: value})


def test_noise_takes_one_local_step() -> None:
    design, _ = world(local_steps=4)
    with pytest.raises(ManifestError, match="local_steps: is 4, and 1 with noise"):
        noisy(design.spec)
