"""What a regression finds: figures under statsmodels' names, a table as its summary, predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pysonar.statistics.base import statistic_of
from pysonar.statistics.chances import f_p_value, normal_p_values, normal_quantile, t_p_values, t_quantile
from pysonar.statistics.fitted import design
from pysonar.statistics.linear.gram import Gram
from pysonar.statistics.linear.least import Fit
from pysonar.statistics.linear.paths import Path
from pysonar.statistics.linear.penalised import ElasticNet, Penalised, Ridge
from pysonar.statistics.linear.usable import correlation_of
from pysonar.statistics.shown import plots
from pysonar.statistics.shown.report import Report, none_such
from pysonar.statistics.shown.table import Cell, Table
from sonar.data.schema import NumberColumn, Schema
from sonar.errors import ArgumentError, ConfigError, DataError

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


class Coefficient(NamedTuple):
    """A coefficient with its standard error, t, p, and the ends of its interval."""

    coef: float
    std_err: float
    t: float
    p: float
    low: float
    high: float


class FTest(NamedTuple):
    """An F statistic, its degrees of freedom, and its p-value."""

    fvalue: float
    df_num: int
    df_denom: int
    pvalue: float


@dataclass(frozen=True, eq=False)
class OlsResult(Report):
    """Figures of a regression, in the columns' own units: see `statsmodels.regression.linear_model`.

    By coefficient: `params`, `bse`, `tvalues`, `pvalues`, `low` and `high`, float64[k] in the order of
    `names`, and `covariance` [k, k]. `scale` is the residuals' variance, `residual_std` its root. `dropped`
    rows had a missing cell. `llf`, `aic` and `bic` are NaN for weights whose bounds include 0.
    """

    target: str
    names: tuple[str, ...]
    params: Vector
    bse: Vector
    tvalues: Vector
    pvalues: Vector
    low: Vector
    high: Vector
    covariance: Matrix
    alpha: float
    nobs: int
    dropped: int
    df_model: int
    df_resid: int
    rsquared: float
    rsquared_adj: float
    fvalue: float
    f_pvalue: float
    llf: float
    aic: float
    bic: float
    condition_number: float
    ssr: float
    scale: float
    residual_std: float
    intercept: bool
    weight: str | None
    cov_type: str = "nonrobust"
    warnings: tuple[str, ...] = ()
    data_warnings: tuple[str, ...] = field(default=(), repr=False)
    schema: Schema = field(default=(), repr=False)
    gram: Gram | None = field(default=None, repr=False)
    """Of the columns that have a coefficient, the target last; weights are shares of `unit`."""
    unit: float = field(default=1.0, repr=False)

    @classmethod
    def of(
        cls,
        target: str,
        names: tuple[str, ...],
        fit: Fit,
        *,
        rows: int,
        intercept: bool,
        alpha: float,
        unit: float,
        log_weights: float,
        robust: Matrix | None = None,
        **rest: Any,
    ) -> OlsResult:
        """Return the figures of a fit whose weights were shares of `unit`, and `rest` as it is.

        `robust`: the coefficients' covariance, if it is another. Raises ClientMissing.
        """
        k, df_resid, df_model = len(names), rows - len(names), len(names) - intercept
        ssr, tss, scale = fit.rss * unit, fit.tss * unit, fit.rss * unit / df_resid
        covariance = fit.unscaled / unit * scale if robust is None else robust
        with np.errstate(divide="ignore", invalid="ignore"):
            bse = np.sqrt(np.maximum(np.diag(covariance), 0.0))
            tvalues = fit.params / bse
            llf = -rows / 2 * float(np.log(2 * np.pi * ssr / np.float64(rows)) + 1) + log_weights / 2
            rsquared = float(1 - np.float64(ssr) / np.float64(tss))
            fvalue = float(np.float64((tss - ssr) / df_model) / np.float64(scale))
        if robust is not None:
            fvalue = _wald(fit.params[intercept:], covariance[intercept:, intercept:])
        half = _quantile(1 - alpha / 2, None if robust is not None else df_resid) * bse
        return cls(
            target=target,
            names=names,
            params=fit.params,
            bse=bse,
            tvalues=tvalues,
            pvalues=t_p_values(tvalues, df_resid) if robust is None else normal_p_values(tvalues),
            low=fit.params - half,
            high=fit.params + half,
            covariance=covariance,
            alpha=alpha,
            nobs=rows,
            df_model=df_model,
            df_resid=df_resid,
            rsquared=rsquared,
            rsquared_adj=1 - (rows - intercept) / df_resid * (1 - rsquared),
            fvalue=fvalue,
            f_pvalue=f_p_value(fvalue, df_model, df_resid),
            llf=llf,
            aic=-2 * llf + 2 * k,
            bic=-2 * llf + float(np.log(rows)) * k,
            condition_number=fit.condition_number,
            ssr=ssr,
            scale=scale,
            residual_std=float(np.sqrt(scale)),
            intercept=intercept,
            unit=unit,
            **rest,
        )

    @property
    def title(self) -> str:
        """What this is."""
        return f"Results: {'Weighted' if self.weight else 'Ordinary'} least squares"

    @property
    def facts(self) -> Sequence[tuple[str, Cell]]:
        """What statsmodels shows above the coefficients."""
        centred = "" if self.intercept else " (uncentered)"
        return (
            ("Dependent Variable", self.target),
            ("No. Observations", self.nobs),
            ("Rows with missing cells", self.dropped),
            ("Df Model", self.df_model),
            ("Df Residuals", self.df_resid),
            (f"R-squared{centred}", self.rsquared),
            (f"Adj. R-squared{centred}", self.rsquared_adj),
            ("Condition No.", f"{self.condition_number:.3g}"),
            ("AIC", self.aic),
            ("BIC", self.bic),
            ("Log-Likelihood", self.llf),
            ("F-statistic", self.fvalue),
            ("Prob (F-statistic)", f"{self.f_pvalue:.3g}"),
            ("Scale", self.scale),
            ("Residual Std.", self.residual_std),
            ("Covariance", self.cov_type),
        )

    @property
    def tables(self) -> Sequence[Table]:
        """The coefficients."""
        bounds = (f"[{self.alpha / 2:.3g}", f"{1 - self.alpha / 2:.3g}]")
        cells = zip(self.params, self.bse, self.tvalues, self.pvalues, self.low, self.high, strict=True)
        rows = tuple((name, tuple(map(float, row))) for name, row in zip(self.names, cells, strict=True))
        by = "t" if self.cov_type == "nonrobust" else "z"
        return (Table(("Coef.", "Std.Err.", by, f"P>|{by}|", *bounds), rows),)

    def __getitem__(self, name: str) -> Coefficient:
        """Return one coefficient and what is known of it. Raises ArgumentError for a name without one."""
        if name not in self.names:
            raise none_such("coefficient", name, self.names)
        place = self.names.index(name)
        columns = self.params, self.bse, self.tvalues, self.pvalues, self.low, self.high
        return Coefficient(*(float(column[place]) for column in columns))

    def f_test(self, names: Sequence[str]) -> FTest:
        """Test whether all of these coefficients are 0: of a category with many levels, say.

        Raises DataError for a name that has no coefficient, ClientMissing.
        """
        for name in names:
            if name not in self.names:
                hint = f"there are {', '.join(self.names)}"
                raise DataError("names", f"{name!r} has no coefficient", hint=hint)
        places = [self.names.index(name) for name in names]
        b, q = self.params[places], len(places)
        f = _wald(b, self.covariance[np.ix_(places, places)])
        return FTest(f, q, self.df_resid, f_p_value(f, q, self.df_resid))

    @property
    def vif(self) -> dict[str, float]:
        """How many times the other columns inflate each coefficient's variance, by name."""
        assert self.gram is not None
        predictors = self.gram.only(list(range(len(self.gram.labels) - 1)))
        inflation = np.diag(np.linalg.inv(correlation_of(predictors.cross)))
        return dict(zip(predictors.labels, inflation.tolist(), strict=True))

    def conf_int(self, alpha: float | None = None) -> Matrix:
        """Return the ends of intervals of 1 - `alpha`, float64[k, 2]. Raises ArgumentError."""
        if alpha is not None and not (isinstance(alpha, int | float | np.number) and 0 < alpha < 1):
            hint = "give a part of 1: 0.05 for intervals of 95%"
            raise ArgumentError(f"alpha: {alpha!r:.60} is not between 0 and 1", hint=hint)
        share = 1 - (self.alpha if alpha is None else alpha) / 2
        half = _quantile(share, self.df_resid if self.cov_type == "nonrobust" else None) * self.bse
        return np.column_stack([self.params - half, self.params + half])

    def plot(self, ax: Any = None, *, standardize: bool = True) -> Any:
        """Draw coefficients with their intervals, but for the intercept, on axes, and return them.

        `standardize`: per deviation of columns of numbers, which have units of their own; indicators of
        categories stay as they are. Raises ClientMissing.
        """
        chosen = slice(int(self.intercept), None)
        names, scale = self.names[chosen], self._scale() if standardize else np.ones(len(self.names[chosen]))
        label = f"change of {self.target}" + (
            " per deviation of a column, or from the first level" if standardize else ""
        )
        ends = self.low[chosen] * scale, self.high[chosen] * scale
        title = f"{self.title.removeprefix('Results: ')}, intervals of {1 - self.alpha:.0%}"
        return plots.intervals(names, self.params[chosen] * scale, *ends, label=label, title=title, ax=ax)

    def _scale(self) -> Vector:
        """Return deviations of columns of numbers, and 1 for indicators, float64[names but the intercept]."""
        assert self.gram is not None
        numbers = {column.name for column in self.schema if isinstance(column, NumberColumn)}
        deviations = np.sqrt(np.diag(self.gram.cross)[:-1] / self.gram.weight)
        return np.where([name in numbers for name in self.gram.labels[:-1]], deviations, 1.0)

    def ridge(self, alphas: Sequence[float] = (1.0,), *, standardize: bool = False) -> Path:
        """Return ridge regressions on the same sums, with an intercept: see `Ridge`. Raises ConfigError."""
        fields = {"target": self.target, "alphas": alphas, "standardize": standardize}
        return self._path(statistic_of(Ridge, fields))

    def elastic_net(
        self,
        l1_ratio: float = 0.5,
        alphas: Sequence[float] | None = None,
        *,
        n_alphas: int = 100,
        standardize: bool = False,
    ) -> Path:
        """Return an elastic net's path on the same sums: see `ElasticNet`. Raises ConfigError."""
        penalty = {"l1_ratio": l1_ratio, "alphas": alphas, "n_alphas": n_alphas}
        return self._path(
            statistic_of(ElasticNet, {"target": self.target, "standardize": standardize, **penalty})
        )

    def _path(self, statistic: Penalised) -> Path:
        assert self.gram is not None
        try:
            return statistic.path(self.gram, self.unit, self.nobs, self.schema, self.data_warnings)
        except ConfigError as error:
            field = error.field.removeprefix("statistic.")  # of a study's table; here it is an argument
            raise ConfigError(field, error.problem, hint=error.hint) from error

    def predict(self, table: Any) -> Vector:
        """Return predictions float64[rows] of a data frame or a mapping of columns. Raises DataError."""
        labels = self.names[self.intercept :]
        x = design(self._predictors(), labels, table)
        return np.asarray(x @ self.params[self.intercept :] + (self.params[0] if self.intercept else 0.0))

    def _predictors(self) -> Schema:
        return tuple(column for column in self.schema if column.name not in (self.target, self.weight))


def _wald(params: Vector, covariance: Matrix) -> float:
    """Return the F statistic that all of these coefficients are 0; NaN where their covariance is singular."""
    try:
        return float(params @ np.linalg.solve(covariance, params)) / len(params)
    except np.linalg.LinAlgError:
        return np.nan


def _quantile(share: float, df: int | None) -> float:
    """Return a quantile of Student's t; of the normal distribution for None."""
    return normal_quantile(share) if df is None else t_quantile(share, df)
