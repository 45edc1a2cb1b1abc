"""What the sums of an evaluation say, for all rows and for each group."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pysonar.statistics.base import Seen
from pysonar.statistics.fits.rounding import unit_of
from pysonar.statistics.fits.sound import false_sums
from pysonar.statistics.linear.gram import Gram, grams_of
from sonar.data.fixed import floats
from sonar.data.schema import CategoryColumn, NumberColumn
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.steps.scores import REAL, Scores

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
ALL = "all"
_MOST, _SURE = 1e-3, 3.0
"""A measure is not shown if rounding may be more of it; rounding is at most so many of its deviations."""
_ERROR_MAX = 4.0  # see `Scores`


@dataclass(frozen=True, eq=False)
class Measured:
    """A group's `rows`, its measures by name, and what pictures are made of.

    `confusion`: rows by target and predicted. `bins`: for each bin of the prediction the number of rows, mean
    prediction and mean target, float64[bins, 3]. `roc`: false and true positive rates, float64[points, 2].
    `widest`: the largest share of a class's rows in one bin.
    """

    group: str
    rows: int
    measures: dict[str, float]
    confusion: NDArray[np.int64] | None = None
    bins: Matrix = field(default_factory=lambda: np.empty((0, 3)))
    roc: Matrix = field(default_factory=lambda: np.empty((0, 2)))
    widest: float = 0.0


def measured(spec: SumsSpec, seen: Seen) -> list[Measured]:
    """Return what was measured over all rows, and then of each group if there are any."""
    term = next(term for term in spec.terms if isinstance(term, Scores))
    lines, unit = seen.totals[term.name], unit_of(seen)
    found = [_measured(spec, term, ALL, lines.sum(axis=0), unit * len(lines) ** 0.5)]
    column = spec.by_name[term.by] if term.by else None
    if isinstance(column, CategoryColumn):
        found += [
            _measured(spec, term, level, line, unit) for level, line in zip(column.levels, lines, strict=True)
        ]
    return found


def measured_of_moments(spec: SumsSpec, seen: Seen, weights: Matrix, by: str | None) -> list[Measured]:
    """Return the same of sums of products, for a regression's `weights` float64[1, width] in own units."""
    grams = grams_of(spec, seen.totals, seen.mines)
    whole = grams[0]
    for gram in grams[1:]:
        whole = _pooled(whole, gram)
    found = [_of_gram(ALL, whole, weights[0])]
    column = spec.by_name[by] if by else None
    if isinstance(column, CategoryColumn):
        pairs = zip(column.levels, grams, strict=True)
        found += [_of_gram(level, gram, weights[0]) for level, gram in pairs]
    return found


def area(zeros: Vector, ones: Vector) -> float:
    """Return the area under the ROC curve of counts by bin, float64[bins] each; NaN without both kinds."""
    if zeros.sum() < 0.5 or ones.sum() < 0.5:
        return float("nan")
    below = np.cumsum(zeros) - zeros
    return float((ones * (below + zeros / 2)).sum() / zeros.sum() / ones.sum())


def _measured(spec: SumsSpec, term: Scores, group: str, line: Vector, unit: float) -> Measured:
    real = dict(zip(REAL[term.task], line.tolist(), strict=False))
    counts, bins = line[len(real) :], len(term.edges_q32) + 1
    _check_sums(real, counts, "log_loss" if term.task != "regression" else "error2")
    if round(real["rows"]) == 0:
        return Measured(group, 0, {})
    if term.task == "regression":
        column = spec.by_name[term.target]
        assert isinstance(column, NumberColumn)
        return _regression(group, real, counts.reshape(3, bins), column, unit)
    if term.task == "logistic":
        return _logistic(group, real, counts[:4].reshape(2, 2), counts[4:].reshape(4, bins))
    column = spec.by_name[term.target]
    assert isinstance(column, CategoryColumn)
    classes = len(column.levels)
    confusion, rest = counts[: classes**2], counts[classes**2 :]
    return _classes(group, real, confusion.reshape(classes, classes), rest.reshape(classes, 2, bins), column)


