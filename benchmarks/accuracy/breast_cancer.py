"""Two classes, over three parties: how right a model is, and how honest its probabilities are."""

from __future__ import annotations

from benchmarks.accuracy.base import Found
from benchmarks.accuracy.campaigns import QUICK_SPLITS, SPLITS, compared, split_of

ACCURACY, LOG_LOSS = 0.01, 0.015


def breast_cancer(quick: bool) -> Found:
    """Accuracy and log loss of 30 skewed columns, bent at their means, seven rounds of two mines."""
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    seeds = range(QUICK_SPLITS if quick else SPLITS)
    splits = [split_of(data.data, data.target, seed, own=89, mines=2) for seed in seeds]
    names = [str(name) for name in data.feature_names]
    return compared("breast cancer", splits, names, ACCURACY, LOG_LOSS, feature_map="bent")
