"""Questions of sums whose answers would be single rows: a mine refuses each (`families/sums/guards.py`).

Each is a whole question of a scientist with software of her own; the other mines add what she knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sonar.data.schema import Column
from sonar.errors import ConsentError
from sonar.families.sums.family import Sums
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.totals import parameters_to_integers, plan_of
from tests.sums_kit import category, number, spec_of

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
ROWS = 200
Q = 1 << 32
_RNG = np.random.default_rng(7)
AGE = np.round(_RNG.uniform(20, 90, ROWS), 3)
LAB = np.round(_RNG.normal(100, 15, ROWS), 1)
HIV = (_RNG.random(ROWS) < 0.2) * 1.0
SEX = _RNG.integers(0, 2, ROWS) * 1.0
INCOME = np.round(_RNG.lognormal(10, 0.5, ROWS), 0)
COLUMNS: list[Column] = [
    number("age", 18, 95),
    number("lab", 20, 180),
    category("hiv", ("no", "yes")),
    category("sex", "fm"),
    number("income", 0, 200_000),
]
TABLE = np.column_stack([AGE, LAB, HIV, SEX, INCOME])
NAMES = ("age", "lab", "hiv", "sex", "income")


def answers(spec: SumsSpec, table: Matrix, rounds: Sequence[Vector] = ()) -> None:
    """Ask a mine, as it is asked in a bounty: it joins, and answers every round."""
    plan = plan_of(spec, 3072, 10)
    Sums().check_asked(spec, max(len(rounds), 1))
    kept = Sums().prepare(spec, plan, [table])
    for at in rounds or [np.zeros(0)]:
        Sums().values(plan, kept, parameters_to_integers(at))


def refusal(spec: SumsSpec, table: Matrix, rounds: Sequence[Vector] = ()) -> str:
    with pytest.raises(ConsentError) as refused:
        answers(spec, table, rounds)
    return str(refused.value)


def moments(**more: Any) -> dict[str, Any]:
    return {"kind": "moments", "columns": NAMES} | more


COSTS = np.zeros(ROWS)
COSTS[[3, 50, 77, 99, 123]] = [120, 300, 80, 45, 4_000_000]
WITH_COST: list[Column] = [number("cost", 0, 4e6), *COLUMNS]


class TestHeavy:
    """One of five rows with a cost has nearly all of it."""

    def test_a_column_that_one_row_has_nearly_alone(self) -> None:
        spec = spec_of(WITH_COST, moments(columns=("cost", *NAMES)))
        told = refusal(spec, np.column_stack([COSTS, TABLE]))
        assert "term 't0': a few rows hold nearly all of column 'cost'" in told

    @pytest.mark.parametrize("turned", [False, True])
    def test_from_either_bound(self, turned: bool) -> None:
        """The usual value is the one bound; the other is reached by no row."""
        columns: list[Column] = [number("cost", -4e6, 4e6), *COLUMNS]
        spec = spec_of(columns, moments(columns=("cost", *NAMES)))
        assert "'cost'" in refusal(spec, np.column_stack([COSTS * (-1 if turned else 1), TABLE]))

    def test_a_weight_that_one_row_has_nearly_alone(self) -> None:
        spec = spec_of(WITH_COST, moments(weight="cost"))
        assert "'cost'" in refusal(spec, np.column_stack([COSTS, TABLE]))

    def test_powers_and_a_first_step_too(self) -> None:
        table = np.column_stack([COSTS, TABLE])
        powers = spec_of(WITH_COST, {"kind": "powers", "column": "cost", "order": 2})
        assert "'cost'" in refusal(powers, table)
        step = {"kind": "glm-step", "family": "binomial", "target": "sex", "columns": ("age", "lab")}
        limits = {"mu_low_q32": 1, "mu_high_q32": Q, "weights": "cost"}
        assert "'cost'" in refusal(spec_of(WITH_COST, step | limits, parameters=7), table)

    def test_a_skewed_cost_of_many_rows_is_answered(self) -> None:
        costs = np.random.default_rng(5).lognormal(8, 1.0, ROWS)
        spec = spec_of((number("cost", 0, 4e6), *COLUMNS), moments(columns=("cost", *NAMES), weight="cost"))
        answers(spec, np.column_stack([costs, TABLE]))


class TestRareApart:
    def test_a_column_that_differs_in_one_row_of_a_group(self) -> None:
        group, days = np.arange(ROWS) % 2 * 1.0, np.zeros(ROWS)
        days[:18:2] = [1, 2, 3, 4, 5, 6, 7, 8, 6]
        columns: list[Column] = [category("g", "ab"), number("days", 0, 30), *COLUMNS]
        spec = spec_of(columns, moments(columns=("days", *NAMES), by="g"))
        answers(spec, np.column_stack([group, days, TABLE]))
        days[41] = 6
        told = refusal(spec, np.column_stack([group, days, TABLE]))
        assert "column 'days'" in told
        assert "within a level of 'g'" in told

    def test_a_column_or_level_of_one_row_that_weighs_something(self) -> None:
        weight, days = np.ones(ROWS), np.zeros(ROWS)
        days[:10], weight[:9] = 6, 0
        columns: list[Column] = [number("w", 0, 1), number("days", 0, 30), category("late", "ny"), *COLUMNS]
        table = np.column_stack([weight, days, days > 0, TABLE])
        for name in ("days", "late"):
            spec = spec_of(columns, moments(columns=(name, *NAMES), weight="w"))
            told = refusal(spec, table)
            assert f"column {name!r}" in told
            assert "where 'w' is above 0" in told
        answers(spec_of(columns, moments(weight="w")), table)


class TestMissing:
    def test_four_terms_over_rows_that_miss_two_columns(self) -> None:
        p, q = (np.random.default_rng(seed).normal(size=ROWS) for seed in (1, 2))
        columns: list[Column] = [number("p", -4, 4, missing=True), number("q", -4, 4, missing=True), *COLUMNS]
        more = ((), ("p",), ("q",), ("p", "q"))
        spec = spec_of(columns, *(moments(columns=(*NAMES, *names)) for names in more))
        p[:10], q[5:15] = np.nan, np.nan
        answers(spec, np.column_stack([p, q, TABLE]))
        q[5:9], q[15:19] = 1, np.nan
        told = refusal(spec, np.column_stack([p, q, TABLE]))
        assert "terms 't0': 1 to 4 rows" in told
        assert "'p', 'q'" in told


class TestTwins:
    @pytest.mark.parametrize("rows", [1, 4])
    def test_two_columns_that_differ_in_few_rows(self, rows: int) -> None:
        later, lab = HIV.copy(), LAB.copy()
        spec = spec_of((category("hiv2", ("no", "yes")), *COLUMNS), moments(columns=("hiv2", *NAMES)))
        labs = spec_of((number("lab2", 20, 300), *COLUMNS), moments(columns=("lab2", *NAMES)))
        later[90 : 90 + rows] = 1 - later[90 : 90 + rows]
        lab[190 : 190 + rows] += 5
        assert "'hiv2[no]' and 'hiv[no]' differ in 1 to 4 rows" in refusal(
            spec, np.column_stack([later, TABLE])
        )
        assert "'lab2' and 'lab' differ" in refusal(labs, np.column_stack([lab, TABLE]))

    def test_columns_that_are_one_or_differ_in_five_rows_are_answered(self) -> None:
        later = HIV.copy()
        spec = spec_of((category("hiv2", ("no", "yes")), *COLUMNS), moments(columns=("hiv2", *NAMES)))
        answers(spec, np.column_stack([later, TABLE]))
        later[90:95] = 1 - later[90:95]
        answers(spec, np.column_stack([later, TABLE]))

    def test_counts_of_the_two_are_answered(self) -> None:
        later = HIV.copy()
        later[90] = 1 - later[90]
        columns: list[Column] = [category("hiv2", ("no", "yes")), *COLUMNS]
        answers(spec_of(columns, {"kind": "cells", "by": ("hiv2", "hiv")}), np.column_stack([later, TABLE]))


def glm(**more: Any) -> dict[str, Any]:
    step = {
        "kind": "glm-step",
        "family": "binomial",
        "target": "hiv",
        "columns": ("age", "lab", "sex", "income"),
    }
    return step | {"mu_low_q32": 1, "mu_high_q32": Q} | more


def standard_age(ages: Vector) -> Vector:
    return (ages - 56.5) / 38.5


def between(rank: int) -> float:
    """A standard age between two neighbours of the mine's rows."""
    ages = np.sort(AGE)
    return float(standard_age(ages[rank - 1 : rank + 1]).mean())


