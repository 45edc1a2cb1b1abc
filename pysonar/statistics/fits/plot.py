"""Pictures of results, on matplotlib's axes: ratios with their intervals, and steps with bands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pysonar.statistics.shown.plots import require_axes
from sonar.errors import ClientMissing

if TYPE_CHECKING:
    from matplotlib.axes import Axes as _Axes

    Axes: TypeAlias = _Axes
else:
    Axes = object

COLOURS = ("#1f6feb", "#d1242f", "#2da44e", "#9a6700", "#8250df", "#0e7490", "#bf3989", "#57606a")
_GREY = "#8c959f"
_LEFT, _RIGHT = 1e-6, 1e6


def axes_of(axes: Axes | None, height: float = 4.0) -> Axes:
    """Return the axes that are given, or new ones. Raises ClientMissing without matplotlib."""
    if axes is not None:
        require_axes(axes, "axes")
        return axes
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        hint = "install it: pip install 'matplotlib>=3.9'"
        raise ClientMissing(f"no picture: {error}", hint=hint) from error
    return plt.subplots(figsize=(7.5, height), constrained_layout=True)[1]


def forest(
    labels: Sequence[str],
    ratios: NDArray[np.float64],
    intervals: NDArray[np.float64],
    name: str,
    axes: Axes | None = None,
) -> Axes:
    """Draw a dot with its interval for each ratio, float64[d] and float64[d, 2], on a logarithmic axis."""
    found = axes_of(axes, 1.2 + 0.36 * len(labels))
    places = np.arange(len(labels))[::-1]
    dots, ends = np.clip(ratios, _LEFT, _RIGHT), np.clip(intervals, _LEFT, _RIGHT)
    found.axvline(1, color=_GREY, linewidth=1, linestyle="--")
    found.hlines(places, ends[:, 0], ends[:, 1], color=COLOURS[0], linewidth=2)
    found.plot(dots, places, "o", color=COLOURS[0], markersize=6)
    found.set_xscale("log")
    _plain_ticks(found, float(ends.min()), float(ends.max()))
    found.set_yticks(places, list(labels))
    found.set_ylim(-0.6, len(labels) - 0.4)
    found.set_xlabel(name)
    found.spines[["top", "right", "left"]].set_visible(False)
    found.tick_params(axis="y", length=0)
    return found


def _plain_ticks(axes: Axes, low: float, high: float) -> None:
    """Write ratios as numbers, and no more of them than fit."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    narrow = high / low < 30
    axes.xaxis.set_major_locator(
        LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0) if narrow else (1.0,), numticks=12)
    )
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
