"""The numbers of a bounty's noise, the room that it takes, and tests of answers that leave room for it."""

from __future__ import annotations

import math
import secrets
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from benchmarks.inspection import ATTACKS, PLAIN, caught, played, tables, verdicts
from benchmarks.masked import answers_of
from benchmarks.noise import Case, measure
from sonar.errors import ConfigError, ConsentError
from sonar.families.opened import Opened, Rounds
from sonar.families.quadratic.answer import LocalMap
from sonar.families.quadratic.comparison import reference_of
from sonar.families.quadratic.design import Design
from sonar.families.quadratic.inspection import inspect, rules_of
from sonar.families.quadratic.noisy.answers import AnswerNoise
from sonar.families.quadratic.noisy.choosing import NoiseWish, Width, counted_rows, noise_of, ridge_of
from sonar.families.quadratic.noisy.releasing import check_noise, released_map, row_sums
from sonar.families.quadratic.veiled.judging import tests_of as veiled_tests_of
from sonar.families.registry import family_of
from sonar.families.veiled import Sent
from sonar.privacy.accounting import rho_of
from sonar.privacy.terms import RowSums
from tests.family_kit import design_like

DELTA = 1e-5


def world(
    epsilon: float = 4.0, parts: int = 1, outputs: int = 1, rows: int = 0, **wishes: Any
) -> tuple[Design, RowSums]:
    """A design with noise, and the sums of a mine of so many rows, by default the fewest."""
    rng = np.random.default_rng(outputs)
    x = rng.normal(3.0, 2.0, size=(400, 4))
    y = x @ rng.normal(size=(4, outputs)) + rng.normal(size=(400, outputs))
    if wishes.get("loss") == "logistic-taylor":
        y = np.sign(y - np.median(y, axis=0))
    names = [f"y{i}" for i in range(outputs)]
    noise = NoiseWish(rho_of(epsilon, DELTA), parts)
    design = design_like(x[:60], y[:60], list("abcd"), names, noise=noise, **wishes)
    rows = rows or design.spec.rows_min
    return design, row_sums(design.spec, [np.column_stack([x, y])[60 : 60 + rows]])


def releases(design: Design, sums: RowSums, count: int) -> list[LocalMap]:
    """What so many mines with these sums release. Normal noise is as good as the sampler's here."""
    rng = np.random.default_rng(0)
    noise = design.spec.noise
    assert noise is not None
    deviations = np.sqrt([float(v / noise.parts) for v in sums.variances])
    drawn = np.rint(rng.normal(size=(count, len(deviations))) * deviations)
    return [
        released_map(
            design.spec, design.plan, [v + int(n) for v, n in zip(sums.values, each, strict=True)], sums.rows
        )
        for each in drawn.tolist()
    ]


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("epsilon", [0.01, 1.0, 8.0, 100.0])
def test_a_release_costs_what_was_asked_for_and_hardly_less(epsilon: float, parts: int) -> None:
    design, _ = world(epsilon, parts)
    price, asked = family_of(design.spec).price(design.spec), rho_of(epsilon, DELTA)
    assert price is not None
    assert price.parts == parts
    assert asked * Fraction(999_999, 1_000_000) < price.rho <= asked


def test_without_a_wish_there_is_none_and_nothing_else_changes() -> None:
    noisy, _ = world()
    rng = np.random.default_rng(1)
    x = rng.normal(3.0, 2.0, size=(400, 4))
    y = x @ rng.normal(size=(4, 1)) + rng.normal(size=(400, 1))
    plain = design_like(x[:60], y[:60], list("abcd"), ["y0"])
    assert plain.spec.noise is None
    assert noisy.spec.model_copy(update={"noise": None}) == plain.spec == noisy.without_noise().spec
    assert (plain.ground.curvature == plain.holdout.curvature).all()
    assert noisy.plan.update_bits > plain.plan.update_bits


def test_a_price_that_no_noise_fits_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"privacy\.epsilon: is so small"):
        noise_of(NoiseWish(Fraction(1, 10**40)), np.ones((20, 3)), np.ones((20, 1)), 10)


