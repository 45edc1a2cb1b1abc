"""Laws of every term: sums add up, stay within their bounds, and come through fixed point and any cohort."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sonar.families.sums.inspection import Rules, failed
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.moments import Moments
from sonar.families.sums.terms.powers import Powers
from sonar.families.sums.terms.steps.residual_moments import ResidualMoments
from sonar.families.sums.totals import (
    Totals,
    from_integers,
    parameters_from_integers,
    plan_of,
    to_integers,
    totals,
)
from sonar.paillier.slots import MAX_MINES
from tests.sums_kit import (
    COLUMNS,
    hostile_parameters,
    hostile_rows,
    kinds_of_terms,
    known_terms,
    rows_of,
    spec_of,
)

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
KEY_BITS = 3072
seeds = st.integers(0, 1 << 31)
counts = st.integers(1, 40)
each_term = pytest.mark.parametrize(("parameters", "term"), known_terms())
few = settings(max_examples=25, deadline=None)


def spec_for(parameters: int, term: dict[str, Any], rows_max: int = 100_000) -> SumsSpec:
    return spec_of(COLUMNS, term, parameters=parameters, rows_max=rows_max)


def summed(spec: SumsSpec, rows: Matrix, question: list[int]) -> Totals:
    return totals(spec, [rows], parameters_from_integers(question))


def joined(found: Totals) -> Vector:
    """The sums, those of several words as one number: words carry from one to the next."""
    (term,), (values,) = found.spec.terms, found.values()
    if isinstance(term, Moments | ResidualMoments):
        return np.asarray(values.sum(axis=0)).ravel()
    if isinstance(term, Powers):
        words = values[:, 1:].reshape(len(values), term.order, term.order)
        return np.concatenate([values[:, 0], np.asarray(words.sum(axis=2)).ravel()])
    return values.ravel()


@each_term
@few
@given(counts, counts, seeds)
def test_sums_over_two_tables_are_those_over_both(
    parameters: int, term: dict[str, Any], one: int, two: int, seed: int
) -> None:
    spec, question = spec_for(parameters, term), hostile_parameters(parameters, seed)
    a, b = rows_of(COLUMNS, one, seed), rows_of(COLUMNS, two, seed + 1)
    apart = joined(summed(spec, a, question)) + joined(summed(spec, b, question))
    together = joined(summed(spec, np.concatenate([a, b]), question))
    np.testing.assert_allclose(together, apart, rtol=0, atol=1e-9 * (one + two) * spec.bounds.max())


@each_term
@few
@given(counts, seeds)
def test_the_order_of_rows_changes_nothing(
    parameters: int, term: dict[str, Any], count: int, seed: int
) -> None:
    spec, question = spec_for(parameters, term), hostile_parameters(parameters, seed)
    rows = rows_of(COLUMNS, count, seed)
    shuffled = np.random.default_rng(seed).permutation(rows)
    here, there = joined(summed(spec, rows, question)), joined(summed(spec, shuffled, question))
    np.testing.assert_allclose(here, there, rtol=0, atol=1e-9 * count * spec.bounds.max())


@each_term
def test_batches_of_any_length_give_the_same_bits(parameters: int, term: dict[str, Any]) -> None:
    spec, rows = spec_for(parameters, term), rows_of(COLUMNS, 40_000)
    given_at = parameters_from_integers(hostile_parameters(parameters, 7))
    whole = totals(spec, [rows], given_at)
    split = totals(spec, np.array_split(rows, 7), given_at)
    assert whole.flat.tobytes() == split.flat.tobytes()


@each_term
@few
@given(counts, seeds)
def test_no_rows_and_no_question_take_a_sum_beyond_its_bound(
    parameters: int, term: dict[str, Any], count: int, seed: int
) -> None:
    spec, rows = spec_for(parameters, term), hostile_rows(count, seed)
    found = summed(spec, rows, hostile_parameters(parameters, seed)).flat
    assert np.isfinite(found).all()
    assert (np.abs(found) <= count * spec.bounds * (1 + 1e-12)).all()


@each_term
@few
@given(counts, seeds)
def test_fixed_point_is_off_by_half_a_unit_at_most(
    parameters: int, term: dict[str, Any], count: int, seed: int
) -> None:
    spec, rows = spec_for(parameters, term), hostile_rows(count, seed)
    plan = plan_of(spec, KEY_BITS, MAX_MINES)
    found = summed(spec, rows, hostile_parameters(parameters, seed))
    sent = to_integers(spec, plan, found)
    again = from_integers(spec, plan, sent)
    room = spec.bounds * 2.0**-plan.data_frac * (0.5 + 1e-6) + 4e-16 * np.abs(found.flat)
    assert (np.abs(again.flat - found.flat) <= room).all()
    assert to_integers(spec, plan, again) == sent


@each_term
@few
@given(counts, seeds, st.booleans())
def test_honest_answers_pass_every_test(
    parameters: int, term: dict[str, Any], count: int, seed: int, hostile: bool
) -> None:
    spec = spec_for(parameters, term)
    rows = hostile_rows(count, seed) if hostile else rows_of(COLUMNS, count, seed)
    plan = plan_of(spec, KEY_BITS, MAX_MINES)
    sent = to_integers(spec, plan, summed(spec, rows, hostile_parameters(parameters, seed)))
    assert failed(Rules(spec, plan), sent, count) is None


@each_term
@pytest.mark.parametrize("rows_max", [10, 100_000, (1 << 32) - 1])
def test_the_fullest_cohort_fits_plan_and_word(parameters: int, term: dict[str, Any], rows_max: int) -> None:
    spec = spec_for(parameters, term, rows_max)
    plan = plan_of(spec, KEY_BITS, MAX_MINES)
    for sign in (1, -1):
        answer = to_integers(spec, plan, Totals(spec, sign * rows_max * spec.bounds))
        assert max(map(abs, answer)) == rows_max << plan.data_frac
        cohort = [MAX_MINES * value for value in answer]
        assert all(-(1 << 62) < value < 1 << 62 for value in cohort)
        assert plan.unpack(plan.pack(cohort), weight=MAX_MINES) == cohort


def test_every_kind_of_term_is_held_to_the_laws() -> None:
    """A new kind has an example in `tests.sums_kit.TERMS`."""
    assert {term["kind"] for _, term in known_terms()} == set(kinds_of_terms())


@each_term
def test_it_says_what_is_summed(parameters: int, term: dict[str, Any]) -> None:
    (found,) = spec_for(parameters, term).terms
    assert len(found.words()) > 20
    assert found.words().isprintable()
