"""Ridge and elastic net over a path of penalties, on the sums of a regression: no rows are asked again.

Source of the elastic net: J. Friedman, T. Hastie, R. Tibshirani, "Regularization paths for generalized linear
models via coordinate descent", Journal of Statistical Software 33 (2010), section 2.2, covariance updates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysonar.statistics.fitted import design
from pysonar.statistics.linear.gram import Gram
from pysonar.statistics.linear.usable import CONSTANT
from pysonar.statistics.shown import plots
from pysonar.statistics.shown.report import Report
from pysonar.statistics.shown.table import Cell, Table
from sonar.data.schema import Schema
from sonar.errors import DataError

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
LEAST_SHARE = 1e-3
"""The least penalty of a path, as a share of the largest, as scikit-learn has it."""
_SWEEPS, _TOLERANCE = 100_000, 1e-20
_SHOWN = 8


@dataclass(frozen=True, eq=False)
class Path(Report):
    """Coefficients in own units: `coefs` [alphas, k] and `intercepts` [alphas], the largest alpha first.

    `rsquared` [alphas] is on the rows that were fitted. `l1_ratio` is 0 for ridge. `deviations` [k] are the
    columns' own.
    """

    target: str
    names: tuple[str, ...]
    alphas: Vector
    coefs: Matrix
    intercepts: Vector
    rsquared: Vector
    l1_ratio: float
    standardize: bool
    nobs: int
    deviations: Vector
    warnings: tuple[str, ...] = ()
    schema: Schema = field(default=(), repr=False)

    @property
    def title(self) -> str:
        """What this is."""
        return "Results: Elastic net" if self.l1_ratio else "Results: Ridge regression"

    @property
    def facts(self) -> Sequence[tuple[str, Cell]]:
        """What was fitted, and how it was penalised."""
        return (
            ("Dependent Variable", self.target),
            ("No. Observations", self.nobs),
            ("L1 ratio", self.l1_ratio),
            ("Penalised units", "deviations" if self.standardize else "own"),
        )

    @property
    def tables(self) -> Sequence[Table]:
        """A column for each of a few penalties."""
        places = np.unique(
            np.linspace(0, len(self.alphas) - 1, min(_SHOWN, len(self.alphas))).round().astype(int)
        )
        names = tuple(f"{self.alphas[place]:.4g}" for place in places)
        rows = [("Intercept", tuple(map(float, self.intercepts[places])))]
        rows += [
            (name, tuple(map(float, row))) for name, row in zip(self.names, self.coefs[places].T, strict=True)
        ]
        rows.append(("R-squared", tuple(map(float, self.rsquared[places]))))
        return (Table(names, tuple(rows), "alpha"),)

    def plot(self, ax: Any = None) -> Any:
        """Draw the coefficients per deviation of their columns against alpha, and return the axes.

        Raises DataError for a single alpha, ClientMissing.
        """
        if len(self.alphas) < 2:
            raise DataError("alphas", "there is one; a path has several", hint="ask for more alphas")
        label = f"change of {self.target} per deviation of a column"
        return plots.path(
            self.alphas, self.coefs * self.deviations, self.names, title=self.title, label=label, ax=ax
        )

    def predict(self, table: Any, alpha: float | None = None) -> Vector:
        """Return predictions float64[rows] at the penalty nearest to `alpha`; None: the smallest.

        Raises DataError.
        """
        place = len(self.alphas) - 1 if alpha is None else int(np.argmin(np.abs(self.alphas - alpha)))
        return np.asarray(design(self.schema, self.names, table) @ self.coefs[place] + self.intercepts[place])


@dataclass(frozen=True, eq=False)
class Problem:
    """Centred products of k columns and a target: `gram` [k, k], `moment` [k], `tss`; `weight` of all rows.

    A column is in `units` [k]: 1, or its deviation.
    """

    gram: Matrix
    moment: Vector
    tss: float
    weight: float
    units: Vector


def problem_of(whole: Gram, standardize: bool, unit: float) -> Problem:
    """Return the problem of a Gram with the target last, whose weights were shares of `unit`.

    A constant column has products of 0, so its coefficient is 0.
    """
    *varying, target_varies = (whole.noise <= CONSTANT).tolist()
    varies = np.array(varying, dtype=np.float64)
    cross = whole.cross[:-1, :-1] * np.outer(varies, varies)
    deviation = np.sqrt(np.diag(cross) / whole.weight)
    units = np.where(deviation > 0, deviation, 1.0) if standardize else np.ones(len(cross))
    return Problem(
        gram=cross / np.outer(units, units) * unit,
        moment=whole.cross[:-1, -1] * varies / units * unit if target_varies else np.zeros(len(cross)),
        tss=float(whole.cross[-1, -1]) * unit * target_varies,
        weight=whole.weight * unit,
        units=units,
    )


def ridge_coefs(problem: Problem, alphas: Vector) -> Matrix:
    """Return the minimum of |y - x b|^2 + alpha |b|^2 for each alpha, [alphas, k]. Raises DataError."""
    try:
        return np.stack(
            [
                np.linalg.solve(problem.gram + a * np.eye(len(problem.gram)), problem.moment)
                for a in alphas.tolist()
            ]
        )
    except np.linalg.LinAlgError as error:
        hint = "take alphas above 0, or leave out constant columns and combinations of others"
        raise DataError(
            "alphas", "0 penalises nothing, and the design matrix is singular", hint=hint
        ) from error


def elastic_net_alphas(problem: Problem, l1_ratio: float, count: int) -> Vector:
    """Return `count` penalties, from the least at which all coefficients are 0 downwards."""
    largest = float(np.max(np.abs(problem.moment))) / (problem.weight * l1_ratio)
    return np.geomspace(largest, largest * LEAST_SHARE, count) if largest > 0 else np.full(count, 1.0)


def elastic_net_coefs(problem: Problem, l1_ratio: float, alphas: Vector) -> Matrix:
    """Return the minimum over b, float64[alphas, k], for alphas that fall.

    |y - x b|^2 / (2 n) + alpha l1_ratio |b|_1 + alpha (1 - l1_ratio) |b|^2 / 2
    """
    b, found = np.zeros(len(problem.gram)), []
    for alpha in alphas.tolist():
        b = _descend(problem, alpha * l1_ratio * problem.weight, alpha * (1 - l1_ratio) * problem.weight, b)
        found.append(b)
    return np.stack(found)


def _descend(problem: Problem, l1: float, l2: float, start: Vector) -> Vector:
    """Return the minimum by coordinate descent from `start`: first over all columns, then those not 0."""
    b, gram = start.copy(), problem.gram
    slope = problem.moment - gram @ b
    squares = np.diag(gram)
    enough = _TOLERANCE * max(problem.tss, 1e-300)
    for _ in range(_SWEEPS):
        moved = _sweep(range(len(b)), b, slope, gram, squares, l1, l2)
        if moved <= enough:
            break
        active = np.flatnonzero(b).tolist()
        for _ in range(_SWEEPS):
            if _sweep(active, b, slope, gram, squares, l1, l2) <= enough:
                break
    return b


def _sweep(
    places: Sequence[int], b: Vector, slope: Vector, gram: Matrix, squares: Vector, l1: float, l2: float
) -> float:
    """Set each coefficient in turn to its best value; return the most that one changed the squared error."""
    most = 0.0
    for place in places:
        square = float(squares[place])
        if square <= 0:
            continue
        pull = float(slope[place]) + square * float(b[place])
        best = float(np.sign(pull)) * max(abs(pull) - l1, 0.0) / (square + l2)
        step = best - float(b[place])
        if step:
            b[place] = best
            slope -= gram[place] * step
            most = max(most, square * step * step)
    return most
