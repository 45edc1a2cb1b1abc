"""Scores of rows at a scientist's own weights: what she could read of single rows, and what a mine tells."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from sonar.data.fixed import to_q32
from sonar.data.schema import CategoryColumn, Column
from sonar.errors import ConsentError
from sonar.families.sums.family import Sums
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.steps.folding import folded_bins
from sonar.families.sums.totals import Totals, from_integers, parameters_to_integers, plan_of
from tests.statistics_kit import categories, numeric

Floats = NDArray[np.float64]
RNG = np.random.default_rng(7)
N = 200
AGE = np.round(RNG.uniform(20, 90, N), 3)
LAB = np.round(RNG.normal(100, 15, N), 1)
HIV, SEX = (RNG.random(N) < 0.2) * 1.0, RNG.integers(0, 2, N) * 1.0
ROWS = np.column_stack([AGE, LAB, HIV, SEX])
COLUMNS: tuple[Column, ...] = (
    numeric("age", 18, 95),
    numeric("lab", 20, 180),
    categories("hiv", "no", "yes"),
    categories("sex", "f", "m"),
)
DIGITS = tuple(1 / (1 + np.exp(-one)) for one in np.linspace(-4, 4, 1025)[1:-1].tolist())


def term(task: str, target: str, columns: tuple[str, ...], edges: Any, **more: Any) -> dict[str, Any]:
    found = {"kind": "scores", "name": "s", "task": task, "target": target, "columns": columns}
    return found | {"edges_q32": tuple(map(to_q32, edges))} | more


def spec_of(*terms: dict[str, Any], parameters: int) -> SumsSpec:
    fields = {"columns": COLUMNS, "terms": terms, "parameters": parameters}
    return SumsSpec.model_validate(fields | {"rows_min": 10, "rows_max": 1 << 20})


def asked(spec: SumsSpec, weights: Any, rows: Floats = ROWS) -> Totals:
    family, plan = Sums(), plan_of(spec, 3072, 10)
    family.check_asked(spec, 1)
    family.check_rows(spec, len(rows))
    kept = family.prepare(spec, plan, [rows])
    question = parameters_to_integers(np.asarray(weights, dtype=np.float64))
    return from_integers(spec, plan, family.values(plan, kept, question))


def steep(at: float, slope: float = 1e6) -> list[float]:
    """Weights by which all rows but those near an age are cut."""
    return [-slope * (at - 56.5) / 38.5, slope]


def records() -> Floats:
    """Weights by which a score holds a whole row as digits."""
    unit = 8 / (77000 * 1600 * 4)
    age, lab = unit * 1600 * 38500, unit * 800
    return np.array([age + lab - 4, age, unit * 2 * 77000 * 1600, unit * 77000 * 1600, lab])


@pytest.mark.parametrize("by", [None, "hiv"])
def test_no_bin_of_a_probability_has_one_row_nor_one_of_a_target(by: str | None) -> None:
    columns = ("age", "hiv", "sex", "lab") if by is None else ("age", "sex", "lab")
    weights = records() if by is None else np.delete(records(), 2)
    found = asked(
        spec_of(
            term("logistic", "sex", columns, DIGITS[:: 2 if by is None else 4], by=by),
            parameters=len(weights),
        ),
        weights,
    )
    for line in found["s"]:
        zeros, ones, *sums = line[8:].reshape(4, -1)
        for counts, values in zip((zeros, ones), sums, strict=True):
            assert set(counts[(counts > 0) & (counts < 5)]) == set()
            assert (values[counts == 0] == 0).all()
        assert zeros.sum() + ones.sum() == line[0]


def test_no_bin_of_a_class_has_one_row() -> None:
    weights = np.array([records(), -records()])[:, [0, 1, 2, 4]].ravel()
    found = asked(
        spec_of(term("classes", "sex", ("age", "hiv", "lab"), DIGITS[::4]), parameters=8), weights / 2
    )
    counts = found["s"][0, 3 + 4 :]
    assert counts.sum() == 2 * N
    assert not ((counts > 0) & (counts < 5)).any()


def test_a_sum_of_probabilities_has_no_digits_of_a_row() -> None:
    spec = spec_of(term("logistic", "sex", ("age", "hiv", "sex", "lab"), (0.5,)), parameters=5)
    one, other = (
        asked(spec, records() + np.array([shift, 0, 0, 0, 0]))["s"][0, 12:] for shift in (0.0, 1e-7)
    )
    np.testing.assert_array_equal(one, other)


@given(st.lists(st.integers(0, 7), min_size=1, max_size=40))
def test_runs_of_bins_hold_none_or_five_and_lose_nothing(counts: list[int]) -> None:
    bins = np.array([counts, np.array(counts) * 2.5])
    found = folded_bins(bins)
    np.testing.assert_allclose(found.sum(axis=1), bins.sum(axis=1))
    np.testing.assert_allclose(found[1], found[0] * 2.5)
    if sum(counts) >= 5:
        assert not ((found[0] > 0) & (found[0] < 5)).any()
    wide = np.array([[c + 5 for c in counts]], dtype=np.float64)
    np.testing.assert_array_equal(folded_bins(wide), wide)


def test_two_terms_of_scores_cannot_differ_by_a_row() -> None:
    terms = [term("regression", "lab", ("age",), (edge,)) for edge in (0.1, 0.2)]
    with pytest.raises(ValidationError, match=r"terms.1.kind: a question has one of 'scores' at most"):
        spec_of(terms[0], terms[1] | {"name": "u"}, parameters=2)


def test_scores_are_answered_in_one_round() -> None:
    spec = spec_of(term("regression", "lab", ("age",), (0.0,)), parameters=2)
    Sums().check_asked(spec, 1)
    with pytest.raises(
        ConsentError, match=r"terms.rounds: is 2, and a question with `scores` is answered once"
    ):
        Sums().check_asked(spec, 2)


@pytest.mark.parametrize("task", ["regression", "logistic"])
def test_weights_that_cut_all_rows_but_one_are_not_answered(task: str) -> None:
    target = "lab" if task == "regression" else "sex"
    spec = spec_of(term(task, target, ("age",), (0.0,)), parameters=2)
    ages = np.sort(AGE)
    with pytest.raises(ConsentError, match="leave fewer than 5 rows"):
        asked(spec, steep(float(ages[100])))
    rows = ROWS.copy()
    rows[:, 0] = 50 + AGE / 10
    rows[3, 0] = 94
    with pytest.raises(ConsentError, match="leave fewer than 5 rows"):  # one row alone is cut
        asked(spec, [0.0, 40.0 if task == "logistic" else 5.5], rows)


def test_weights_that_fit_all_rows_but_one_are_not_answered() -> None:
    rows = np.column_stack([AGE, AGE + 10, HIV, SEX])
    rows[5, 1] = 150
    spec = spec_of(term("regression", "lab", ("age",), (0.0,)), parameters=2)
    weights = [(56.5 + 10 - 100) / 80, 38.5 / 80]
    with pytest.raises(ConsentError, match="leave fewer than 5 rows"):
        asked(spec, weights, rows)


def test_a_target_is_not_rare_within_a_group() -> None:
    rows = ROWS.copy()
    rows[:, 3] = 0
    rows[:30, 3] = 1
    rows[:30, 2] = [1] * 29 + [0]  # one m among those without hiv
    rows[30:, 2] = np.arange(170) % 2
    spec = spec_of(term("logistic", "sex", ("age",), (0.5,), by="hiv"), parameters=2)
    with pytest.raises(ConsentError, match="leave fewer than 5 rows"):
        asked(spec, [0.1, 0.2], rows)


def test_tables_of_a_column_by_several_are_not_joined() -> None:
    bins = {"kind": "histogram", "column": "age", "bins": 150}
    terms = [bins | {"name": by, "by": by} for by in ("hiv", "sex")]
    with pytest.raises(ValidationError, match=r"terms.1.by: 'age' is told by 'hiv' already"):
        spec_of(*terms, parameters=0)
    spec_of(terms[0], terms[0] | {"name": "more", "bins": 10}, bins | {"name": "all"}, parameters=0)


def test_an_honest_model_is_answered() -> None:
    assert isinstance(COLUMNS[3], CategoryColumn)
    spec = spec_of(term("logistic", "sex", ("age", "lab"), DIGITS[::8], by="hiv"), parameters=3)
    assert asked(spec, [0.1, 0.4, -0.3])["s"][:, 0].sum() == N
