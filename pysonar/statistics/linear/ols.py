"""Ordinary and weighted least squares in one round: all that a table of a regression has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from pysonar.statistics.base import Seen, Statistic
from pysonar.statistics.columns import Names, chosen, number_column, outside, used
from pysonar.statistics.linear.gram import Gram, grams_of
from pysonar.statistics.linear.least import least_squares, warnings_of
from pysonar.statistics.linear.olsresult import OlsResult
from pysonar.statistics.linear.usable import filled_levels, refuse, unusable
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
    level but the first. `weight` is a column of weights, with bounds from 0 on. `unusable`: whether constant
    columns and combinations of others are refused, or left out with a warning.
    """

    target: Name
    columns: Names | None = None
    weight: Name | None = None
    unusable: Literal["refuse", "drop"] = "refuse"

    def spec(self, columns: Sequence[Column], rows_min: int, rows_max: int) -> SumsSpec:
        """See `Statistic`."""
        number_column(columns, self.target, "target")
        own = {self.target} if self.weight is None else {self.target, self.weight}
        names = chosen(columns, self.columns, "columns", own)
        declared = used(columns, [*names, self.target, *([self.weight] if self.weight else [])])
        terms: list[Term] = [
            Moments(name="moments", columns=(*names, self.target), weight=self.weight),
            Outside(name="outside", columns=tuple(column.name for column in declared)),
        ]
        if self.weight is not None:
            weight = number_column(columns, self.weight, "weight")
            if weight.low < 0:
                raise ConfigError("statistic.weight", f"column {self.weight!r} has a bound below 0")
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


class Ols(LinearStatistic):
    """Least squares as statsmodels' OLS and WLS: coefficients, errors, t, p, intervals of 1 - `alpha`."""

    kind: Literal["ols"] = "ols"
    intercept: bool = True
    alpha: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.05

    def result(self, spec: SumsSpec, seen: Sequence[Seen]) -> OlsResult:
        """See `Statistic`."""
        last = seen[-1]
        whole, places, warnings = self.filled(spec, last)
        n = self.rows(spec, last)
        _require_rows(n, len(places) + self.intercept)
        bad = unusable(whole.only(places))
        if self.unusable == "refuse":
            refuse(bad)
        warnings += [f"Left out: {problem}." for problem in bad.values()]
        places = [place for i, place in enumerate(places) if i not in bad]
        if not places:
            raise DataError("columns", "none is left that has a coefficient", hint="name columns that vary")
        gram, whole = whole.only(places), whole.only([*places, len(whole.labels) - 1])
        fit = least_squares(gram, whole.only([len(gram.labels)]), whole.cross[:-1, -1], self.intercept)
        unit = 1.0 if self.weight is None else _high(spec, self.weight)
        if whole.noise[-1] > 1e-2 or whole.cross[-1, -1] <= 0:
            warnings.append(f"The target, {self.target!r}, is constant, as far as its bounds let it be seen.")
        return OlsResult.of(
            self.target,
            (*(("Intercept",) if self.intercept else ()), *gram.labels),
            fit,
            rows=n,
            dropped=last.totals.rows - n,
            intercept=self.intercept,
            alpha=self.alpha,
            weight=self.weight,
            unit=unit,
            log_weights=_log_weights(self.weight, last),
            warnings=(*outside(spec, last.totals), *warnings, *warnings_of(fit)),
            schema=spec.columns,
            gram=whole,
        )


def _require_rows(rows: int, coefficients: int) -> None:
    if rows <= coefficients:
        needed = f"{coefficients} coefficients and their errors need at least {coefficients + 1}"
        hint = "take fewer columns, or wait for more mines"
        raise DataError("rows", f"{rows} rows have all of the columns; {needed}", hint=hint)


def _high(spec: SumsSpec, name: str) -> float:
    column = spec.by_name[name]
    assert isinstance(column, NumberColumn)
    return column.high


def _log_weights(weight: str | None, seen: Seen) -> float:
    """Return the sum of the weights' logarithms; NaN where their bounds let them be 0."""
    if weight is None:
        return 0.0
    return float(seen.totals["logs"].sum()) if "logs" in seen.totals else np.nan
