"""Laws of what compares answers: who lies far off, and whose answers are the same data's."""

from __future__ import annotations

import secrets

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sonar.families.opened import Opened, Rounds
from sonar.families.quadratic import comparison
from sonar.families.quadratic.comparison import Reference, reference_of
from sonar.families.quadratic.design import Design, Wish, design_of
from sonar.families.quadratic.inspection import inspect, rules_of, same
from tests.family_kit import map_of

Array = NDArray[np.float64]
MINES, HELD, ROWS, FEATURES = 6, 60, 60, 4


def world(seed: int, noise: float = 0.7) -> tuple[Design, list[tuple[Array, Array]]]:
    """A job, and each mine's rows of one linear truth."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(HELD + MINES * ROWS, FEATURES))
    y = x @ np.array([1.0, -0.7, 0.5, 0.3]) + noise * rng.normal(size=len(x))
    names = [f"x{i}" for i in range(FEATURES)]
    wish = Wish(key_bits=2048, rows_min=ROWS)
    design = design_of(wish, x[:HELD], y[:HELD, None], names, ["y"], np.random.RandomState)
    parts = np.split(np.arange(HELD, len(x)), MINES)
    return design, [(x[rows], y[rows]) for rows in parts]


def answers(
    design: Design, rows: list[tuple[Array, Array]], w: tuple[int, ...]
) -> dict[str, tuple[int, ...]]:
    return {
        f"m{i}": tuple(map_of(design.spec, x, y, design.plan.data_frac).answer(w, design.plan.weight_frac))
        for i, (x, y) in enumerate(rows)
    }


def trained(design: Design, rows: list[tuple[Array, Array]]) -> tuple[int, ...]:
    """The weights of least squares on all rows."""
    maps = [map_of(design.spec, x, y, design.plan.data_frac) for x, y in rows]
    a, b = sum(m.a_int.astype(float) for m in maps), sum(m.b_int.astype(float) for m in maps)
    return design.rounded(np.linalg.solve(a, b).ravel())


def told(design: Design, sent: dict[str, tuple[int, ...]], w: tuple[int, ...]) -> dict[str, str]:
    rules = rules_of(design.spec, design.plan, 2, secrets.randbits)
    found = inspect(rules, Rounds([]), Opened(w, sent), lambda _: True, reference_of(design, w))
    return {mine: test for mine, test in found.items() if test}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_honest_mines_pass_at_the_start_and_at_the_optimum(seed: int) -> None:
    design, rows = world(seed)
    for w in (design.start, trained(design, rows)):
        assert told(design, answers(design, rows, w), w) == {}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(-6, 8).filter(lambda factor: factor != 1))
def test_a_multiple_of_a_first_answer_fails_by_itself(seed: int, factor: int) -> None:
    """The null model's biases are not quite zero; nobody else's answer is needed to see it. A multiple of a
    large answer is out of range before that.
    """
    design, rows = world(seed)
    sent = answers(design, rows, design.start)
    sent["m0"] = tuple(factor * value for value in sent["m0"])
    assert told(design, sent, design.start) in ({"m0": "bias-unit"}, {"m0": "range"})


def test_targets_of_the_other_sign_are_seen_later_and_mostly_at_the_start() -> None:
    seen = 0
    for seed in range(20):
        design, rows = world(seed, noise=0.3)
        false = [(rows[0][0], -rows[0][1]), *rows[1:]]
        first, w = design.start, trained(design, rows)
        found = set(told(design, answers(design, false, first), first))
        assert found <= {"m0"}
        assert set(told(design, answers(design, false, w), w)) == {"m0"}
        seen += len(found)
    assert seen >= 8


def test_shuffled_targets_are_seen_along_the_model() -> None:
    missed = 0
    for seed in range(20):
        design, rows = world(seed, noise=0.3)
        shuffled = np.random.default_rng(seed).permutation(rows[0][1])
        w = trained(design, rows)
        found = told(design, answers(design, [(rows[0][0], shuffled), *rows[1:]], w), w)
        assert set(found) <= {"m0"}
        missed += not found
    assert missed == 0


@pytest.mark.parametrize("factor", [-1, 7])
def test_two_mines_with_false_targets_do_not_hide_each_other(factor: int) -> None:
    for seed in range(10):
        design, rows = world(seed, noise=0.3)
        w = trained(design, rows)
        false = [(x, factor * y) for x, y in rows[:2]]
        for honest in (rows[2:], rows[2:5]):
            assert set(told(design, answers(design, [*false, *honest], w), w)) == {"m0", "m1"}


def test_targets_that_are_only_too_large_fail_along_the_model_alone() -> None:
    """What is lost among many directions, one direction shows."""
    design, rows = world(3, noise=0.1)
    w = trained(design, rows)
    reference = reference_of(design, w)
    sent = {mine: np.array(u) / 2.0**design.plan.scale_bits for mine, u in answers(design, rows, w).items()}
    scale = float(reference.along.ravel() @ reference.along.ravel())
    for part, found in ((0.1, set()), (5.0, {"m0"})):
        off = part * reference.curvature * reference.along.ravel() / scale
        assert comparison.against(reference, sent | {"m0": sent["m0"] + off}) == found


@pytest.mark.parametrize("mines", [0, 1])
def test_one_mine_is_compared_with_nobody(mines: int) -> None:
    design, _ = world(1)
    reference = reference_of(design, design.start)
    sent = {"m0": np.full(FEATURES + 1, 1e6)} if mines else {}
    assert comparison.unlike(reference, sent) == comparison.against(reference, sent) == set()
    assert comparison.close(reference, sent, {"m0": ROWS}) == []


def test_rows_of_no_spread_say_nothing() -> None:
    reference = Reference(np.zeros((10, 1, 3)), np.eye(3), np.zeros((1, 3)), 0.0, 10)
    sent = {mine: np.zeros(3) for mine in "abc"}
    assert comparison.unlike(reference, sent) == comparison.against(reference, sent) == set()
    assert comparison.close(reference, sent, dict.fromkeys("abc", 10)) == []


# ---- twins


def twins(design: Design, rows: list[tuple[Array, Array]], w: tuple[int, ...]) -> dict[str, str]:
    rules = rules_of(design.spec, design.plan, 2, secrets.randbits)
    sent = answers(design, rows, w)
    counts = {f"m{i}": len(y) for i, (_, y) in enumerate(rows)}
    return same(rules, Opened(w, sent), counts, reference_of(design, w))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_honest_mines_are_nobodys_twins(seed: int) -> None:
    design, rows = world(seed)
    for w in (design.start, trained(design, rows)):
        assert twins(design, rows, w) == {}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4), st.sampled_from(["same", "order", "jitter"]))
def test_the_same_rows_are_twins_in_every_order_and_with_a_little_noise(
    seed: int, more: int, how: str
) -> None:
    design, rows = world(seed)
    rng = np.random.default_rng(seed)
    x, y = rows[0]
    changed = {
        "same": (x, y),
        "order": (x[::-1], y[::-1]),
        "jitter": (x + 0.005 * rng.normal(size=x.shape), y),
    }[how]
    several = [*rows, *[changed] * more]
    expected = {f"m{i}": "m0" for i in (0, *range(MINES, MINES + more))}
    for w in (design.start, trained(design, rows)):
        assert twins(design, several, w) == expected


def test_who_says_that_it_has_few_rows_is_not_everybodys_twin() -> None:
    """Counted as one with the others, it would leave them one mine's weight: its own."""
    rng = np.random.default_rng(5)
    design, _ = world(5)
    reference = reference_of(design, design.start)
    own = reference.answers.reshape(len(reference.answers), -1)
    spread = np.linalg.cholesky(np.cov(own.T) + 1e-9 * np.eye(own.shape[1]))
    honest, rows = {}, {}
    for i in range(5):
        rows[f"m{i}"] = 50_000
        noise = spread @ rng.normal(size=own.shape[1]) / np.sqrt(rows[f"m{i}"])
        honest[f"m{i}"] = own.mean(axis=0) + noise
    for said in (1, ROWS, 50_000):
        assert comparison.close(reference, honest, rows | {"m4": said}) == []


def test_without_a_holdout_twins_are_what_is_equal() -> None:
    design, rows = world(1)
    rules = rules_of(design.spec, design.plan, 2, secrets.randbits)
    sent = answers(design, [*rows, rows[2]], design.start)
    counts = dict.fromkeys(sent, ROWS)
    assert same(rules, Opened(design.start, sent), counts) == {"m2": "m2", "m6": "m2"}
    sent["m6"] = (*sent["m6"][:-1], sent["m6"][-1] + 1)
    assert same(rules, Opened(design.start, sent), counts) == {}
