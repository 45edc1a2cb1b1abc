"""Poisson and gamma regression beside statsmodels on the pooled rows."""

from __future__ import annotations

from typing import Any

from benchmarks.accuracy.base import Found
from benchmarks.accuracy.logistic import MINES, beside


def glm(quick: bool) -> Found:
    """Poisson and gamma regression (log link) of the diabetes table."""
    from sklearn.datasets import load_diabetes

    data: Any = load_diabetes(scaled=False)
    compared = beside("poisson", data.data, data.target, (0.0, 400.0))
    compared += beside("gamma", data.data, data.target, (20.0, 400.0))
    return Found(f"Poisson and gamma regression over {MINES} mines, six rounds", "statsmodels", compared)
