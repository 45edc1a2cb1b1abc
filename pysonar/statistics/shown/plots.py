"""Pictures of results, by matplotlib: each is drawn on the axes given, or on new ones, which it returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sonar.errors import ArgumentError, ClientMissing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
BLUE, GREY = "#2166ac", "#8a8f98"
COLOURS = (BLUE, "#d6604d", "#4d9221", "#8073ac", "#e08214", "#35978f", "#c51b7d", "#543005")
_ANNOTATED = 15
_DARK = 0.6


def require_axes(axes: Any, field: str) -> None:
    """Check that what is drawn on are matplotlib's axes, one or an array. Raises ArgumentError."""
    each = np.atleast_1d(np.asarray(axes, dtype=object)).ravel()
    if not all(hasattr(one, "get_figure") and hasattr(one, "plot") for one in each):
        hint = "give those of plt.subplots(), or leave it out"
        raise ArgumentError(f"{field}: {axes!r:.60} is none of matplotlib's axes", hint=hint)


def axes_of(ax: Any, width: float, height: float) -> Axes:
    """Return `ax`, or the axes of a new figure of so many inches. Raises ClientMissing, ArgumentError."""
    if ax is not None:
        require_axes(ax, "ax")
        found: Axes = ax
        return found
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        hint = "install it: pip install 'matplotlib>=3.9'"
        raise ClientMissing(f"no picture: {error}", hint=hint) from error
    new: Axes = plt.subplots(figsize=(width, height), layout="constrained")[1]
    return new


def plain_axes(ax: Axes, title: str = "") -> None:
    """Take away the lines that say nothing, and set a title."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_title(title, loc="left", fontsize=11)


def intervals(
    names: Sequence[str],
    values: Vector,
    low: Vector,
    high: Vector,
    *,
    label: str,
    title: str,
    zero: float | None = 0.0,
    ax: Any,
) -> Axes:
    """Draw estimates with their intervals, one under the other, and a line at `zero`: no effect."""
    axes = axes_of(ax, 7, 1.1 + 0.36 * len(names))
    places = np.arange(len(names))[::-1]
    if zero is not None:
        axes.axvline(zero, color=GREY, linewidth=1, linestyle="--", zorder=0)
    axes.hlines(places, low, high, color=BLUE, linewidth=2)
    axes.plot(values, places, "o", color=BLUE, markersize=6)
    axes.set_yticks(places, names)
    axes.set_ylim(-0.7, len(names) - 0.3)
    axes.set_xlabel(label)
    plain_axes(axes, title)
    return axes


def heat_map(names: Sequence[str], values: Matrix, *, title: str, ax: Any) -> Axes:
    """Draw a matrix of correlations: blue below 0, red above, white at 0, grey where it is not defined."""
    size = 2.2 + 0.55 * len(names)
    axes = axes_of(ax, size + 0.9, size)
    from matplotlib import colormaps

    colours = colormaps["RdBu_r"].with_extremes(bad="#d9d9d9")
    image = axes.imshow(values, cmap=colours, vmin=-1, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    if len(names) <= _ANNOTATED:
        for (i, j), value in np.ndenumerate(values):
            colour = "white" if abs(value) > _DARK else "black"
            axes.text(
                j,
                i,
                "–" if np.isnan(value) else f"{value:.2f}",
                ha="center",
                va="center",
                color=colour,
                fontsize=8,
            )
    axes.figure.colorbar(image, ax=axes, shrink=0.8)
    axes.set_title(title, loc="left", fontsize=11)
    axes.spines[:].set_visible(False)
    return axes


def histogram(
    edges: Vector,
    counts: Matrix,
    groups: Sequence[str],
    *,
    column: str,
    unit: str = "",
    by: str = "",
    ax: Any,
) -> Axes:
    """Draw counts float64[groups, bins] of one group, or the densities of several."""
    axes = axes_of(ax, 6.5, 3.8)
    there = [place for place in range(len(groups)) if counts[place].sum() > 0]
    if len(groups) == 1:
        axes.stairs(counts[0], edges, fill=True, color=BLUE, edgecolor="white", linewidth=0.5)
        axes.set_ylabel("rows")
    else:
        for place in there:
            total = counts[place].sum()
            colour = COLOURS[place % len(COLOURS)]
            axes.stairs(counts[place] / total / np.diff(edges), edges, fill=True, color=colour, alpha=0.15)
            axes.stairs(
                counts[place] / total / np.diff(edges),
                edges,
                color=colour,
                linewidth=1.6,
                label=groups[place],
            )
        axes.set_ylabel("density")
        axes.legend(title=by, frameon=False)
    filled = np.flatnonzero(counts.sum(axis=0) > 0)
    if len(filled):
        axes.set_xlim(edges[max(filled[0] - 1, 0)], edges[min(filled[-1] + 2, len(edges) - 1)])
    axes.set_ylim(bottom=0)
    axes.set_xlabel(f"{column} ({unit})" if unit else column)
    plain_axes(axes, f"Histogram of {column}" + (f" by {by}" if by else ""))
    return axes


def biplot(names: Sequence[str], loadings: Matrix, shares: Vector, *, ax: Any) -> Axes:
    """Draw each column's correlations with two components, float64[columns, 2], as an arrow in a circle."""
    axes = axes_of(ax, 5.6, 5.4)
    angle = np.linspace(0, 2 * np.pi, 200)
    axes.plot(np.cos(angle), np.sin(angle), color=GREY, linewidth=1)
    axes.axhline(0, color=GREY, linewidth=0.6, zorder=0)
    axes.axvline(0, color=GREY, linewidth=0.6, zorder=0)
    for x, y in loadings.tolist():
        axes.annotate("", (x, y), (0, 0), arrowprops={"arrowstyle": "-|>", "color": BLUE, "linewidth": 1.5})
    _labels(axes, names, loadings)
    axes.set_xlim(-1.3, 1.3)
    axes.set_ylim(-1.3, 1.3)
    axes.set_aspect("equal")
    axes.set_xlabel(f"correlation with PC1 ({shares[0]:.1%} of the variance)")
    axes.set_ylabel(f"correlation with PC2 ({shares[1]:.1%})")
    plain_axes(axes, "Principal components")
    return axes


