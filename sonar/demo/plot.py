"""The demo's picture: the loss against the rounds, and what each mine was paid."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sonar.demo.report import Report, helped
from sonar.telling.figures import figure
from sonar.telling.text import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

POOLED_MSE = 2_505.272
"""Ordinary least squares on all ten mines' rows pooled in the clear: what nobody may do here."""
BEST_OF_2017_MSE = 25_985.416
"""The best figure that the 2017 demo published for the same data, split and loss."""
_ETHER = 10**18
_CLEAR = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85}
_BLUE, _GREY, _GREEN = "#1f6feb", "#8b949e", "#2da44e"


def load() -> None:
    """Load what draws: it takes a second, for which there is time while others work."""
    with suppress(ImportError):  # of which is told when there is something to draw
        import matplotlib.pyplot  # noqa: F401


def draw(report: Report, path: Path) -> None:
    """Write the picture to `path` (PNG)."""
    import matplotlib as mpl
    from matplotlib import pyplot as plt  # first: another thread may be loading it still

    mpl.use("Agg")
    canvas, (left, right) = plt.subplots(1, 2, figsize=(13, 5), constrained_layout=True)
    _draw_losses(report, left)
    _draw_payments(report, right)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    canvas.savefig(path, dpi=120)
    plt.close(canvas)


def _draw_losses(report: Report, axes: Axes) -> None:
    """MSE against the rounds, with its values; what is left of it at the end is drawn again, enlarged."""
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    told = [each["mse"] for each in (report.initial, *(row.figures for row in report.rounds))]
    axes.plot(range(len(told)), told, marker="o", color=_BLUE)
    axes.axhline(POOLED_MSE, color=_GREEN, linestyle="--")
    axes.set_ylim(0, 1.12 * max(report.null_mse, *told))
    axes.set_xlim(-0.3, len(told) - 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_title("How wrong the model is, on patients that it never saw", loc="left")
    axes.set(xlabel="rounds", ylabel="mean squared error (MSE)")
    _say(axes, 0, told[0], f"always predicting the mean: {_mse(told[0])}, R² 0", (8, 4))
    axes.text(
        0.98,
        0.72,
        f"green: least squares on all mines' data pooled in the clear, {_mse(POOLED_MSE)}\n"
        f"best published in 2017 for this task: {BEST_OF_2017_MSE:,.0f}, above this picture",
        ha="right",
        transform=axes.transAxes,
        fontsize=8.5,
        color="#57606a",
    )
    if len(told) > 1:
        _say(axes, 1, told[1], _mse(told[1]), (7, 3))
        _say(axes, len(told) - 1, told[-1], _mse(told[-1]), (0, 7), "center")
        _enlarge(axes, told, 1 - told[-1] / report.null_mse)


def _enlarge(axes: Axes, told: Sequence[float], r2: float) -> None:
    """Draw the rounds after the first once more, at the scale of their differences."""
    first = min(2, len(told) - 1)
    tail = told[first:]
    low, high = min(POOLED_MSE, *tail), max(POOLED_MSE, *tail)
    room = max(high - low, 0.01 * high)
    inset = axes.inset_axes((0.12, 0.07, 0.84, 0.22))
    rounds = range(first, len(told))
    inset.plot(rounds, tail, marker="o", color=_BLUE)
    inset.axhline(POOLED_MSE, color=_GREEN, linestyle="--")
    inset.set_ylim(low - 0.35 * room, high + 0.5 * room)
    inset.set_xlim(first - 0.5, len(told) - 0.4)
    inset.set_xticks(list(rounds))
    inset.set_yticks([])
    inset.set_title(f"enlarged: ends at {_mse(told[-1])}, R² {r2:.3f}", loc="left", fontsize=9.5)
    for number, mse in zip(rounds, tail, strict=True):
        _say(inset, number, mse, _mse(mse), (0, 6), "center")


def _say(axes: Axes, x: float, y: float, text: str, offset: tuple[float, float], align: str = "left") -> None:
    axes.annotate(text, (x, y), offset, textcoords="offset points", ha=align, fontsize=8.5, bbox=_CLEAR)


def _mse(value: float) -> str:
    return figure("mse", round(value)).removesuffix(".0")


def _draw_payments(report: Report, axes: Axes) -> None:
    """A bar for each mine, the best paid first, with its sum and in how many rounds it helped."""
    mines = sorted(report.mines, key=lambda mine: mine.rewards_wei + mine.fees_wei)
    names = [mine.name for mine in mines]
    rewards = [mine.rewards_wei / _ETHER for mine in mines]
    fees = [mine.fees_wei / _ETHER for mine in mines]
    axes.barh(names, rewards, color=_BLUE, label="reward, by what it contributed")
    axes.barh(names, fees, left=rewards, color=_GREY, label="fees, in equal parts to those that helped")
    most = max((each + fee for each, fee in zip(rewards, fees, strict=True)), default=0.0)
    for i, mine in enumerate(mines):
        total = rewards[i] + fees[i]
        told = f" {total:.3f} (helped in {count(helped(report, mine), 'round')})"
        axes.text(total, i, told, va="center", fontsize=8.5)
    axes.set_xlim(0, 1.5 * most or 1)
    axes.set_title("What each mine was paid, in ether", loc="left")
    axes.set_xlabel(f"ether, of {report.escrow_wei / _ETHER:g} in escrow; the rest went back")
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.45, -0.12), ncols=2)
