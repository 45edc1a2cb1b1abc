"""The demo's model, on other splits than the demo's."""

from __future__ import annotations

from statistics import mean

from benchmarks.accuracy.base import Found, no_less
from benchmarks.privacy import HOLDOUT, Deal

SPLITS, QUICK_SPLITS = 20, 3
LIMIT = 0.01


def diabetes(quick: bool) -> Found:
    """R^2 on 42 held-out rows after seven rounds of ten mines, beside least squares on the mines' rows."""
    from sklearn.linear_model import LinearRegression

    deals = [Deal(seed) for seed in range(QUICK_SPLITS if quick else SPLITS)]
    pooled = []
    for deal in deals:
        x, y = deal.table
        model = LinearRegression().fit(x[HOLDOUT:], y[HOLDOUT:])
        pooled.append(float(model.score(x[:HOLDOUT], y[:HOLDOUT])))
    ours = mean(deal.r2() for deal in deals)
    what = f"the diabetes model, seven rounds of ten mines, mean of {len(deals)} splits"
    return Found(what, "scikit-learn", [no_less("R^2", ours, mean(pooled), LIMIT)])
