"""What every linear model asks for: moments of its columns and target, and what rows lack."""

from __future__ import annotations

from collections.abc import Sequence

from pysonar.statistics.base import Seen, Statistic
from pysonar.statistics.columns import Names, chosen, number_column, used
from pysonar.statistics.linear.gram import Gram, grams_of
from pysonar.statistics.linear.usable import filled_levels
from sonar.data.schema import Column, NumberColumn
from sonar.errors import ConfigError, DataError
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.cells import Cells
from sonar.families.sums.terms.logs import Logs
from sonar.families.sums.terms.moments import Moments
from sonar.families.sums.terms.outside import Outside
from sonar.families.sums.terms.registry import Term
from sonar.protocol.record import Name


class LinearStatistic(Statistic):
    """What is asked for a linear model of `target`, a column of numbers, on `columns` (None: all others).

    Rows with a missing cell in one of them are left out. A column of categories has an indicator for each
    level but the first. `weight` is a column of weights, with bounds from 0 on.
    """

    target: Name
    columns: Names | None = None
    weight: Name | None = None

    def spec(self, columns: Sequence[Column], rows_min: int, rows_max: int) -> SumsSpec:
        """See `Statistic`."""
        number_column(columns, self.target, "target")
        names = chosen(columns, self.columns, "columns", {"target": self.target, "weight": self.weight})
        declared = used(columns, [*names, self.target, *([self.weight] if self.weight else [])])
        terms: list[Term] = [
            Moments(name="moments", columns=(*names, self.target), weight=self.weight),
            Outside(name="outside", columns=tuple(column.name for column in declared)),
        ]
        if self.weight is not None:
            weight = number_column(columns, self.weight, "weight")
            if weight.low < 0:
                hint = f"a weight is 0 or more: give {self.weight!r} a low bound of 0 or more"
                raise ConfigError(
                    "statistic.weight", f"column {self.weight!r} has a bound below 0", hint=hint
                )
            terms.append(Cells(name="rows", columns=tuple(column.name for column in declared)))
            if weight.low > 0:
                terms.append(Logs(name="logs", column=self.weight, columns=(*names, self.target)))
        return SumsSpec(columns=declared, terms=tuple(terms), rows_min=rows_min, rows_max=rows_max)

    def filled(self, spec: SumsSpec, seen: Seen) -> tuple[Gram, list[int], list[str]]:
        """Return the Gram with the target last, the places of columns that rows have, and warnings.

        Raises DataError.
        """
        moments = spec.terms[0]
        assert isinstance(moments, Moments)
        (gram,) = grams_of(spec, seen.totals, seen.mines)
        if gram.weight <= 0 and self.weight is not None and self.rows(spec, seen):
            raise DataError(f"column {self.weight!r}", "all weights are 0", hint="give rows weights above 0")
        if gram.weight <= 0:
            hint = "leave out columns that are often missing"
            raise DataError("rows", "no row has all of the columns", hint=hint)
        predictors = [spec.by_name[name] for name in moments.columns[:-1]]
        return gram, *filled_levels(gram, predictors)

    def rows(self, spec: SumsSpec, seen: Seen) -> int:
        """Return how many rows have all of the columns."""
        if self.weight is not None:
            return round(float(seen.totals["rows"][0]))
        return round(float(seen.totals["moments"][0, 0, 0]))

    def unit(self, spec: SumsSpec) -> float:
        """Return what weights are shares of: the upper bound of their column, 1 without one."""
        if self.weight is None:
            return 1.0
        column = spec.by_name[self.weight]
        assert isinstance(column, NumberColumn)
        return column.high
