"""Tail probabilities and quantiles, as scipy computes them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonar.errors import ClientMissing

Vector = NDArray[np.float64]


def special() -> Any:
    """Return scipy.special. Raises ClientMissing where scipy is not installed."""
    try:
        from scipy import special as found
    except ImportError as error:
        hint = "install it: pip install 'sonar-network-scientist[stats]'"
        raise ClientMissing(f"p-values need scipy: {error}", hint=hint) from error
    return found


def t_p_values(t: Vector, df: float | Vector) -> Vector:
    """Return the chance of a Student's t at least as far from 0, at `df` degrees of freedom."""
    return np.asarray(2 * special().stdtr(df, -np.abs(t)))


def normal_p_values(z: Vector) -> Vector:
    """Return the chance of a standard normal number at least as far from 0."""
    return np.asarray(2 * special().ndtr(-np.abs(z)))


def f_p_value(f: float, df_model: float, df_resid: float) -> float:
    """Return the chance of an F at least as large."""
    return float(special().fdtrc(df_model, df_resid, f))


def chi2_p_value(chi2: float, df: float) -> float:
    """Return the chance of a chi-squared number at least as large, at `df` degrees of freedom."""
    return float(special().chdtrc(df, chi2))


def t_quantile(share: float, df: float) -> float:
    """Return what a Student's t is below with the chance `share`."""
    return float(special().stdtrit(df, share))


def normal_quantile(share: float) -> float:
    """Return what a standard normal number is below with the chance `share`."""
    return float(special().ndtri(share))