def _labels(ax: Axes, names: Sequence[str], ends: Matrix) -> None:
    """Name arrows outside of their ends, those of one side under one another without overlap."""
    right = ends[:, 0] >= 0
    for side, align in ((right, "left"), (~right, "right")):
        places = np.flatnonzero(side)
        for place, y in zip(places.tolist(), spread(ends[places, 1] * 1.06, 0.09), strict=True):
            ax.text(ends[place, 0] * 1.06, y, names[place], ha=align, va="center", fontsize=9)


def spread(values: Vector, least: float) -> list[float]:
    """Return values moved upwards where they are nearer to the next lower one than `least`."""
    found, last = np.zeros(len(values)), -np.inf
    for place in np.argsort(values).tolist():
        last = max(float(values[place]), last + least)
        found[place] = last
    return [float(value) for value in found]


def path(alphas: Vector, effects: Matrix, names: Sequence[str], *, title: str, label: str, ax: Any) -> Axes:
    """Draw coefficients float64[alphas, columns] against the penalty, the strongest named at the right."""
    axes = axes_of(ax, 7.5, 4.4)
    axes.axhline(0, color=GREY, linewidth=0.8)
    named = np.argsort(-np.abs(effects[-1]))[:_ANNOTATED].tolist()
    for place in range(effects.shape[1]):
        axes.plot(alphas, effects[:, place], color=COLOURS[place % len(COLOURS)], linewidth=1.6)
    room = float(np.ptp(effects)) or 1.0
    for place, y in zip(named, spread(effects[-1, named], 0.05 * room), strict=True):
        colour = COLOURS[place % len(COLOURS)]
        axes.annotate(
            names[place],
            (alphas[-1], y),
            (5, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            fontsize=9,
        )
    axes.set_xscale("log")
    axes.invert_xaxis()
    axes.set_xlabel("alpha (log scale)")
    axes.set_ylabel(label)
    plain_axes(axes, title)
    return axes
