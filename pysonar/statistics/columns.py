"""Columns that a statistic names: found in what a bounty declares, and what their rows lack."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated

from pydantic import Field

from sonar.data.schema import CategoryColumn, Column, NumberColumn
from sonar.errors import ConfigError, DataError
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.base import MAX_TERM_COLUMNS
from sonar.families.sums.terms.outside import Outside
from sonar.families.sums.totals import Totals
from sonar.protocol.record import Name

Names = Annotated[tuple[Name, ...], Field(strict=False, min_length=1, max_length=MAX_TERM_COLUMNS)]


def number_column(columns: Sequence[Column], name: str, field: str) -> NumberColumn:
    """Return a column of numbers. Raises ConfigError naming `field`."""
    column = any_column(columns, name, field)
    if not isinstance(column, NumberColumn):
        hint = "name a column with `low` and `high`; or declare it as numbers"
        raise ConfigError(f"statistic.{field}", f"column {name!r} has categories, not numbers", hint=hint)
    return column


def category_column(columns: Sequence[Column], name: str, field: str) -> CategoryColumn:
    """Return a column of categories. Raises ConfigError naming `field`."""
    column = any_column(columns, name, field)
    if not isinstance(column, CategoryColumn):
        hint = "name a column with `levels`; or make levels of its values, in Python "
        hint += f"schema=pysonar.columns_of(table, categories=[{name!r}])"
        raise ConfigError(f"statistic.{field}", f"column {name!r} has numbers, not categories", hint=hint)
    return column


def any_column(columns: Sequence[Column], name: str, field: str) -> Column:
    """Return a column. Raises ConfigError naming `field`."""
    for column in columns:
        if column.name == name:
            return column
    known = ", ".join(column.name for column in columns[:20])
    raise ConfigError(f"statistic.{field}", f"there is no column {name!r}", hint=f"there are {known}")


def level_of_one(column: Column) -> str | None:
    """Return the level that counts as 1 in a target or an event: of two the second; None of numbers."""
    return column.levels[1] if isinstance(column, CategoryColumn) else None


def told_as_one(name: str, level: str | None) -> str:
    """Return how a target or an event is told: its name, and what counts as 1 in it if that is a level."""
    return name if level is None else f"{name} = {level!r}"


def chosen(
    columns: Sequence[Column], names: Sequence[str] | None, field: str, parts: Mapping[str, str | None]
) -> tuple[str, ...]:
    """Return the names that a statistic names, or all columns but those that have another part in it.

    `parts`: these by field, such as {"target": "y"}. Raises ConfigError naming `field`.
    """
    taken = {name: part for part, name in parts.items() if name is not None}
    if names is None:
        names = [column.name for column in columns if column.name not in taken]
        if not names:
            raise ConfigError(f"statistic.{field}", "no column is left", hint="declare the columns")
    for name in names:
        any_column(columns, name, field)
        if name in taken:
            problem = f"column {name!r} has another part in it already: it is `{taken[name]}`"
            raise ConfigError(f"statistic.{field}", problem, hint=f"leave {name!r} out of {field}")
        if names.count(name) > 1:
            problem = f"column {name!r} is named twice"
            raise ConfigError(f"statistic.{field}", problem, hint="name each column once")
    return tuple(names)


def told_constant(names: Sequence[str]) -> str:
    """Return what is said of constant columns of these names, one or several."""
    return f"{', '.join(map(repr, names))} {'is' if len(names) == 1 else 'are'} constant"


def used(columns: Sequence[Column], names: Iterable[str]) -> tuple[Column, ...]:
    """Return the columns of these names, in the order of the names."""
    by_name = {column.name: column for column in columns}
    return tuple(by_name[name] for name in dict.fromkeys(names))


def outside(spec: SumsSpec, found: Totals, term: str = "outside") -> tuple[str, ...]:
    """Return warnings of values that were clipped, by column. Raises DataError for sums of no rows."""
    warnings = []
    (names,) = [each.columns for each in spec.terms if each.name == term and isinstance(each, Outside)]
    for name, (missing, below, above) in zip(names, found[term].tolist(), strict=True):
        column = spec.by_name[name]
        there = found.rows - missing
        if missing < -0.5 or min(below, above) < -0.5 or below + above > there + 0.5:
            problem = f"more values of column {name!r} are clipped than there are: sums of no rows"
            raise DataError("sums", problem, hint="ask again without the mines that you do not trust")
        if isinstance(column, NumberColumn) and there and below + above > 0.5:
            share = (below + above) / there
            warnings.append(
                f"{share:.2%} of the values of column {name!r} were beyond its bounds, {column.low:g} to "
                f"{column.high:g}, and were clipped ({below:.0f} below, {above:.0f} above)."
            )
    return tuple(warnings)
