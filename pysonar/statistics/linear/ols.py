"""Ordinary and weighted least squares in one round: all that a table of a regression has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from pysonar.statistics.base import Seen
from pysonar.statistics.columns import outside
from pysonar.statistics.linear.asked import LinearStatistic
from pysonar.statistics.linear.least import least_squares, warnings_of
from pysonar.statistics.linear.olsresult import OlsResult
from pysonar.statistics.linear.usable import CONSTANT, refuse, unusable
from sonar.errors import DataError
from sonar.families.sums.spec import SumsSpec
from sonar.telling.text import count


class Ols(LinearStatistic):
    """Least squares as statsmodels' OLS and WLS: coefficients, errors, t, p, intervals of 1 - `alpha`.

    `unusable`: whether constant columns and combinations of others are refused, or left out with a warning.
    """

    kind: Literal["ols"] = "ols"
    intercept: bool = True
    unusable: Literal["refuse", "drop"] = "refuse"
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
        if whole.noise[-1] > CONSTANT:
            warnings.append(f"The target, {self.target!r}, is constant, as far as its bounds let it be seen.")
        fit = least_squares(gram, whole.only([len(gram.labels)]), whole.cross[:-1, -1], self.intercept)
        return OlsResult.of(
            self.target,
            (*(("Intercept",) if self.intercept else ()), *gram.labels),
            fit,
            rows=n,
            dropped=last.totals.rows - n,
            intercept=self.intercept,
            alpha=self.alpha,
            weight=self.weight,
            unit=self.unit(spec),
            log_weights=_log_weights(self.weight, last),
            warnings=(*outside(spec, last.totals), *warnings, *warnings_of(fit)),
            schema=spec.columns,
            gram=whole,
        )


def _require_rows(rows: int, coefficients: int) -> None:
    if rows <= coefficients:
        needed = f"{coefficients} coefficients and their errors need at least {coefficients + 1}"
        hint = "take fewer columns, or wait for more mines"
        raise DataError("rows", f"{count(rows, 'row')} with all of the columns; {needed}", hint=hint)


def _log_weights(weight: str | None, seen: Seen) -> float:
    """Return the sum of the weights' logarithms; NaN where their bounds let them be 0."""
    if weight is None:
        return 0.0
    return float(seen.totals["logs"].sum()) if "logs" in seen.totals else np.nan
