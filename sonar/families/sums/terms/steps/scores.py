"""How well a linear model at visible weights predicts: losses, counts of right and wrong, scores in bins."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sonar.data.fixed import Q32, floats, from_q32
from sonar.data.schema import CategoryColumn, Rows
from sonar.families.sums.terms.base import (
    BaseTerm,
    ColumnNames,
    Columns,
    Vector,
    a_category,
    a_number,
)
from sonar.families.sums.terms.design import design_matrix, width_of
from sonar.families.sums.terms.moments import ROWS_PER_COLUMN
from sonar.families.sums.terms.steps.folding import folded_bins
from sonar.protocol.record import Name

Matrix = NDArray[np.float64]
Task = Literal["regression", "logistic", "classes"]
LOGIT_MAX = 35.0
"""A logit beyond it is taken for it: a probability of 6e-16, as scikit-learn's log-loss takes."""
MAX_EDGES = 1024
_ERROR_MAX = 4.0  # of a regression, as a multiple of the target's half range
_LOGIT_STEPS, _STEPS = 64, 256  # in one logit, and in half a range of a regression's target
_TELLING = 1 / 64  # a row whose error is more is not hidden the less by a row whose error is larger yet
REAL = {
    "regression": ("rows", "y", "y2", "error", "error2", "error_abs", "clipped"),
    "logistic": ("rows", "y", "log_loss", "brier"),
    "classes": ("rows", "log_loss", "brier"),
}
"""What is summed of each task besides counts: see `Scores`."""


