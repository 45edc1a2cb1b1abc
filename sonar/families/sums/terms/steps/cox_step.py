"""A step of Cox's proportional hazards at visible coefficients, by the times of a grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sonar.data.fixed import PositiveQ32, from_q32
from sonar.data.schema import Rows
from sonar.families.sums.terms.base import BaseTerm, ColumnNames, Columns, Vector, a_category
from sonar.families.sums.terms.design import design_matrix, width_of
from sonar.families.sums.terms.moments import ROWS_PER_COLUMN
from sonar.families.sums.terms.steps.timed import Grid, Timed, check_timed, groups_of, timed
from sonar.protocol.record import Name

Matrix = NDArray[np.float64]
SCALARS = ("rows", "off_grid", "late", "clipped")
"""What a step counts besides: see `CoxStep`."""


@dataclass(frozen=True, eq=False)
class _Some:
    """Complete rows: columns, stratum, place on the grid, and risk; which risks were `cut`."""

    x: Matrix
    stratum: NDArray[np.int64]
    where: Timed
    risk: Vector
    cut: NDArray[np.bool_]


class CoxStep(BaseTerm):
    """Sums at coefficients b, of strata g and grid times k. x: the p columns of the design but the ones.

    A row's risk is r = e^(b x - c), at most `risk_max`. One vector: for each g and k the number of events,
    and the sums of r and r x (1 + p) over the rows at risk; with `efron`, the same over the rows with the
    event; then sum x over events (p) and over all rows (p); the matrix sum r h x x^T (upper triangle row by
    row), h the sum of a over the times at which a row is at risk, less b at its event; and `SCALARS`: rows,
    events between two grid times (counted at the later one), events after the last, and rows of a larger
    risk.

    The parameters are c, b (p), and for each g and k a; with `efron` then also b. A mine takes a and b as
    within 0 and 1, and h with them.

    Efron, JASA 72, 1977, of whose sums over tied events these are made; with `breslow` ties count as Breslow
    has them.
    """

    kind: Literal["cox-step"] = "cox-step"
    time: Name
    event: Name
    columns: ColumnNames
    grid_q32: Grid
    strata: Name | None = None
    ties: Literal["efron", "breslow"] = "efron"
    risk_max_q32: PositiveQ32

    def check(self, columns: Columns, parameters: int) -> None:
        """See `BaseTerm`."""
        check_timed(columns, self.time, self.event, self.grid_q32)
        for name in self.columns:
            if name not in columns:
                raise ValueError(f"columns: there is no column {name!r}")
        if self.strata is not None:
            a_category(columns, self.strata, "strata")
        needed = width_of(columns, self.columns) + self._blocks * self._cells(columns)
        if parameters != needed:
            raise ValueError(f"grid: needs {needed} parameters, not {parameters}")

    def shape(self, columns: Columns) -> tuple[int, ...]:
        """See `BaseTerm`."""
        width = width_of(columns, self.columns)
        return (sums_of(self._cells(columns), width - 1, self._blocks),)

    def bounds(self, columns: Columns) -> Vector:
        """See `BaseTerm`: all of x is within ±1."""
        found, p = np.ones(self.shape(columns)), width_of(columns, self.columns) - 1
        cells, risk = self._cells(columns), from_q32(self.risk_max_q32)
        risks = cells * self._blocks * (1 + p)
        found[cells : cells + risks] = risk
        matrix = p * (p + 1) // 2
        found[-matrix - len(SCALARS) : -len(SCALARS)] = risk
        return found

    def sums(self, columns: Columns, rows: Rows, parameters: Vector) -> Vector:
        """See `BaseTerm`."""
        some = self._some(columns, rows, parameters)
        x, where, p = some.x, some.where, some.x.shape[1]
        weights = parameters[1 + p :].reshape(self._blocks, -1, len(self.grid_q32))
        parts = self._by_time(some, len(weights[0]))
        parts += [x[where.event].sum(axis=0), x.sum(axis=0)]
        hazard = self._hazard(where, some.stratum, np.clip(weights, 0, 1))
        parts.append(((x * (some.risk * hazard)[:, None]).T @ x)[np.triu_indices(p)])
        scalars = [len(x), where.off_grid, where.late, some.cut.sum()]
        return np.concatenate([*parts, np.array(scalars, dtype=np.float64)])

    def weights_of(self, columns: Columns, rows: Rows, parameters: Vector) -> Vector | None:
        """See `BaseTerm`: the risks of the rows that end at a time, which the sums of two times tell apart.

        With `efron`, those with the event and those without are apart.
        """
        some = self._some(columns, rows, parameters)
        times, groups = len(self.grid_q32), groups_of(columns, self.strata)
        place = some.stratum * (times + 1) + some.where.until
        kinds = groups * (times + 1)
        if self.ties == "efron":
            place, kinds = place + kinds * some.where.event, 2 * kinds
        sums = [np.bincount(place, weights=some.risk**power, minlength=kinds) for power in (1, 2)]
        return np.stack(sums)

    def cut(self, columns: Columns, rows: Rows, parameters: Vector) -> NDArray[np.bool_]:
        """See `BaseTerm`: those of a larger risk."""
        cut = self._some(columns, rows, parameters).cut
        return np.stack([cut, ~cut])

    def weightings(self, columns: Columns, rows: Rows, parameters: Vector) -> dict[str, Vector]:
        """See `BaseTerm`: risks, and risks times h."""
        some, there = self._some(columns, rows, parameters), rows.complete(self.needs(columns))
        weights = parameters[1 + some.x.shape[1] :].reshape(self._blocks, -1, len(self.grid_q32))
        hazard = self._hazard(some.where, some.stratum, np.clip(weights, 0, 1))
        found = {}
        for kind, values in (("risk", some.risk), ("risk times hazard", some.risk * hazard)):
            found[kind] = np.stack([there.astype(np.float64), np.zeros(len(rows))])
            found[kind][1, there] = values
        return found

    def least_rows(self, columns: Columns) -> int:
        """See `BaseTerm`: as of `Moments`."""
        return ROWS_PER_COLUMN * width_of(columns, self.columns)

    def fault(self, columns: Columns, sums: Vector, rows: int, room: Vector) -> str | None:
        """See `BaseTerm`: events are no more than rows, and risks are not negative."""
        cells, p = self._cells(columns), width_of(columns, self.columns) - 1
        events, off = sums[:cells], room[:cells]
        if (events < -off).any() or events.sum() > rows + off.sum():
            return "it counts more events than there are rows, or fewer than none"
        size = cells * self._blocks * (1 + p)
        risks, slack = (found[cells : cells + size].reshape(-1, 1 + p) for found in (sums, room))
        if (risks[:, 0] < -slack[:, 0]).any():
            return "a sum of risks is negative"
        if (np.abs(risks[:, 1:]) > risks[:, :1] + slack[:, :1] + slack[:, 1:]).any():
            return "a sum of risks times a column is more than the risks allow"
        return None

    def words(self) -> str:
        """See `BaseTerm`."""
        by = f", by {self.strata}" if self.strata else ""
        return (
            f"a step of a Cox regression of {self.time} until {self.event} on {', '.join(self.columns)} at "
            f"{len(self.grid_q32)} times{by}, at coefficients that you see"
        )

    def _some(self, columns: Columns, rows: Rows, parameters: Vector) -> _Some:
        """Return what is needed of complete rows."""
        rows = rows.complete_rows(self.needs(columns))
        x = design_matrix(columns, self.columns, rows)[:, 1:]
        stratum = np.zeros(len(rows), dtype=np.int64) if self.strata is None else rows.code(self.strata)
        where = timed(columns, rows, self.time, self.event, self.grid_q32)
        predictor = x @ parameters[1 : 1 + x.shape[1]] - parameters[0]
        most = math.log(from_q32(self.risk_max_q32))
        return _Some(x, stratum, where, np.exp(np.minimum(predictor, most)), predictor > most)

    @property
    def _blocks(self) -> int:
        return 2 if self.ties == "efron" else 1

    def _cells(self, columns: Columns) -> int:
        return groups_of(columns, self.strata) * len(self.grid_q32)

    def _by_time(self, some: _Some, groups: int) -> list[Vector]:
        """Return events, and the sums of risks over rows at risk and over events, by stratum and time."""
        x, where, stratum = some.x, some.where, some.stratum
        times, died = len(self.grid_q32), where.event
        place = stratum * times + where.until - 1
        events = np.bincount(place[died], minlength=groups * times).astype(np.float64)
        values = np.concatenate([np.ones((len(x), 1)), x], axis=1) * some.risk[:, None]
        seen = where.until > 0
        ended = _added(place[seen], values[seen], groups * times).reshape(groups, times, -1)
        at_risk = ended[:, ::-1].cumsum(axis=1)[:, ::-1]
        parts = [events, at_risk.ravel()]
        return (
            [*parts, _added(place[died], values[died], groups * times).ravel()]
            if self._blocks == 2
            else parts
        )

    def _hazard(self, where: Timed, stratum: NDArray[np.int64], weights: NDArray[np.float64]) -> Vector:
        """Return h of each row."""
        summed = np.concatenate([np.zeros((len(weights[0]), 1)), weights[0].cumsum(axis=1)], axis=1)
        found = summed[stratum, where.until]
        if self._blocks == 2:
            less = weights[1][stratum, np.maximum(where.until - 1, 0)]
            found = found - np.where(where.event, less, 0.0)
        return np.asarray(np.clip(found, 0, 1))


def sums_of(cells: int, p: int, blocks: int) -> int:
    """Return how many sums there are, of so many strata times grid times, and columns."""
    return cells * (1 + blocks * (1 + p)) + 2 * p + p * (p + 1) // 2 + len(SCALARS)


def _added(places: NDArray[np.int64], values: Matrix, size: int) -> Matrix:
    """Return the sums of rows of `values` by place, float64[size, columns]."""
    columns = [np.bincount(places, weights=column, minlength=size) for column in values.T]
    return np.stack(columns, axis=1)
