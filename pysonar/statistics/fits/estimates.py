"""Results with coefficients, under the names that statsmodels has for them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pysonar.statistics.fits.wald import Coefficients
from pysonar.statistics.shown.report import Report

Vector = NDArray[np.float64]


class Estimates(Report):
    """A result with `coefficients`; the arrays are float64[d], in the order of `names`."""

    coefficients: Coefficients

    @property
    def names(self) -> tuple[str, ...]:
        """What the coefficients are of."""
        return self.coefficients.labels

    @property
    def params(self) -> Vector:
        """Coefficients, in the columns' own units."""
        return self.coefficients.estimates

    @property
    def bse(self) -> Vector:
        """Standard errors."""
        return self.coefficients.errors

    @property
    def tvalues(self) -> Vector:
        """Coefficients over their errors, which are about standard normal (z)."""
        return self.coefficients.z

    @property
    def pvalues(self) -> Vector:
        """Two-sided p-values."""
        return self.coefficients.p

    def conf_int(self) -> NDArray[np.float64]:
        """Return the intervals, float64[d, 2]."""
        return self.coefficients.intervals
