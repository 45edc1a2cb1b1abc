"""Classes by a label map: what one column of labels makes of targets, and of a model's outputs.

A label map is a column of categories (`sonar.data.schema`): its levels are the classes. Of two classes there
is one target, the last; of K more there are K, each against all others (one-vs-rest). A target is 1 in rows
of its class and -1 in others, and all share A. With p_k the published frequencies, and s_k the outputs,

    log q_k = log p_k + t s_k - log sum_j p_j exp(t s_j)        (of two classes s_0 = 0)

are the log probabilities: weights of zero are the null model, whatever t is. The losses that mines' sums
minimise make outputs that order rows well, but are too near to zero, or too far; of two classes that are not
alike in number they are off in the mean, too. So they are calibrated on the rows that judge
(`sonar.families.quadratic.losses.calibration`): t is fitted, and of two classes a constant that is added.
Therefore a loss does not depend on how large the weights are, nor of two classes on their bias.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sonar.data.fixed import Q32_ONE, to_q32
from sonar.data.schema import CategoryColumn
from sonar.errors import DataError
from sonar.families.quadratic.losses.base import Matrix, Vector
from sonar.families.quadratic.losses.calibration import Calibration, line, temperature
from sonar.families.quadratic.losses.logistic_taylor import LogLoss, area_under
from sonar.families.quadratic.target import Target

Codes = NDArray[np.intp]


def class_targets(labels: CategoryColumn) -> tuple[str, ...]:
    """Return the classes that have a target of their own."""
    return labels.levels[1:] if len(labels.levels) == 2 else labels.levels


def codes_of(labels: CategoryColumn, column: Vector) -> Codes:
    """Return a column float64[n] as places in the vocabulary. Raises DataError for what is none."""
    good = takes_codes(labels, column)
    if not good.all():
        told = ", ".join(map(repr, labels.levels[:20])) + ", …" * (len(labels.levels) > 20)
        problem = f"has the label number {column[~good][0]:g}; places among the labels {told} are expected"
        raise DataError(f"column {labels.name!r}", problem, hint="labels are read by the bounty's vocabulary")
    return column.astype(np.intp)


def takes_codes(labels: CategoryColumn, column: Vector) -> NDArray[np.bool_]:
    """Tell which values of float64[n] are places in the vocabulary."""
    with np.errstate(invalid="ignore"):
        return np.asarray((column == np.floor(column)) & (column >= 0) & (column < len(labels.levels)))


def one_vs_rest(labels: CategoryColumn, codes: Codes) -> Matrix:
    """Return the targets of rows, float64[n, outputs]: 1 in the target's class, -1 in others."""
    levels = len(labels.levels)
    own = np.arange(1 if levels == 2 else 0, levels)
    found: Matrix = np.where(codes[:, None] == own, 1.0, -1.0)
    return found


def classes_in(y: Matrix) -> Codes:
    """Return the classes of targets float64[n, outputs]: the inverse of `one_vs_rest`."""
    return y.argmax(axis=1) if y.shape[1] > 1 else (y[:, 0] > 0).astype(np.intp)


def targets_of(labels: CategoryColumn, codes: Codes) -> tuple[Target, ...]:
    """Return the constants of held-out labels: how often each class is. Raises DataError for one that never
    is.
    """
    counts = np.bincount(codes, minlength=len(labels.levels))
    if not counts.all():
        absent = [level for level, count in zip(labels.levels, counts.tolist(), strict=True) if not count]
        told = ", ".join(map(repr, absent[:10])) + ", …" * (len(absent) > 10)
        problem = f"has no held-out row of {told}, so the holdout cannot judge a model of it"
        hint = "hold out rows of every class, or name those that there are: classes = [...]"
        raise DataError(f"column {labels.name!r}", problem, hint=hint)
    centres = (2.0 * counts / len(codes) - 1.0).tolist()[-len(class_targets(labels)) :]
    return tuple(
        Target(name=name, centre_q32=to_q32(centre), scale_q32=Q32_ONE, clip_q32=2 * Q32_ONE)
        for name, centre in zip(class_targets(labels), centres, strict=True)
    )


def log_probabilities(targets: Sequence[Target], s: Matrix) -> Matrix:
    """Return log q float64[n, classes] of outputs s float64[n, outputs] as they are: t = 1."""
    return _normalised(_log_priors(targets) + _by_class(s))


def calibration(targets: Sequence[Target], s: Matrix, codes: Codes) -> Calibration:
    """Return what makes outputs s float64[n, outputs] of rows of known classes say probabilities.

    Of two classes a slope and a constant, of more a slope; both 0 if the outputs are no use.
    """
    if len(targets) > 1:
        return Calibration(temperature(_log_priors(targets), s, codes))
    first, last = _log_priors(targets)
    return line(float(last - first), s[:, 0], codes)


def class_losses(metric: str, targets: Sequence[Target], codes: Codes, s: Matrix) -> list[float]:
    """Return the losses of outputs s float64[n, outputs]: the log loss; or 1 - AUC, of each target's class.

    Of several classes, a row's rank for one is that of its probability.
    """
    found = calibration(targets, s, codes)
    if metric == "log_loss":
        log_q = log_probabilities(targets, found.of(s))
        return [float(-np.mean(log_q[np.arange(len(codes)), codes]))]
    if len(targets) == 1:
        return [1.0 - area_under(codes == 1, s[:, 0])]
    log_q = log_probabilities(targets, s * (found.slope or 1.0 / float(np.abs(s).max())))
    return [1.0 - area_under(codes == k, log_q[:, k]) for k in range(len(targets))]


def best_outputs(targets: Sequence[Target], y: Matrix, phi: Matrix) -> Matrix:
    """Return about the best outputs float64[n, outputs] that weights of phi float64[n, width] have on these
    rows: each target's of the least log loss. `y` float64[n, outputs] as `one_vs_rest` makes it.
    """
    found = [phi @ LogLoss().fitted(target, column, phi) for target, column in zip(targets, y.T, strict=True)]
    return np.column_stack(found)


def class_accuracy(targets: Sequence[Target], codes: Codes, s: Matrix) -> float:
    """Return the part of the rows whose class is the likeliest one."""
    log_q = log_probabilities(targets, calibration(targets, s, codes).of(s))
    return float(np.mean(log_q.argmax(axis=1) == codes))


def _by_class(s: Matrix) -> Matrix:
    """Return outputs float64[n, classes]: of two classes, the first one's are 0."""
    return np.column_stack([np.zeros(len(s)), s]) if s.shape[1] == 1 else s


def _log_priors(targets: Sequence[Target]) -> Vector:
    last = np.array([(1.0 + target.centre) / 2.0 for target in targets])
    found: Vector = np.log(np.append(1.0 - last, last) if len(last) == 1 else last)
    return found


def _normalised(logs: Matrix) -> Matrix:
    logs = logs - logs.max(axis=1, keepdims=True)
    found: Matrix = logs - np.log(np.sum(np.exp(logs), axis=1, keepdims=True))
    return found