def test_rows_are_shortened_as_far_as_the_holdout_says_and_long_ones_leave_fraction_bits() -> None:
    phi, z = np.column_stack([np.full((20, 2), 3.0), np.ones(20)]), np.full((20, 1), 1.0)
    noise = noise_of(NoiseWish(Fraction(1)), phi, z, 10)
    length = math.hypot(3.0, 3.0, noise.target_unit / 2**noise.frac)
    assert noise.row_max / 2**noise.frac == pytest.approx(length, abs=1e-3)
    wide = noise_of(NoiseWish(Fraction(1)), 1e4 * phi, z, 10)
    assert wide.frac < noise.frac
    assert wide.row_max / 2**wide.frac == pytest.approx(3e4 * math.sqrt(2), rel=1e-3)


@pytest.mark.parametrize(
    ("outputs", "parts", "loss", "rows"),
    [(1, 1, "squared", 0), (3, 1, "squared", 0), (1, 3, "squared", 90), (2, 1, "logistic-taylor", 0)],
)
def test_the_noise_of_answers_is_what_releases_show(outputs: int, parts: int, loss: str, rows: int) -> None:
    """Along any direction, and in all; shared noise of many rows is that of the fewest."""
    design, sums = world(4.0, parts, outputs, rows, loss=loss)
    rng = np.random.default_rng(3)
    w = rng.normal(size=(outputs, design.spec.width))
    noise = AnswerNoise.of(design.spec, w)
    assert noise is not None
    answers = np.array([one.update(w.ravel()) for one in releases(design, sums, 1500)])
    answers -= answers.mean(axis=0)
    for direction in rng.normal(size=(4, w.size)):
        assert np.var(answers @ direction) == pytest.approx(noise.along(direction), rel=0.15)
    whiten = reference_of(design, design.start).whiten
    squares = np.sum((answers.reshape(-1, *w.shape) @ whiten) ** 2, axis=(1, 2))
    assert squares.mean() == pytest.approx(noise.whole(whiten), rel=0.1)


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("epsilon", [0.1, 1.0, 8.0])
def test_the_plan_has_room_for_noise_and_ridge(epsilon: float, parts: int) -> None:
    """The limits are more than 6.5 deviations away from what honest mines release: one in 10^10."""
    design, sums = world(epsilon, parts)
    maps = releases(design, sums, 300)
    for limit, values in (
        (design.plan.bounds.a_row_l1_max, np.array([abs(one.a_int).sum(axis=1) for one in maps], float)),
        (design.plan.bounds.b_max, np.array([one.b_int.ravel() for one in maps], float)),
    ):
        away = (limit - np.abs(values.mean(axis=0))) / values.std(axis=0)
        assert away.min() > 6.5


@pytest.mark.parametrize("field", ["a_row_l1_max", "b_max"])
def test_bounds_without_room_for_the_noise_are_refused_by_both_sides(field: str) -> None:
    design, _ = world(0.1)
    check_noise(design.spec, design.plan)
    bounds = replace(design.plan.bounds, **{field: 1 << design.plan.data_frac})
    with pytest.raises(ConsentError, match="leave no room for the noise"):
        check_noise(design.spec, replace(design.plan, bounds=bounds))
    check_noise(design.without_noise().spec, replace(design.plan, bounds=bounds))
    small: dict[str, Any] = {field: 1.0}
    with pytest.raises(ConfigError, match=f"{field}: leaves no room for the mines' noise"):
        world(0.1, **small)


def test_the_ground_is_the_curvature_of_a_mine_with_ridge() -> None:
    design, sums = world(8.0, rows=200)
    design = replace(design, plan=replace(design.plan, weight_rows=200))
    mean = np.mean([one.a_int for one in releases(design, sums, 400)], axis=0).astype(float)
    mean /= 2.0**design.plan.data_frac
    off = design.ground.curvature - mean
    assert np.abs(off).max() < 0.5 * np.abs(np.diag(mean)).max()
    ridge = ridge_of(design.spec, 200)
    assert ridge[-1] == 0.0
    assert ridge[0] == pytest.approx(design.spec.noise.ridge_q32 / 2**32 / 200 if design.spec.noise else 0)


