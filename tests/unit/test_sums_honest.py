"""What guards single rows lets honest studies pass: mines of 200 rows answer every round of a fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pysonar.statistics.base import Seen, Statistic
from pysonar.statistics.glm.statistic import Glm
from pysonar.statistics.linear.ols import Ols
from pysonar.statistics.survival.cox import Cox
from sonar.data.schema import Column
from sonar.families.sums.family import Sums
from sonar.families.sums.totals import (
    from_integers,
    parameters_from_integers,
    parameters_to_integers,
    plan_of,
)
from tests.statistics_kit import categories, numeric, split

Matrix = NDArray[np.float64]
ROWS = 200


def rounds_answered(statistic: Statistic, columns: list[Column], tables: list[Matrix]) -> int:
    """Let mines join and answer until the statistic asks no more, as `compute` does without guards."""
    spec = statistic.asked(columns, 10, 1 << 24)
    plan, names = plan_of(spec, 3072, len(tables)), [column.name for column in columns]
    places = [names.index(column.name) for column in spec.columns]
    kept = [Sums().prepare(spec, plan, [table[:, places]]) for table in tables]
    seen: list[Seen] = []
    asked: Matrix | None = statistic.start(spec)
    while asked is not None and len(seen) < statistic.rounds:
        question = parameters_to_integers(asked)
        answers = [Sums().values(plan, one, question) for one in kept]
        sums = [sum(values) for values in zip(*answers, strict=True)]
        at = parameters_from_integers(question)
        seen.append(Seen(at, from_integers(spec, plan, sums), len(tables)))
        asked = statistic.step(spec, seen)
    return len(seen)


def predictors(rows: int, seed: int) -> tuple[Matrix, NDArray[np.float64]]:
    """Two numbers and a category of which one level is rare; and what is predicted from them."""
    rng = np.random.default_rng(seed)
    a, b, kind = rng.normal(0, 1, rows), rng.uniform(0, 10, rows), (rng.random(rows) < 0.15) * 1.0
    return np.column_stack([a, b, kind]), 0.8 * a - 0.1 * b + 0.5 * kind


COLUMNS: list[Column] = [numeric("a", -5, 5), numeric("b", 0, 10), categories("kind", "x", "y")]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("family", ["binomial", "poisson", "gamma"])
def test_every_round_of_a_regression(family: str, seed: int) -> None:
    values, eta = predictors(3 * ROWS, seed)
    rng = np.random.default_rng(seed + 100)
    targets = {
        "binomial": (rng.random(len(eta)) < 1 / (1 + np.exp(-eta))) * 1.0,
        "poisson": np.minimum(rng.poisson(np.exp(eta + 1)), 99) * 1.0,
        "gamma": np.clip(rng.gamma(2, np.exp(eta) / 2), 1e-3, 100),
    }
    low = {"binomial": 0, "poisson": 0, "gamma": 1e-3}[family]
    columns = [*COLUMNS, numeric("y", low, 1 if family == "binomial" else 100)]
    fields: dict[str, Any] = {"family": family, "target": "y", "columns": ("a", "b", "kind")}
    statistic = Glm.model_validate(fields)
    tables = split(np.column_stack([values, targets[family]]), 3)
    assert rounds_answered(statistic, columns, tables) > 2


@pytest.mark.parametrize("seed", range(3))
def test_every_round_of_proportional_hazards(seed: int) -> None:
    values, eta = predictors(3 * ROWS, seed)
    rng = np.random.default_rng(seed + 100)
    ends = np.minimum(np.ceil(rng.exponential(2 / np.exp(eta / 2))), 2)
    event = (rng.random(len(eta)) < 0.6) * 1.0
    columns = [*COLUMNS, numeric("t", 0, 5), categories("e", "0", "1")]
    grid = (1.0, 2.0)
    statistic = Cox.model_validate({"time": "t", "event": "e", "columns": ("a", "b", "kind"), "grid": grid})
    tables = split(np.column_stack([values, ends, event]), 3)
    assert rounds_answered(statistic, columns, tables) > 2


@pytest.mark.parametrize("seed", range(3))
def test_both_rounds_of_robust_errors(seed: int) -> None:
    values, eta = predictors(3 * ROWS, seed)
    y = eta + np.random.default_rng(seed).normal(0, 1, len(eta)) * (1 + values[:, 2])
    statistic = Ols.model_validate({"target": "y", "columns": ("a", "b", "kind"), "robust": "HC1"})
    tables = split(np.column_stack([values, y]), 3)
    assert rounds_answered(statistic, [*COLUMNS, numeric("y", -12, 12)], tables) == 2
