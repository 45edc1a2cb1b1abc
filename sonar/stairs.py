"""A picture of what was spent, step by step, against a limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sonar.errors import ClientMissing, ConfigError
from sonar.telling.text import clock

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BLUE, _GREY, _GREEN, _TEXT = "#1f6feb", "#d0d7de", "#2da44e", "#57606a"
_MOST_NAMES = 24
"""More steps than this have no names below them: nobody could read them."""


@dataclass(frozen=True)
class Step:
    """At `at_s` so much was `added`, to `in_all`, by the name of what for."""

    at_s: int
    in_all: float
    added: float
    name: str


@dataclass(frozen=True)
class Stairs:
    """Steps in the order of time, and their limit; None for no limit."""

    title: str
    limit: float | None
    steps: Sequence[Step]


def draw(all_stairs: Sequence[Stairs], path: Path) -> None:
    """Write a picture (PNG) with a chart for each. Raises ClientMissing, ConfigError."""
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise ClientMissing(
            f"no picture: {error}", hint="install it: pip install 'matplotlib>=3.9'"
        ) from error

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    rows = max(len(all_stairs), 1)
    canvas, axes = plt.subplots(rows, 1, figsize=(9, 3.4 * rows), constrained_layout=True, squeeze=False)
    for stairs, one in zip(all_stairs, axes[:, 0], strict=False):
        _draw(stairs, one)
    try:
        canvas.savefig(path, dpi=120, format="png")
    except OSError as error:
        raise ConfigError("--plot", f"{path} cannot be written: {error}", hint="name another file") from error
    finally:
        plt.close(canvas)


def _draw(stairs: Stairs, axes: Axes) -> None:
    """A bar for each step: what was spent before in grey, what it added in blue; the limit is a line."""
    steps, limit = stairs.steps, stairs.limit
    places = range(len(steps))
    before = [max([0.0, *(one.in_all for one in steps[:i])]) for i in places]
    axes.bar(places, [min(b, one.in_all) for b, one in zip(before, steps, strict=True)], color=_GREY)
    axes.bar(
        places,
        [max(one.in_all - b, 0.0) for b, one in zip(before, steps, strict=True)],
        bottom=before,
        color=_BLUE,
    )
    for i, one in enumerate(steps):
        told = f"{one.in_all:.3g}" if one.added else "free"
        axes.annotate(told, (i, one.in_all), (0, 3), textcoords="offset points", ha="center", fontsize=8.5)
    top = max([limit or 0.0, *(one.in_all for one in steps)]) or 1.0
    axes.set_ylim(0, 1.18 * top)
    axes.set_xlim(-0.6, max(len(steps), 4) - 0.4)
    across = axes.get_yaxis_transform()
    if limit is not None:
        axes.axhline(limit, color=_GREEN, linestyle="--")
        axes.text(1, limit, f"budget {limit:g} ", ha="right", va="bottom", transform=across, color=_GREEN)
    named = len(steps) <= _MOST_NAMES
    axes.set_xticks(list(places) if named else [])
    if named:
        axes.set_xticklabels([f"{one.name}\n{clock(one.at_s)}" for one in steps], fontsize=7.5)
    if not steps:
        axes.text(0.5, 0.5, "nothing was released", transform=axes.transAxes, ha="center", color=_TEXT)
    axes.set_title(stairs.title, loc="left")
    axes.set_ylabel("epsilon spent")
    axes.spines[["top", "right"]].set_visible(False)
