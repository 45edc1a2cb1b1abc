"""Ordinary and weighted least squares in one round: all that a table of a regression has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from pysonar.statistics.base import Seen
from pysonar.statistics.columns import number_column, outside
from pysonar.statistics.linear.asked import LinearStatistic
from pysonar.statistics.linear.gram import Gram, grams_of
from pysonar.statistics.linear.least import Fit, least_squares, warnings_of
from pysonar.statistics.linear.olsresult import OlsResult
from pysonar.statistics.linear.robust import Matrix, Vector, sandwich, standard_params
from pysonar.statistics.linear.usable import CONSTANT, refuse, unusable
from sonar.data.schema import Column
from sonar.errors import ConfigError, DataError
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.design import labels_of
from sonar.families.sums.terms.moments import Moments
from sonar.families.sums.terms.steps.residual_moments import ResidualMoments
from sonar.telling.text import count


class Ols(LinearStatistic):
    """Least squares as statsmodels' OLS and WLS: coefficients, errors, t, p, intervals of 1 - `alpha`.

    `unusable`: whether constant columns and combinations of others are refused, or left out with a warning.
    `robust`: "HC0" or "HC1", as statsmodels' `cov_type`, for standard errors where residuals vary more in
    some rows than in others; they take a second round, in which all see the coefficients.
    """

    kind: Literal["ols"] = "ols"
    intercept: bool = True
    unusable: Literal["refuse", "drop"] = "refuse"
    alpha: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.05

    robust: Literal["HC0", "HC1"] | None = None

    @property
    def rounds(self) -> int:
        """The second is for robust errors alone."""
        return 2 if self.robust else 1

    def spec(self, columns: Sequence[Column], rows_min: int, rows_max: int) -> SumsSpec:
        """See `Statistic`."""
        spec = super().spec(columns, rows_min, rows_max)
        if self.robust is None:
            return spec
        if self.weight is not None:
            hint = "leave out one of the two"
            raise ConfigError("statistic.robust", "there are no robust errors of weighted rows", hint=hint)
        term = ResidualMoments(name="residuals", columns=self._predictors(spec), target=self.target)
        parameters = len(labels_of(spec.by_name, term.columns))
        return SumsSpec(
            columns=spec.columns,
            terms=(*spec.terms, term),
            parameters=parameters,
            rows_min=rows_min,
            rows_max=rows_max,
        )

    def step(self, spec: SumsSpec, seen: Sequence[Seen]) -> Vector | None:
        """See `Statistic`: the coefficients, at which residuals are taken."""
        if self.robust is None or len(seen) > 1:
            return None
        try:
            fitted = self._fitted(spec, seen[0])
        except DataError:
            return None  # `result` says why
        params = dict(zip(fitted.names, fitted.fit.params.tolist(), strict=True))
        target = number_column(spec.columns, self.target, "target")
        return standard_params(spec, self._predictors(spec), target, params)

    def result(self, spec: SumsSpec, seen: Sequence[Seen]) -> OlsResult:
        """See `Statistic`."""
        first = seen[0]
        fitted = self._fitted(spec, first)
        warnings = [*outside(spec, first.totals), *fitted.warnings, *warnings_of(fitted.fit)]
        robust = self._robust(spec, seen, fitted)
        if self.robust and robust is None:
            warnings.append("There was no second round: the standard errors are not robust.")
        log_weights = _log_weights(self.weight, first)
        if np.isnan(log_weights):
            warnings.append(
                f"By its bounds a weight, {self.weight!r}, may be 0, so log-likelihood, AIC and BIC are not "
                "known: give its low bound above 0."
            )
        return OlsResult.of(
            self.target,
            fitted.names,
            fitted.fit,
            rows=fitted.rows,
            dropped=first.totals.rows - fitted.rows,
            intercept=self.intercept,
            alpha=self.alpha,
            weight=self.weight,
            unit=self.unit(spec),
            log_weights=log_weights,
            robust=robust,
            cov_type="nonrobust" if robust is None else str(self.robust),
            warnings=tuple(warnings),
            data_warnings=(*outside(spec, first.totals), *fitted.warnings),
            schema=spec.columns,
            gram=fitted.whole,
        )

    def _fitted(self, spec: SumsSpec, seen: Seen) -> _Fitted:
        """Return the fit of one round's sums. Raises DataError."""
        whole, places, warnings = self.filled(spec, seen)
        n = self.rows(spec, seen)
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
        names = (*(("Intercept",) if self.intercept else ()), *gram.labels)
        return _Fitted(fit, names, whole, places, n, tuple(warnings))

    def _robust(self, spec: SumsSpec, seen: Sequence[Seen], fitted: _Fitted) -> Matrix | None:
        """Return the robust covariance that a second round gives; None without one."""
        if self.robust is None or len(seen) < 2:
            return None
        (squares,) = grams_of(spec, seen[1].totals, seen[1].mines, "residuals")
        target = number_column(spec.columns, self.target, "target")
        columns = list(range(len(fitted.places)))
        found = sandwich(
            fitted.whole.only(columns), squares.only(fitted.places), (2 * target.scale) ** 2, self.intercept
        )
        k = len(fitted.names)
        return found * fitted.rows / (fitted.rows - k) if self.robust == "HC1" else found

    def _predictors(self, spec: SumsSpec) -> tuple[str, ...]:
        moments = spec.terms[0]
        assert isinstance(moments, Moments)
        return moments.columns[:-1]


@dataclass(frozen=True, eq=False)
class _Fitted:
    """A fit, its coefficients' names, the Gram with the target last, and the columns' places."""

    fit: Fit
    names: tuple[str, ...]
    whole: Gram
    places: list[int]
    rows: int
    warnings: tuple[str, ...]


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
