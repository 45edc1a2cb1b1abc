"""What a scientist says of columns, by hand or from her own rows: bounds, levels, what may be missing."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import narwhals.stable.v2 as nw
import numpy as np
from pydantic import ValidationError

from pysonar.frames.cells import Texts, Vector, as_numbers, as_texts, holds_texts, series_of
from pysonar.frames.named import cells_of, is_frame
from pysonar.given import require_type
from sonar.data.fixed import Q32_ONE, to_q32
from sonar.data.schema import MAX_LEVELS, CategoryColumn, Column, NumberColumn
from sonar.errors import ConfigError, DataError
from sonar.protocol.wording import first_fault
from sonar.telling.text import count

Columns = tuple[Column, ...]
_LONGEST = 64  # characters of a level
_HINTS = {
    "name": "rename the column: names have 1 to 64 characters",
    "levels": "levels are 2 to 256 different texts of 1 to 64 characters, without blanks around them",
    "missing": "missing is True or False: whether cells may be missing",
    "unit": "a unit is a text of at most 32 characters",
}
Kind = TypeVar("Kind", NumberColumn, CategoryColumn)


def number(name: str, low: float, high: float, *, missing: bool = False, unit: str = "") -> NumberColumn:
    """Return a column of numbers; values beyond `low` and `high`, in its unit, are clipped to them.

    `missing`: whether cells may be missing. `unit` is for people. Raises ConfigError naming the field.
    """
    bounds = {"low": low, "high": high}
    for field, value in bounds.items():
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            raise ConfigError(
                f"columns.{name}.{field}", f"{value!r:.60} is not a number", hint="such as low=0"
            )
        if math.isinf(value):
            hint = "give the largest that a row may have; what is beyond is clipped"
            raise ConfigError(f"columns.{name}.{field}", "is infinite", hint=hint)
    if not low < high:
        hint = "give the least and the largest value that a row may have"
        raise ConfigError(f"columns.{name}.low", f"{low:g} is not below high, {high:g}", hint=hint)
    for value in bounds.values():
        to_q32(float(value), f"column {name!r}")  # says what is too large
    return _made(NumberColumn, name, {**outwards_q32(low, high), "missing": missing, "unit": unit})


def outwards_q32(low: float, high: float) -> dict[str, int]:
    """Return bounds as they are published: rounded outwards, so that neither is beyond them itself."""
    return {"low_q32": math.floor(low * Q32_ONE), "high_q32": math.ceil(high * Q32_ONE)}


def category(name: str, levels: Sequence[str], *, missing: bool = False) -> CategoryColumn:
    """Return a column of categories: `levels`, all that there are, as texts; the first is the reference.

    Raises ConfigError naming the field.
    """
    if isinstance(levels, str) or not isinstance(levels, Iterable):
        raise ConfigError(f"columns.{name}.levels", "is no list", hint='give texts: levels=["f", "m"]')
    found = tuple(levels)
    check_levels(f"columns.{name}.levels", found)
    return _made(CategoryColumn, name, {"levels": found, "missing": missing})


def check_levels(field: str, levels: Sequence[Any]) -> None:
    """Check that no level is there twice, and that there are neither too few nor too many.

    Raises ConfigError naming `field`, or one level by its place in it.
    """
    if not 2 <= len(levels) <= MAX_LEVELS:
        problem = (
            f"must have at {'least 2' if len(levels) < 2 else f'most {MAX_LEVELS}'} levels, not {len(levels)}"
        )
        raise ConfigError(field, problem, hint="name all values that occur, rare ones together as one")
    for place, level in enumerate(levels):
        if not isinstance(level, str):
            hint = f"write it as a text: {str(level)[:60]!r}"
            raise ConfigError(f"{field}.{place}", f"{level!r:.60} is no text", hint=hint)
        if level in levels[:place]:
            raise ConfigError(field, f"{level[:60]!r} is there twice", hint="name each level once")


def columns_given(given: Any, field: str = "columns") -> Columns:
    """Return the columns that `given` stands for.

    A sequence of columns (`number`, `category`, `columns_of`), or a mapping of their names to tables of their
    fields: {"age": {"low": 18, "high": 90}, "sex": {"levels": ["f", "m"], "missing": True}}. Raises
    ConfigError naming the column and field.
    """
    if isinstance(given, Mapping):
        given = [_from_table(str(name), table, f"{field}.{name}") for name, table in given.items()]
    if is_frame(given):
        raise ConfigError(field, "is a table, not columns", hint="give pysonar.columns_of(your_table)")
    if isinstance(given, str) or not isinstance(given, Iterable):
        hint = 'give pysonar.columns_of(your_table), or {"age": {"low": 18, "high": 90}}'
        raise ConfigError(field, f"is of the type {type(given).__name__!r}, not columns", hint=hint)
    found: Columns = tuple(given)
    for column in found:
        if not isinstance(column, NumberColumn | CategoryColumn):
            hint = "make each with pysonar.number or pysonar.category"
            raise ConfigError(field, f"{column!r:.60} is no column", hint=hint)
    names = [column.name for column in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{field}.{name}", "is there twice", hint="describe each column once")
    return found


def columns_of(
    table: Any,
    names: Sequence[str] | None = None,
    *,
    widen: float = 0.0,
    categories: Collection[str] = (),
    missing: Collection[str] = (),
    units: Mapping[str, str] | None = None,
) -> Columns:
    """Return the columns of a table of one's own rows: a frame of pandas, polars or Arrow, or a mapping.

    All columns, or those in `names`. Bounds are the least and the largest value, rounded outwards to two
    digits of their distance, and further out by `widen` times it on each side (not those of a column of 0 and
    1), never past zero; without `widen`, values above 0 have a low bound above 0. Texts and categories have
    the levels that occur, in the order of an ordered type, else sorted; columns of numbers that are named in
    `categories` too. Cells may be missing where one is missing here, and in the columns named in `missing`.
    `units`: by a column's name, for people. What is returned becomes public with a bounty.

    Raises DataError naming the column and what to do, ConfigError naming the argument.
    """
    _check_options(names, widen, categories, missing, units)
    cells = cells_of(table, names)
    units = units or {}
    for field, named in (("categories", categories), ("missing", missing), ("units", units)):
        for name in named:
            if name not in cells:
                raise ConfigError(field, f"there is no column {name!r}", hint=f"there are {_told(cells)}")
    found: list[Column] = []
    for name, values in cells.items():
        column = f"column {name!r}"
        if name in categories or holds_texts(values, column):
            if name in units:
                raise ConfigError("units", f"{name!r} is a column of categories", hint="leave it out")
            texts = as_texts(values, column)
            found.append(category_of(name, texts, typed_levels(values), missing=name in missing))
        else:
            numbers = as_numbers(values, column)
            if len(numbers) == 1:
                hint = "give more rows, or say by hand: pysonar.number(name, low, high)"
                raise DataError(column, "has 1 row, which says nothing of its bounds", hint=hint)
            found.append(
                number_of(name, numbers, widen=widen, missing=name in missing, unit=units.get(name, ""))
            )
    return tuple(found)


def number_of(
    name: str, values: Vector, *, widen: float = 0.0, missing: bool = False, unit: str = ""
) -> NumberColumn:
    """Return the column of numbers with these values, float64[rows], as `columns_of`. Raises DataError."""
    field, there = f"column {name!r}", values[~np.isnan(values)]
    if not len(there):
        why = "" if len(values) else ": there is no row"
        raise DataError(field, f"has no value at all{why}", hint="leave it out, or give rows that have it")
    if not np.isfinite(there).all():
        raise DataError(field, "has an infinite value", hint="drop such rows, or fill in their values")
    low, high = float(there.min()), float(there.max())
    yes_or_no = bool(np.isin(there, (0.0, 1.0)).all())
    if yes_or_no:
        low, high = 0.0, 1.0
    if low == high:
        hint = f"leave it out, or say by hand: pysonar.number({name!r}, low, high)"
        raise DataError(field, f"is {low:g} in every row, which says nothing of its bounds", hint=hint)
    low, high = _outwards(low, high, 0.0 if yes_or_no else widen)
    return number(name, low, high, missing=missing or len(there) < len(values), unit=unit)


def _outwards(low: float, high: float, widen: float) -> tuple[float, float]:
    """Return bounds rounded outwards, to a hundredth to a tenth of their distance, never past zero.

    Without `widen`, values above 0 have a low bound above 0: one digit of the least, where it would be 0.
    """
    distance = high - low
    step = 10.0 ** (math.floor(math.log10(distance)) - 1)
    lower = math.floor((low - widen * distance) / step * (1 + 1e-12)) * step
    upper = math.ceil((high + widen * distance) / step * (1 - 1e-12)) * step
    lower, upper = min(float(f"{lower:.12g}"), low), max(float(f"{upper:.12g}"), high)
    if lower <= 0 < low and not widen:
        digit = 10.0 ** math.floor(math.log10(low))
        lower = min(float(f"{math.floor(low / digit * (1 + 1e-12)) * digit:.12g}"), low)
    return (max(lower, 0.0) if low >= 0 else lower), (min(upper, 0.0) if high <= 0 else upper)


def category_of(
    name: str, texts: Texts, typed: Sequence[str] = (), *, missing: bool = False
) -> CategoryColumn:
    """Return the column of categories with these cells, of which `typed` is the order if it has all of them.

    Raises DataError naming the column.
    """
    field = f"column {name!r}"
    there = {text for text in texts if text is not None}
    for row, text in enumerate(texts, 1):
        if text is not None and not (0 < len(text) <= _LONGEST and text.isprintable()):
            raise _no_level(field, row, text)
    levels = [*typed] if there <= {*typed} else _sorted(there)
    if not 2 <= len(levels) <= MAX_LEVELS:
        what = f"has {count(len(levels), 'different value')}; a category has 2 to {MAX_LEVELS}"
        many = "put rare ones together, or leave it out if it names the rows"
        if all(map(_is_number, there)):
            many = "these look like numbers: make them numbers, as with x.astype(float)"
        hint = many if len(levels) > MAX_LEVELS else "leave it out, or say by hand: pysonar.category"
        raise DataError(field, what, hint=hint)
    return category(name, levels, missing=missing or None in texts)


def _no_level(field: str, row: int, text: str) -> DataError:
    if not text:
        hint = "make it missing (None), or write 'none'"
        return DataError(field, f"row {row} is an empty text", hint=hint)
    if len(text) > _LONGEST:
        hint = "shorten it, or leave the column out if it has remarks"
        return DataError(
            field, f"row {row} has {len(text):,} characters; a level has at most {_LONGEST}", hint=hint
        )
    hint = "take such characters out, as with x.replace('\\n', ' ')"
    return DataError(field, f"row {row} has a character that cannot be printed: {text!a}", hint=hint)


def typed_levels(values: Any) -> list[str]:
    """Return the levels that a column's type names, in its order; none if it names none."""
    series = series_of(values)
    if series is None or not isinstance(series.dtype, nw.Categorical | nw.Enum):
        return []
    return [text for text in as_texts(series.cat.get_categories(), "levels") if text is not None]


