"""The demo's picture: the loss against the rounds, and what each mine was paid."""

from __future__ import annotations

from pathlib import Path

from sonar.demo.report import Report

POOLED_LOSS = 2_505_272
"""Ordinary least squares on all ten mines' rows pooled in the clear: what nobody may do here."""
BEST_OF_2017_LOSS = 25_985_416
"""The best figure that the 2017 demo published for the same data, split and loss."""
_ETHER = 10**18


def draw(report: Report, path: Path) -> None:
    """Write the picture to `path` (PNG)."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import MaxNLocator

    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.6), constrained_layout=True)
    losses = [report.initial_loss, *(r.loss for r in report.rounds)]
    left.plot(range(len(losses)), losses, marker="o", color="#1f6feb", label="this run, on encrypted weights")
    left.axhline(BEST_OF_2017_LOSS, color="#8b949e", linestyle=":", label="best published in 2017")
    left.axhline(POOLED_LOSS, color="#2da44e", linestyle="--", label="least squares on pooled data")
    left.set(title="Loss on the holdout", xlabel="rounds", ylabel="MSE x 1000", yscale="log")
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    left.legend(frameon=False)

    names = [m.name for m in report.mines]
    fees = [m.fees_wei / _ETHER for m in report.mines]
    rewards = [m.rewards_wei / _ETHER for m in report.mines]
    right.bar(names, fees, color="#8b949e", label="fees")
    right.bar(names, rewards, bottom=fees, color="#1f6feb", label="rewards by contribution")
    right.set(title="Paid to each mine", ylabel="ether")
    right.tick_params(axis="x", rotation=45)
    right.margins(y=0.22)
    right.legend(frameon=False, loc="upper left", ncols=2)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    plt.close(figure)
