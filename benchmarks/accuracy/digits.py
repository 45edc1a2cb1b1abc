"""Ten classes in one bounty."""

from __future__ import annotations

from benchmarks.accuracy.base import Found
from benchmarks.accuracy.campaigns import QUICK_SPLITS, SPLITS, compared, split_of

ACCURACY = 0.02


def digits(quick: bool) -> Found:
    """Accuracy of about 50 pixels and 40 cosines of them, seven rounds of four mines."""
    from sklearn.datasets import load_digits

    data = load_digits()
    seeds = range(QUICK_SPLITS if quick else SPLITS)
    splits = [split_of(data.data, data.target, seed, own=160, mines=4) for seed in seeds]
    names = [str(name) for name in data.feature_names]
    wide = {"kind": "linear-fourier", "n_components": 40, "gamma": 0.01}
    return compared("digits", splits, names, ACCURACY, feature_map=wide)
