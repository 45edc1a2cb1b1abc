"""Every figure by its name: a new one is a file beside this one, and a line here."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.accuracy.base import Figure
from benchmarks.accuracy.breast_cancer import breast_cancer
from benchmarks.accuracy.diabetes import diabetes
from benchmarks.accuracy.digits import digits
from benchmarks.accuracy.ols import moments, ols
from benchmarks.accuracy.wine import wine

FIGURES: Mapping[str, Figure] = {
    "diabetes": diabetes,
    "moments": moments,
    "ols": ols,
    "breast-cancer": breast_cancer,
    "wine": wine,
    "digits": digits,
}
