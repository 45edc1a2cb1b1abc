"""Columns of a holdout that no model can use: all at once, and left out where the scientist says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonar.data.names import plain_names
from sonar.errors import ConfigError, DataError

Vector = NDArray[np.float64]
Drop = bool | Sequence[str]

LEAST_OTHERS, LEAST_SHARE = 5, 0.05
"""Where fewer rows than this, and less than this part of them, differ from the usual value, a mine's sums
would single rows out: most mines would refuse the column."""
FEWEST = 10
"""Fewer rows than this say nothing of a column, and make no holdout."""
_SHOWN = 20
_LEAVE = "drop = true leaves such columns out, and drop = [...] those that it names"


def fit_columns(
    columns: Mapping[str, Any], numbers: Callable[[Any, str], Vector], drop: Drop, *, spread: bool = True
) -> tuple[dict[str, Vector], dict[str, str]]:
    """Return the columns float64[n] that a model can use, and of those that are left out why.

    `numbers` makes a column of what is given, or raises DataError. With `spread`, columns that are constant
    or nearly so are unfit too. `drop`: whether those are left out, or which ones are, fit or not. Raises
    DataError with all that are unfit and not left out, ConfigError for a name in `drop` that is no column.
    """
    named = _named(columns, drop)
    good, faults = dict[str, Vector](), dict[str, DataError]()
    for name, values in columns.items():
        if name in named:
            continue
        try:
            good[name] = numbers(values, f"column {name!r}")
        except DataError as error:
            faults[name] = error
            continue
        if spread and (fault := unfit(name, good[name])) is not None:
            faults[name] = fault
            del good[name]
    if faults and drop is not True:
        raise _all_of(faults, len(columns))
    left_out = dict.fromkeys(named, "you left it out")
    return good, left_out | {name: fault.problem for name, fault in faults.items()}


def unfit(name: str, values: Vector) -> DataError | None:
    """Return why a column float64[n] of numbers is of no use, None if it may be of some."""
    field, finite = f"column {name!r}", values[np.isfinite(values)]
    if values.ndim != 1 or len(finite) < len(values) or len(values) < FEWEST:
        return None  # told elsewhere
    usual = float(np.median(values))
    others = int(np.count_nonzero(values != usual))
    if not others:
        problem = f"is constant: {usual:g} in every held-out row"
        return DataError(field, problem, hint="leave it out: it carries no information")
    if others < LEAST_OTHERS and others < LEAST_SHARE * len(values):
        rows = "1 row differs" if others == 1 else f"{others} rows differ"
        problem = f"is {usual:g} but for few rows: only {rows} in {len(values):,}, and mines refuse what "
        return DataError(field, f"{problem}singles rows out", hint="leave it out, or hold out more rows")
    return None


def _named(columns: Mapping[str, Any], drop: Drop) -> tuple[str, ...]:
    names = () if isinstance(drop, bool) else plain_names(drop)
    if unknown := [name for name in names if name not in columns]:
        told = ", ".join(map(repr, list(columns)[:_SHOWN])) + ", …" * (len(columns) > _SHOWN)
        hint = f"the columns to predict from are {told}"
        raise ConfigError("drop", f"names {unknown[0]!r}, which is none of them", hint=hint)
    return names


def _all_of(faults: Mapping[str, DataError], columns: int) -> DataError:
    """Return one error for all; of one column that column's own."""
    if len(faults) == 1:
        error = next(iter(faults.values()))
        error.hint = f"{error.hint}; {_LEAVE}" if error.hint else _LEAVE
        return error
    told = [f"{name!r} {fault.problem}" for name, fault in list(faults.items())[:_SHOWN]]
    more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    problem = f"{len(faults)} of {columns} cannot be used: {'; '.join(told)}{more}"
    return DataError("columns", problem, hint=_LEAVE)
