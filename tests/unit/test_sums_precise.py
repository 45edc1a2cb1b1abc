"""Sums of more digits than a word has: the words add up to the sum, and nothing is lost on the way."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonar.data.schema import Rows
from sonar.families.sums.guards import Guards
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.base import BaseTerm
from sonar.families.sums.terms.cells import Cells
from sonar.families.sums.terms.histogram import Histogram
from sonar.families.sums.terms.logs import Logs
from sonar.families.sums.terms.moments import Moments
from sonar.families.sums.terms.powers import Powers
from sonar.families.sums.terms.precise import joined, power_sums, product_sums, split, word_bounds
from sonar.families.sums.totals import batch_sums, from_integers, plan_of, to_integers, totals
from tests.statistics_kit import Matrix, categories, numeric

UNIT = st.floats(-1, 1, allow_nan=False, width=64)


@given(value=st.fractions(-1000, 1000), words=st.integers(1, 5))
def test_words_add_up_and_stay_within_their_bounds(value: Fraction, words: int) -> None:
    found = np.array(split(value, words))
    assert abs(joined(found) - value) <= Fraction(1, 1 << (20 * (words - 1) + 40))
    assert (np.abs(found[1:]) <= word_bounds(words)[1:]).all()


@given(st.lists(UNIT, min_size=1, max_size=40), st.integers(0, 40))
def test_products_are_exact_to_the_last_digits_of_deviations(values: list[float], shift: int) -> None:
    v = np.column_stack([np.ones(len(values)), 0.75 + np.ldexp(np.array(values), -2 - shift)])
    words = product_sums(v)
    exact = [Fraction(float(x)) for x in v[:, 1]]
    n, mean = len(exact), sum(exact, Fraction(0)) / len(exact)
    sums = [joined(words[:, place]) for place in range(3)]
    assert sums[0] == n
    variance = sum(((x - mean) ** 2 for x in exact), Fraction(0))
    found = sums[2] - sums[1] ** 2 / n
    spread = max(abs(x - mean) for x in exact)
    assert abs(found - variance) <= Fraction(1, 1 << 40) * spread**2 * n + Fraction(n, 1 << 68)


@given(st.lists(UNIT, min_size=1, max_size=30))
def test_powers_are_exact(values: list[float]) -> None:
    words = np.array(power_sums(np.array(values), 4)).reshape(4, 4)
    for power, found in enumerate(words, start=1):
        exact = sum(Fraction(value) ** power for value in values)
        assert abs(joined(found) - exact) <= Fraction(len(values), 1 << 50)


def test_first_words_come_through_a_plan_unrounded() -> None:
    terms = (Moments(name="m", columns=("x", "y"), by="g", weight="w"), Powers(name="p", column="x", order=4))
    columns = (numeric("x", 0, 1e6), numeric("y", -3, 8), categories("g", "a", "b"), numeric("w", 0, 7))
    spec = SumsSpec(columns=columns, terms=terms, rows_min=10, rows_max=(1 << 32) - 1)
    plan = plan_of(spec, 3072, 255)
    rng = np.random.default_rng(5)
    batch = np.column_stack(
        [rng.normal(9e5, 1, 99), rng.normal(0, 1, 99), rng.integers(0, 2, 99), rng.uniform(0, 9, 99)]
    )
    sent = totals(spec, [batch], np.zeros(0))
    opened = from_integers(spec, plan, to_integers(spec, plan, sent))
    assert (opened["m"][0] == sent["m"][0]).all()
    assert (opened["p"].reshape(-1)[[1, 2, 3]] == sent["p"].reshape(-1)[[1, 2, 3]]).all()


def table(n: int = 60) -> Matrix:
    rng = np.random.default_rng(2)
    return np.column_stack(
        [rng.uniform(1, 9, n), rng.uniform(-3, 12, n), np.arange(n) % 3, rng.uniform(0.5, 7, n)]
    )


COLUMNS = (
    numeric("x", 0.5, 10, missing=True),
    numeric("y", -5, 10),
    categories("g", "a", "b", "c"),
    numeric("w", 0.25, 7),
)
TERMS: tuple[BaseTerm, ...] = (
    Cells(name="t", by=("g",)),
    Cells(name="t", columns=("x", "y")),
    Histogram(name="t", column="x", bins=7),
    Histogram(name="t", column="y", bins=5, by="g"),
    Logs(name="t", column="w", columns=("x",)),
    Moments(name="t", columns=("x", "y", "g"), weight="w"),
    Powers(name="t", column="x", order=2, by="g"),
    Powers(name="t", column="y", order=4),
)


@pytest.mark.parametrize("term", TERMS, ids=lambda term: f"{term.kind}-{term.words()[:40]}")
def test_a_row_stays_within_its_bounds_and_no_sum_is_faulty(term: BaseTerm) -> None:
    spec = SumsSpec.model_validate({"columns": COLUMNS, "terms": (term,), "rows_min": 10, "rows_max": 1000})
    values = table()
    values[4, 0] = np.nan
    for row in values:
        found = batch_sums(spec, Rows(spec.columns, row[None, :]), np.zeros(0))
        assert (np.abs(found) <= spec.bounds * (1 + 1e-12)).all()
    whole = totals(spec, [values], np.zeros(0))["t"]
    parts = [totals(spec, [part], np.zeros(0))["t"] for part in np.array_split(values, 4)]
    off = np.full(whole.shape, 1e-9)
    assert term.fault(spec.by_name, whole, len(values), off) is None
    assert sum(part.sum() for part in parts) == pytest.approx(whole.sum())
    if term.kind != "logs":
        assert term.fault(spec.by_name, -whole - 1, len(values), off) is not None
        assert term.fault(spec.by_name, whole + 100, len(values), off) is not None


def test_one_missing_cell_of_a_column_by_itself_is_no_reason_to_refuse() -> None:
    terms = (Powers(name="p", column="x", order=4), Powers(name="q", column="y", order=4))
    spec = SumsSpec(columns=COLUMNS, terms=terms, rows_min=10, rows_max=1000)
    values = table()
    values[4, 0] = np.nan
    guards = Guards(spec)
    guards.see(Rows(spec.columns, values))
    guards.check()
