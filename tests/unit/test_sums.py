"""A mine's part of the family `sums`: what it refuses, what it keeps, what it answers."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from gmpy2 import mpz
from numpy.typing import NDArray

from pysonar.keys.key import Secret
from sonar.data.fixed import to_q32
from sonar.data.schema import Column
from sonar.errors import BoundsError, ConsentError, DataError
from sonar.families.sums.family import Sums
from sonar.families.sums.guards import least_rows
from sonar.families.sums.inspection import Rules, failed, same
from sonar.families.sums.preparing import Kept
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.totals import Totals, from_integers, plan_of, to_integers, totals
from tests.sums_kit import category, number, rows_of, spec_of

Matrix = NDArray[np.float64]
AGE, SEX, BMI = number("age", 0, 100), category("sex", "fm"), number("bmi", 10, 60)
MOMENTS = {"kind": "moments", "columns": ("age", "bmi")}
BY_SEX = {"kind": "moments", "columns": ("age", "bmi"), "by": "sex"}
OUTSIDE = {"kind": "outside", "columns": ("age", "sex")}
COLUMNS = (AGE, SEX, BMI)
NONE: Matrix = np.zeros(0)
KEY_BITS = 1024


@cache
def secret() -> Secret:
    return Secret.generate(KEY_BITS)


def kept(spec: SumsSpec, values: Matrix) -> Kept:
    return Sums().prepare(spec, plan_of(spec, KEY_BITS, 3), [values])


def refusal(spec: SumsSpec, values: Matrix) -> str:
    with pytest.raises(ConsentError) as refused:
        kept(spec, values)
    return str(refused.value)


def integers(spec: SumsSpec, values: Matrix) -> list[int]:
    plan = plan_of(spec, KEY_BITS, 3)
    return to_integers(spec, plan, totals(spec, [values], np.zeros(spec.parameters)))


class TestRows:
    def test_a_mine_needs_more_numbers_than_sums_can_be_solved_for(self) -> None:
        columns = [number(f"x{i}") for i in range(30)]
        spec = spec_of(columns, {"kind": "moments", "columns": tuple(f"x{i}" for i in range(30))})
        assert least_rows(spec) == 93  # three for each of 31 columns of the design
        assert "has 92" in refusal(spec, rows_of(columns, 92))
        kept(spec, rows_of(columns, 93))

    def test_sums_at_parameters_count_as_often_as_they_may_be_asked(self) -> None:
        columns = [number(f"x{i}") for i in range(30)]
        term = {"kind": "moments", "columns": tuple(f"x{i}" for i in range(30))}
        sums = 31 * 32 // 2
        assert least_rows(spec_of(columns, term, parameters=1)) == -(-8 * sums // 30)

    def test_counts_of_one_column_alone_need_ten(self) -> None:
        assert least_rows(spec_of(COLUMNS, OUTSIDE)) == 10

    def test_rows_beyond_the_most_are_refused_and_never_dropped(self) -> None:
        spec = spec_of(COLUMNS, MOMENTS, rows_max=50)
        assert "at most 50 (rows_max)" in refusal(spec, rows_of(COLUMNS, 51))

    def test_the_bounty_may_need_more(self) -> None:
        spec = spec_of(COLUMNS, MOMENTS, rows_min=500)
        assert "needs at least 500" in refusal(spec, rows_of(COLUMNS, 499))


class TestRareValues:
    @pytest.mark.parametrize("count", [1, 4])
    def test_a_group_has_enough_rows_or_none(self, count: int) -> None:
        values = rows_of(COLUMNS, 100)
        values[:, 1] = 0
        kept(spec_of(COLUMNS, BY_SEX), values)
        values[:count, 1] = 1
        told = refusal(spec_of(COLUMNS, BY_SEX), values)
        assert "'t0'" in told
        assert "'sex'" in told
        assert "at least 5" in told

    def test_a_group_has_no_fewer_numbers_than_sums_over_it(self) -> None:
        columns: list[Column] = [*(number(f"x{i}") for i in range(13)), SEX]
        term = {"kind": "moments", "columns": tuple(f"x{i}" for i in range(13)), "by": "sex"}
        values = rows_of(columns, 100)
        values[:, -1] = 0
        values[:8, -1] = 1  # 105 sums of 13 columns: 9 rows
        assert "at least 9" in refusal(spec_of(columns, term), values)
        values[:9, -1] = 1
        kept(spec_of(columns, term), values)

    def test_bounds_just_below_the_largest_value_single_nobody_out(self) -> None:
        values = rows_of(COLUMNS, 100)
        cut = float(np.sort(values[:, 0])[-1]) - 0.001
        hostile = (number("age", cut, cut + 1), SEX, BMI)
        told = refusal(spec_of(hostile, MOMENTS), values)
        assert "'age'" in told
        assert "clipped" in told

    def test_a_column_that_is_only_counted_may_be_rare(self) -> None:
        values = rows_of(COLUMNS, 100)
        values[:, 1] = 0
        values[0, 1] = 1
        kept(spec_of(COLUMNS, OUTSIDE, MOMENTS), values)

    def test_no_difference_of_two_terms_is_about_few_rows(self) -> None:
        columns = (AGE, SEX, number("bmi", 10, 60, missing=True))
        spec = spec_of(columns, {"kind": "moments", "columns": ("age",)}, MOMENTS)
        values = rows_of(COLUMNS, 100)
        kept(spec, values)
        values[:4, 2] = np.nan
        told = refusal(spec, values)
        assert "'bmi'" in told
        assert "'t0'" in told
        assert "'t1'" in told
        values[:5, 2] = np.nan
        kept(spec, values)

    def test_a_column_missing_almost_everywhere_is_refused(self) -> None:
        columns = (AGE, SEX, number("bmi", 10, 60, missing=True))
        values = rows_of(COLUMNS, 100)
        values[8:, 2] = np.nan
        assert "8 of 100 rows" in refusal(spec_of(columns, MOMENTS), values)
        values[:, 2] = np.nan
        kept(spec_of(columns, MOMENTS), values)

    def test_a_category_within_a_group_has_enough_rows_or_none(self) -> None:
        columns = (AGE, SEX, category("arm"))
        spec = spec_of(columns, {"kind": "moments", "columns": ("age", "arm"), "by": "sex"})
        values = np.column_stack([rows_of(COLUMNS, 100)[:, :1], np.repeat([0, 1], 50), np.tile([0, 1], 50)])
        kept(spec, values)
        values[:4, 2] = 2
        values[50:60, 2] = 2
        told = refusal(spec, values)
        assert "'sex', 'arm' have a combination" in told

    def test_a_cell_does_not_tell_the_last_of_three_categories(self) -> None:
        columns = (SEX, category("arm"), category("site"))
        values = np.array([[a, b, c] for a in range(2) for b in range(3) for c in range(3)] * 2, dtype=float)
        kept(spec_of(columns, {"kind": "cells", "by": ("sex", "arm")}), values)
        told = refusal(spec_of(columns, {"kind": "cells", "by": ("sex", "arm", "site")}), values)
        assert "'arm', 'site' have a combination" in told

    def test_what_is_rare_is_found_in_whatever_batches_it_comes(self) -> None:
        spec, values = spec_of(COLUMNS, BY_SEX), rows_of(COLUMNS, 40_000)
        values[:, 1] = 0
        values[::10_000, 1] = 1
        with pytest.raises(ConsentError, match="'sex'"):
            Sums().prepare(spec, plan_of(spec, KEY_BITS, 3), np.array_split(values, 7))


GLM = {
    "kind": "glm-step",
    "family": "binomial",
    "target": "y",
    "columns": ("x",),
    "mu_low_q32": 1 << 20,
    "mu_high_q32": 1 << 40,
}


class TestWeights:
    """Questions at parameters that would leave few rows in a sum."""

    COLUMNS = (number("x"), number("y", 0, 1), number("time", 0, 10), number("dead", 0, 1))

    def rows(self, count: int = 60) -> Matrix:
        x = np.linspace(-1, 1, count)
        return np.column_stack([x, np.arange(count) % 2, 0.5 + np.arange(count) % 10, np.arange(count) % 2])

    def asked(self, spec: SumsSpec, values: Matrix, at: list[float]) -> list[int]:
        question = [round(one * 2**32) for one in at]
        return Sums().values(plan_of(spec, KEY_BITS, 3), kept(spec, values), question)

    @pytest.mark.parametrize("sign", [1, -1])
    def test_coefficients_that_single_a_row_out_are_not_answered(self, sign: int) -> None:
        """The mean is 1 for the row with the largest x (or the least) and 0 for all others."""
        spec = spec_of(self.COLUMNS, GLM, parameters=5)
        assert self.asked(spec, self.rows(), [0, 0, 0, 0, 0])
        assert self.asked(spec, self.rows(), [1, 0.3, 2, 0, 0])
        steep = [1, -2000 * 0.98, sign * 2000, 0, 0]
        with pytest.raises(ConsentError, match="term 't0': the question's parameters leave fewer than 5"):
            self.asked(spec, self.rows(), steep)

    def test_the_difference_of_two_risk_sets_is_over_enough_rows(self) -> None:
        term = {
            "kind": "cox-step",
            "time": "time",
            "event": "dead",
            "columns": ("x",),
            "risk_max_q32": 1 << 42,
        }
        grid = [to_q32(one) for one in (2.0, 5.0, 9.5)]
        spec = spec_of(self.COLUMNS, term | {"grid_q32": grid}, parameters=2 + 2 * 3)
        kept(spec, self.rows())
        fine = spec_of(self.COLUMNS, term | {"grid_q32": [to_q32(t / 2) for t in range(20)]}, parameters=42)
        kept(fine, self.rows(400))
        with pytest.raises(ConsentError, match="leave fewer than 5 rows"):  # as soon as it would be joined
            kept(fine, np.delete(self.rows(400), np.arange(33, 400, 10), axis=0))

    def test_bins_of_few_rows_go_to_a_neighbour(self) -> None:
        edges = [to_q32(one) for one in (-0.9, 0.0, 0.9)]
        term = {"kind": "scores", "task": "regression", "target": "y", "columns": ("x",), "edges_q32": edges}
        spec = spec_of(self.COLUMNS, term, parameters=2)
        plan, values = plan_of(spec, KEY_BITS, 3), self.rows()
        exact = totals(spec, [values], np.array([0.0, 1.0]))["t0"][0, 7:].reshape(3, 4)
        assert exact[0].tolist() == [3, 27, 27, 3]
        found = from_integers(spec, plan, self.asked(spec, values, [0, 1]))
        bins = found["t0"][0, 7:].reshape(3, 4)
        assert bins[0].tolist() == [0, 30, 30, 0]
        np.testing.assert_allclose(bins.sum(axis=1), exact.sum(axis=1), atol=1e-6)
        np.testing.assert_allclose(bins[:, 1], exact[:, :2].sum(axis=1), atol=1e-6)


class TestKept:
    def test_without_parameters_no_row_is_kept(self) -> None:
        spec = spec_of(COLUMNS, MOMENTS)
        found = kept(spec, rows_of(COLUMNS, 100))
        assert len(found.to_bytes()) == 8 * spec.values
        assert found.rows == 100

    @pytest.mark.parametrize("parameters", [0, 2])
    def test_it_comes_back_from_its_bytes(self, parameters: int) -> None:
        spec = spec_of(COLUMNS, MOMENTS, parameters=parameters)
        plan, found = plan_of(spec, KEY_BITS, 3), kept(spec, rows_of(COLUMNS, 100))
        again = Sums().restored(spec, plan, found.to_bytes())
        question = [0] * parameters
        assert again.rows == found.rows == 100
        assert again.digest() == found.digest()
        assert Sums().values(plan, again, question) == Sums().values(plan, found, question)

    @pytest.mark.parametrize("parameters", [0, 2])
    @pytest.mark.parametrize("data", [b"", b"1234567", bytes(8) * 5, b"\xff" * 8 * 21])
    def test_damaged_bytes_are_refused(self, parameters: int, data: bytes) -> None:
        spec = spec_of(COLUMNS, MOMENTS, parameters=parameters)
        with pytest.raises(DataError):
            Sums().restored(spec, plan_of(spec, KEY_BITS, 3), data)

    def test_the_answer_is_the_sums_packed(self) -> None:
        spec, values = spec_of(COLUMNS, MOMENTS, OUTSIDE), rows_of(COLUMNS, 100)
        plan = plan_of(spec, KEY_BITS, 3)
        sent = Sums().answer(secret().public, plan, kept(spec, values), [])
        opened = plan.unpack(secret().decrypt(sent), weight=1)
        assert opened == integers(spec, values)
        rebuilt = from_integers(spec, plan, opened)
        assert rebuilt.rows == 100
        x = np.column_stack([np.ones(100), (np.clip(values[:, 0], 0, 100) - 50) / 50])
        assert rebuilt["t0"].ravel()[1] == pytest.approx((x.T @ x)[0, 1], abs=1e-6)

    def test_sums_beyond_the_bounds_are_the_mines_own_error(self) -> None:
        spec = spec_of(COLUMNS, MOMENTS)
        flat = np.zeros(spec.values)
        flat[2] = 2.0 * spec.rows_max
        with pytest.raises(BoundsError, match="term 't0', sum 2"):
            to_integers(spec, plan_of(spec, KEY_BITS, 3), Totals(spec, flat))


class TestInspection:
    SPEC = spec_of(COLUMNS, MOMENTS, BY_SEX, OUTSIDE)

    @property
    def rules(self) -> Rules:
        return Rules(self.SPEC, plan_of(self.SPEC, KEY_BITS, 3))

    def failed_with(self, place: int, value: int) -> str | None:
        update = integers(self.SPEC, rows_of(COLUMNS, 100))
        update[place] = value << self.rules.plan.data_frac
        return failed(self.rules, update, 100)

    @pytest.mark.parametrize("rows", [10, 100, 99_999])
    @pytest.mark.parametrize("seed", range(5))
    def test_an_honest_answer_passes(self, rows: int, seed: int) -> None:
        assert failed(self.rules, integers(self.SPEC, rows_of(COLUMNS, rows, seed)), rows) is None

    def test_rows_without_a_deviation_pass(self) -> None:
        values = np.tile(rows_of(COLUMNS, 1), (50, 1))
        assert failed(self.rules, integers(self.SPEC, values), 50) is None

    def test_each_test_can_fail(self) -> None:
        assert failed(self.rules, None, 100) == "range"
        assert failed(self.rules, [0], 100) == "range"
        assert self.failed_with(1, self.SPEC.rows_max + 1) == "range"
        assert self.failed_with(0, 101) == "rows"
        assert self.failed_with(2, -101) == "bound"
        assert self.failed_with(4, -1) == "sums"  # a sum of squares
        assert self.failed_with(4, 0) == "sums"  # with products that are not 0
        assert self.failed_with(self.SPEC.values - 1, -1) == "sums"  # a count

    def test_the_same_integers_are_twins(self) -> None:
        one, other = (integers(self.SPEC, rows_of(COLUMNS, 50, seed)) for seed in range(2))
        assert same({"c": one, "a": other, "b": one}) == {"b": "b", "c": "b"}


def test_operators_are_told_what_is_summed() -> None:
    told = Sums().in_words(spec_of(COLUMNS, MOMENTS, parameters=3))
    assert "age, bmi" in told
    assert "3 numbers that change" in told


def test_operators_are_told_a_few_terms_of_each_kind() -> None:
    bins = [{"kind": "histogram", "column": "age", "bins": 2 + i} for i in range(9)]
    told = Sums().in_words(spec_of(COLUMNS, *bins, MOMENTS))
    assert "in each of 4 bins; and 6 more such; sums of products" in told


def test_an_answer_takes_seconds_only_where_rows_are_asked_again() -> None:
    spec = spec_of(COLUMNS, MOMENTS)
    asked = spec_of(COLUMNS, MOMENTS, parameters=2)
    plan = plan_of(spec, KEY_BITS, 3)
    assert Sums().seconds(spec, plan) < 0.01 < 100 * Sums().seconds(asked, plan)
    assert [
        int(one)
        for one in Sums().answer(secret().public, plan, kept(asked, rows_of(COLUMNS, 100)), [mpz(0)] * 2)
    ]
