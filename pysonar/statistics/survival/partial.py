"""The partial likelihood of Cox's model, of a round's opened sums; and the next round's parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pysonar.statistics.base import Seen
from pysonar.statistics.fits.collinear import filled
from pysonar.statistics.fits.newton import Point, length_of, scales_of
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

    The matrix comes with the weights that the round asked for, which were foretold: see `_information`.
    """
    each = tied(opened.events, opened.at_risk, opened.died)
    value = float(opened.coefficients @ opened.events_x)
    value -= float(np.log(each.risk).sum()) + opened.centre * len(each.risk)
    gradient = opened.events_x - each.mean.sum(axis=0)
    return Point(opened.coefficients, value, gradient, _information(opened, each, first))


def _information(opened: Opened, each: Tied, first: bool) -> Matrix:
    """Return the information of a matrix whose weights were foretold.

    The right ones are known now. Their scale follows from the number of events, and what they change through
    the means of the times exactly; left is what they change through covariances that differ by time, of third
    order in the step. `first`: the matrix is of the first time alone, and a rough information is made of it.
    """
    sums = (opened.at_risk, opened.died)[: len(opened.asked)]
    signs = (1.0, -1.0)
    asked = [
        sign * weights * part[:, 0] for sign, weights, part in zip(signs, opened.asked, sums, strict=False)
    ]
    scale = len(each.risk) / max(float(np.sum(asked)), _LEAST_RISK)
    if first:
        mean = opened.asked[0] @ opened.at_risk[:, 1:] / max(float(np.sum(asked)), _LEAST_RISK)
        return np.asarray(scale * opened.summed - len(each.risk) * np.outer(mean, mean))
    found = scale * opened.summed - each.mean.T @ each.mean
    right = weights_of(each, len(opened.events), len(opened.asked))
    for sign, was, weights, part in zip(signs, asked, right, sums, strict=False):
        means = _means(part)
        found = found + means.T @ ((sign * weights * part[:, 0] - scale * was)[:, None] * means)
    return np.asarray(found)


def weights_of(each: Tied, cells: int, blocks: int) -> Matrix:
    """Return the weights of the sums of squares, float64[blocks, cells]: of rows at risk, and of events."""
    parts = (np.ones(len(each.risk)), each.part)[:blocks]
    return np.stack([np.bincount(each.cell, weights=part / each.risk, minlength=cells) for part in parts])


def _means(sums: Matrix) -> Matrix:
    """Return the mean columns of sums of risks, which are within ±1."""
    return np.clip(sums[:, 1:] / np.maximum(sums[:, :1], _LEAST_RISK), -1, 1)


def reached(spec: SumsSpec, seen: Sequence[Seen]) -> tuple[Opened, Point]:
    """Return the sums of the round nearest to the highest point so far, and that point."""
    known: Point | None = None
    rounds = [opened_of(spec, one) for one in seen]
    for place, opened in enumerate(rounds):
        point = _sound(point_of(opened, place == 0), known)
        way = point.coefficients - (known or point).coefficients
        known = point if known is None else highest_of(point, way, (), known)
    assert known is not None
    far = [length_of(opened.coefficients - known.coefficients) for opened in rounds]
    return rounds[int(np.argmin(far))], known


def away_from(spec: SumsSpec, seen: Sequence[Seen], point: Point) -> float:
    """Return how far a point is from what was opened for it: the last round, and the step that led there.

    The weights of the last round's matrix were foretold from the round before; what they miss is of third
    order in that step.
    """
    last = opened_of(spec, seen[-1])
    away = length_of(point.coefficients - last.coefficients)
    if len(seen) < 2:
        return away
    way = length_of(last.coefficients - opened_of(spec, seen[-2]).coefficients)
    return away + min(way, 1.0) ** 2


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
    """Return the first round's parameters: no coefficients, and weights for the first time of each stratum.

    Their matrix is of all rows. Later, rows vary less where high risks end early, so a step is rather short.
    """
    term = step_of(spec)
    found = np.zeros(spec.parameters)
    p, times = width_of(spec.by_name, term.columns) - 1, len(term.grid_q32)
    cells = groups_of(spec.by_name, term.strata) * times
    found[1 + p : 1 + p + cells : times] = 1.0
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
    weights = weights_of(each, len(opened.events), len(opened.asked))
    most = weights[0].reshape(opened.strata, -1).sum(axis=1).max()
    return np.concatenate([[opened.centre + rise], coefficients, (weights / most).ravel()])


def _foretold(sums: Matrix, way: Vector, spread: float) -> Matrix:
    return np.asarray(sums * np.exp(np.clip(_means(sums) @ way + spread / 2, -_RISE_MAX, _RISE_MAX))[:, None])
