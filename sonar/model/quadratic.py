"""A mine's whole contribution as one affine map u(w) = b - A w, with A symmetric.

**Squared loss.** L(w) = |y - phi w|^2 / (2 n) has the negative gradient b - A w, with A = phi^T phi / n and
b = phi^T y / n.

**Logistic loss, second-order Taylor** (Hardy et al. 2017, arXiv 1711.10677), labels y in {-1, +1}:

    log(1 + exp(-y t))  ≈  log 2 - y t / 2 + t^2 / 8  =  (t - 2 y)^2 / 8 + log 2 - 1/2

Its negative gradient is phi^T y / (2 n) - phi^T phi w / (4 n). We send four times that, which is squared loss
with the targets 2 y: then A is the same matrix for both losses, and its bias entry is 1 in both. The reported
loss is the Taylor loss itself.

**k local steps** of gradient descent at rate r, w_{s+1} = w_s + r (b - A w_s), end at

    w_k - w_0 = r (I + (I - r A) + … + (I - r A)^(k-1)) (b - A w_0)

so u_k = (w_k - w_0) / (k r) = M (b - A w_0), with M the mean of those powers, is again b_k - A_k w_0, with
b_k = M b and A_k = M A. A_k is a polynomial in A, hence symmetric, and M's eigenvalues lie in [-1, 1] for 0
<= r <= 2 / max eigenvalue of A, hence u_k has u's scale. For k = 1 it is u. Its bias entry is no longer 1.

**Fixed point.** A and b are rounded once, to integers at scale 2^data_frac; A from its upper triangle, so
that it is symmetric to the last bit. A column of ones makes A[bias, bias] exactly 2^data_frac.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sonar.errors import BoundsError, DataError, UsageError
from sonar.model.features import output_max, transform
from sonar.protocol.featuremaps import Q32_ONE
from sonar.protocol.messages import ModelSpec

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
IntArray = NDArray[Any]  # dtype=object, of Python ints
Loss = Literal["squared", "logistic-taylor"]

LOSS_MAX = (1 << 64) - 1
"""The largest loss the contract can hold, in thousandths; a worse one is reported as this."""
_CHUNK_ROWS = 65_536


@dataclass(frozen=True)
class Moments:
    """Sums over rows, which add up over chunks and machines: `gram` is phi^T phi, `cross` is phi^T y."""

    gram: Matrix
    cross: Vector
    rows: int

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.gram + other.gram, self.cross + other.cross, self.rows + other.rows)


@dataclass(frozen=True)
class LocalMap:
    """u(w) = b - A w in fixed point: `a_int` object[d, d] symmetric and `b_int` object[d], at 2^data_frac.

    The last entry is the bias. It is made of `rows` rows.
    """

    a_int: IntArray
    b_int: IntArray
    rows: int
    data_frac: int

    @property
    def a_row_l1_max(self) -> int:
        """The largest sum of magnitudes over a row of A, at 2^data_frac."""
        return int(max(abs(self.a_int).sum(axis=1)))

    @property
    def b_max(self) -> int:
        """The largest magnitude in b, at 2^data_frac."""
        return int(max(abs(self.b_int)))

    def update(self, w: Vector) -> Vector:
        """Return u(w) in the clear, float64[d]."""
        scale = 2.0**self.data_frac
        return np.asarray((self.b_int.astype(float) - self.a_int.astype(float) @ w) / scale)


def moments(phi: Matrix, y: Vector) -> Moments:
    """Return the sums over the rows of phi float64[n, d] and y float64[n].

    Raises DataError when they do not fit.
    """
    if phi.ndim != 2 or y.shape != (len(phi),) or not len(phi):
        raise DataError(
            "data", f"phi has shape {phi.shape}, targets {y.shape}; one target per row, and some rows"
        )
    return Moments(phi.T @ phi, phi.T @ y, len(phi))


def fixed_point(sums: Moments, data_frac: int) -> LocalMap:
    """Return the map of these sums, divided by the rows and rounded once.

    Raises DataError for what is not finite.
    """
    return _rounded(sums.gram / sums.rows, sums.cross / sums.rows, sums.rows, data_frac)


def quadratic(phi: Matrix, y: Vector, *, data_frac: int) -> LocalMap:
    """Return the map of squared loss on phi float64[n, d] and targets y float64[n]. Raises DataError."""
    return fixed_point(moments(phi, y), data_frac)


def local_steps(one: LocalMap, k: int, rate: float) -> LocalMap:
    """Return the map of `k` gradient steps at `rate`, from the map of one; see this module's text.

    Raises BoundsError when the steps would diverge on these data.
    """
    if k == 1:
        return one
    scale = 2.0**one.data_frac
    a, b = one.a_int.astype(float) / scale, one.b_int.astype(float) / scale
    curvatures, basis = np.linalg.eigh(a)
    if not 0.0 < rate * curvatures[-1] <= 2.0:
        raise BoundsError(
            f"{k} local steps at rate {rate:g} diverge on these data",
            hint=f"the rate must be at most {2.0 / float(curvatures[-1]):.3g} here; do not join this bounty",
        )
    powers = np.ones_like(curvatures)
    for _ in range(k - 1):  # Horner's rule for 1 + x + … + x^(k-1)
        powers = 1.0 + (1.0 - rate * curvatures) * powers
    mean = powers / k
    return _rounded(
        (basis * (mean * curvatures)) @ basis.T, basis @ (mean * (basis.T @ b)), one.rows, one.data_frac
    )


def local_map(spec: ModelSpec, x: Matrix, y: Vector, *, data_frac: int) -> LocalMap:
    """Return what a mine with raw columns x float64[n, f] and targets y float64[n] contributes to a bounty.

    In one pass over chunks of rows, so that phi is never whole in memory.

    Raises DataError for malformed data, BoundsError for targets or local steps beyond what the spec declares.
    """
    if len(x) != len(y) or not len(x):
        raise DataError("data", f"{len(x)} rows and {len(y)} targets")
    targets = regression_targets(spec, y)
    sums: Moments | None = None
    for start in range(0, len(x), _CHUNK_ROWS):
        part = slice(start, start + _CHUNK_ROWS)
        chunk = moments(transform(spec, x[part]), targets[part])
        sums = chunk if sums is None else sums + chunk
    assert sums is not None
    return local_steps(fixed_point(sums, data_frac), spec.local_steps, spec.local_rate_q32 / Q32_ONE)


def regression_targets(spec: ModelSpec, y: Vector) -> Vector:
    """Return what squared loss is taken against, float64[n]: y itself, or 2 y for logistic labels.

    Raises DataError for targets that are not finite, or labels other than -1 and 1; BoundsError beyond
    target_max.
    """
    y = np.asarray(y, dtype=np.float64)
    if not np.isfinite(y).all():
        raise DataError(f"column {spec.target}", "has a value that is infinite or not a number")
    if spec.loss == "logistic-taylor":
        if not np.isin(y, (-1.0, 1.0)).all():
            raise DataError(
                f"column {spec.target}", "has a label other than -1 and 1", hint="recode the labels"
            )
        return 2.0 * y
    if np.abs(y).max(initial=0.0) > spec.target_max_q32 / Q32_ONE:
        raise BoundsError(
            f"column {spec.target}: a value exceeds the bounty's limit of {spec.target_max_q32 / Q32_ONE:g}",
            hint="is the column in the units that the bounty asks for? If so, do not join it",
        )
    return y


def declared_bounds(spec: ModelSpec, *, data_frac: int) -> tuple[int, int]:
    """Return (a_row_l1_max, b_max) at 2^data_frac, which no data that the spec admits can exceed.

    |A_ij| <= max_i max_j, |b_i| <= max_i target_max, and one for rounding each entry. For local steps, M's
    eigenvalues in [-1, 1] bound A_k and b_k by norms: |row|_1 <= sqrt(d) trace(A), |b_i| <= |b|_2.

    Raises PlanError when the feature map does not bound its outputs.
    """
    outputs, scale = output_max(spec), 2.0**data_frac
    target = 2.0 if spec.loss == "logistic-taylor" else spec.target_max_q32 / Q32_ONE
    if spec.local_steps == 1:
        row_l1, b = float(outputs.max() * outputs.sum()), float(outputs.max() * target)
    else:
        row_l1 = float(np.sqrt(len(outputs)) * (outputs**2).sum())
        b = float(np.sqrt((outputs**2).sum()) * target)
    return int(np.ceil(row_l1 * scale)) + 2 * len(outputs), int(np.ceil(b * scale)) + 2 * len(outputs)


def curvature(phi: Matrix) -> Matrix:
    """Return phi^T phi / n, float64[d, d]: how u changes with w, -du/dw, on these rows."""
    return np.asarray(phi.T @ phi / len(phi))


def mean_loss(kind: Loss, phi: Matrix, y: Vector, w: Vector) -> float:
    """Return the mean squared error, or the mean Taylor loss for labels y in {-1, +1}."""
    t = phi @ w
    with np.errstate(over="ignore", invalid="ignore"):
        if kind == "squared":
            return float(np.mean((y - t) ** 2))
        return float(np.mean(np.log(2.0) - y * t / 2.0 + t**2 / 8.0))


def loss_gradient(kind: Loss, phi: Matrix, y: Vector, w: Vector) -> Vector:
    """Return the gradient of `mean_loss` with respect to w, float64[d]."""
    t = phi @ w
    residual = 2.0 * (t - y) if kind == "squared" else t / 4.0 - y / 2.0
    return np.asarray(phi.T @ residual / len(phi))


def loss_units(kind: Loss, phi: Matrix, y: Vector, w: Vector) -> int:
    """Return round(1000 * mean_loss), at most LOSS_MAX. Raises UsageError when the loss is not a number."""
    loss = mean_loss(kind, phi, y, w)
    if np.isnan(loss):
        raise UsageError("the loss is not a number", hint="check weights and holdout for infinite values")
    return round(1000.0 * loss) if 1000.0 * loss < LOSS_MAX else LOSS_MAX


def mse_milli(phi: Matrix, y: Vector, w: Vector) -> int:
    """Return the mean squared error in thousandths."""
    return loss_units("squared", phi, y, w)


def _rounded(a: Matrix, b: Vector, rows: int, data_frac: int) -> LocalMap:
    scale = 2.0**data_frac
    if not (np.isfinite(a * scale).all() and np.isfinite(b * scale).all()):
        raise DataError("data", "sums over the rows overflow", hint="rescale the columns")
    upper = np.triu(np.rint(a * scale))
    return LocalMap(_ints(upper + np.triu(upper, 1).T), _ints(np.rint(b * scale)), rows, data_frac)


def _ints(values: NDArray[np.float64]) -> IntArray:
    exact = np.empty(values.shape, dtype=object)
    exact.flat[:] = [int(value) for value in values.flat]
    return exact
