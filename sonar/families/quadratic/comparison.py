"""How far one answer lies from the cohort's and the holdout's, and which answers come from the same data.

The scientist's holdout is one more cohort member, whose single rows are known. So it shows what no sum can:
in which directions answers of few rows vary (the curvature A_h), how much (the spread of its rows' own
answers r_k = phi_k (c z_k - a phi_k w), whose mean is its answer), and how heavy the tails are (the largest
of these against their mean). An answer of n rows then lies about sqrt(mean |r - mean r|^2 / n) from the
truth, in lengths that A_h^-1 makes comparable (Mahalanobis).

There are two distances: that of the whole answer from the middle of all, and that along the model, the part
of an answer that asks for more or less of this model. Shuffled targets ask for none of it, and negated ones
for its opposite; this shows along the model even when it is lost among many weights.

Each is compared with the largest of four yardsticks, so that every kind of honest data has room: the median
mine's distance, the variation of rows, the size of what is measured, and the second farthest mine. The
factors are measured, not derived (`benchmarks/inspection.py`). Where mines add noise, rows vary as mines'
sums have them, and that of a mine with the fewest rows adds to their variation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

import numpy as np
from numpy.typing import NDArray

from sonar.families.quadratic.design import Design
from sonar.families.quadratic.noisy.answers import AnswerNoise
from sonar.families.quadratic.noisy.choosing import ridge_answer

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

UNLIKE, AGAINST = 3.5, 6.0
"""How many yardsticks an answer may lie off, whole and along the model."""
SIZE, MODEL, SECOND = 0.5, 0.1, 0.7
"""How much the middle's size, the model's own curvature and the second farthest mine count."""
SECOND_AT_MOST = 2.0
"""How many times the other yardsticks the second farthest mine may count: two cheats hide each other else."""
CALM, CALM_ALONG = 4.0, 7.0
"""The largest squared distance of a row, relative to their mean, that is not yet a heavy tail."""
FAR, ALONG, CURVED = 6.0, 3.0, 10
"""The factors of `far_from_most` and `far_from_median`, which know the cohort alone."""
NOISE = 5.0
"""How many deviations more than their mean length noise may be long: a length does so less than once in
300,000 where one direction has all of it, and hardly ever where many share it."""
TWIN_CHANCE = 1e-6
"""How often, at most, two mines with different rows may be taken for twins."""


@dataclass(frozen=True)
class Reference:
    """What a holdout says of answers to one round's weights, in real units.

    `answers` float64[n, k, d]: each held-out row's own. `whiten` float64[d, d]: makes the directions of one
    output comparable. `along` float64[k, d]: the model, or where it is the null model the holdout's first
    step; `curvature`: the holdout's along it. `rows`: how many an answer is taken to be made of.
    """

    answers: NDArray[np.float64]
    whiten: Matrix
    along: Matrix
    curvature: float
    rows: int
    noise: AnswerNoise | None = None


def reference_of(design: Design, weights_int: Sequence[int]) -> Reference:
    """Return what a job's holdout says of answers to the weights int[d k] of a round."""
    held, outputs = design.holdout, design.spec.outputs
    w = design.weights(weights_int)
    noise = AnswerNoise.of(design.spec, w.reshape(outputs, -1))
    answers = held.answers(w) - ridge_answer(design.spec, w, design.plan.weight_rows)
    a = held.curvature
    whiten = whitening(a, float(np.trace(a)) / len(answers) + _noise_beside(noise, answers, a, design))
    along = w.reshape(outputs, -1)
    if max(map(abs, weights_int)) <= max(design.null):
        along = answers.mean(axis=0) @ whiten @ whiten.T
    curvature = float(np.sum((along @ a) * along))
    return Reference(answers, whiten, along, curvature, design.plan.weight_rows, noise)


