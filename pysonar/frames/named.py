"""Columns by their names: of frames of pandas, polars and Arrow, and of mappings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from narwhals.exceptions import DuplicateError

from pysonar.frames.cells import as_numbers
from sonar.data.frame import columns_in
from sonar.data.names import index_of, plain_names, spelled, twice
from sonar.errors import DataError


def is_frame(x: Any) -> bool:
    """Tell whether `x` has columns by name: a mapping or a frame. Raises DataError for a lazy one."""
    if hasattr(x, "collect") and hasattr(x, "collect_schema"):
        raise DataError("table", "is lazy: its rows are not here", hint="give x.collect()")
    return (hasattr(x, "keys") or hasattr(x, "columns")) and np.ndim(x) != 1


def cells_of(x: Any, wanted: Iterable[str] | None = None) -> dict[str, Any]:
    """Return the `wanted` columns of a mapping or a frame by their plain names, as they are; all for None.

    A name that is no text, such as 0 or ("a", "x"), is taken as `str` writes it.
    Raises DataError for one that is missing, or that is there twice, and for a frame that is not in memory.
    """
    frame, keys = _opened(x)
    names = plain_names(keys)
    if name := twice(names):
        raise DataError(f"column {spelled(name)}", "is there twice", hint="rename one of the two, or drop it")
    chosen = range(len(keys)) if wanted is None else [index_of(name, names) for name in wanted]
    # `frame[0]` would be the first row: names may be whole numbers, as those of pd.DataFrame(array) are.
    take = frame.get_column if isinstance(frame, nw.DataFrame) else frame.__getitem__
    return {names[i]: take(keys[i]) for i in chosen}


def columns_of(x: Any, wanted: Iterable[str] | None) -> dict[str, Any]:
    """Return the `wanted` columns of a mapping or a frame by their plain names, those of a frame as numbers.

    Raises DataError as `cells_of`, and naming the column for what is no column of numbers.
    """
    return {name: as_numbers(cells, f"column {name!r}") for name, cells in cells_of(x, wanted).items()}


def targets_in(y: Any, targets: Sequence[str]) -> dict[str, Any]:
    """Return the columns of y: [n] of one target, [n, targets] of several, or a mapping of them.

    Raises DataError.
    """
    if is_frame(y):
        return columns_of(y, targets)
    if len(targets) == 1:
        return {targets[0]: as_numbers(y, f"column {targets[0]!r}")}
    return dict(columns_in(y, targets, "y"))


def _opened(x: Any) -> tuple[Any, list[Any]]:
    """Return what gives a column by its key, and the keys. Raises DataError."""
    try:
        found = nw.from_native(x, pass_through=True)
    except DuplicateError:
        return x, list(x.columns)
    if isinstance(found, nw.DataFrame):
        return found, list(found.columns)
    return x, list(x.keys() if hasattr(x, "keys") else getattr(x, "column_names", x.columns))