class Scores(BaseTerm):
    """Sums by group of a linear model's predictions: shape [groups, sums], at B weights a design row each.

    The parameters are the weights, float64[outputs, width]: one output, or one for each level of the target
    (`classes`, softmax). First `REAL` of the task. Then, with E edges that make bins b = 0, ..., E:

    - regression, target y and errors in half ranges of the target's bounds: for each bin of the prediction
      the number of rows, and the sums of prediction, to 1/256, and target (3 [E + 1]);
    - logistic: the number of rows by target (0, 1) and predicted (0, 1) at `threshold` (4), by target and bin
      of the probability (2 [E + 1]), and the same of sums of probabilities, of logits to 1/64 (2 [E + 1]);
    - classes, C of them: rows by target and predicted (C C), and for each class by not it or it and bin of
      its probability (C 2 [E + 1]).

    The weights are whoever asks' own, so a prediction may hold a whole row as digits. A mine tells no bin of
    1 to 4 rows, of either target (`folded_bins`), predictions are rounded before they are added up in bins,
    a bounty has one such term and asks it once, and rows must not be cut or fitted but for 1 to 4 of them.
    """

    kind: Literal["scores"] = "scores"
    task: Task
    target: Name
    columns: ColumnNames
    edges_q32: Annotated[tuple[Q32, ...], Field(strict=False, min_length=1, max_length=MAX_EDGES)]
    threshold_q32: Q32 = 1 << 31
    by: Name | None = None

    def check(self, columns: Columns, parameters: int) -> None:
        """See `BaseTerm`."""
        for name in self.columns:
            if name not in columns:
                raise ValueError(f"columns: there is no column {name!r}")
        if self.by is not None:
            a_category(columns, self.by, "by")
        self._check_target(columns)
        needed = self._outputs(columns) * width_of(columns, self.columns)
        if parameters != needed:
            raise ValueError(f"columns: need {needed} parameters, not {parameters}")
        if list(self.edges_q32) != sorted(set(self.edges_q32)):
            raise ValueError("edges: must ascend")

    def shape(self, columns: Columns) -> tuple[int, ...]:
        """See `BaseTerm`."""
        bins = len(self.edges_q32) + 1
        counts = {"regression": 3 * bins, "logistic": 4 + 4 * bins}.get(self.task, 0)
        if self.task == "classes":
            classes = self._outputs(columns)
            counts = classes * classes + 2 * classes * bins
        return (self._groups(columns), len(REAL[self.task]) + counts)

    def bounds(self, columns: Columns) -> Vector:
        """See `BaseTerm`."""
        found = np.ones(self.shape(columns))
        real = {
            "regression": [1, 1, 1, _ERROR_MAX, _ERROR_MAX**2, _ERROR_MAX, 1],
            "logistic": [1, 1, LOGIT_MAX + 1, 1],
            "classes": [1, LOGIT_MAX + 1, 2],
        }[self.task]
        found[:, : len(real)] = real
        bins = len(self.edges_q32) + 1
        if self.task == "regression":
            found[:, len(real) + bins : len(real) + 2 * bins] = _ERROR_MAX + 1
        return found

    def sums(self, columns: Columns, rows: Rows, parameters: Vector) -> Vector:
        """See `BaseTerm`."""
        rows = rows.complete_rows(self.needs(columns))
        scores, group = self._scores(columns, rows, parameters)
        y = self._target(columns, rows)
        found = [self._group(y[group == g], scores[group == g]) for g in range(self._groups(columns))]
        return np.stack(found)

    def folded(self, columns: Columns, sums: Vector) -> Vector:
        """See `BaseTerm`: bins of 1 to 4 rows, of each side of a class."""
        found, real = sums.copy(), len(REAL[self.task])
        for line in found:
            cells = line[real + self._told(columns) :].reshape(
                self._sides(columns), -1, len(self.edges_q32) + 1
            )
            if self.task == "logistic":  # by side: counts, and sums of probabilities
                cells = np.moveaxis(cells.reshape(2, 2, -1), 1, 0)
            for side in cells:
                side[:] = folded_bins(side)
        return found

    def weights_of(self, columns: Columns, rows: Rows, parameters: Vector) -> Vector | None:
        """See `BaseTerm`: by group rows that are cut, that are not, of each class and not, and with an error.

        An error counts as at most `_TELLING`: rows with a large one are few where a model is good.
        """
        if not parameters.any():
            return None  # not asked yet
        rows = rows.complete_rows(self.needs(columns))
        scores, group = self._scores(columns, rows, parameters)
        kinds = self._kinds(self._target(columns, rows), scores)
        groups = self._groups(columns)
        return np.stack(
            [
                np.concatenate([np.bincount(group, weights=kind**power, minlength=groups) for kind in kinds])
                for power in (1, 2)
            ]
        )

    def least_rows(self, columns: Columns) -> int:
        """See `BaseTerm`: as of `Moments`."""
        return ROWS_PER_COLUMN * width_of(columns, self.columns)

    def fault(self, columns: Columns, sums: Vector, rows: int, room: Vector) -> str | None:
        """See `BaseTerm`: the groups have no more rows than there are, and their bins no others."""
        counts, real, bins = sums[:, 0], len(REAL[self.task]), len(self.edges_q32) + 1
        off = room.sum(axis=1)
        if (counts < -room[:, 0]).any() or counts.sum() > rows + off.sum():
            return "it counts more rows than there are, or fewer than none"
        start = real + (4 if self.task == "logistic" else 0)
        cells = {"regression": bins, "logistic": 2 * bins, "classes": self._outputs(columns) ** 2}[self.task]
        found = sums[:, start : start + cells]
        if (found < -room[:, start : start + cells]).any() or (
            np.abs(found.sum(axis=1) - counts) > off
        ).any():
            return "its bins hold other rows than it counts"
        return None

    def words(self) -> str:
        """See `BaseTerm`."""
        by = f", by {self.by}" if self.by else ""
        return f"how well {', '.join(self.columns)} predict {self.target}{by}, with weights that you see"

    def asked_once(self) -> bool:
        """See `BaseTerm`: edges that differ by a row would tell that row."""
        return True

    def solvable(self, columns: Columns) -> int:
        """See `BaseTerm`: sums of values in bins are at most 2 for each 5 rows, with two columns and more.

        So the rows that have them are always more than could be solved for, and the others are what counts.
        """
        return self._groups(columns) * len(REAL[self.task])

    def _kinds(self, y: Vector, scores: Matrix) -> list[Vector]:
        """Return float64[rows] of each kind of `weights_of`."""
        if self.task == "regression":
            error = scores[:, 0] - y
            cut, sides = np.abs(error) > _ERROR_MAX, []
        elif self.task == "logistic":
            error = y - 1 / (1 + np.exp(-np.clip(scores[:, 0], -LOGIT_MAX, LOGIT_MAX)))
            cut, sides = np.abs(scores[:, 0]) > LOGIT_MAX, [y == 0, y == 1]
        else:
            lower = scores - scores.max(axis=1, initial=-np.inf, keepdims=True)
            error = 1 - _softmax(scores)[np.arange(len(y)), y.astype(np.int64)]
            cut = (lower < -LOGIT_MAX).any(axis=1)
            sides = [(y == c) == side for c in range(scores.shape[1]) for side in (True, False)]
        told = np.minimum(np.abs(error), _TELLING)
        return [told, *(np.asarray(kind, dtype=np.float64) for kind in (cut, ~cut, *sides))]

    def _told(self, columns: Columns) -> int:
        """Return how many counts there are before those in bins."""
        return {"regression": 0, "logistic": 4, "classes": self._outputs(columns) ** 2}[self.task]

    def _sides(self, columns: Columns) -> int:
        """Return how often bins are counted: once, or by side of each class."""
        return {"regression": 1, "logistic": 2, "classes": 2 * self._outputs(columns)}[self.task]

    def _scores(self, columns: Columns, rows: Rows, parameters: Vector) -> tuple[Matrix, NDArray[np.int64]]:
        """Return complete rows' scores, float64[rows, outputs], and groups."""
        x = design_matrix(columns, self.columns, rows)
        group = np.zeros(len(rows), dtype=np.int64) if self.by is None else rows.code(self.by)
        return x @ parameters.reshape(self._outputs(columns), -1).T, group

    def _group(self, y: Vector, scores: Matrix) -> Vector:
        if self.task == "regression":
            return self._regression(y, scores[:, 0])
        if self.task == "logistic":
            return self._logistic(y, scores[:, 0])
        return self._classes(y.astype(np.int64), scores)

    def _regression(self, y: Vector, prediction: Vector) -> Vector:
        shown = np.rint(np.clip(prediction, -_ERROR_MAX - 1, _ERROR_MAX + 1) * _STEPS) / _STEPS
        error = np.clip(prediction - y, -_ERROR_MAX, _ERROR_MAX)
        clipped = (error != prediction - y).sum()
        real = [
            len(y),
            y.sum(),
            (y * y).sum(),
            error.sum(),
            (error * error).sum(),
            np.abs(error).sum(),
            clipped,
        ]
        place = self._bins(prediction)
        bins = [self._counted(place), self._counted(place, shown), self._counted(place, y)]
        return np.concatenate([np.array(real, dtype=np.float64), *bins])

    def _logistic(self, y: Vector, logit: Vector) -> Vector:
        logit = np.clip(logit, -LOGIT_MAX, LOGIT_MAX)
        p = 1 / (1 + np.exp(-logit))
        loss = np.logaddexp(0, np.where(y == 1, -logit, logit))
        real = [len(y), y.sum(), loss.sum(), ((p - y) ** 2).sum()]
        said, place, is_one = p >= from_q32(self.threshold_q32), self._bins(p), y == 1
        counts = [(y_side & p_side).sum() for y_side in (~is_one, is_one) for p_side in (~said, said)]
        shown = 1 / (1 + np.exp(-np.rint(logit * _LOGIT_STEPS) / _LOGIT_STEPS))
        bins = [self._counted(place[side]) for side in (~is_one, is_one)]
        bins += [self._counted(place[side], shown[side]) for side in (~is_one, is_one)]
        return np.concatenate([np.array([*real, *counts], dtype=np.float64), *bins])

    def _classes(self, y: NDArray[np.int64], scores: Matrix) -> Vector:
        classes = scores.shape[1]
        p = _softmax(scores)
        own = p[np.arange(len(y)), y]
        hit = (y[:, None] == np.arange(classes)).astype(np.float64)
        real = [len(y), -np.log(own).sum(), ((p - hit) ** 2).sum()]
        told = np.bincount(y * classes + p.argmax(axis=1), minlength=classes * classes)
        bins = [
            self._counted(self._bins(p[:, c])[(y == c) == side])
            for c in range(classes)
            for side in (False, True)
        ]
        return np.concatenate([np.array(real, dtype=np.float64), told, *bins])

    def _bins(self, values: Vector) -> NDArray[np.int64]:
        return np.searchsorted(floats(self.edges_q32), values, side="right")

    def _counted(self, place: NDArray[np.int64], weights: Vector | None = None) -> Vector:
        found = np.bincount(place, weights=weights, minlength=len(self.edges_q32) + 1)
        return found.astype(np.float64)

    def _target(self, columns: Columns, rows: Rows) -> Vector:
        """Return the target: a class, 0 or 1, or a number in half ranges of its bounds."""
        if isinstance(columns[self.target], CategoryColumn):
            return rows.code(self.target).astype(np.float64)
        if self.task == "logistic":
            return np.asarray(rows.number(self.target) > 0.5).astype(np.float64)
        return rows.standard(self.target)

    def _check_target(self, columns: Columns) -> None:
        if self.task == "regression":
            a_number(columns, self.target, "target")
        elif self.task == "classes":
            a_category(columns, self.target, "target")
        elif isinstance(column := columns.get(self.target), CategoryColumn):
            if len(column.levels) != 2:
                raise ValueError(
                    f"target: column {self.target!r} has {len(column.levels)} levels; 2 are expected"
                )
        else:
            number = a_number(columns, self.target, "target")
            if number.low < 0 or number.high > 1:
                found = f"bounds {number.low:g} to {number.high:g}"
                raise ValueError(f"target: column {self.target!r} has {found}; 0 to 1 are expected")

    def _outputs(self, columns: Columns) -> int:
        return len(a_category(columns, self.target, "target").levels) if self.task == "classes" else 1

    def _groups(self, columns: Columns) -> int:
        return 1 if self.by is None else len(a_category(columns, self.by, "by").levels)


def _softmax(scores: Matrix) -> Matrix:
    """Return probabilities, float64[rows, classes], of scores at most `LOGIT_MAX` below the largest."""
    lower = scores - scores.max(axis=1, initial=-np.inf, keepdims=True)
    p = np.exp(np.maximum(lower, -LOGIT_MAX))
    return np.asarray(p / p.sum(axis=1, keepdims=True))
