"""Every figure by its name: a new one is a file beside this one, and a line here."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.accuracy.auc import auc
from benchmarks.accuracy.base import Figure
from benchmarks.accuracy.breast_cancer import breast_cancer
from benchmarks.accuracy.cox import cox
from benchmarks.accuracy.diabetes import diabetes
from benchmarks.accuracy.digits import digits
from benchmarks.accuracy.glm import glm
from benchmarks.accuracy.kaplan_meier import kaplan_meier
from benchmarks.accuracy.logistic import logistic
from benchmarks.accuracy.ols import moments, ols
from benchmarks.accuracy.wine import wine

FIGURES: Mapping[str, Figure] = {
    "auc": auc,
    "cox": cox,
    "diabetes": diabetes,
    "glm": glm,
    "kaplan-meier": kaplan_meier,
    "logistic": logistic,
    "moments": moments,
    "ols": ols,
    "breast-cancer": breast_cancer,
    "wine": wine,
    "digits": digits,
}