def step_at(place: float, width: int = 5, steep: float = 1e6) -> Vector:
    """Coefficients at which the mean is 0 below an age, and 1 above it."""
    return np.concatenate([[-steep * place, steep], np.zeros(width - 2)])


class TestTwoWeightings:
    def test_two_points_of_one_question(self) -> None:
        below, above = step_at(between(100)), step_at(between(101))
        spec = spec_of(COLUMNS, glm(beside_q32=(0,)), parameters=11)
        told = refusal(spec, TABLE, [np.concatenate([[1], above, below - above])])
        assert "two weightings of rows by" in told

    def test_two_rounds_of_a_bounty(self) -> None:
        spec = spec_of(COLUMNS, glm(), parameters=11)
        first, second = (np.concatenate([[1], step_at(between(rank)), np.zeros(5)]) for rank in (100, 101))
        answers(spec, TABLE, [first, first])
        answers(spec, TABLE, [second])
        assert "of an earlier one" in refusal(spec, TABLE, [first, second])

    def test_all_squared_residuals_but_one_are_cut(self) -> None:
        place = float(standard_age(np.sort(AGE)[100]))
        residual = {"kind": "residual-moments", "columns": NAMES, "target": "lab"}
        spec = spec_of(COLUMNS, moments(), residual, parameters=6)
        assert "term 't1'" in refusal(spec, TABLE, [step_at(place, 6)])

    def test_two_risks_of_cox_that_are_cut(self) -> None:
        time, event = np.repeat([1.0, 2.0], 100), np.arange(ROWS) % 2 * 1.0
        columns: list[Column] = [number("t", 0, 5), category("e", "01"), *COLUMNS]
        cox = {"kind": "cox-step", "time": "t", "event": "e", "columns": NAMES, "grid_q32": (Q, 2 * Q)}
        spec = spec_of(columns, cox | {"ties": "breslow", "risk_max_q32": Q}, parameters=8)
        table = np.column_stack([time, event, TABLE])
        first, second = (np.concatenate([[1e6 * between(rank), 1e6], np.zeros(6)]) for rank in (100, 101))
        answers(spec, table, [first])
        assert "by risk" in refusal(spec, table, [first, second])