def test_shared_noise_is_of_the_fewest_rows_whoever_adds_it() -> None:
    local, _ = world(4.0)
    shared, _ = world(4.0, 3)
    assert counted_rows(local.spec, 500) == 500
    assert counted_rows(shared.spec, 500) == shared.spec.rows_min
    assert local.spec.noise is not None
    assert shared.spec.noise is not None
    one, part = Width.of(local.spec.noise), Width.of(shared.spec.noise)
    assert part.plain == pytest.approx(one.plain / math.sqrt(3))


@pytest.mark.parametrize(
    "case",
    [Case(1.0, 1, 40, 40), Case(4.0, 3, 40, 4420), Case(8.0, 1, 40, 4420), Case(8.0, 3, 40, 40)],
    ids=lambda case: case.name,
)
def test_no_honest_mine_that_adds_noise_is_left_out(case: Case) -> None:
    """Of six kinds of data, opened and by functionals; nor taken for another's twin."""
    for way, counts in measure(case, 0).items():
        assert counts["answers"] == 378, way
        assert set(counts) == {"answers"}, (way, counts)


@pytest.mark.parametrize(
    ("name", "rounds"), [("x3", 0), ("x-1", 0), ("x10", 0), ("random", 0), ("constant", 0)]
)
def test_identities_still_find_what_comes_from_no_map(name: str, rounds: int) -> None:
    _, x, y, mines = next(tables(0))
    wish = replace(PLAIN, noise=NoiseWish(rho_of(4.0, DELTA)))
    honest = played(x, y, mines, wish)
    assert set(verdicts(honest, honest.opened).values()) == {None}
    assert caught(honest, ATTACKS[name], 2, 1, np.random.default_rng(0)) == 0


def test_noise_that_is_drawn_anew_in_a_later_round_is_found() -> None:
    """Else it could be averaged away. The same rows, another release."""
    design, sums = world(4.0)
    first, again = releases(design, sums, 2)
    family, rules = family_of(design.spec), rules_of(design.spec, design.plan, 2, secrets.randbits)
    rng, rounds = np.random.default_rng(0), []
    for number in range(4):
        w = design.rounded(rng.normal(size=design.spec.weights)) if number else design.start
        one = again if number == 3 else first
        sent = tuple(one.answer(w, design.plan.weight_frac))
        rounds.append(Opened(w, {"0": sent, "1": tuple(first.answer(w, design.plan.weight_frac))}))
    *before, now = rounds
    found = inspect(rules, Rounds(before), now, lambda _: True, family.reference(design, now.weights))
    assert found["1"] is None
    assert found["0"] in ("bias-unit", "symmetry")


def test_behind_capsules_curvature_is_not_asked_about() -> None:
    _, x, y, mines = next(tables(0))
    for noise, asked in ((None, True), (NoiseWish(rho_of(4.0, DELTA)), False)):
        honest = played(x, y, mines, replace(PLAIN, noise=noise))
        plan = answers_of(honest.design.plan, 0).plan
        rounds = [Sent(n, one.weights, frozenset(one.updates)) for n, one in enumerate(honest.opened[:2], 1)]
        tests = veiled_tests_of(
            replace(honest.rules, plan=plan), plan, rounds, honest.references[1], {}, secrets.randbits
        )
        assert bool(tests.curved) == asked
        assert tests.alone


def test_noise_widens_the_yardsticks_of_where_answers_lie() -> None:
    design, _ = world(1.0)
    w = design.rounded(np.full(design.spec.weights, 0.3))
    with_noise = reference_of(design, w)
    assert with_noise.noise is not None
    assert with_noise.noise.whole(with_noise.whiten) > 0
    assert reference_of(design.without_noise(), w).noise is None
