"""A bounty's file, and its holdout: from a CSV, an example, or memory, to named columns of numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysonar.bounty.settings import HoldoutSettings, Settings
from pysonar.frames.cells import as_numbers
from pysonar.frames.labels import label_map
from pysonar.frames.named import cells_of, is_frame, targets_in
from pysonar.frames.unfit import fit_columns
from pysonar.given import require_type
from sonar.data import examples
from sonar.data.frame import columns_in, require_finite, stacked
from sonar.data.names import index_of, plain_names, spelled, twice
from sonar.data.schema import CategoryColumn
from sonar.data.table import MAX_CSV_BYTES, csv_header, csv_texts, parse_csv
from sonar.errors import ConfigError, DataError
from sonar.families.quadratic.losses.registry import LOSSES
from sonar.home.files import expanded, read_bytes, read_text
from sonar.home.settings import parse_toml
from sonar.telling.text import count

Array = NDArray[np.float64]

LEAST_ROWS = 10
"""With fewer rows, mines would find their data outside the bounds derived from them."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The scientist's own rows, float64[rows, columns]: those to predict from, then those to predict.

    With `labels`, a vocabulary, the one column to predict holds places in it. `dropped` says of columns that
    are left out why.
    """

    features: tuple[str, ...]
    targets: tuple[str, ...]
    values: Array
    labels: CategoryColumn | None = None
    dropped: Mapping[str, str] = field(default_factory=dict)

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


def load(given: HoldoutSettings, folder: Path, settings: Settings, *, started: bool = False) -> HeldOut:
    """Return the rows that [holdout] names; a relative `csv` is looked up in `folder`.

    `started`: whether the map of a model is taken over, so that columns may be constant here. Raises
    ConfigError, DataError.
    """
    if (given.example is None) == (given.csv is None):
        raise ConfigError("holdout", "give either csv or example", hint='for example csv = "holdout.csv"')
    targets = [given.target] if isinstance(given.target, str) else given.target
    if given.example is not None:
        columns, last = _example(given.example, given.rows)
        return _chosen(columns, plain_names(targets or [last]), given.features, settings, started)
    assert given.csv is not None
    if given.rows is not None:
        raise ConfigError("holdout.rows", "goes with example", hint="a CSV is used whole: leave rows out")
    if targets is None:
        raise ConfigError("holdout.target", "is missing", hint="name the column to predict")
    return _csv(folder / expanded(given.csv, "holdout.csv"), targets, given.features, settings, started)


def _example(name: str, rows: int | None) -> tuple[dict[str, Any], str]:
    """Return the first rows of an example by column, and its last column. Raises ConfigError, DataError."""
    table = examples.load(name)
    rows = examples.HOLDOUT_ROWS if rows is None else rows
    if rows > table.rows:
        raise ConfigError("holdout.rows", f"{name} has {table.rows} rows, not {rows}")
    return dict(zip(table.columns, table.values[:rows].T, strict=True)), table.columns[-1]


def _csv(
    path: Path, targets: Sequence[str], features: Sequence[str] | None, settings: Settings, started: bool
) -> HeldOut:
    data, name, targets = read_bytes(path, "holdout.csv", MAX_CSV_BYTES), str(path), plain_names(targets)
    labelled = is_labelled(settings, targets)
    header = csv_header(data, name)
    for each in (*(features or ()), *targets):
        index_of(each, header)
    names = [one for one in header if one not in targets] if features is None else plain_names(features)
    numbers = [*names, *([] if labelled else targets)]
    given: dict[str, Any] = {one: csv_texts(data, name, one) for one in targets} if labelled else {}
    try:
        table = parse_csv(data, name, numbers)
        given |= dict(zip(numbers, table.values.T, strict=True))
    except DataError as error:
        if not error.problem.startswith("column "):
            raise
        given |= {one: _Cells(data, name, one) for one in numbers}
    try:
        return _chosen(given, targets, features, settings, started, hidden=1)
    except DataError as error:
        if features is None and "drop = true" in error.hint:
            error.hint += "; or name the columns to train on: features = [...] in [holdout]"
        raise


@dataclass(frozen=True)
class _Cells:
    """A column of a CSV file that is not read yet, since one of the columns holds no numbers."""

    data: bytes
    name: str
    column: str

    def numbers(self) -> Array:
        """Return it as float64[rows]. Raises DataError naming the line."""
        return parse_csv(self.data, self.name, [self.column]).values[:, 0]


def in_memory(
    x: Any,
    y: Any,
    target: str | Sequence[str],
    features: Sequence[str] | None,
    settings: Settings,
    *,
    started: bool = False,
) -> HeldOut:
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
        given = cells_of(x, None if features is None else [*features, *(targets if y is None else [])])
    else:
        given = columns_in(x, features)
    if y is not None:
        labelled = is_labelled(settings, targets)
        given |= _labels_in(y, targets) if labelled else targets_in(y, targets)
    try:
        return _chosen(given, targets, features, settings, started)
    except DataError as error:
        if features is None and error.field.startswith("column ") and "features" not in error.hint:
            error.hint = f"{error.hint}; or leave it out: features=[…] names the columns to train on"
        raise


def is_labelled(settings: Settings, targets: Sequence[str]) -> bool:
    """Tell whether the one target is a column of labels; several are columns of -1 and 1."""
    return bool(LOSSES[settings.loss].labels) and len(targets) == 1


def _labels_in(y: Any, targets: Sequence[str]) -> dict[str, Any]:
    return cells_of(y, targets) if is_frame(y) else {targets[0]: y}


def _numbers(values: Any, field: str) -> Array:
    """Return a column as float64[rows]. Raises DataError for a cell that is none or not finite."""
    if isinstance(values, _Cells):
        return values.numbers()
    name = field.removeprefix("column ")[1:-1]
    found: Array = stacked({name: as_numbers(values, field)})
    require_finite(found, [name])
    return found[:, 0]


def _chosen(
    given: Mapping[str, Any],
    targets: Sequence[str],
    features: Sequence[str] | None,
    settings: Settings,
    started: bool,
    hidden: int = 0,
) -> HeldOut:
    """Return the columns with the names of features and targets. Raises DataError for a missing one."""
    names = tuple(n for n in given if n not in targets) if features is None else plain_names(features)
    _check_names(names, targets)
    for name in targets:
        index_of(name, list(given))
    good, dropped = fit_columns(
        {name: given[list(given)[index_of(name, list(given))]] for name in names},
        _numbers,
        settings.drop,
        spread=not started,
    )
    if not good:
        told = "; ".join(f"{name!r} {why}" for name, why in list(dropped.items())[:20])
        raise DataError("holdout", f"has no feature column left: {told}", hint="hold out other columns")
    labels = None
    if is_labelled(settings, targets):
        labels, codes = label_map(targets[0], given[targets[0]], settings.classes, hidden)
        wanted = {targets[0]: codes}
    else:
        wanted = {name: _numbers(given[name], f"column {name!r}") for name in targets}
    held_out = HeldOut(tuple(good), tuple(targets), stacked({**good, **wanted}), labels, dropped)
    _require_numbers(held_out)
    _require_spread(held_out)
    return held_out


def _check_names(names: Sequence[str], targets: Sequence[str]) -> None:
    if not names:
        raise DataError(
            "holdout", "has no feature column", hint="name one column besides the target at least"
        )
    if not targets:
        raise DataError("target", "names no column", hint="name the column to predict")
    if name := twice((*names, *targets)):
        what = "is a feature and a target" if name in names and name in targets else "is named twice"
        raise DataError(f"column {spelled(name)}", what, hint="name each column once, in features or target")


def _require_numbers(held_out: HeldOut) -> None:
    """Check that there are `LEAST_ROWS` rows, and that all of their values are numbers. Raises DataError."""
    rows = held_out.rows
    if rows < LEAST_ROWS:
        problem = f"has {count(rows, 'row')}; at least {LEAST_ROWS} are needed, for the model's bounds"
        raise DataError("holdout", problem, hint="hold out more rows")
    require_finite(held_out.values, held_out.columns)


def _require_spread(held_out: HeldOut) -> None:
    if held_out.labels is not None:
        return  # the model's constants say which class is missing
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