class TestAllButOneCut:
    def test_the_log_likelihood_of_the_one_row_that_is_not(self) -> None:
        """Its logit is -29.9 and all others' are beyond 30."""
        place = float(standard_age(np.sort(AGE)[100]))
        at = step_at(place)
        at[0] -= 29.9
        spec = spec_of(COLUMNS, glm(), parameters=11)
        assert "fewer than 5 rows" in refusal(spec, TABLE, [np.concatenate([[1], at, np.zeros(5)])])

    def test_the_log_likelihood_of_a_row_far_from_its_target(self) -> None:
        """No logit is cut: all that are fitted well are at 25, where nothing is left of them."""
        odd = np.zeros(ROWS)
        odd[:100], odd[150] = 1, 1
        mark = np.where(odd > 0, 1.0, -1.0)
        mark[150] = -1.0
        columns: list[Column] = [category("odd", "01"), number("mark", -1, 1), *COLUMNS]
        spec = spec_of(columns, glm(target="odd", columns=("mark", "age")), parameters=7)
        table = np.column_stack([odd, mark, TABLE])
        assert "fewer than 5 rows" in refusal(spec, table, [np.array([1, 0, 25, 1, 0, 0, 0])])

    def test_few_means_within_limits(self) -> None:
        counts = np.random.default_rng(3).poisson(3, ROWS) * 1.0
        columns: list[Column] = [number("n", 0, 30), *COLUMNS]
        poisson = glm(
            family="poisson", target="n", columns=("age", "lab"), mu_low_q32=Q // 100, mu_high_q32=9 * Q
        )
        spec = spec_of(columns, poisson, parameters=7)
        table = np.column_stack([counts, TABLE])
        answers(spec, table, [np.array([1, 1, 0.2, 0, 0, 0, 0])])
        one = step_at(float(standard_age(np.sort(AGE)[100])), 3)
        with pytest.raises(ConsentError):  # all are at one limit or the other, but for one in the middle
            answers(spec, table, [np.concatenate([[1], one, np.zeros(3)])])
        oldest = step_at(between(ROWS - 1), 3)
        assert "t0" in refusal(spec, table, [np.concatenate([[1], oldest, np.zeros(3)])])

    @pytest.mark.parametrize("sign", [1, -1])
    def test_one_mean_at_one_limit_and_all_others_at_the_other(self, sign: int) -> None:
        spec = spec_of(COLUMNS, glm(), parameters=11)
        at = sign * step_at(between(ROWS - 1))
        assert "fewer than 5 rows" in refusal(spec, TABLE, [np.concatenate([[1], at, np.zeros(5)])])
