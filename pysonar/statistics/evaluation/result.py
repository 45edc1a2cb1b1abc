"""What an evaluation found: measures, by group, with tables and pictures of calibration and ROC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pysonar.statistics.base import Seen
from pysonar.statistics.columns import outside, told_as_one
from pysonar.statistics.evaluation.sums import Measured
from pysonar.statistics.fits.plot import COLOURS, Axes, axes_of
from pysonar.statistics.fits.warning import BoundsWarning, StatisticWarning, Told, warn_of
from pysonar.statistics.shown.report import Report, plain
from pysonar.statistics.shown.table import Cell, Table
from sonar.data.schema import CategoryColumn
from sonar.errors import UsageError
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.steps.scores import Task

_ROWS_OF_AUC = 250  # of a class at a mine: measured, of one to ten mines


@dataclass(frozen=True, eq=False)
class EvaluationResult(Report):
    """Measures of a model over all rows (`overall`) and by group (`groups`). `labels`: the classes.

    `target_level`: the level that counts as 1 in a "logistic" target of two categories, None of others.
    """

    task: Task
    target: str
    by: str | None
    private: bool
    overall: Measured
    groups: tuple[Measured, ...]
    labels: tuple[str, ...]
    threshold: float
    mines: int
    warnings: tuple[str, ...] = ()
    target_level: str | None = None

    @property
    def title(self) -> str:
        """See `Report`."""
        return f"Evaluation of a model of {self.target}"

    @property
    def facts(self) -> Sequence[tuple[str, Cell]]:
        """See `Report`."""
        seen = "stays with the scientist" if self.private else "seen by the mines"
        found: list[tuple[str, Cell]] = [("Task", self.task), ("Model", seen)]
        if self.target_level is not None:
            found.append(("Target", told_as_one(self.target, self.target_level)))
        return [*found, ("Mines", self.mines), ("Rows", self.overall.rows)]

    @property
    def measures(self) -> dict[str, float]:
        """The measures over all rows, by name."""
        return self.overall.measures

    @property
    def tables(self) -> Sequence[Table]:
        """See `Report`: measures by group; then of all rows the confusion and the calibration."""
        names = tuple(self.overall.measures)
        rows = tuple(
            (one.group, (one.rows, *(one.measures.get(name) for name in names)))
            for one in (self.overall, *self.groups)
        )
        found = [Table(("rows", *names), rows, self.by or "")]
        if len(names) > 6:  # too wide for a terminal: a line for each measure
            every = (self.overall, *self.groups)
            lines: list[tuple[str, tuple[Cell, ...]]] = [("rows", tuple(one.rows for one in every))]
            lines += [(name, tuple(one.measures.get(name) for one in every)) for name in names]
            found = [Table(tuple(one.group for one in every), tuple(lines), self.by or "")]
        if self.overall.confusion is not None:
            found.append(self._confusion(self.overall.confusion))
        if len(self.overall.bins):
            bins = [
                (f"{int(count)}", (predicted, target))
                for count, predicted, target in self.overall.bins.tolist()
            ]
            found.append(Table(("mean predicted", "mean target"), tuple(bins), "rows"))
        return found

    def to_dict(self) -> dict[str, Any]:
        """See `Report`."""
        found = super().to_dict()
        found["groups"] = {one.group: plain(one) for one in self.groups}
        return found

    def plot(self, axes: Axes | None = None, what: str = "calibration") -> Axes:
        """Draw "calibration" or "roc", on matplotlib's axes. Raises ClientMissing, UsageError."""
        if what == "roc" and self.task == "logistic":
            return self._roc(axes_of(axes, 5.0))
        if what == "calibration" and len(self.overall.bins):
            return self._calibration(axes_of(axes, 5.0))
        problem = f"plot: there is no {what!r} of a {self.task} evaluation" + (" in private" * self.private)
        known = ["calibration"] * bool(len(self.overall.bins)) + ["roc"] * (self.task == "logistic")
        hint = f"what={' or '.join(map(repr, known))}" if known else "see its summary()"
        raise UsageError(problem, hint=hint)

    def _confusion(self, counts: np.ndarray[Any, np.dtype[np.int64]]) -> Table:
        rows = tuple(
            (f"is {label}", tuple(line)) for label, line in zip(self.labels, counts.tolist(), strict=True)
        )
        name = f"at {self.threshold:g}" if self.task == "logistic" else ""
        return Table(tuple(f"said {label}" for label in self.labels), rows, name)

    def _calibration(self, axes: Axes) -> Axes:
        for place, one in enumerate((self.overall, *self.groups)):
            bins = one.bins
            if len(bins) == 0:
                continue
            colour = COLOURS[place % len(COLOURS)]
            axes.plot(bins[:, 1], bins[:, 2], "-", color=colour, linewidth=1, alpha=0.6)
            sizes = 12 + 120 * np.sqrt(bins[:, 0] / bins[:, 0].max()) * (place == 0)
            axes.scatter(bins[:, 1], bins[:, 2], s=sizes, color=colour, label=one.group, zorder=3)
        both = self.overall.bins[:, 1:]
        ends = (0.0, 1.0) if self.task == "logistic" else (float(both.min()), float(both.max()))
        axes.plot(ends, ends, "--", color="#8c959f", linewidth=1, zorder=1)
        said = "probability" if self.task == "logistic" else self.target
        target = told_as_one(self.target, self.target_level)
        axes.set_xlabel(f"predicted {said}, mean of a bin")
        axes.set_ylabel(f"share of {target}" if self.task == "logistic" else f"mean {self.target}")
        return self._finished(axes, "upper left")

    def _roc(self, axes: Axes) -> Axes:
        for place, one in enumerate((self.overall, *self.groups)):
            if len(one.roc) == 0:
                continue
            label = f"{one.group}: {one.measures['AUC']:.3f}"
            axes.plot(one.roc[:, 0], one.roc[:, 1], color=COLOURS[place % len(COLOURS)], label=label)
        axes.plot((0, 1), (0, 1), "--", color="#8c959f", linewidth=1)
        axes.set_xlabel("false positive rate")
        axes.set_ylabel("true positive rate")
        axes.set_aspect("equal")
        return self._finished(axes, "lower right", title="AUC")

    def _finished(
        self, axes: Axes, where: Literal["upper left", "lower right"], title: str | None = None
    ) -> Axes:
        axes.spines[["top", "right"]].set_visible(False)
        if self.groups or title:
            axes.legend(frameon=False, loc=where, title=title)
        return axes


