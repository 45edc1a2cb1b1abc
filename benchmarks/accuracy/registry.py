"""Every figure by its name: a new one is a file beside this one, and a line here."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.accuracy.auc import auc
from benchmarks.accuracy.base import Figure
from benchmarks.accuracy.breast_cancer import breast_cancer
from benchmarks.accuracy.cox import cox
from benchmarks.accuracy.digits import digits
from benchmarks.accuracy.glm import glm
from benchmarks.accuracy.kaplan_meier import kaplan_meier
from benchmarks.accuracy.leaves import leaves
from benchmarks.accuracy.logistic import logistic
from benchmarks.accuracy.ols import moments, ols
from benchmarks.accuracy.wine import wine

FIGURES: Mapping[str, Figure] = {
    "moments": moments,
    "ols": ols,
    "glm": glm,
    "logistic": logistic,
    "cox": cox,
    "kaplan-meier": kaplan_meier,
    "auc": auc,
    "leaves": leaves,
    "breast-cancer": breast_cancer,
    "wine": wine,
    "digits": digits,
}
