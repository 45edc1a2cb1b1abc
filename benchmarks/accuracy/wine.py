"""Three classes in one bounty."""

from __future__ import annotations

from benchmarks.accuracy.base import Found
from benchmarks.accuracy.campaigns import QUICK_SPLITS, SPLITS, compared, split_of

ACCURACY = 0.02


def wine(quick: bool) -> Found:
    """Accuracy of 13 columns, 42 weights, seven rounds of two mines."""
    from sklearn.datasets import load_wine

    data = load_wine()
    seeds = range(QUICK_SPLITS if quick else SPLITS)
    splits = [split_of(data.data, data.target, seed, own=45, mines=2) for seed in seeds]
    names = [str(name) for name in data.feature_names]
    return compared("wine", splits, names, ACCURACY)