def warnings_of(
    spec: SumsSpec, seen: Seen, found: Sequence[Measured], by: str | None, target: str
) -> tuple[str, ...]:
    """Return what is said of groups without rows, of classes that no row has, and of clipped values; warn."""
    told = [
        Told(StatisticWarning, f"no row has level {one.group!r} of column {by!r}")
        for one in found
        if not one.rows
    ]
    told += _missing_classes(found[0], labels_of_target(spec, target), target)
    told += _coarse(found[0], seen.mines)
    if any(one.rows and np.isnan(one.measures.get("MSE", 0.0)) for one in found):
        problem = f"the bounds of column {target!r} are so wide that rounding hides its errors"
        told.append(Told(BoundsWarning, f"{problem}; narrow them, lower `rows_max`, or set `private = true`"))
    told += [Told(BoundsWarning, text) for text in outside(spec, seen.totals)]
    warn_of(told)
    return tuple(one.text for one in told)


def _coarse(overall: Measured, mines: int) -> list[Told]:
    """Return what is said of an area under the curve that bins make inexact."""
    if overall.confusion is None:
        return []
    counts = overall.confusion.sum(axis=1)
    told, each = [], counts[counts > 0].min(initial=overall.rows) / mines
    if each < _ROWS_OF_AUC:
        off = 0.01 if each > _ROWS_OF_AUC / 4 else 0.03 if each > _ROWS_OF_AUC / 10 else 0.1
        told.append(
            f"AUC is of bins of at least 5 rows of each mine: of {each:.0f} rows of a class at a mine it may "
            f"be off by {off}; from {_ROWS_OF_AUC} on by 0.001"
        )
    if overall.widest >= 0.5:
        told.append(
            "half or more of the rows of a class have scores in one bin, and count as equal in AUC: "
            "give `edges`, such as `edges_of` the scores of rows at hand"
        )
    return [Told(StatisticWarning, one) for one in told]


def labels_of_target(spec: SumsSpec, target: str) -> tuple[str, ...]:
    """Return the names of a target's classes."""
    column = spec.by_name[target]
    return column.levels if isinstance(column, CategoryColumn) else ("0", "1")


def _missing_classes(overall: Measured, labels: Sequence[str], target: str) -> list[Told]:
    if overall.confusion is None:
        return []
    empty = [label for label, line in zip(labels, overall.confusion, strict=True) if line.sum() == 0]
    text = "no row has {0!r} in column {1!r}: measures that compare it with others are not defined"
    return [Told(StatisticWarning, text.format(label, target)) for label in empty]
