"""A statistic of tables in this process, each of which stands for a mine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pysonar.bounty.kinds.fields import StudySettings
from pysonar.frames.coding import coded
from pysonar.frames.named import is_frame
from pysonar.frames.schema import Columns, columns_of_all
from pysonar.statistics.base import Result, Statistic
from pysonar.statistics.local import ROWS_MAX, compute
from sonar.errors import ConfigError, DataError

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
        columns = _described(tables)
    rows = [coded(table, columns, f"on[{place}]") for place, table in enumerate(tables)]
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


def _described(tables: Sequence[Any]) -> Columns:
    try:
        return columns_of_all(tables)
    except DataError as error:
        hint = f"{error.hint}; or say what columns there are: schema=pysonar.columns_of(table, names=[...])"
        raise DataError(error.field, error.problem, hint=hint) from error
