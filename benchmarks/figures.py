"""Figures that have a limit instead of a peer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """A value, the least or the most that it may be (None for neither), and whether it is."""

    value: float
    limit: float | None
    holds: bool

    @classmethod
    def least(cls, value: float, limit: float) -> Figure:
        """Return a figure that must not be below its limit."""
        return cls(value, limit, value >= limit)

    @classmethod
    def most(cls, value: float, limit: float) -> Figure:
        """Return a figure that must not be above its limit."""
        return cls(value, limit, value <= limit)

    @classmethod
    def told(cls, value: float) -> Figure:
        """Return a figure that nothing is asked of."""
        return cls(value, None, True)


def document_of(figures: Mapping[str, Figure], unit: str, note: str) -> dict[str, Any]:
    """Return what a measure of figures found, in the form of one that has peers."""
    listed = {name: asdict(figure) for name, figure in figures.items()}
    return {"ratio": {}, "medians": {}, "unit": unit, "figures": listed, "note": note}
