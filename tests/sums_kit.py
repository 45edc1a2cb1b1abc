"""Questions of sums, and rows for them: what tests of the family `sums` share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonar.data.fixed import to_q32
from sonar.data.schema import CategoryColumn, Column, NumberColumn
from sonar.families.sums.spec import SumsSpec

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
