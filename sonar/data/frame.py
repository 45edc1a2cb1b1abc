"""Columns in memory: arrays and lists as numbers.

numpy turns nearly everything into numbers: dates into days since 1970, complex numbers into their real part,
masked values into what lies below the mask. So anything but a number is refused here, by column and row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from sonar.data.cells import EXACT
from sonar.data.names import plain_name
from sonar.data.table import Matrix, Vector
from sonar.errors import DataError

_ENCODE = "encode it as numbers, such as 0 and 1"
_AS_FLOATS = "make numbers of the texts: x.astype(float)"
_FILL = "drop such rows, or fill in their values"
_REFUSED = {
    "c": ("holds complex numbers", "take their real part, their size or both as columns: x.real, abs(x)"),
    "M": ("holds dates", "make numbers of them: (x - x.min()) / np.timedelta64(1, 'D') are days"),
    "m": ("holds durations", "make numbers of them: x / np.timedelta64(1, 'h') are hours"),
    "V": ("holds records of several fields", "give each field as a column: {name: x[name] for name in …}"),
}
_NUMBERS = (bool, int, float, np.bool_, np.integer, np.floating, Decimal, Fraction)


def numbers(values: Any, field: str) -> Matrix:
    """Return float64 of the shape that `values` have; NaN stands for what is missing.

    Whole numbers, booleans, Decimals and Fractions are taken. Raises DataError naming `field`: for a value
    that is masked, complex, a date, a duration, a text or another object; for one that a 64-bit float cannot
    hold, such as a whole number beyond 2^53; and for anything but an array.
    """
    if np.ma.isMaskedArray(values) and (count := int(np.ma.getmaskarray(values).sum())):
        first = np.argwhere(np.ma.getmaskarray(values))[0].tolist()
        problem = f"has {count} masked values, {_place(first)} first; numbers are expected"
        raise DataError(field, problem, hint=_FILL)
    if hasattr(values, "toarray"):
        raise DataError(field, "is a sparse matrix; an array is expected", hint="give x.toarray()")
    try:
        array = np.asarray(values)
        if array.dtype.kind in "SU" and not isinstance(values, np.ndarray):
            array = np.asarray(values, dtype=object)  # a single text would turn all others into texts
    except Exception as error:  # arrays of other libraries may raise anything
        problem = f"is not an array of numbers: {str(error)[:200]}"
        raise DataError(field, problem, hint="give lists of one length, or an array of numpy") from error
    if array.dtype.kind in _REFUSED:
        problem, hint = _REFUSED[array.dtype.kind]
        raise DataError(field, f"{problem}; numbers are expected", hint=hint)
    if array.dtype.kind not in "fiub":
        return _of_objects(values, array, field)
    with np.errstate(over="ignore"):
        result = array.astype(np.float64)
    _require_held(array, result, field)
    return result


def _require_held(array: Any, result: Matrix, field: str) -> None:
    """Check that the conversion changed no number. Raises DataError."""
    if array.dtype.kind in "iu":
        for place in np.argwhere(np.abs(result) >= EXACT).tolist():
            given = int(array[tuple(place)])
            if int(result[tuple(place)]) != given:
                raise _too_long(field, place, given)
    if array.dtype.kind == "f" and (lost := np.isfinite(array) & ~np.isfinite(result)).any():
        place = np.argwhere(lost)[0].tolist()
        raise DataError(field, f"{_place(place)} is beyond ±1.8e308", hint="rescale the column")


def _too_long(field: str, place: Sequence[int], given: int) -> DataError:
    problem = f"{_place(place)} is {str(given)[:40]}: whole numbers beyond 2^53 are not exact as a float"
    return DataError(field, problem, hint="rescale the column, or leave it out if it only names the rows")


def _of_objects(values: Any, array: Any, field: str) -> Matrix:
    """Return numbers of an array of objects or texts, one by one. Raises DataError."""
    if array.ndim == 0:
        kind = type(values).__name__
        what = {"NoneType": "None", "str": "a text"}.get(kind, f"one {kind}")
        problem = f"is {what}; a list or an array is expected"
        raise DataError(field, problem, hint="make one: list(x) of what can be gone through, [x] of a value")
    result = np.empty(array.shape)
    flat = array.reshape(-1).tolist()
    for index, value in enumerate(flat):
        place = [int(i) for i in np.unravel_index(index, array.shape)]
        result[tuple(place)] = _of_one(value, field, place)
    return result


def _of_one(value: Any, field: str, place: Sequence[int]) -> float:
    if value is None or value is np.ma.masked or type(value).__name__ in ("NAType", "NaTType"):
        return np.nan
    if not isinstance(value, _NUMBERS):
        problem = f"{_place(place)} is {_what(value)}; a number is expected"
        raise DataError(field, problem, hint=_hint(value))
    try:
        number = float(value)
    except (OverflowError, ValueError) as error:
        raise DataError(field, f"{_place(place)} is beyond ±1.8e308", hint="rescale the column") from error
    if isinstance(value, int) and int(number) != value:
        raise _too_long(field, place, value)
    return number


def _hint(value: object) -> str:
    """Return how to turn such a value into a number."""
    if hasattr(value, "year") and hasattr(value, "month"):
        return "make numbers of the dates: of years, or of days since an event"
    try:
        return _AS_FLOATS if isinstance(value, str | bytes) and np.isfinite(float(value)) else _ENCODE
    except ValueError:
        return _ENCODE


def _what(value: object) -> str:
    if isinstance(value, str | bytes):
        return f"the text {value!r:.60}"
    return f"of the type {type(value).__name__!r}"


def _place(place: Sequence[int]) -> str:
    """Return where a value stands, as people count."""
    if not place:
        return "it"
    column = f", column {place[1] + 1}" if len(place) > 1 else ""
    return f"row {place[0] + 1}{column}"


def columns_in(x: Any, names: Sequence[str] | None, what: str = "x") -> dict[str, Matrix]:
    """Return the columns of an array [n, len(names)] by their names. Raises DataError."""
    matrix = numbers(x, what)
    shape = list(matrix.shape)
    if matrix.ndim != 2:
        hint = "one column alone: x.reshape(-1, 1), or df[[name]] of a frame; one row: x.reshape(1, -1)"
        raise DataError(what, f"has the shape {shape}; [rows, columns] is expected", hint=hint)
    if names is None:
        problem = f"is an array of {shape[1]} columns without names"
        raise DataError(what, problem, hint="name them, in order: features=[…]; or give a mapping or a frame")
    if shape[1] != len(names):
        told = ", ".join(map(repr, names[:20])) + ", …" * (len(names) > 20)
        problem = f"has {shape[1]} columns (shape {shape}), and {len(names)} are named: {told}"
        raise DataError(what, problem, hint="there must be one name for each column, in order")
    return dict(zip(names, matrix.T, strict=True))


def stacked(columns: Mapping[str, Any]) -> Matrix:
    """Return columns as float64[rows, columns]. Raises DataError naming the bad column."""
    arrays: dict[str, Vector] = {}
    for name, values in columns.items():
        field = f"column {name!r}"
        array = numbers(values, field)
        if array.ndim != 1:
            hint = "of [n, 1] take y.squeeze(); of one value make a list: [1.5]"
            raise DataError(field, f"has the shape {list(array.shape)}; [rows] is expected", hint=hint)
        first = next(iter(arrays), name)
        if arrays and len(array) != len(arrays[first]):
            problem = f"has {len(array)} rows, and column {first!r} has {len(arrays[first])}"
            raise DataError(field, problem, hint="give columns of the same rows")
        arrays[name] = array
    return np.column_stack(list(arrays.values())) if arrays else np.empty((0, 0))


def require_finite(values: Matrix, names: Iterable[str]) -> None:
    """Check that float64[rows, len(names)] are numbers. Raises DataError naming column and row."""
    bad = ~np.isfinite(values)
    if not bad.any():
        return
    for name, missing in zip(names, bad.T, strict=True):
        if count := int(np.count_nonzero(missing)):
            first = int(np.argmax(missing))
            what = "missing" if np.isnan(values[first, list(names).index(name)]) else "infinite"
            more = f"; of {len(values)} rows, {count} have no finite number" if count > 1 else ""
            problem = f"row {first + 1} is {what}; a number is expected{more}"
            raise DataError(f"column {plain_name(name)!r}", problem, hint=_FILL)
