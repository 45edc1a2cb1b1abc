"""The demo's picture: the loss against the rounds, and what each mine was paid."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sonar.demo.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

POOLED_MSE = 2_505.272
"""Ordinary least squares on all ten mines' rows pooled in the clear: what nobody may do here."""
BEST_OF_2017_MSE = 25_985.416
"""The best figure that the 2017 demo published for the same data, split and loss."""
_ETHER = 10**18


def draw(report: Report, path: Path) -> None:
    """Write the picture to `path` (PNG)."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import MaxNLocator

    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.6), constrained_layout=True)
    _draw_losses(report, left)
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    _draw_payments(report, right)
    for axes in (left, right):
        axes.spines["top"].set_visible(False)
    right.spines["right"].set_visible(False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _draw_losses(report: Report, axes: Axes) -> None:
    """MSE against the rounds; on the right the same as R²."""
    told = [each["mse"] for each in (report.initial, *(row.figures for row in report.rounds))]
    axes.plot(range(len(told)), told, marker="o", color="#1f6feb", label="this run, on encrypted weights")
    axes.axhline(report.null_mse, color="#8b949e", linestyle=":", label="the null model: the mean")
    axes.axhline(POOLED_MSE, color="#2da44e", linestyle="--", label="least squares on pooled data")
    title = f"Loss on the holdout (best published in 2017: MSE {BEST_OF_2017_MSE:,.0f})"
    axes.set(title=title, xlabel="rounds", ylabel="MSE")
    axes.set_ylim(0.9 * min(POOLED_MSE, *told), 1.08 * max(report.null_mse, *told))
    null = report.null_mse

    def r2(mse: ArrayLike) -> ArrayLike:
        return np.asarray(1 - np.asarray(mse, dtype=float) / null)

    def mse(r2: ArrayLike) -> ArrayLike:
        return np.asarray((1 - np.asarray(r2, dtype=float)) * null)

    axes.secondary_yaxis("right", functions=(r2, mse)).set_ylabel("R²")
    axes.legend(frameon=False)


def _draw_payments(report: Report, axes: Axes) -> None:
    names = [m.name for m in report.mines]
    fees = [m.fees_wei / _ETHER for m in report.mines]
    rewards = [m.rewards_wei / _ETHER for m in report.mines]
    axes.bar(names, fees, color="#8b949e", label="fees")
    axes.bar(names, rewards, bottom=fees, color="#1f6feb", label="rewards by contribution")
    axes.set(title="Paid to each mine", ylabel="ether")
    axes.tick_params(axis="x", rotation=45)
    axes.margins(y=0.22)
    axes.legend(frameon=False, loc="upper left", ncols=2)
