"""Warnings of fitted models, each a class of its own, so that a program can make errors of them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass


class StatisticWarning(UserWarning):
    """A result that should be read with care."""


class PerfectSeparationWarning(StatisticWarning):
    """Columns tell the target without a fault, so that some coefficients have no finite estimate."""


class ConvergenceWarning(StatisticWarning):
    """The rounds ended before the estimates stood still."""


class BoundsWarning(StatisticWarning):
    """Values beyond a published bound were taken as that bound."""


@dataclass(frozen=True)
class Told:
    """A warning, and of which kind."""

    kind: type[StatisticWarning]
    text: str


def warn_of(told: Sequence[Told]) -> None:
    """Give them as Python's warnings, at whoever called the statistic."""
    for one in told:
        warnings.warn(one.text, one.kind, stacklevel=3)
