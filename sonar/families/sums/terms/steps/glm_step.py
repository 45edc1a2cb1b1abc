"""A step of a generalised linear model at visible coefficients: its information, score and likelihood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sonar.data.fixed import Q32, PositiveQ32, floats, from_q32
from sonar.data.schema import CategoryColumn, Rows
from sonar.families.sums.likelihoods import FAMILIES, LOGIT_MAX, GlmFamily, Limits, Sizes, Working
from sonar.families.sums.terms.base import BaseTerm, ColumnNames, Columns, Vector, a_number
from sonar.families.sums.terms.design import design_matrix, width_of
from sonar.families.sums.terms.moments import ROWS_PER_COLUMN, squares_fault
from sonar.protocol.record import Name

COMMON = ("rows", "weight", "y", "own", "base", "exposure", "log_exposure")
"""What is summed whatever the coefficients are: see `GlmStep`."""
AT = ("model", "pearson", "pearson_beyond", "clipped", "wrong_side")
"""What is summed at the end of the way besides the information and the right side."""
PREDICTOR_MAX = 64.0
"""A way that moves a row's predictor further is taken for it, where its curvature is summed."""
OFFSET_MAX = 22.0  # of an exposure within 2^-32 and 2^31, the logarithm


@dataclass(frozen=True, eq=False)
class _Some:
    """Complete rows: design, target, weight, and what is added to the predictor."""

    x: NDArray[np.float64]
    y: Vector
    weight: Vector
    offset: Vector


def sizes_of(width: int) -> tuple[int, int, int]:
    """Return how many sums need no coefficients, are at the end of the way, and at a point beside."""
    return 2 * width + len(COMMON), width * (width + 1) // 2 + width + len(AT), 1 + 2 * width