def _check_sums(real: dict[str, float], counts: Vector, loss: str) -> None:
    """Raise DataError for sums that no rows have: `counts` are of rows, or of what is at least 0."""
    rows = real["rows"]
    told = counts if loss == "log_loss" else counts[: len(counts) // 3]
    if rows < -0.5 or real[loss] < -0.5 or (told < -0.5).any() or (told > rows + 0.5).any():
        raise false_sums("it counts more rows than there are, or fewer than none")


def _regression(
    group: str, real: dict[str, float], bins: Matrix, column: NumberColumn, unit: float
) -> Measured:
    """`unit`: the deviation of rounding in a sum whose rows add at most 1."""
    rows, scale = real["rows"], column.scale
    if min(real["error2"], real["error_abs"], real["y2"]) < 0:
        raise false_sums("squares or sizes of errors are negative")
    spread = real["y2"] - real["y"] ** 2 / rows
    mse = real["error2"] / rows * scale**2
    found = {
        "MSE": mse,
        "RMSE": mse**0.5,
        "MAE": real["error_abs"] / rows * scale,
        "R2": 1 - real["error2"] / spread if spread > 0 else float("nan"),
        "mean error": real["error"] / rows * scale,
    }
    noise = _SURE * unit * (1 + 2 * abs(real["y"]) / rows) + _SURE * np.finfo(np.float64).eps * real["y2"]
    if _SURE * unit * _ERROR_MAX**2 > _MOST * real["error2"]:
        found |= dict.fromkeys(("MSE", "RMSE", "R2"), float("nan"))
    if noise > _MOST * spread:
        found["R2"] = float("nan")
    if _SURE * unit * _ERROR_MAX > _MOST * real["error_abs"]:
        found["MAE"] = float("nan")
    count, predicted, target = bins
    there = count > 0.5
    means = [column.centre + scale * part[there] / count[there] for part in (predicted, target)]
    table = np.column_stack([np.rint(count[there]), *means])
    return Measured(group, round(rows), found, bins=table)


def _logistic(group: str, real: dict[str, float], confusion: Matrix, bins: Matrix) -> Measured:
    rows = real["rows"]
    zeros, ones = bins[:2]
    probability = bins[2] + bins[3]
    (true_0, false_1), (false_0, true_1) = np.rint(confusion)
    found = {
        "log-loss": real["log_loss"] / rows,
        "Brier": real["brier"] / rows,
        "AUC": area(zeros, ones),
        "accuracy": (true_0 + true_1) / rows,
        "precision": _share(true_1, true_1 + false_1),
        "recall": _share(true_1, true_1 + false_0),
        "specificity": _share(true_0, true_0 + false_1),
        "share of 1": real["y"] / rows,
    }
    count = zeros + ones
    table = _merged(np.column_stack([count, probability, ones]))
    rates = np.column_stack([1 - _cumulated(zeros), 1 - _cumulated(ones)])
    roc = np.concatenate([[[1.0, 1.0]], rates])[::-1]
    whole = np.rint(confusion).astype(np.int64)
    return Measured(
        group,
        round(rows),
        {name: float(value) for name, value in found.items()},
        whole,
        table,
        roc,
        _widest(bins[:2]),
    )


def _widest(counts: NDArray[np.float64]) -> float:
    """Return the largest share of a class's rows in one bin, of counts float64[..., bins]."""
    total = counts.sum(axis=-1)
    shares = counts.max(axis=-1)[total > 0.5] / total[total > 0.5]
    return float(shares.max(initial=0.0))


def _classes(
    group: str, real: dict[str, float], confusion: Matrix, bins: NDArray[np.float64], column: CategoryColumn
) -> Measured:
    rows = real["rows"]
    whole = np.rint(confusion).astype(np.int64)
    areas = [area(zeros, ones) for zeros, ones in bins]
    found = {
        "accuracy": float(np.trace(whole)) / rows,
        "log-loss": real["log_loss"] / rows,
        "Brier": real["brier"] / rows,
        "AUC (one against rest, mean)": float(np.mean(areas)),
    }
    found |= {f"AUC of {level}": value for level, value in zip(column.levels, areas, strict=True)}
    return Measured(group, round(rows), found, whole, widest=_widest(bins))


def _of_gram(group: str, gram: Gram, weights: Vector) -> Measured:
    """Return the error of weights on (columns, target), whose means and centred products these are."""
    rows = gram.weight
    if rows < 0.5:
        return Measured(group, 0, {})
    direction = np.append(weights[1:], -1.0)
    mean = float(weights[0] + direction @ gram.mean)
    squares = max(float(direction @ gram.cross @ direction), 0.0) + rows * mean**2
    mse, spread = squares / rows, float(gram.cross[-1, -1])
    r2 = 1 - squares / spread if spread > 0 else float("nan")
    return Measured(group, round(rows), {"MSE": mse, "RMSE": mse**0.5, "R2": r2, "mean error": mean})


def _pooled(one: Gram, other: Gram) -> Gram:
    """Return that of two groups together."""
    weight = one.weight + other.weight
    if weight <= 0:
        return one
    apart = other.mean - one.mean
    mean = one.mean + other.weight / weight * apart
    cross = one.cross + other.cross + one.weight * other.weight / weight * np.outer(apart, apart)
    return Gram(one.labels, mean, cross, weight, np.maximum(one.noise, other.noise))


def _merged(table: Matrix, tables: int = 10) -> Matrix:
    """Return bins float64[bins, 3] of count and two sums as about ten of like counts, with means."""
    table = table[table[:, 0] > 0.5]
    ends = (np.cumsum(table[:, 0]) - table[:, 0] / 2) / max(table[:, 0].sum(), 1)
    place = np.minimum((ends * tables).astype(np.int64), tables - 1)
    found = np.stack([np.bincount(place, weights=part, minlength=tables) for part in table.T], axis=1)
    found = found[found[:, 0] > 0.5]
    return np.column_stack([np.rint(found[:, 0]), found[:, 1:] / found[:, :1]])


def _cumulated(counts: Vector) -> Vector:
    total = counts.sum()
    return np.asarray(np.cumsum(counts) / total if total > 0 else np.zeros(len(counts)))


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else float("nan")


def edges_in(term: Scores) -> Vector:
    """Return a term's edges, float64[edges]."""
    return floats(term.edges_q32)
