"""Columns of several tables, each of which stands for a mine, as of one table of all of their rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np

from pysonar.frames.cells import Texts, Vector, as_numbers, as_texts, holds_texts, series_of
from pysonar.frames.schema import Columns, category_of, number, number_of, typed_levels
from sonar.data.names import alike
from sonar.data.schema import Column
from sonar.errors import DataError

_ALIKE = "give it one type in all tables: pd.CategoricalDtype([...], ordered=True)"
_NEAR = 0.01
"""A constant column has bounds that are this part of its value away from it."""

Cells = Mapping[str, Any]


def columns_of_all(tables: Sequence[Cells], names: Sequence[str]) -> Columns:
    """Return the columns of these names, as `columns_of` one table of all rows; `tables` are their cells.

    Levels are in the order of an ordered type. A column with one value in all rows has bounds around it.
    Raises DataError naming the column, and the table by its place where one is meant.
    """
    for name in names:
        _require_everywhere(name, tables)
    return tuple(_pooled(name, [cells[name] for cells in tables]) for name in names)


@contextmanager
def of_table(place: int) -> Iterator[None]:
    """Name the table by its place in errors of one of its columns."""
    try:
        yield
    except DataError as error:
        raise DataError(f"on[{place}], {error.field}", error.problem, hint=error.hint) from error


def _require_everywhere(name: str, tables: Sequence[Cells]) -> None:
    """Raises DataError naming the first table without the column."""
    having = next(place for place, cells in enumerate(tables) if name in cells)
    for place, cells in enumerate(tables):
        if name not in cells:
            near = alike(name, [other for other in cells if other not in tables[having]])
            also = f"; there is {near!r}" if near else ""
            hint = f"rename {near!r} to {name!r} in that table" if near else "add it to that table"
            problem = f"has no column {name!r}, which on[{having}] has{also}"
            raise DataError(f"on[{place}]", problem, hint=hint)


def _pooled(name: str, parts: Sequence[Any]) -> Column:
    field, texts = f"column {name!r}", list[bool]()
    for place, part in enumerate(parts):
        with of_table(place):
            texts.append(holds_texts(part, field))
    if any(texts):
        pooled: Texts = []
        for place, part in enumerate(parts):
            with of_table(place):
                pooled += as_texts(part, field)
        return category_of(name, pooled, _typed(field, parts, {text for text in pooled if text is not None}))
    columns = list[Vector]()
    for place, part in enumerate(parts):
        with of_table(place):
            columns.append(as_numbers(part, field))
            if columns[-1].ndim != 1:
                problem = f"has the shape {list(columns[-1].shape)}; [rows] is expected"
                raise DataError(field, problem, hint="give a list of one value for each row")
    return _number(name, np.concatenate(columns))


def _number(name: str, values: Vector) -> Column:
    there = values[np.isfinite(values)]
    value = float(there[0]) if len(there) else 0.0
    if value in (0.0, 1.0) or len(there) + np.count_nonzero(np.isnan(values)) < len(values):
        return number_of(name, values)
    if (there == value).all():
        near = abs(value) * _NEAR
        return number(name, value - near, value + near, missing=len(there) < len(values))
    return number_of(name, values)


def _typed(field: str, parts: Sequence[Any], there: set[str]) -> list[str]:
    """Return the order of levels that the tables' types agree on; none if no type says one.

    Raises DataError for ordered types that do not agree.
    """
    each = [levels for part in parts if (levels := typed_levels(part))]
    if not each:
        return []
    most = max(each, key=len)
    if there <= {*most} and all(levels == [level for level in most if level in levels] for levels in each):
        return most
    if any(_is_ordered(part) for part in parts):
        raise DataError(field, "has an order of levels that the tables do not agree on", hint=_ALIKE)
    return []


def _is_ordered(part: Any) -> bool:
    series = series_of(part)
    return series is not None and isinstance(series.dtype, nw.Enum)
