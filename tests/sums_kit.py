"""Questions of sums, and rows for them: what tests of the family `sums` share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from sonar.data.fixed import to_q32
from sonar.data.schema import CategoryColumn, Column, NumberColumn
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.base import BaseTerm
from sonar.families.sums.terms.registry import Term

Matrix = NDArray[np.float64]
LEVELS = ("a", "b", "c")


def number(name: str, low: float = -1.0, high: float = 1.0, *, missing: bool = False) -> NumberColumn:
    """A column of numbers."""
    return NumberColumn(name=name, low_q32=to_q32(low), high_q32=to_q32(high), missing=missing)


def category(name: str, levels: Sequence[str] = LEVELS, *, missing: bool = False) -> CategoryColumn:
    """A column of categories."""
    return CategoryColumn(name=name, levels=tuple(levels), missing=missing)


def spec_of(columns: Sequence[Column], *terms: dict[str, Any], **more: Any) -> SumsSpec:
    """A question of terms, each as its fields; its name is its place."""
    named = tuple({"name": f"t{place}"} | term for place, term in enumerate(terms))
    fields = {"rows_min": 10, "rows_max": 100_000} | more
    return SumsSpec.parse({"columns": tuple(columns), "terms": named} | fields)


def rows_of(columns: Sequence[Column], count: int, seed: int = 0) -> Matrix:
    """Coded rows, of which some miss cells where the schema allows it, and some are beyond their bounds."""
    rng = np.random.default_rng(seed)
    parts = []
    for column in columns:
        if isinstance(column, CategoryColumn):
            values = rng.integers(0, len(column.levels), count).astype(np.float64)
        else:
            values = rng.normal(column.centre, column.scale, count)
        if column.missing:
            values[rng.random(count) < 0.2] = np.nan
        parts.append(values)
    return np.column_stack(parts)


COLUMNS: tuple[Column, ...] = (
    number("x", -1, 1, missing=True),
    number("age", 0, 100),
    number("weight", 0, 4),
    number("count", 0, 20),
    number("cost", 0.5, 50),
    number("time", 0, 10, missing=True),
    number("event", 0, 1),
    category("arm", missing=True),
    category("sex", ("f", "m")),
)
GRID = tuple(to_q32(one) for one in (0.5, 1, 2.5, 5, 9))
_GLM = {
    "kind": "glm-step",
    "columns": ("x", "age", "arm"),
    "mu_low_q32": to_q32(0.01),
    "mu_high_q32": to_q32(100),
    "beside_q32": (to_q32(0.5), to_q32(2)),
}
_SCORES = {"kind": "scores", "columns": ("x", "sex"), "edges_q32": (to_q32(-0.5), to_q32(0.25), to_q32(0.5))}
_COX = {
    "kind": "cox-step",
    "time": "time",
    "event": "event",
    "columns": ("x", "arm"),
    "grid_q32": GRID,
    "risk_max_q32": to_q32(1000),
}

TERMS: tuple[tuple[int, dict[str, Any]], ...] = (
    (0, {"kind": "moments", "columns": ("x", "age", "sex")}),
    (0, {"kind": "moments", "columns": ("age", "arm"), "by": "sex"}),
    (0, {"kind": "moments", "columns": ("age", "x"), "weight": "weight"}),
    (0, {"kind": "outside", "columns": ("x", "arm", "age")}),
    (0, {"kind": "cells", "by": ("sex", "arm")}),
    (0, {"kind": "cells", "columns": ("x", "time")}),
    (0, {"kind": "histogram", "column": "x", "bins": 7}),
    (0, {"kind": "histogram", "column": "age", "bins": 3, "by": "arm"}),
    (0, {"kind": "powers", "column": "x", "order": 4}),
    (0, {"kind": "powers", "column": "age", "order": 2, "by": "arm"}),
    (0, {"kind": "logs", "column": "cost", "columns": ("x", "age")}),
    (4, {"kind": "residual-moments", "columns": ("x", "cost", "sex"), "target": "age"}),
    (6, {"kind": "brackets", "column": "time", "brackets": 3, "bins": 5}),
    (11, _GLM | {"family": "binomial", "target": "sex"}),
    (11, _GLM | {"family": "binomial", "target": "event", "weights": "weight"}),
    (11, _GLM | {"family": "poisson", "target": "count", "exposure": "cost"}),
    (11, _GLM | {"family": "gamma", "target": "cost"}),
    (0, {"kind": "at-risk", "time": "time", "event": "event", "grid_q32": GRID, "by": "arm"}),
    (14, _COX),
    (9, _COX | {"ties": "breslow"}),
    (24, _COX | {"strata": "sex"}),
    (3, _SCORES | {"task": "regression", "target": "age", "by": "arm"}),
    (3, _SCORES | {"task": "logistic", "target": "event"}),
    (9, _SCORES | {"task": "classes", "target": "arm"}),
)
"""Terms of every kind over `COLUMNS`, each with how many parameters its question has."""


def kinds_of_terms() -> dict[str, type[BaseTerm]]:
    """Every kind of term in the registry."""
    return {kind.model_fields["kind"].default: kind for kind in get_args(get_args(Term)[0])}


def known_terms() -> list[tuple[int, dict[str, Any]]]:
    """Return those of `TERMS` whose kind and fields this version has."""
    kinds = kinds_of_terms()
    return [
        one
        for one in TERMS
        if one[1]["kind"] in kinds and not one[1].keys() - kinds[one[1]["kind"]].model_fields.keys()
    ]


def hostile_rows(count: int, seed: int) -> Matrix:
    """Coded rows of `COLUMNS`, as far out as the schema allows: enormous, at bounds, alike, missing."""
    rng = np.random.default_rng(seed)
    parts = []
    for column in COLUMNS:
        if isinstance(column, CategoryColumn):
            pool = [0.0, len(column.levels) - 1.0]
        else:
            pool = [column.low, column.high, column.centre, 0.0, -0.0, 1e308, -1e308, 5e-324, 1e-9, 0.3, 2.5]
        if column.missing:
            pool.append(np.nan)
        few = rng.choice(pool, rng.integers(1, 4))
        parts.append(rng.choice(few, count))
    return np.column_stack(parts)


def hostile_parameters(count: int, seed: int) -> list[int]:
    """Parameters in fixed point, as anybody could publish them."""
    rng = np.random.default_rng(seed)
    pool = [0, 1, -1, 1 << 32, -(1 << 32), 5 << 30, (1 << 63) - 1, -(1 << 63), 1 << 40, -(7 << 33)]
    return [int(rng.choice(np.array(pool, dtype=object))) for _ in range(count)]
