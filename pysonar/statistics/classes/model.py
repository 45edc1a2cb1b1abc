"""A fitted classifier: predictions of a table, and its classes in a table of results."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysonar.statistics.shown.report import Report
from pysonar.statistics.shown.table import Cell, Table
from sonar.data.schema import Schema

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ClassModel(Report):
    """Classes of a `target`, `classes` [c] with `counts` and `priors` [c]."""

    target: str
    classes: tuple[str, ...]
    counts: tuple[int, ...]
    priors: Vector
    names: tuple[str, ...]
    means: Matrix
    """Of the columns of numbers, float64[classes, names]."""
    warnings: tuple[str, ...] = field(default=(), kw_only=True)
    schema: Schema = field(default=(), repr=False, kw_only=True)

    @abstractmethod
    def decision(self, table: Any) -> Matrix:
        """Return each class's log-likelihood and prior, up to a constant, float64[rows, classes]."""

    @property
    def facts(self) -> Sequence[tuple[str, Cell]]:
        """What was fitted."""
        return (("Target", self.target), ("No. Observations", sum(self.counts)))

    @property
    def tables(self) -> Sequence[Table]:
        """A row for each class."""
        rows = [
            (name, (count, float(prior), *map(float, means)))
            for name, count, prior, means in zip(
                self.classes, self.counts, self.priors, self.means, strict=True
            )
        ]
        return (Table(("rows", "prior", *(f"mean of {name}" for name in self.names)), tuple(rows), "class"),)

    def predict_proba(self, table: Any) -> Matrix:
        """Return probabilities float64[rows, classes] of a data frame or a mapping. Raises DataError."""
        found = self.decision(table)
        found = np.exp(found - found.max(axis=1, keepdims=True))
        return np.asarray(found / found.sum(axis=1, keepdims=True))

    def predict(self, table: Any) -> NDArray[np.object_]:
        """Return the likeliest class of each row. Raises DataError."""
        found: NDArray[np.object_] = np.array(self.classes, dtype=object)[self.decision(table).argmax(axis=1)]
        return found


def present(levels: Sequence[str], counts: Sequence[int], target: str) -> tuple[list[int], list[str]]:
    """Return the places of classes that rows have, and warnings of the others."""
    there = [place for place, count in enumerate(counts) if count > 0]
    gone = [repr(level) for level, count in zip(levels, counts, strict=True) if count <= 0]
    return there, [f"No row has the class {', '.join(gone)} of {target!r}; it is left out."] if gone else []
