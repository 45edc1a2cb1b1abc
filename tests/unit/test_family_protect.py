"""What protects single rows: each refusal, and that no batch boundary changes it."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from math import comb
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonar.data.fixed import Q32_ONE
from sonar.errors import ConsentError
from sonar.families.quadratic.maps.base import BaseStage as Stage
from sonar.families.quadratic.maps.fourier import Fourier
from sonar.families.quadratic.maps.polynomial import Polynomial
from sonar.families.quadratic.prepare import Columns, Combinations, Kinds, check_faults, check_rows
from sonar.families.quadratic.spec import QuadraticSpec

Check = TypeVar("Check", Columns, Combinations, Kinds)


def seen(check: Check, batches: Iterable[Any]) -> Check:
    for batch in batches:
        check.see(batch)
    return check


def spec(columns: int, **changes: object) -> QuadraticSpec:
    names = [f"c{i}" for i in range(columns)]
    target = {"name": "y", "centre_q32": 0, "scale_q32": Q32_ONE, "clip_q32": Q32_ONE}
    return QuadraticSpec.parse({"features": names, "targets": [target], "rows_min": 1} | changes)


def fourier(columns: int, features: int, seed: int = 0) -> Fourier:
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(features, columns)) * Q32_ONE
    phases = rng.uniform(0, 6, features) * Q32_ONE
    return Fourier(weights_q32=weights.astype(int).tolist(), phases_q32=phases.astype(int).tolist())


@pytest.mark.parametrize(
    ("columns", "stages", "least", "weights"),
    [
        (10, [], 33, 11),
        (1, [], 10, 2),
        (3, [], 12, 4),
        (3, [Polynomial(degree=2)], 30, 10),
        (10, [Polynomial(degree=3)], 858, 286),
        (3, [fourier(3, 12)], 39, 13),
        (3, [fourier(3, 30)], 132, 31),  # 527 sums, of rows with four numbers each
        (1, [fourier(1, 100)], 2626, 101),
    ],
)
def test_rows_that_hide_one_another(columns: int, stages: list[Stage], least: int, weights: int) -> None:
    asked = spec(columns, stages=stages)
    check_rows(least, asked)
    with pytest.raises(
        ConsentError, match=f"{weights} weights of {columns} columns need at least {least} to"
    ):
        check_rows(least - 1, asked)


@settings(max_examples=20)
@given(columns=st.integers(1, 4), degree=st.integers(1, 3), features=st.integers(0, 20))
def test_the_sums_tell_no_more_than_there_are_numbers_in_the_rows(
    columns: int, degree: int, features: int
) -> None:
    """How many of the sums are independent is the rank of what they are sums of."""
    stages: list[Stage] = [Polynomial(degree=degree)] if degree > 1 else []
    if features:
        stages.append(fourier(comb(columns + degree, degree) - 1, features))
    asked = spec(columns, stages=stages)
    x = np.random.default_rng(1).normal(size=(asked.weights**2, columns))
    phi = asked.transform(x)
    first, second = np.triu_indices(asked.weights)
    independent = int(np.linalg.matrix_rank(phi[:, first] * phi[:, second])) - 1 + asked.weights
    assert independent <= asked.least_rows * (columns + 1)


def test_the_bounty_s_own_least_rows() -> None:
    check_rows(50, spec(2, rows_min=50))
    with pytest.raises(ConsentError, match="has 49, but the bounty needs at least 50"):
        check_rows(49, spec(2, rows_min=50))


@given(
    others=st.integers(0, 6) | st.integers(7, 20),
    values=st.lists(st.sampled_from([-1.0, 0.5, 7.0]), min_size=20, max_size=20),
    chunk=st.integers(9, 40),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_column_that_singles_out_fewer_than_five_rows_is_refused(
    others: int, values: list[float], chunk: int, seed: int
) -> None:
    column = np.full(40, 3.0)
    column[:others] = values[:others]
    np.random.default_rng(seed).shuffle(column)
    table = np.column_stack([np.arange(40.0), column])
    chunks = [table[i : i + chunk] for i in range(0, 40, chunk)]
    if 0 < others < 5:
        with pytest.raises(ConsentError, match="column 'flag'"):
            check_faults(seen(Columns(["age", "flag"]), chunks).faults())
    else:
        check_faults(seen(Columns(["age", "flag"]), chunks).faults())


FLAGS = np.array([[0, 0]] * 20 + [[1, 0]] * 10 + [[0, 1]] * 10 + [[1, 1]] * 4, dtype=float)
GRADES = np.array([[0, 0]] * 10 + [[1, 0]] * 10 + [[2, 0]] * 4 + [[0, 1]] * 10 + [[1, 1]] * 10, dtype=float)


@pytest.mark.parametrize(
    ("table", "degree", "refused"),
    [
        (FLAGS, 1, ""),  # the columns by themselves are `Columns`'s
        (FLAGS, 2, "columns 'a', 'b'"),
        (np.vstack([FLAGS, [[1, 1]]]), 2, ""),
        (FLAGS[:40], 3, ""),  # nobody has both
        (GRADES, 1, ""),
        (GRADES, 2, "columns 'a': have"),
        (np.vstack([GRADES, [[2, 1]]]), 2, ""),  # five have grade 2; with b, it takes three factors
        (np.vstack([GRADES, [[2, 1]]]), 3, "columns 'a', 'b'"),
        (np.column_stack([np.arange(44.0), FLAGS[:, 0]]), 3, ""),
    ],
)
@pytest.mark.parametrize("batch", [7, 100])
def test_products_single_out_no_fewer_than_five_rows(
    table: Any, degree: int, refused: str, batch: int
) -> None:
    parts = [table[i : i + batch] for i in range(0, len(table), batch)]
    if not refused:
        check_faults(seen(Combinations(["a", "b"], degree), parts).faults())
        return
    with pytest.raises(ConsentError, match=refused) as caught:
        check_faults(seen(Combinations(["a", "b"], degree), parts).faults())
    assert "more rows" in caught.value.hint


@given(
    values=st.lists(st.integers(2, 4), min_size=1, max_size=3),
    degree=st.sampled_from([2, 3]),
    seed=st.integers(0, 99),
)
def test_combinations_are_refused_where_the_map_can_tell_them_apart(
    values: list[int], degree: int, seed: int
) -> None:
    """One row has a combination of its own: is its flag a weighted sum of the map's features?"""
    full = np.array(list(product(*map(range, values))), dtype=float)
    others = full[~np.isclose(full, [v - 1 for v in values]).all(axis=1)]
    table = np.vstack([np.repeat(others, 6, axis=0), full[-1:]])
    np.random.default_rng(seed).shuffle(table)
    alone = (table == full[-1]).all(axis=1).astype(float)
    phi = spec(len(values), stages=[Polynomial(degree=degree)]).transform(table)
    error = phi @ np.linalg.lstsq(phi, alone, rcond=None)[0] - alone
    told = bool(np.abs(error).max() < 1e-6)
    assert told == (sum(v - 1 for v in values) <= degree)
    if told:
        with pytest.raises(ConsentError, match="fewer than 5 rows"):
            check_faults(seen(Combinations("abc"[: len(values)], degree), [table[:9], table[9:]]).faults())


def test_cosines_of_few_kinds_of_rows_single_out_no_fewer_than_five() -> None:
    ages, sexes = (part.ravel() for part in np.meshgrid(np.arange(20.0), [0.0, 1.0]))
    table = np.repeat(np.column_stack([ages, sexes]), 5, axis=0)
    check_faults(seen(Kinds(40), [table]).faults())
    check_faults(seen(Kinds(39), [table[1:]]).faults())
    with pytest.raises(ConsentError, match="only 40 distinct rows for 40 weights"):
        check_faults(seen(Kinds(40), [table[1:]]).faults())
    phi = spec(2, stages=[fourier(2, 39)]).transform(table / [5, 1])
    alone = (table == table[0]).all(axis=1).astype(float)
    assert phi @ np.linalg.lstsq(phi, alone, rcond=1e-14)[0] == pytest.approx(alone, abs=0.02)
