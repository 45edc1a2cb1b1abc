"""A statistic of tables in this process, each of which stands for a mine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysonar.bounty.kinds.fields import StudySettings
from pysonar.frames.coding import coded
from pysonar.frames.named import cells_of, is_frame
from pysonar.frames.pooled import columns_of_all, of_table
from pysonar.frames.schema import Columns
from pysonar.statistics.base import Result, Statistic
from pysonar.statistics.local import ROWS_MAX, compute
from sonar.data.names import alike
from sonar.errors import ConfigError, DataError
from sonar.telling.text import count

_ON = "give a session, pysonar.connect(), or a list of tables: [frame_a, frame_b, frame_c]"


def asked_here(on: Any, statistic: Statistic, columns: Columns | None, settings: Mapping[str, Any]) -> Result:
    """Return what a statistic finds of the tables `on`; without `columns`, they are the tables' own.

    Raises ConfigError naming the argument, DataError naming the column.
    """
    tables = _tables(on)
    for field in settings:
        if field not in ("rows_min", "rows_max"):
            known = field in StudySettings.model_fields
            problem = (
                "is of a session; tables in this process need none" if known else "there is no such argument"
            )
            fields = ", ".join(name for name in type(statistic).model_fields if name != "kind")
            raise ConfigError(field, problem, hint=f"leave it out; {statistic.kind} has {fields or 'none'}")
    if columns is None:
        columns = _described(tables, statistic)
    rows = [_coded(table, columns, place) for place, table in enumerate(tables)]
    limits = {"rows_min": 10, "rows_max": ROWS_MAX, **settings}
    return compute(statistic, columns, rows, **limits)


def _tables(on: Any) -> Sequence[Any]:
    if is_frame(on) or isinstance(on, str | bytes) or not isinstance(on, Sequence):
        what = "one table" if is_frame(on) else f"of the type {type(on).__name__!r}"
        raise ConfigError("on", f"is {what}", hint=_ON)
    if not on:
        raise ConfigError("on", "has no table", hint=_ON)
    for place, table in enumerate(on):
        if not is_frame(table):
            problem = f"is of the type {type(table).__name__!r}, which has no columns by name"
            raise ConfigError(f"on[{place}]", problem, hint="give a DataFrame, or a mapping of columns")
    return on


def _coded(table: Any, columns: Columns, place: int) -> NDArray[np.float64]:
    with of_table(place):
        return coded(table, columns)


def _described(tables: Sequence[Any], statistic: Statistic) -> Columns:
    """Return the columns that the statistic needs, by all rows; the cells of others are not looked at."""
    each = list[dict[str, Any]]()
    for place, table in enumerate(tables):
        with of_table(place):
            each.append(cells_of(table))
    known = [*dict.fromkeys(name for cells in each for name in cells)]
    _require_named(statistic, known)
    _require_rows(each)
    named = [name for names in statistic.named().values() for name in names]
    try:
        return columns_of_all(each, known if statistic.takes_all else [*dict.fromkeys(named)])
    except DataError as error:
        if not statistic.takes_all:
            raise
        hint = f"{error.hint}; or name the columns that are meant: columns=[...]"
        raise DataError(error.field, error.problem, hint=hint) from error


def _require_named(statistic: Statistic, known: Sequence[str]) -> None:
    """Raises ConfigError for a column that no table has."""
    for field, names in statistic.named().items():
        for name in names:
            if name not in known:
                near = alike(name, known)
                told = ", ".join(known[:20]) + ", …" * (len(known) > 20)
                hint = f"did you mean {near!r}?" if near else f"there are {told}"
                raise ConfigError(field, f"there is no column {name!r}", hint=hint)


def _require_rows(tables: Sequence[Mapping[str, Any]]) -> None:
    """Raises DataError if all tables together have less than two rows."""
    rows = sum(
        len(cells[name]) for cells in tables for name in [*cells][:1] if hasattr(cells[name], "__len__")
    )
    if rows < 2:
        problem = f"has {count(rows, 'row')} in all tables together"
        raise DataError("on", problem, hint="give more rows: a statistic of one tells its values")
