"""The partial likelihood of Cox's model, of a round's opened sums; and the next round's parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pysonar.statistics.base import Seen
from pysonar.statistics.fits.collinear import filled
from pysonar.statistics.fits.newton import Point, scales_of
from pysonar.statistics.fits.ray import highest_of
from pysonar.statistics.fits.sound import false_sums
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.design import width_of
from sonar.families.sums.terms.steps.cox_step import SCALARS, CoxStep
from sonar.families.sums.terms.steps.timed import groups_of

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
_LEAST_RISK = 1e-12  # of rows at risk together, where the mean row's is about 1: less is rounding
_RISE_MAX = 50.0
_HALF = 0.5
_LEAST_CURVATURE = -1e-9


@dataclass(frozen=True, eq=False)
class Opened:
    """The sums of `sonar.families.sums.terms.steps.cox_step` at coefficients float64[p].

    By stratum and time, C cells in all: `events` float64[C]; `at_risk` and `died` float64[C, 1 + p], the sums
    of risks and of risks times columns, where a risk is e^(x coefficients - centre). `summed`: the matrix of
    the weights asked for, `asked` float64[blocks, C].
    """

    coefficients: Vector
    centre: float
    strata: int
    events: Vector
    at_risk: Matrix
    died: Matrix
    events_x: Vector
    x: Vector
    summed: Matrix
    asked: Matrix
    sums: dict[str, float]

    @property
    def rows(self) -> int:
        """How many complete rows there are."""
        return round(self.sums["rows"])


@dataclass(frozen=True, eq=False)
class Tied:
    """Each event's share in a cell's risks: the cell it is in, float64[events] of risks, and mean columns."""

    cell: NDArray[np.int64]
    part: Vector
    risk: Vector
    mean: Matrix


def step_of(spec: SumsSpec) -> CoxStep:
    """Return the question's step."""
    return next(term for term in spec.terms if isinstance(term, CoxStep))


