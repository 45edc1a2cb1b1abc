"""Every figure by its name: a new one is a file beside this one, and a line here."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.accuracy.base import Figure
from benchmarks.accuracy.leaves import leaves
from benchmarks.accuracy.ols import moments, ols

FIGURES: Mapping[str, Figure] = {
    "moments": moments,
    "ols": ols,
    "leaves": leaves,
}
