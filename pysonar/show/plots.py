"""Pictures of a campaign and of a model: each draws on matplotlib's `axes`, or on new ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sonar.errors import ArgumentError, ClientMissing, DataError
from sonar.protocol.ids import ETHER
from sonar.telling.amounts import Unit
from sonar.telling.figures import heading

_HINT = "pip install 'sonar-network-scientist[plot]'"
MOST = 30
"""So many coefficients are drawn, the largest."""


def axes_for(axes: Any, count: int = 1) -> Any:
    """Return the axes that are given, or `count` new ones side by side. Raises ClientMissing."""
    if axes is not None:
        each = np.atleast_1d(np.asarray(axes, dtype=object)).ravel()
        if len(each) != count or not all(hasattr(one, "get_figure") for one in each):
            hint = f"give those of plt.subplots(1, {count}), or leave it out"
            raise ArgumentError(f"axes: {axes!r:.60}; {count} of matplotlib's are expected", hint=hint)
        return axes
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ClientMissing("pictures need the package matplotlib", hint=_HINT) from error
    return pyplot.subplots(1, count, figsize=(4.5 * count, 3.2), layout="constrained")[1]


def plot_losses(campaign: Any, axes: Any = None) -> Any:
    """Draw how good the model was after each round, against rounds and against the money that was paid.

    `campaign` is a `Campaign`, or what its `summary()` returns. `axes`: two axes. Returns both. Raises
    DataError before a round is settled, and for a study, which has no loss; ArgumentError, ClientMissing.
    """
    if not isinstance(campaign, Mapping) and not hasattr(campaign, "summary"):
        hint = "give session.campaign(...), or what its summary() returns"
        raise ArgumentError(f"campaign: {campaign!r:.60} is no campaign", hint=hint)
    summary: Mapping[str, Any] = campaign if isinstance(campaign, Mapping) else campaign.summary()
    if not summary["metric"]:
        hint = "its result has a plot of its own: campaign.result()"
        raise DataError("campaign", "asks for a statistic, which has no loss", hint=hint)
    metric, unit = summary["metric"], Unit(**summary["asset"])
    points = [(0, 0, summary["initial"][metric])]
    paid = 0
    for line in summary["rounds"]:
        paid += line["paid_units"]
        if line["figures"]:
            points.append((line["round"], paid, line["figures"][metric]))
    if len(points) == 1:
        raise DataError("campaign", "has no settled round yet", hint="run it first: campaign.fit()")
    rounds, money, values = map(np.array, zip(*points, strict=True))
    decimals = 18 if unit.asset == ETHER else unit.decimals or 0
    symbol = "ether" if unit.asset == ETHER else unit.symbol or "units"
    left, right = axes_for(axes, 2)
    for ax, x, label in ((left, rounds, "round"), (right, money / 10.0**decimals, f"paid, {symbol}")):
        ax.plot(x, values, marker="o")
        if summary["target"]:
            ax.axhline(summary["target"][metric], color="0.5", linestyle=":", label="target")
        ax.set_xlabel(label)
        ax.set_ylabel(heading(metric))
    left.xaxis.get_major_locator().set_params(integer=True)
    if summary["target"]:
        right.legend()
    return left, right


def plot_coefficients(model: Any, axes: Any = None) -> Any:
    """Draw a model's weights, by which columns of one unit can be compared: those of its map.

    `model` is a `LinearModel`, or an estimator that has one. Of several outputs, and of many columns, the
    largest are drawn. Raises ArgumentError for what is no model or is not fitted, ClientMissing.
    """
    given, model = model, getattr(model, "model_", model)
    if not (hasattr(model, "spec") and hasattr(model, "weights")):
        fits = hasattr(given, "fit")
        hint = (
            "fit it first; of results that have a plot, call plot()"
            if fits
            else "give model, or estimator.fit(x, y)"
        )
        what = "has no weights" if fits else "is no linear model"
        raise ArgumentError(f"model: {given!r:.60} {what}", hint=hint)
    names, weights = model.spec.weight_names, np.asarray(model.weights, dtype=np.float64)
    shown = [
        (name, weight) for name, weight in zip(names, weights, strict=True) if not name.endswith("(bias)")
    ]
    shown = sorted(shown, key=lambda pair: -abs(pair[1]))[:MOST][::-1]
    ax = axes_for(axes)
    ax.barh([name for name, _ in shown], [weight for _, weight in shown])
    ax.axvline(0.0, color="0.5", linewidth=0.8)
    ax.set_xlabel("weight of the standardised column")
    return ax


def plot_calibration(probabilities: Any, labels: Any, axes: Any = None, *, bins: int = 10) -> Any:
    """Draw how often a class was the right one, against the probability that was told.

    `probabilities` float64[rows] of the class, `labels` bool[rows] whether it was; in `bins` bins of equally
    many rows. Raises DataError, ClientMissing.
    """
    told, right = np.asarray(probabilities, dtype=np.float64), np.asarray(labels)
    if told.ndim != 1 or told.shape != right.shape or not len(told):
        problem = f"have the shapes {list(told.shape)} and {list(right.shape)}; [rows] each is expected"
        hint = "of one class: model.predict_proba(x)[:, 1], y == model.classes_[1]"
        raise DataError("probabilities, labels", problem, hint=hint)
    if not (np.isin(right, (0, 1)).all() and ((told >= 0) & (told <= 1)).all()):
        hint = "give y == model.classes_[1] as labels"
        raise DataError("probabilities, labels", "are not from 0 to 1, and true or false", hint=hint)
    parts = np.array_split(np.argsort(told, kind="stable"), min(bins, len(told)))
    ax = axes_for(axes)
    ax.plot([0, 1], [0, 1], color="0.5", linestyle=":")
    ax.plot([told[p].mean() for p in parts], [right[p].mean() for p in parts], marker="o")
    ax.set_xlabel("probability told")
    ax.set_ylabel("part that was right")
    return ax
