"""What a figure is: numbers of ours beside the pooled library's, each with the most that they may be apart.

A figure is a function of `quick` in a file of its own, with a line in `registry.py`. It takes rows, deals
them to mines, asks what a user would ask, and computes the same on all rows with a library that people trust:

    def ols(quick: bool) -> Found:
        import statsmodels.api as sm

        x, y = sm.datasets.longley.load().exog, ...
        theirs, ours = sm.OLS(y, sm.add_constant(x)).fit(), ...
        return Found(
            "least squares of longley over three mines",
            "statsmodels",
            equal("coefficient", names, ours.coefficients, theirs.params, 1e-6),
        )

Peers are imported in the function: those that only `.venv-peers` has are no concern of the others' tests.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any


@dataclass(frozen=True)
class Compared:
    """A number of ours beside the pooled one: `off` says how far it is, and `limit` how far it may be.

    What is better than asked has an `off` below 0.
    """

    what: str
    ours: float
    pooled: float
    off: float
    limit: float

    @property
    def holds(self) -> bool:
        """Whether it is near enough. What is no number is not."""
        return math.isfinite(self.ours) and math.isfinite(self.pooled) and self.off <= self.limit


def relative(what: str, ours: float, pooled: float, limit: float) -> Compared:
    """Return a number that may differ by `limit` times the pooled one."""
    ours, pooled = float(ours), float(pooled)
    off = 0.0 if ours == pooled else abs(ours - pooled) / abs(pooled) if pooled else math.inf
    return Compared(what, ours, pooled, off, limit)


def within(what: str, ours: float, pooled: float, limit: float) -> Compared:
    """Return a number that may differ by `limit`."""
    ours, pooled = float(ours), float(pooled)
    return Compared(what, ours, pooled, abs(ours - pooled), limit)


def no_less(what: str, ours: float, pooled: float, limit: float) -> Compared:
    """Return a number, as an accuracy, that may be less than the pooled one by `limit`, and any more."""
    return Compared(what, float(ours), float(pooled), float(pooled) - float(ours), limit)


def no_more(what: str, ours: float, pooled: float, limit: float) -> Compared:
    """Return a number, as a loss, that may be more than the pooled one by `limit`, and any less."""
    return Compared(what, float(ours), float(pooled), float(ours) - float(pooled), limit)


def equal(
    what: str, names: Sequence[str], ours: Iterable[float], pooled: Iterable[float], limit: float
) -> list[Compared]:
    """Return a number for each name, which may differ by `limit` times the pooled one."""
    return [
        relative(f"{what} of {name}", one, other, limit)
        for name, one, other in zip(names, ours, pooled, strict=True)
    ]


@dataclass(frozen=True)
class Found:
    """What a figure found. `peer` is the pooled library's distribution, as pip calls it."""

    what: str
    peer: str
    compared: Sequence[Compared]

    @property
    def holds(self) -> bool:
        """Whether all of it holds; something must have been compared."""
        return bool(self.compared) and all(one.holds for one in self.compared)

    @property
    def worst(self) -> Compared:
        """The number that is the least near, of what it may be off: the one that stands for the figure."""
        return max(self.compared, key=_nearness)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready values: of the worst number, and of all."""
        worst = self.worst
        return {
            "ours": _number(worst.ours),
            "pooled": _number(worst.pooled),
            "holds": self.holds,
            "off": _number(worst.off),
            "limit": worst.limit,
            "what": self.what,
            "worst": worst.what,
            "peer": f"{self.peer} {_version(self.peer)}",
            "compared": [
                {name: _number(value) for name, value in asdict(one).items()} | {"holds": one.holds}
                for one in self.compared
            ],
        }


Figure = Callable[[bool], Found]
"""A figure: a function of `quick`, which takes fewer splits or rows where it takes long."""


def _nearness(one: Compared) -> tuple[bool, float]:
    share = one.off / one.limit if one.limit else math.inf if one.off else 0.0
    return not one.holds, share if math.isfinite(share) else math.inf


def _number(value: Any) -> Any:
    """JSON has no number for what is not finite."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "missing"