def _noise_beside(noise: AnswerNoise | None, answers: Matrix, curvature: Matrix, design: Design) -> float:
    """Return a mine's noise in parts of how its rows vary, which goes by the curvature: it varies the same in
    all directions, so it makes those comparable in which rows hardly do.
    """
    if noise is None:
        return 0.0
    rows = float(np.sum(answers.var(axis=0))) / design.plan.weight_rows
    return noise.whole(np.eye(len(curvature))) * float(np.trace(curvature)) / len(curvature) / (rows or 1.0)


def whitening(curvature: Matrix, ridge: float) -> Matrix:
    """Return W with W W^T = (curvature + ridge I)^-1, float64[d, d]."""
    values, vectors = np.linalg.eigh(curvature)
    return np.asarray(vectors / np.sqrt(np.maximum(values, 0.0) + ridge))


def unlike(reference: Reference, sent: Mapping[str, Vector]) -> set[str]:
    """Return the mines whose answers float64[d k] lie far from the middle of all.

    None of fewer than two.
    """
    return far_of(*_whole(reference, sent), UNLIKE) if len(sent) > 1 else set()


def against(reference: Reference, sent: Mapping[str, Vector]) -> set[str]:
    """Return the mines whose answers float64[d k] lie far from the middle of all along the model.

    None of fewer than two.
    """
    return far_of(*_along(reference, sent), AGAINST) if len(sent) > 1 else set()


def close(reference: Reference, sent: Mapping[str, Vector], rows: Mapping[str, int]) -> list[tuple[str, str]]:
    """Return the pairs of mines whose answers float64[d k] differ by less than different rows let them.

    Two answers of n rows each differ by 2 / n times the variance of a row's, in each direction. Their
    distance in that measure is about chi-squared, with as many degrees of freedom as directions vary. So
    little of it is taken that rows of one's own come there once in 1 / `TWIN_CHANCE` pairs.

    Of the two counts the larger is taken for n: else a mine could say that it has few rows, be nobody's far
    relative, and have all others counted as one with it.
    """
    own = _whitened(reference, reference.answers)
    own -= own.mean(axis=0)
    gram = own @ own.T / len(own)  # its eigenvalues are those of the rows' covariance
    variance, squares = float(np.trace(gram)), float(np.sum(gram**2))
    if not squares or len(sent) < 2:
        return []
    freedom = variance**2 / squares
    least = 2.0 * math.exp((math.log(TWIN_CHANCE) + math.lgamma(freedom / 2 + 1)) * 2 / freedom)
    points = _whitened(reference, np.array([sent[mine] for mine in sent]))
    found = []
    for (a, one), (b, other) in combinations(zip(sent, points, strict=True), 2):
        distance = freedom * float(np.sum((one - other) ** 2)) / (variance * 2 / max(rows[a], rows[b]))
        if distance < least:
            found.append((a, b))
    return found


def _whitened(reference: Reference, answers: NDArray[np.float64]) -> Matrix:
    """Return answers float64[n, d k] or [n, k, d] in comparable directions, float64[n, d k]."""
    shaped = answers.reshape(len(answers), *reference.along.shape)
    return np.asarray((shaped @ reference.whiten).reshape(len(answers), -1))


def _whole(reference: Reference, sent: Mapping[str, Vector]) -> tuple[dict[str, float], list[float]]:
    points = _whitened(reference, np.array([sent[mine] for mine in sent]))
    rows = _whitened(reference, reference.answers)
    middle = np.median(np.vstack([points, rows.mean(axis=0)]), axis=0)
    off = dict(zip(sent, np.linalg.norm(points - middle, axis=1).tolist(), strict=True))
    squares = np.sum((rows - rows.mean(axis=0)) ** 2, axis=1)
    noise = 0.0
    if reference.noise is not None:
        lengths = np.sum(reference.whiten**2, axis=0)
        freedom = len(reference.along) * float(np.sum(lengths)) ** 2 / float(np.sum(lengths**2))
        noise = noise_length(reference.noise.whole(reference.whiten), freedom, UNLIKE)
    return off, [*spread_of(squares, reference.rows, CALM, noise), SIZE * float(np.linalg.norm(middle))]


