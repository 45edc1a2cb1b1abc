"""A bounty's holdout: from a CSV, an example, or memory, to named columns of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysonar.bounty.settings import HoldoutSettings
from sonar.data import examples
from sonar.data.table import MAX_CSV_BYTES, Table, missing_column, parse_csv
from sonar.errors import ConfigError, DataError
from sonar.home.files import expanded, read_bytes

Array = NDArray[np.float64]

LEAST_ROWS = 10
"""Fewer say too little: mines would find their data outside the bounds that are derived from them."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The scientist's own rows, float64[rows, columns]: those to predict from, then those to predict."""

    features: tuple[str, ...]
    targets: tuple[str, ...]
    values: Array

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns, in order."""
        return (*self.features, *self.targets)

    @cached_property
    def rows(self) -> int:
        """How many there are."""
        return len(self.values)

    @cached_property
    def x(self) -> Array:
        """The features, float64[rows, features]."""
        return self.values[:, : len(self.features)]

    @cached_property
    def y(self) -> Array:
        """The targets, float64[rows, targets]."""
        return self.values[:, len(self.features) :]


def load(given: HoldoutSettings, folder: Path) -> HeldOut:
    """Return the rows that [holdout] names; a relative `csv` is looked up in `folder`.

    Raises ConfigError, DataError.
    """
    if (given.example is None) == (given.csv is None):
        raise ConfigError("holdout", "give either csv or example", hint='csv = "holdout.csv", say')
    targets = [given.target] if isinstance(given.target, str) else given.target
    if given.example is not None:
        return _example(given.example, given.rows, targets, given.features)
    assert given.csv is not None
    if given.rows is not None:
        raise ConfigError("holdout.rows", "goes with example", hint="a CSV is taken whole: leave rows out")
    if targets is None:
        raise ConfigError("holdout.target", "is missing", hint="name the column to predict")
    return _csv(folder / expanded(given.csv, "holdout.csv"), targets, given.features)


def _example(
    name: str, rows: int | None, targets: Sequence[str] | None, features: Sequence[str] | None
) -> HeldOut:
    table = examples.load(name)
    rows = examples.HOLDOUT_ROWS if rows is None else rows
    if rows > table.rows:
        raise ConfigError("holdout.rows", f"{name} has {table.rows} rows, not {rows}")
    return _chosen(table.slice(0, rows), targets or [table.columns[-1]], features)


def _csv(path: Path, targets: Sequence[str], features: Sequence[str] | None) -> HeldOut:
    wanted = None if features is None else [*features, *targets]
    try:
        table = parse_csv(read_bytes(path, "holdout.csv", MAX_CSV_BYTES), str(path), wanted)
    except DataError as error:
        if wanted is None and error.hint and error.problem.startswith("column "):
            hint = f"{error.hint}; or name the columns to train on: features = [...] in [holdout]"
            raise DataError(error.field, error.problem, hint=hint) from error
        raise
    return _chosen(table, targets, features)


def in_memory(x: Any, y: Any, target: str | Sequence[str], features: Sequence[str] | None) -> HeldOut:
    """Return rows that are in memory already: see `Bounty.of`. Raises DataError."""
    # Names as plain strings: those of numpy and pandas may equal them and still have another `repr`, and so
    # a bounty that is taken from its shelf would be another one, with which its campaign cannot go on.
    if isinstance(features, str):  # its letters are no names
        raise DataError("features", f"is one text, {features!r}", hint=f"give a list: [{features!r}]")
    features = None if features is None else [str(name) for name in features]
    targets = [str(target)] if isinstance(target, str) else [str(name) for name in target]
    if hasattr(x, "keys") and np.ndim(x) != 1:
        given = _columns_of(x, None if features is None else [*features, *(targets if y is None else [])])
    else:
        given = _columns_of_matrix(x, features)
    if y is not None:
        given |= _targets_of(y, targets)
    arrays = [_floats(f"column {name!r}", values) for name, values in given.items()]
    for name, array in zip(given, arrays, strict=True):
        if array.shape != arrays[0].shape or array.ndim != 1:
            problem = f"columns differ in length, or are none: {name!r} has shape {list(array.shape)}"
            raise DataError("holdout", problem, hint="each must be [n]; of y as [n, 1] take y.squeeze()")
    return _chosen(Table(tuple(given), np.column_stack(arrays)), targets, features)


def _columns_of(x: Mapping[Any, Any], wanted: Sequence[str] | None) -> dict[str, Any]:
    """Return the `wanted` columns of a mapping, or a DataFrame; all of them for None."""
    columns = {str(name): x[name] for name in x.keys()}  # noqa: SIM118 - a DataFrame iterates otherwise
    if wanted is None:
        return columns
    if missing := [name for name in wanted if name not in columns]:
        raise missing_column(missing[0], list(columns))
    return {name: columns[name] for name in wanted}


def _columns_of_matrix(x: Any, features: Sequence[str] | None) -> dict[str, Any]:
    matrix = _floats("x", x)
    if matrix.ndim != 2:
        hint = "one column alone: x.reshape(-1, 1), or df[[name]] of a DataFrame"
        raise DataError("x", f"has shape {list(matrix.shape)}; [rows, columns] is needed", hint=hint)
    if features is None or matrix.shape[1] != len(features):
        problem = f"name {len(features or ())} columns, x has shape {list(matrix.shape)}"
        raise DataError("features", problem, hint="name each column of x, in order")
    return dict(zip(features, matrix.T, strict=True))


def _targets_of(y: Any, targets: Sequence[str]) -> dict[str, Any]:
    """Return the columns of y: [n] of one target, [n, targets] of several, or a mapping of them."""
    if hasattr(y, "keys") and np.ndim(y) != 1:
        return _columns_of(y, targets)
    if len(targets) == 1:
        return {targets[0]: y}
    matrix = _floats("y", y)
    if matrix.ndim != 2 or matrix.shape[1] != len(targets):
        problem = f"has shape {list(matrix.shape)}; [rows, {len(targets)}] is needed"
        raise DataError("y", problem, hint=f"one column for each of {', '.join(targets)}, in this order")
    return dict(zip(targets, matrix.T, strict=True))


def _chosen(table: Table, targets: Sequence[str], features: Sequence[str] | None) -> HeldOut:
    """Return the table with the names of features and targets. Raises DataError for what is not there."""
    names = tuple(features if features is not None else (n for n in table.columns if n not in targets))
    if not names:
        raise DataError(
            "holdout", "has no feature column", hint="name one column besides the target at least"
        )
    if not targets:
        raise DataError("target", "names no column", hint="name the column to predict")
    if len({*names, *targets}) < len(names) + len(targets):
        told = ", ".join(map(repr, targets))
        raise DataError("features", f"name a column twice, or the target {told}", hint="name each once")
    held_out = HeldOut(names, tuple(targets), table.matrix((*names, *targets)))
    _require_numbers(held_out)
    _require_spread(held_out)
    return held_out


def _require_numbers(held_out: HeldOut) -> None:
    """Check that there are `LEAST_ROWS` rows, and that all of their values are numbers. Raises DataError."""
    rows = held_out.rows
    if rows < LEAST_ROWS:
        problem = f"has {rows} rows; at least {LEAST_ROWS} are needed to derive the model's bounds from"
        raise DataError("holdout", problem, hint="hold out more rows")
    for name, missing in zip(held_out.columns, ~np.isfinite(held_out.values).T, strict=True):
        if count := int(np.count_nonzero(missing)):
            first = int(np.argmax(missing)) + 1
            problem = f"{count} of {rows} rows are missing or infinite, row {first} first"
            raise DataError(f"column {name}", problem, hint="drop such rows, or fill in their values")


def _require_spread(held_out: HeldOut) -> None:
    for target, y in zip(held_out.targets, held_out.y.T, strict=True):
        if (y == y[0]).all():
            problem = f"is {y[0]:g} in every held-out row, so that the holdout cannot tell models apart"
            raise DataError(f"column {target}", problem, hint="shuffle the data before you hold rows out")


def _floats(name: str, values: Any) -> Array:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        hint = "encode it as numbers, 0 and 1 say; or leave it out: features=[...] names the columns to take"
        raise DataError(name, f"is not numbers: {error}", hint=hint) from error
