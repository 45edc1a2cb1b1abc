"""One column of a table, as numbers or as texts; what can be neither is refused by its name.

narwhals reads the frames of pandas, polars and Arrow alike. A missing cell of a text is None, and of a
number NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals
import narwhals.stable.v2 as nw
import numpy as np
from numpy.typing import NDArray

from sonar.data.frame import numbers
from sonar.errors import DataError

Vector = NDArray[np.float64]
Texts = list[str | None]

_AS_TEXT = "give its parts as columns of their own"
_DATES = "make numbers of them, as days since an event or years, or leave the column out"
_REFUSED: tuple[tuple[type[Any], str, str], ...] = (
    (nw.Datetime, "holds dates", _DATES),
    (nw.Date, "holds dates", _DATES),
    (nw.Time, "holds times of the day", "make numbers of them, as hours, or leave the column out"),
    (nw.Duration, "holds durations", "make numbers of them, as hours or days, or leave the column out"),
    (nw.Struct, "holds records of several fields", _AS_TEXT),
    (nw.List, "holds lists", _AS_TEXT),
    (nw.Array, "holds arrays", _AS_TEXT),
    (nw.Binary, "holds bytes", "decode them, or leave the column out"),
)
_CATEGORIES = (nw.Categorical, nw.Enum, nw.String)
_DECLARE = "encode it as numbers, such as 0 and 1; statistics take it as a category of their `columns`"


def series_of(values: Any) -> nw.Series[Any] | None:
    """Return it as a column of narwhals, None if it is no frame's."""
    if isinstance(values, nw.Series):
        return values
    if isinstance(values, narwhals.DataFrame | narwhals.LazyFrame):
        return None
    found = nw.from_native(values, series_only=True, pass_through=True)
    return found if isinstance(found, nw.Series) else None


def _refuse(series: nw.Series[Any], field: str) -> None:
    """Raises DataError for a kind of column that can be neither numbers nor categories."""
    for kind, problem, hint in _REFUSED:
        if isinstance(series.dtype, kind):
            raise DataError(field, f"{problem}; numbers or categories are expected", hint=hint)
    if not isinstance(series.dtype, nw.Unknown) or bool(series.is_null().all()):
        return
    told = str(getattr(series.to_native(), "dtype", "unknown"))
    if "complex" in told:
        hint = "take their real part, their size or both as columns: x.real, abs(x)"
        raise DataError(field, "holds complex numbers; numbers are expected", hint=hint)
    hint = "of sparse columns take .sparse.to_dense(); of others, numbers or texts"
    raise DataError(
        field, f"is of the type {told[:60]!r}, which is read neither as numbers nor as texts", hint=hint
    )


def as_numbers(values: Any, field: str) -> Any:
    """Return a column as float64[rows], NaN where a cell is missing; an array as `numbers` does.

    Raises DataError naming `field`, for texts, categories, dates, nested and mixed columns and the like.
    """
    series = series_of(values)
    if series is None:
        return numbers(values, field)
    _refuse(series, field)
    if bool(series.is_null().all()) and len(series):
        return np.full(len(series), np.nan)
    if isinstance(series.dtype, nw.Categorical | nw.Enum):
        raise DataError(field, "holds categories; numbers are expected", hint=_DECLARE)
    if isinstance(series.dtype, nw.String | nw.Object | nw.Decimal):
        return numbers(_objects(series.to_list()), field)
    missing = series.is_null().to_numpy().astype(bool)
    filled = (
        series.fill_null(False if isinstance(series.dtype, nw.Boolean) else 0) if missing.any() else series
    )
    found = numbers(filled.to_numpy(), field)
    found[missing] = np.nan
    return found


def as_texts(values: Any, field: str) -> Texts:
    """Return a column of categories as texts, None where a cell is missing.

    Whole numbers and booleans are taken as they are written: "1", "true". Raises DataError naming `field` and
    the row of anything else.
    """
    series = series_of(values)
    if series is not None:
        _refuse(series, field)
        cells = series.to_list()
    else:
        if np.ma.isMaskedArray(values):
            hint = "give a list of texts, None where a cell is missing"
            raise DataError(field, "is a masked array; categories are expected", hint=hint)
        array = np.asarray(values, dtype=object)
        if array.ndim != 1:
            hint = "give a list of one value for each row"
            raise DataError(field, f"has the shape {list(array.shape)}; [rows] is expected", hint=hint)
        cells = array.tolist()
    return [_text(cell, field, row) for row, cell in enumerate(cells)]


def holds_texts(values: Any, field: str) -> bool:
    """Tell whether a column holds categories and not numbers. Raises DataError for one that mixes the two."""
    series = series_of(values)
    if series is not None:
        _refuse(series, field)
        if not isinstance(series.dtype, nw.Object):
            return isinstance(series.dtype, _CATEGORIES) and not bool(series.is_null().all())
        cells: Sequence[Any] = series.to_list()
    else:
        array = np.asarray(values)
        if array.dtype.kind not in "OSU":
            return False
        cells = np.asarray(values, dtype=object).reshape(-1).tolist()
    texts = {row: isinstance(cell, str) for row, cell in enumerate(cells, 1) if not _is_missing(cell)}
    first = next(iter(texts.values()), False)
    if other := next((row for row, text in texts.items() if text is not first), None):
        hint = "write all of them as numbers, or all as texts"
        raise DataError(field, f"mixes texts and numbers: row {other} is not as those before", hint=hint)
    return first


def level_text(cell: Any) -> str | None:
    """Return how a category is written, None for what cannot be one."""
    if isinstance(cell, bool | np.bool_):
        return "true" if cell else "false"
    if isinstance(cell, int | np.integer):
        return str(int(cell))
    if isinstance(cell, float | np.floating):
        return str(int(cell)) if float(cell).is_integer() else None
    return cell.strip() if isinstance(cell, str) else None


def _text(cell: Any, field: str, row: int) -> str | None:
    if _is_missing(cell):
        return None
    found = level_text(cell)
    if found is None:
        problem = f"row {row + 1} is of the type {type(cell).__name__!r}, which names no category"
        raise DataError(field, problem, hint="write categories as texts or whole numbers")
    return found


def _is_missing(cell: Any) -> bool:
    if cell is None or cell is np.ma.masked or type(cell).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(cell, float | np.floating) and bool(np.isnan(cell))


def _objects(cells: Sequence[Any]) -> NDArray[Any]:
    """Return cells as an array of one dimension, lists among them too."""
    found = np.empty(len(cells), dtype=object)
    for row, cell in enumerate(cells):
        found[row] = np.nan if _is_missing(cell) else cell
    return found
