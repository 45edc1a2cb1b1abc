"""Coefficients with their errors: z, p-values, intervals, and ratios, in the columns' own units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysonar.statistics.shown.table import Cell, Table
from sonar.data.schema import Column, NumberColumn

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Coefficients:
    """Estimates float64[d] by label with their covariance, and what follows by the normal distribution.

    `alpha`: 1 less the confidence of the intervals, .05 for 95%.
    """

    labels: tuple[str, ...]
    estimates: Vector
    covariance: Matrix
    alpha: float = 0.05

    @cached_property
    def errors(self) -> Vector:
        """Standard errors, float64[d]."""
        return np.sqrt(np.maximum(np.diagonal(self.covariance), 0))

    @cached_property
    def z(self) -> Vector:
        """Estimates over their errors, float64[d]; NaN where there is no error."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.estimates / self.errors

    @cached_property
    def p(self) -> Vector:
        """Two-sided p-values, float64[d]."""
        return np.array([math.erfc(abs(value) / math.sqrt(2)) for value in self.z])

    @cached_property
    def intervals(self) -> Matrix:
        """Lower and upper ends, float64[d, 2]."""
        reach = NormalDist().inv_cdf(1 - self.alpha / 2) * self.errors
        return np.stack([self.estimates - reach, self.estimates + reach], axis=1)

    @cached_property
    def ratios(self) -> Vector:
        """e to the estimates: odds, rate or hazard ratios, float64[d]. Infinite where that is too large."""
        with np.errstate(over="ignore"):
            return np.exp(self.estimates)

    @cached_property
    def ratio_intervals(self) -> Matrix:
        """Lower and upper ends of the ratios, float64[d, 2]."""
        with np.errstate(over="ignore"):
            return np.exp(self.intervals)

    def tables(self, ratio: str) -> tuple[Table, Table]:
        """Return the table of coefficients, and that of ratios, which `ratio` names."""
        low, high = f"[{self.alpha / 2:g}", f"{1 - self.alpha / 2:g}]"
        heads = ("coef", "std err", "z", "P>|z|", low, high)
        values = np.column_stack([self.estimates, self.errors, self.z, self.p, self.intervals])
        ratios = np.column_stack([self.ratios, self.ratio_intervals])
        return Table(heads, _rows(self.labels, values)), Table((ratio, low, high), _rows(self.labels, ratios))

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, by label."""
        lines = zip(
            self.labels,
            self.estimates,
            self.errors,
            self.z,
            self.p,
            self.intervals,
            self.ratios,
            self.ratio_intervals,
            strict=True,
        )
        return {label: _as_dict(values) for label, *values in lines}


def own_units(columns: Sequence[Column], names: Sequence[str]) -> Matrix:
    """Return what takes coefficients of a design row to the columns' units, float64[d, d]."""
    by_name = {column.name: column for column in columns}
    scales, centres = [1.0], [0.0]
    for name in names:
        column = by_name[name]
        if isinstance(column, NumberColumn):
            scales.append(column.scale)
            centres.append(column.centre)
        else:
            scales += [1.0] * (len(column.levels) - 1)
            centres += [0.0] * (len(column.levels) - 1)
    found = np.diag(1 / np.array(scales))
    found[0, 1:] = -np.array(centres[1:]) / np.array(scales[1:])
    return found


def _rows(labels: Sequence[str], values: Matrix) -> tuple[tuple[str, tuple[Cell, ...]], ...]:
    return tuple((label, tuple(row)) for label, row in zip(labels, values.tolist(), strict=True))


def _as_dict(values: Sequence[Any]) -> dict[str, Any]:
    estimate, error, z, p, interval, ratio, ratio_interval = values
    return {
        "estimate": float(estimate),
        "error": float(error),
        "z": finite_or_none(z),
        "p": finite_or_none(p),
        "interval": [float(end) for end in interval],
        "ratio": finite_or_none(ratio),
        "ratio_interval": [finite_or_none(end) for end in ratio_interval],
    }


def finite_or_none(value: float) -> float | None:
    """Return a number that JSON can say, or None."""
    return float(value) if math.isfinite(value) else None
