"""A plot of the ratios: one bar for each peer of each measure, on a logarithmic axis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def draw(document: dict[str, Any], folder: Path) -> Path:
    """Write `benchmarks.png` into `folder`, from the document that `--json` prints."""
    bars = [
        (f"{measure}: {peer}", ratio)
        for measure, result in document.items()
        if measure != "machine"
        for peer, ratio in result["ratio"].items()
    ]
    figure, axes = plt.subplots(figsize=(9, 0.3 * len(bars) + 1.5))
    labels, values = [label for label, _ in bars][::-1], [value for _, value in bars][::-1]
    drawn = axes.barh(labels, values, color="#35618f")
    axes.bar_label(drawn, labels=[f"{value:,.3g}" for value in values], padding=3, fontsize=8)
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.margins(x=0.15)
    axes.set_xlabel("times our median (share_of_limit: limit / actual)")
    axes.set_title(f"Sonar against its peers, {document['machine']['cpu']}", fontsize=10)
    figure.tight_layout()
    path = folder / "benchmarks.png"
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return path