def opened_of(spec: SumsSpec, seen: Seen) -> Opened:
    """Return a round's sums by name."""
    term = step_of(spec)
    p, strata = width_of(spec.by_name, term.columns) - 1, groups_of(spec.by_name, term.strata)
    cells, blocks = strata * len(term.grid_q32), 2 if term.ties == "efron" else 1
    sizes = [cells, cells * (1 + p), cells * (1 + p) * (blocks - 1), p, p, p * (p + 1) // 2]
    parts = np.split(seen.totals[term.name], np.cumsum(sizes))
    events, at_risk, died, events_x, x, upper, scalars = parts
    if (events < -_HALF).any() or events.sum() > seen.totals.rows + _HALF:
        raise false_sums("more events than rows, or fewer than none")
    summed = np.zeros((p, p))
    summed[np.triu_indices(p)] = upper
    return Opened(
        coefficients=seen.parameters[1 : 1 + p],
        centre=float(seen.parameters[0]),
        strata=strata,
        events=np.rint(events),
        at_risk=at_risk.reshape(cells, 1 + p),
        died=died.reshape(cells, 1 + p) if blocks == 2 else np.zeros((cells, 1 + p)),
        events_x=events_x,
        x=x,
        summed=summed + np.triu(summed, 1).T,
        asked=seen.parameters[1 + p :].reshape(blocks, cells),
        sums=dict(zip(SCALARS, map(float, scalars), strict=True)),
    )


def tied(events: Vector, at_risk: Matrix, died: Matrix) -> Tied:
    """Return the shares of the l-th of d tied events: the risks less l / d of those who have the event.

    Without risks of the latter (Breslow), all of the risks.
    """
    count = events.astype(np.int64)
    cell = np.repeat(np.arange(len(count)), count)
    before = np.arange(len(cell)) - np.repeat(np.cumsum(count) - count, count)
    part = before / count[cell]
    left = at_risk[cell] - part[:, None] * died[cell]
    risk = np.maximum(left[:, 0], _LEAST_RISK)
    return Tied(cell, part, risk, np.clip(left[:, 1:] / risk[:, None], -1, 1))


def point_of(opened: Opened, first: bool) -> Point:
    """Return the log partial likelihood, its gradient and its information at a round's coefficients.

    The matrix comes with the weights that the round asked for, which were foretold. Their scale is set right
    by the number of events. `first`: they were equal, and so the information is a rough one.
    """
    each = tied(opened.events, opened.at_risk, opened.died)
    value = float(opened.coefficients @ opened.events_x)
    value -= float(np.log(each.risk).sum()) + opened.centre * len(each.risk)
    gradient = opened.events_x - each.mean.sum(axis=0)
    blocks = opened.asked[0] @ opened.at_risk
    if len(opened.asked) == 2:
        blocks = blocks - opened.asked[1] @ opened.died
    scale = len(each.risk) / max(float(blocks[0]), _LEAST_RISK)
    means = (
        len(each.risk) * np.outer(blocks[1:], blocks[1:]) / blocks[0] ** 2
        if first
        else each.mean.T @ each.mean
    )
    return Point(opened.coefficients, value, gradient, scale * opened.summed - means)


def reached(spec: SumsSpec, seen: Sequence[Seen]) -> tuple[Opened, Point]:
    """Return the last round's sums, and the highest point so far."""
    known: Point | None = None
    for place, one in enumerate(seen):
        opened = opened_of(spec, one)
        point = _sound(point_of(opened, place == 0), known)
        way = point.coefficients - (known or point).coefficients
        known = point if known is None else highest_of(point, way, (), known)
    assert known is not None
    return opened, known


def _sound(point: Point, known: Point | None) -> Point:
    """Return a point with an information that allows a step: that of before, if foretold weights were off.

    A true information has no negative curvature.
    """
    scale = scales_of(point.information)
    least = np.linalg.eigvalsh(point.information / np.outer(scale, scale))[0]
    if known is None or least > _LEAST_CURVATURE:
        return point
    return replace(point, information=known.information)


def kept_of(spec: SumsSpec, first: Opened) -> tuple[list[int], list[str]]:
    """Return the places in the design of what rows have, and warnings of levels that no row has."""
    gram = np.zeros((1 + len(first.x), 1 + len(first.x)))
    gram[1:, 1:] = first.summed
    return filled(spec.columns, step_of(spec).columns, gram)


def start_of(spec: SumsSpec) -> Vector:
    """Return the first round's parameters: no coefficients, and equal weights."""
    term = step_of(spec)
    found = np.zeros(spec.parameters)
    p, times = width_of(spec.by_name, term.columns) - 1, len(term.grid_q32)
    cells = groups_of(spec.by_name, term.strata) * times
    found[1 + p : 1 + p + cells] = 1 / times
    return found


def parameters_of(opened: Opened, point: Point, coefficients: Vector) -> Vector:
    """Return the parameters at other coefficients: their centre, and the weights as they will be there.

    A cell's risks at b + s are about e^(s x + s V s / 2) times those at b, x the mean of its columns and V
    their covariance, here that of all events alike; what that misses is of third order in s.
    """
    way = coefficients - opened.coefficients
    spread = float(way @ point.information @ way) / max(float(opened.events.sum()), 1.0)
    at_risk, died = (_foretold(sums, way, spread) for sums in (opened.at_risk, opened.died))
    first = at_risk.reshape(opened.strata, -1, at_risk.shape[1])[:, 0, 0].sum()
    rise = math.log(max(first / max(opened.rows, 1), _LEAST_RISK))
    each = tied(opened.events, at_risk, died)
    weights = np.stack(
        [
            np.bincount(each.cell, weights=part / each.risk, minlength=len(opened.events))
            for part in (np.ones(len(each.risk)), each.part)[: len(opened.asked)]
        ]
    )
    most = weights[0].reshape(opened.strata, -1).sum(axis=1).max()
    return np.concatenate([[opened.centre + rise], coefficients, (weights / most).ravel()])


def _foretold(sums: Matrix, way: Vector, spread: float) -> Matrix:
    means = np.clip(sums[:, 1:] / np.maximum(sums[:, :1], _LEAST_RISK), -1, 1)
    return np.asarray(sums * np.exp(np.clip(means @ way + spread / 2, -_RISE_MAX, _RISE_MAX))[:, None])