def _sorted(there: set[str]) -> list[str]:
    """Return levels sorted, whole numbers by size."""
    return [*sorted(there, key=lambda text: (not _is_whole(text), int(text) if _is_whole(text) else 0, text))]


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _is_whole(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def _from_table(name: str, table: Any, field: str) -> Column:
    if isinstance(table, NumberColumn | CategoryColumn):
        return table
    if not isinstance(table, Mapping):
        raise ConfigError(field, f"{table!r:.60} is no table", hint='such as {"low": 0, "high": 100}')
    numeric = {"low", "high", "missing", "unit"}
    known = {"levels", "missing"} if "levels" in table else numeric
    for key in table:
        if key not in known:
            hint = f"a column of numbers has {', '.join(sorted(numeric))}; one of categories levels, missing"
            raise ConfigError(f"{field}.{key}", "there is no such field", hint=hint)
    if "levels" in table:
        return category(name, **table)
    for key in ("low", "high"):
        if key not in table:
            raise ConfigError(f"{field}.{key}", "is missing", hint="give low and high, or levels")
    return number(name, **table)


def _made(kind: type[Kind], name: str, fields: dict[str, Any]) -> Kind:
    try:
        return kind(name=name, **fields)
    except ValidationError as error:
        field, problem = first_fault(error, "columns", show=True, given={"name": name, **fields})
        hint = column_hint(field.partition(".")[0])
        raise ConfigError(f"columns.{name[:64]}.{field}", problem, hint=hint) from None


def column_hint(field: str) -> str:
    """Return what to write in a wrong field of a column."""
    return _HINTS.get(field, "a column has low and high, or levels; and missing and unit")


def _check_options(names: Any, widen: Any, categories: Any, missing: Any, units: Any) -> None:
    """Raises ConfigError naming the argument."""
    for field, value in (("names", names), ("categories", categories), ("missing", missing)):
        if isinstance(value, str):
            raise ConfigError(field, f"is one text, {value!r}", hint=f"give a list: [{value!r}]")
    require_type(names, Iterable | None, "names", 'give a list: names=["age", "bmi"]')
    require_type(categories, Iterable, "categories", 'give a list: categories=["stage"]')
    require_type(missing, Iterable, "missing", 'give a list: missing=["bmi"]')
    require_type(units, Mapping | None, "units", 'give a mapping: units={"age": "years"}')
    if isinstance(widen, bool) or not isinstance(widen, int | float) or not 0 <= widen <= 100:
        hint = "give a part of the distance of the bounds: widen=0.1 for a tenth on each side"
        raise ConfigError("widen", f"{widen!r:.60} is not a number from 0 to 100", hint=hint)


def _told(names: Iterable[str]) -> str:
    listed = [*names]
    return ", ".join(map(repr, listed[:20])) + ", …" * (len(listed) > 20)
