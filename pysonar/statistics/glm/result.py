"""What a generalised linear model found: a table as statsmodels prints it, and its numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysonar.statistics.base import Seen
from pysonar.statistics.chances import chi2_p_value
from pysonar.statistics.columns import level_of_one, outside, told_as_one
from pysonar.statistics.fits.collinear import filled
from pysonar.statistics.fits.estimates import Estimates
from pysonar.statistics.fits.newton import Optimum, inverse, optimum_of
from pysonar.statistics.fits.plot import Axes, forest
from pysonar.statistics.fits.rounding import rounding_warnings, unit_of
from pysonar.statistics.fits.wald import Coefficients, own_units
from pysonar.statistics.fits.warning import BoundsWarning, ConvergenceWarning, StatisticWarning, Told, warn_of
from pysonar.statistics.fitted import design
from pysonar.statistics.glm.likelihood import Fit, fit_of
from pysonar.statistics.glm.opened import Opened, step_of
from pysonar.statistics.glm.separation import separation_of
from pysonar.statistics.shown.report import plain
from pysonar.statistics.shown.table import Cell, Table, p_value
from sonar.data.schema import Column
from sonar.families.sums.likelihoods import GlmFamily
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.design import labels_of
from sonar.families.sums.terms.steps.glm_step import GlmStep

Vector = NDArray[np.float64]
_WHOLE = 1e-6
_NARROW = "those of the target and of `weights`, or `mu_min` and `mu_max`"
RATIO = {"binomial": "odds ratio", "poisson": "rate ratio", "gamma": "ratio of means"}


@dataclass(frozen=True, eq=False)
class GlmResult(Estimates):
    """Coefficients with their errors (`coefficients`, the constant first), and how well they fit (`fit`).

    `rows` complete rows of `mines` mines; `weight` is what they weigh, and their number without weights.
    `target_level`: the level that counts as 1 in a target of two categories, None of numbers.
    """

    family: GlmFamily
    target: str
    coefficients: Coefficients
    fit: Fit
    rows: int
    weight: float
    mines: int
    rounds: int
    converged: bool
    warnings: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    target_level: str | None = None

    @property
    def df_model(self) -> int:
        """The number of coefficients besides the constant."""
        return len(self.coefficients.labels) - 1

    @property
    def df_resid(self) -> float:
        """The rows' weight less the number of coefficients."""
        return self.weight - self.df_model - 1

    @property
    def aic(self) -> float:
        """Akaike's information criterion."""
        return -2 * self.fit.log_likelihood + 2 * (self.df_model + 1)

    @property
    def pseudo_r2(self) -> float:
        """Cox and Snell's, as statsmodels' GLM shows it; NaN without rows that weigh anything."""
        if self.weight <= 0:
            return math.nan
        return 1 - math.exp(2 / self.weight * (self.fit.null_log_likelihood - self.fit.log_likelihood))

    @property
    def mcfadden_r2(self) -> float:
        """McFadden's, as statsmodels' Logit and Poisson show it; NaN of a target without any spread."""
        if self.fit.null_log_likelihood == 0:
            return math.nan
        return 1 - self.fit.log_likelihood / self.fit.null_log_likelihood

    @property
    def likelihood_ratio(self) -> tuple[float, float]:
        """The likelihood ratio's chi-squared against the constant alone, and its p-value."""
        chi2 = 2 * (self.fit.log_likelihood - self.fit.null_log_likelihood)
        return chi2, chi2_p_value(chi2, self.df_model)

    @property
    def title(self) -> str:
        """See `Report`."""
        return "Generalized linear model over pooled rows"

    @property
    def facts(self) -> Sequence[tuple[str, Cell]]:
        """See `Report`."""
        fit, (chi2, p) = self.fit, self.likelihood_ratio
        return [
            ("Target", told_as_one(self.target, self.target_level)),
            ("Family", self.family),
            ("Link", "logit" if self.family == "binomial" else "log"),
            ("Rounds", f"{self.rounds}" + ("" if self.converged else " (not converged)")),
            ("Mines", self.mines),
            ("Rows", self.rows),
            ("Df residuals", _whole(self.df_resid)),
            ("Df model", self.df_model),
            ("Scale", fit.scale),
            ("Log-likelihood", fit.log_likelihood),
            ("LL-null", fit.null_log_likelihood),
            ("LLR chi2", chi2),
            ("LLR p-value", p_value(p)),
            ("Deviance", fit.deviance),
            ("Null deviance", fit.null_deviance),
            ("Pearson chi2", fit.pearson_chi2),
            ("AIC", self.aic),
            ("Pseudo R2 (CS)", self.pseudo_r2),
            ("Pseudo R2 (McFadden)", self.mcfadden_r2),
        ]

    @property
    def tables(self) -> Sequence[Table]:
        """See `Report`: coefficients, and their ratios."""
        return self.coefficients.tables(RATIO[self.family])

    def to_dict(self) -> dict[str, Any]:
        """See `Report`."""
        chi2, p = self.likelihood_ratio
        whole = super().to_dict()
        del whole["columns"], whole["fit"]
        found = {
            **whole,
            **plain(self.fit),
            "coefficients": self.coefficients.to_dict(),
            "aic": self.aic,
            "pseudo_r2": self.pseudo_r2,
            "mcfadden_r2": self.mcfadden_r2,
            "likelihood_ratio": {"chi2": chi2, "p": p},
            "df_model": self.df_model,
            "df_resid": self.df_resid,
        }
        return {name: plain(value) for name, value in found.items()}

    def predict(self, table: Any) -> Vector:
        """Return the mean of each row, float64[rows]: a probability, a rate (exposure 1), or an amount.

        `table`: a data frame, or columns by name. Raises DataError for columns that are missing or unfit.
        """
        names = self.coefficients.labels
        eta = self.params[0] + design(self.columns, names[1:], table) @ self.params[1:]
        return np.asarray(1 / (1 + np.exp(-eta)) if self.family == "binomial" else np.exp(eta))

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the ratios with their intervals, on matplotlib's axes. Raises ClientMissing."""
        some = self.coefficients
        target = (
            repr(self.target) if self.target_level is None else told_as_one(self.target, self.target_level)
        )
        name = f"{RATIO[self.family]} of {target} (for one unit more)"
        return forest(some.labels[1:], some.ratios[1:], some.ratio_intervals[1:], name, axes)