class GlmStep(BaseTerm):
    """Sums over rows x, y of weight w; x is the design row of `columns`, of width d. One vector.

    First sum x (d), sum x y (d) and `COMMON`: rows, their weight, y, the parts of the log-likelihood that
    depend on the target alone, and on neither target's mean nor that (`likelihoods.py`), and two of which the
    model without columns is made where there is `exposure` E (Poisson: E and y log E; gamma: y / E and
    log E).

    Then at b + s the information sum w x x^T (upper triangle row by row), the right side (d), and `AT`: the
    part of the log-likelihood that depends on the mean, Pearson's chi-squared (up to 1 of each row, and what
    is beyond), rows whose mean was beyond its limits, and rows on the wrong side of 1/2. Then at b + t s for
    each t of `beside` that part of the log-likelihood, the right side (d), and the information times s (d).

    The parameters are a 1, b (d) and s (d); or all zero for the first step, which needs none and leaves what
    is beside at zero; its values are divided by `start_units`. The mean is held within `mu_low` and `mu_high`
    where it has no limits of its own.
    """

    kind: Literal["glm-step"] = "glm-step"
    family: GlmFamily
    target: Name
    columns: ColumnNames
    mu_low_q32: PositiveQ32
    mu_high_q32: PositiveQ32
    beside_q32: Annotated[tuple[Q32, ...], Field(strict=False, max_length=4)] = ()
    exposure: Name | None = None
    weights: Name | None = None

    def check(self, columns: Columns, parameters: int) -> None:
        """See `BaseTerm`."""
        for name in self.columns:
            if name not in columns:
                raise ValueError(f"columns: there is no column {name!r}")
        needed = 1 + 2 * width_of(columns, self.columns)
        if parameters != needed:
            raise ValueError(f"columns: need {needed} parameters, not {parameters}")
        if self.mu_low_q32 >= self.mu_high_q32:
            raise ValueError("mu_low_q32: is not below mu_high_q32")
        self._check_target(columns)
        if self.exposure is not None and self.family == "binomial":
            raise ValueError("exposure: is of counts and amounts; a binomial target has none")
        for field, other, least in (("exposure", self.exposure, 1), ("weights", self.weights, 0)):
            if other is not None and a_number(columns, other, field).low_q32 < least:
                bound = "above 0" if least else "of 0 or more"
                raise ValueError(f"{field}: column {other!r} must have a low bound {bound}")

    def shape(self, columns: Columns) -> tuple[int, ...]:
        """See `BaseTerm`."""
        common, at, beside = sizes_of(width_of(columns, self.columns))
        return (common + at + len(self.beside_q32) * beside,)

    def bounds(self, columns: Columns) -> Vector:
        """See `BaseTerm`."""
        width, sizes, high = width_of(columns, self.columns), self._sizes(columns), self._limits(columns).high
        weight = 1.0 if self.weights is None else max(a_number(columns, self.weights, "weights").high, 1e-9)
        ones, right = np.ones(width), np.full(width, sizes.right)
        common = np.concatenate(
            [ones, ones * high, [1.0, 1.0, high, sizes.own, sizes.base], self._null_sizes(columns)]
        )
        upper = np.full(width * (width + 1) // 2, sizes.weight)
        at = np.concatenate([upper, right, [sizes.model, 1.0, sizes.pearson, 1.0, 1.0]])
        beside = np.concatenate([[sizes.model], right, np.full(width, sizes.weight * PREDICTOR_MAX)])
        found = np.concatenate([common, at, *[beside] * len(self.beside_q32)]) * weight
        counts = len(common) + len(at) - 2
        found[[2 * width, counts, counts + 1]] = 1.0
        return found

    def sums(self, columns: Columns, rows: Rows, parameters: Vector) -> Vector:
        """See `BaseTerm`."""
        some, limits = self._some(columns, rows), self._limits(columns)
        common, width = self._common(some), some.x.shape[1]
        if parameters[0] == 0:
            start = _matrices(some, FAMILIES[self.family].start(some.y, some.offset, limits))
            weight_unit, right_unit = self.start_units(columns)
            start[:-width] /= weight_unit
            start[-width:] /= right_unit
            return np.concatenate(
                [common, start, np.zeros(self.shape(columns)[0] - len(common) - len(start))]
            )
        way = parameters[1 + width :]
        at = self._at(some, parameters[1 : 1 + width] + way, limits)
        points = self._points(some, parameters)[1:]
        return np.concatenate([common, at, *(self._beside(some, eta, way, limits) for eta in points)])

    def weighed(self, columns: Columns, rows: Rows, parameters: Vector) -> Vector | None:
        """See `BaseTerm`: what rows weigh in each sum, all, and those whose mean is not cut.

        Of a binomial target, the mean and what it lacks of 1 too: coefficients that make it 1 for one row
        and 0 for all others would have that row alone in the sum of mean times x.
        """
        family, some, limits = FAMILIES[self.family], self._some(columns, rows), self._limits(columns)
        if parameters[0] == 0:
            start = family.start(some.y, some.offset, limits)
            ones = np.ones(len(some.y))
            return np.asarray(some.weight * np.stack([ones, start.weight, np.abs(start.right)]))
        sides = []
        for eta in self._points(some, parameters):
            work, kept = family.step(some.y, family.mean(eta, limits)), ~_is_cut(self.family, eta, limits)
            parts = [work.weight, np.abs(work.right), np.abs(family.model(some.y, work.mu))]
            parts.append(np.minimum(family.pearson(some.y, work.mu), 1))
            parts += [work.mu, 1 - work.mu] if self.family == "binomial" else []
            sides += [*parts, *(part * kept for part in parts)]
        return np.asarray(some.weight * np.stack(sides))

    def cut(self, columns: Columns, rows: Rows, parameters: Vector) -> NDArray[np.bool_] | None:
        """See `BaseTerm`: those of a mean within its limits.

        In honest fits a few rows are beyond them, at a point that goes too far. These share one mean, so that
        they are apart from others in the difference of two points alone, which is tested.
        """
        if parameters[0] == 0:
            return None
        some, limits = self._some(columns, rows), self._limits(columns)
        return np.stack([~_is_cut(self.family, eta, limits) for eta in self._points(some, parameters)])

    def weightings(self, columns: Columns, rows: Rows, parameters: Vector) -> dict[str, Vector]:
        """See `BaseTerm`: by means, by weights of the information, and by parts of the log-likelihood."""
        if parameters[0] == 0:
            return {}
        family, some, limits = FAMILIES[self.family], self._some(columns, rows), self._limits(columns)
        works = [family.step(some.y, family.mean(eta, limits)) for eta in self._points(some, parameters)]
        kinds = {"information": [work.weight for work in works]}
        if self.family == "binomial":
            kinds["mean"] = [work.mu for work in works]
        kinds["log-likelihood"] = [family.model(some.y, work.mu) for work in works]
        there, found = rows.complete(self.needs(columns)), {}
        for kind, values in kinds.items():
            weights = np.zeros((1 + len(values), len(rows)))
            weights[:, there] = some.weight * np.stack([np.ones(len(some.y)), *values])
            found[f"{kind} ({self.family})"] = weights
        return found

    def apart(self, columns: Columns) -> tuple[str | None, str | None]:
        """See `BaseTerm`."""
        return None, self.weights

    def solvable(self, columns: Columns) -> int:
        """See `BaseTerm`: the information at one point, and vectors at all."""
        width = width_of(columns, self.columns)
        return width * (width + 1) // 2 + width * (1 + 2 * len(self.beside_q32))

    def least_rows(self, columns: Columns) -> int:
        """See `BaseTerm`: as of `Moments`."""
        return ROWS_PER_COLUMN * width_of(columns, self.columns)

    def fault(self, columns: Columns, sums: Vector, rows: int, room: Vector) -> str | None:
        """See `BaseTerm`: the information is a weighted sum of squares."""
        width = width_of(columns, self.columns)
        start = sizes_of(width)[0]
        part = slice(start, start + width * (width + 1) // 2)
        return squares_fault(sums[part], room[part])

    def words(self) -> str:
        """See `BaseTerm`."""
        return (
            f"a step of a {self.family} regression of {self.target} on {', '.join(self.columns)}, at "
            "coefficients that you see"
        )

    def _some(self, columns: Columns, rows: Rows) -> _Some:
        """Return what is needed of complete rows."""
        rows = rows.complete_rows(self.needs(columns))
        return _Some(
            design_matrix(columns, self.columns, rows),
            self._target(columns, rows),
            np.ones(len(rows)) if self.weights is None else rows.number(self.weights),
            np.zeros(len(rows)) if self.exposure is None else np.log(rows.number(self.exposure)),
        )

    def _points(self, some: _Some, parameters: Vector) -> list[Vector]:
        """Return the linear predictor at the end of the way, and at the points beside."""
        width = some.x.shape[1]
        base = some.x @ parameters[1 : 1 + width] + some.offset
        way = some.x @ parameters[1 + width :]
        return [base + t * way for t in (1.0, *floats(self.beside_q32))]

    def _beside(self, some: _Some, eta: Vector, way: Vector, limits: Limits) -> Vector:
        family = FAMILIES[self.family]
        work = family.step(some.y, family.mean(eta, limits))
        along = np.clip(some.x @ way, -PREDICTOR_MAX, PREDICTOR_MAX)
        value = (some.weight * family.model(some.y, work.mu)).sum()
        bend = some.x.T @ (some.weight * work.weight * along)
        return np.concatenate([[value], some.x.T @ (some.weight * work.right), bend])

    def _at(self, some: _Some, coefficients: Vector, limits: Limits) -> Vector:
        """Return what is summed at a point."""
        family = FAMILIES[self.family]
        eta = some.x @ coefficients + some.offset
        work = family.step(some.y, family.mean(eta, limits))
        squares = family.pearson(some.y, work.mu)
        parts = (family.model(some.y, work.mu), np.minimum(squares, 1), np.maximum(squares - 1, 0))
        sums = [(some.weight * part).sum() for part in parts]
        return np.concatenate([_matrices(some, work), sums, self._beyond(some.y, eta, limits)])

    def _common(self, some: _Some) -> Vector:
        """Return what is summed whatever the coefficients are."""
        family, weight, y = FAMILIES[self.family], some.weight, some.y
        times = np.exp(some.offset)
        null = (y / times, some.offset) if self.family == "gamma" else (times, y * some.offset)
        parts = [np.ones(len(y)), y, family.own(y), family.base(y), *null]
        sums = [(weight * part).sum() for part in parts]
        return np.concatenate([some.x.T @ weight, some.x.T @ (weight * y), np.array([float(len(y)), *sums])])

    def _null_sizes(self, columns: Columns) -> Vector:
        high = self._limits(columns).high
        if self.exposure is None:
            return np.array([max(high, 1.0), 1.0])
        exposure = a_number(columns, self.exposure, "exposure")
        if self.family == "gamma":
            return np.array([high / exposure.low, OFFSET_MAX])
        return np.array([exposure.high, high * OFFSET_MAX])

    def _beyond(self, y: Vector, eta: Vector, limits: Limits) -> Vector:
        """Count rows whose mean is clipped, and of a binomial target those on the wrong side of 1/2."""
        wrong = ((2 * y - 1) * eta <= 0).sum() if self.family == "binomial" else 0
        return np.array([_is_cut(self.family, eta, limits).sum(), wrong], dtype=float)

    def _target(self, columns: Columns, rows: Rows) -> Vector:
        if isinstance(columns[self.target], CategoryColumn):
            return rows.code(self.target).astype(np.float64)
        return rows.number(self.target)

    def _limits(self, columns: Columns) -> Limits:
        column = columns[self.target]
        if self.family == "binomial":
            return Limits(0.0, 1.0, 1e-8, 1 - 1e-8)
        assert not isinstance(column, CategoryColumn)
        return Limits(column.low, column.high, from_q32(self.mu_low_q32), from_q32(self.mu_high_q32))

    def step_bounds(self, columns: Columns) -> tuple[float, float]:
        """Return the most that a row adds to an entry of the information, and of the right side."""
        sizes = self._sizes(columns)
        weight = 1.0 if self.weights is None else a_number(columns, self.weights, "weights").high
        return sizes.weight * weight, sizes.right * weight

    def start_units(self, columns: Columns) -> tuple[float, float]:
        """Return what the first step's information and right side are divided by, to fill the same bounds."""
        sizes = self._sizes(columns)
        offset = 0.0 if self.exposure is None else OFFSET_MAX * sizes.start_weight
        return sizes.start_weight / sizes.weight, (sizes.start_right + offset) / sizes.right

    def _sizes(self, columns: Columns) -> Sizes:
        return FAMILIES[self.family].sizes(self._limits(columns))

    def _check_target(self, columns: Columns) -> None:
        """Raise ValueError if the family cannot have this target."""
        column = columns.get(self.target)
        if isinstance(column, CategoryColumn):
            if self.family != "binomial" or len(column.levels) != 2:
                raise ValueError(
                    f"target: column {self.target!r} must have two levels, and the family be binomial"
                )
            return
        column = a_number(columns, self.target, "target")
        least = {"binomial": "0 to 1", "poisson": "0 or more", "gamma": "more than 0"}[self.family]
        wrong = column.low_q32 < (1 if self.family == "gamma" else 0)
        wrong = wrong or (self.family == "binomial" and column.high > 1)
        if wrong:
            found = f"bounds {column.low:g} to {column.high:g}"
            raise ValueError(f"target: column {self.target!r} has {found}; {self.family} needs {least}")


def _matrices(some: _Some, work: Working) -> Vector:
    """Return the information's upper triangle, and the right side."""
    matrix = (some.x * (some.weight * work.weight)[:, None]).T @ some.x
    upper = matrix[np.triu_indices(len(matrix))]
    return np.concatenate([upper, some.x.T @ (some.weight * work.right)])


def _is_cut(family: GlmFamily, eta: Vector, limits: Limits) -> NDArray[np.bool_]:
    """Tell of which rows the mean is beyond its limits, bool[rows]."""
    if family == "binomial":
        return np.asarray(np.abs(eta) > LOGIT_MAX)
    low, high = np.log([limits.mu_low, limits.mu_high])
    return np.asarray((eta < low) | (eta > high))