def _along(reference: Reference, sent: Mapping[str, Vector]) -> tuple[dict[str, float], list[float]]:
    direction = reference.along.ravel()
    points = np.array([sent[mine] @ direction for mine in sent])
    rows = reference.answers.reshape(len(reference.answers), -1) @ direction
    middle = np.median([*points, rows.mean()])
    off = dict(zip(sent, np.abs(points - middle).tolist(), strict=True))
    noise = noise_length(reference.noise.along(direction), 1.0, AGAINST) if reference.noise else 0.0
    return off, [
        *spread_of((rows - rows.mean()) ** 2, reference.rows, CALM_ALONG, noise),
        MODEL * reference.curvature,
    ]


def spread_of(squares: Vector, rows: int, calm: float, noise: float = 0.0) -> list[float]:
    """Return by how much heavy tails widen a distance, and how far a mean of so many rows lies off.

    `noise`: how far what mines add lies off by itself.
    """
    mean = float(squares.mean())
    tails = math.sqrt(max(1.0, float(squares.max()) / (calm * mean))) if mean else 1.0
    off = tails * math.sqrt(mean / rows)
    return [tails, math.hypot(off, noise) if noise else off]


def noise_length(variance: float, freedom: float, factor: float) -> float:
    """Return the yardstick of which `factor` are the largest length of noise of this variance in all.

    `freedom`: in about how many directions it varies alike. Then a length lies about its mean with a
    deviation of sqrt(1 / freedom) of it at most.
    """
    return math.sqrt(variance) * (1.0 + NOISE / math.sqrt(freedom)) / factor


def far_of(off: Mapping[str, float], yardsticks: Sequence[float], factor: float) -> set[str]:
    """Return who lies further off than `factor` times the largest yardstick, others' distances included.

    That of the second farthest mine counts within limits: two that are far off would excuse each other.
    """
    tails, *others = yardsticks
    *_, second, first = sorted(off.values())
    near = max(*others, tails * float(np.median(list(off.values()))))
    most = SECOND_AT_MOST * near
    return {
        mine
        for mine, distance in off.items()
        if distance > factor * max(near, min(SECOND * (second if distance == first else first), most))
    }


def far_from_median(values: Mapping[str, int], factor: int) -> set[str]:
    """The mines whose value is not within [1/factor, factor] of the median.

    None if fewer than three are compared, or if the median speaks for no majority of them.
    """
    if len(values) < 3:
        return set()
    middle = median(values.values())
    sign = 1 if middle > 0 else -1
    low, high = abs(middle) / factor, abs(middle) * factor
    far = {mine for mine, value in values.items() if not low <= sign * value <= high}
    return far if 2 * len(far) < len(values) else set()


def far_from_most(vectors: Mapping[str, Sequence[int]]) -> set[str]:
    """The mines whose vector is far from the most central one: the one that half of all lie closest around.

    That is further than it is long, and further than `FAR` times what half of all are; or `ALONG` times,
    along its direction, in which a multiple of an honest update moves and honest data vary little. None if
    fewer than three are compared, or if they were no minority.
    """
    if len(vectors) < 3:
        return set()
    mines = sorted(vectors)
    points = np.array([vectors[mine] for mine in mines], dtype=np.float64)
    distances = np.array([np.linalg.norm(points - one, axis=1) for one in points])
    around = np.sort(distances, axis=1)[:, len(mines) // 2]
    centre = int(np.argmin(around))
    room, size = float(around[centre]), float(np.linalg.norm(points[centre]))
    along = points @ points[centre] / (size or 1.0)
    too_far = distances[centre] > max(FAR * room, size)
    too_far |= np.abs(along - np.median(along)) > max(ALONG * room, size)
    far = {mine for mine, is_far in zip(mines, too_far.tolist(), strict=True) if is_far}
    return far if 2 * len(far) < len(vectors) else set()