def result_of(
    spec: SumsSpec, seen: Sequence[Seen], first: Opened, others: Sequence[Opened], alpha: float
) -> GlmResult:
    """Return the result of the rounds seen. `first`: the round without coefficients."""
    asked = step_of(spec)
    labels = labels_of(spec.by_name, asked.columns)
    last, common = others[-1], others[-1].common
    optimum = optimum_of(last.highest, last.away)
    information = first.end.information if asked.family == "gamma" else optimum.point.information
    kept, empty = filled(spec.columns, asked.columns, first.end.information)
    fit = fit_of(asked.family, optimum, last, max(common.weight - len(kept), 1e-9))
    own = own_units(spec.columns, asked.columns)
    covariance = (own @ inverse(information) @ own.T * fit.scale)[np.ix_(kept, kept)]
    told = separation_of(spec, asked, labels, others)
    told += _not_converged(optimum, labels, told) + _clipped(asked, last)
    if not told:
        unit, (weight, right) = unit_of(seen[-1]), asked.step_bounds(spec.by_name)
        own_inverse = inverse(optimum.point.information)[np.ix_(kept, kept)]
        told += rounding_warnings(own_inverse, unit * weight, unit * right, _NARROW)
    told += [Told(StatisticWarning, one) for one in empty]
    told += [Told(BoundsWarning, one) for one in outside(spec, seen[0].totals)]
    warn_of(told)
    return GlmResult(
        family=asked.family,
        target=asked.target,
        coefficients=Coefficients(
            tuple(labels[place] for place in kept),
            (own @ optimum.coefficients)[kept],
            covariance,
            alpha,
        ),
        fit=fit,
        rows=common.rows,
        weight=common.weight,
        mines=seen[-1].mines,
        rounds=len(seen),
        converged=optimum.converged,
        warnings=tuple(one.text for one in told),
        columns=tuple(column for column in spec.columns if column.name in asked.columns),
        target_level=level_of_one(spec.by_name[asked.target]),
    )


def _whole(value: float) -> Cell:
    """Return a number as a whole one if that is what weights make it."""
    return round(value) if abs(value - round(value)) < _WHOLE else value


def _not_converged(optimum: Optimum, labels: Sequence[str], told: Sequence[Told]) -> list[Told]:
    if optimum.converged or told:
        return []
    worst = labels[int(np.abs(optimum.point.step).argmax())]
    problem = f"not converged: the last step would move {worst!r} most; raise `rounds_max` of [statistic]"
    return [Told(ConvergenceWarning, problem)]


def _clipped(asked: GlmStep, last: Opened) -> list[Told]:
    count = round(last.sums["clipped"])
    if count == 0 or asked.family == "binomial":
        return []
    problem = (
        f"the mean of {asked.target!r} was beyond `mu_min` or `mu_max` in {count} rows, and taken as that"
    )
    return [Told(BoundsWarning, problem + "; give wider ones in [statistic]")]
