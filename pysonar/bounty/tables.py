"""A bounty's file, and its holdout: from a CSV, an example, or memory, to named columns of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysonar.bounty.settings import HoldoutSettings
from pysonar.frames.named import columns_of, is_frame, targets_in
from pysonar.given import require_type
from sonar.data import examples
from sonar.data.frame import columns_in, require_finite, stacked
from sonar.data.names import plain_names, spelled, twice
from sonar.data.table import MAX_CSV_BYTES, Table, parse_csv
from sonar.errors import ConfigError, DataError
from sonar.home.files import expanded, read_bytes, read_text
from sonar.home.settings import parse_toml
from sonar.telling.text import count

Array = NDArray[np.float64]

LEAST_ROWS = 10
"""With fewer rows, mines would find their data outside the bounds derived from them."""


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
        raise ConfigError("holdout", "give either csv or example", hint='for example csv = "holdout.csv"')
    targets = [given.target] if isinstance(given.target, str) else given.target
    if given.example is not None:
        return _example(given.example, given.rows, targets, given.features)
    assert given.csv is not None
    if given.rows is not None:
        raise ConfigError("holdout.rows", "goes with example", hint="a CSV is used whole: leave rows out")
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
    # Names as plain strings: those of numpy and pandas may equal them but have another `repr`. A bounty read
    # back from its shelf would then differ, and its campaign could not continue.
    if isinstance(features, str):  # its letters are not names
        raise DataError("features", f"is one text, {features!r}", hint=f"give a list: [{features!r}]")
    require_type(features, Iterable | None, "features", 'give a list of names: features=["age", "bmi"]')
    require_type(target, Iterable, "target", 'give a name, or a list of names: target="progression"')
    features = None if features is None else plain_names(features)
    targets = plain_names([target] if isinstance(target, str) else target)
    if is_frame(x):
        given = columns_of(x, None if features is None else [*features, *(targets if y is None else [])])
    else:
        given = columns_in(x, features)
    if y is not None:
        given |= targets_in(y, targets)
    try:
        values = stacked(given)
    except DataError as error:
        if features is None:
            error.hint = f"{error.hint}; or leave it out: features=[…] names the columns to train on"
        raise
    return _chosen(Table(tuple(given), values), targets, features)


def _chosen(table: Table, targets: Sequence[str], features: Sequence[str] | None) -> HeldOut:
    """Return the table with the names of features and targets. Raises DataError for a missing one."""
    targets = plain_names(targets)
    names = tuple(n for n in table.columns if n not in targets) if features is None else plain_names(features)
    if not names:
        raise DataError(
            "holdout", "has no feature column", hint="name one column besides the target at least"
        )
    if not targets:
        raise DataError("target", "names no column", hint="name the column to predict")
    if name := twice((*names, *targets)):
        what = "is a feature and a target" if name in names and name in targets else "is named twice"
        raise DataError(f"column {spelled(name)}", what, hint="name each column once, in features or target")
    held_out = HeldOut(names, targets, table.matrix((*names, *targets)))
    _require_numbers(held_out)
    _require_spread(held_out)
    return held_out


def _require_numbers(held_out: HeldOut) -> None:
    """Check that there are `LEAST_ROWS` rows, and that all of their values are numbers. Raises DataError."""
    rows = held_out.rows
    if rows < LEAST_ROWS:
        problem = f"has {count(rows, 'row')}; at least {LEAST_ROWS} are needed, for the model's bounds"
        raise DataError("holdout", problem, hint="hold out more rows")
    require_finite(held_out.values, held_out.columns)


def _require_spread(held_out: HeldOut) -> None:
    for target, y in zip(held_out.targets, held_out.y.T, strict=True):
        if (y == y[0]).all():
            problem = f"is {y[0]:g} in every held-out row, so the holdout cannot tell models apart"
            raise DataError(f"column {target!r}", problem, hint="shuffle the data before you hold rows out")


def read(path: Path) -> dict[str, Any]:
    """Return the fields of a bounty's file, with those of `allow_file`. Raises ConfigError."""
    fields = parse_toml(read_bytes(path, "bounty"), str(path))
    _take_allow_file(fields, expanded(path, "bounty").parent)
    return fields


def _take_allow_file(fields: dict[str, Any], folder: Path) -> None:
    """Replace `allow_file` by its addresses, one a line. Raises ConfigError."""
    named = fields.pop("allow_file", None)
    if named is None:
        return
    if "allow" in fields or not isinstance(named, str):
        problem = "must be the name of a file, and the only list"
        raise ConfigError("allow_file", problem, hint="leave allow out")
    text = read_text(folder / expanded(named, "allow_file"), "allow_file")
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    fields["allow"] = [line for line in lines if line]
