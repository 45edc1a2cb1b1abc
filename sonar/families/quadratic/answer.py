"""A mine's whole contribution as one affine map u(w) = b - A w, with A symmetric.

**Squared loss.** L(w) = |y - phi w|^2 / (2 n) has the negative gradient b - A w, with A = phi^T phi / n and
b = phi^T y / n.

**Logistic loss, second-order Taylor** (Hardy et al. 2017, arXiv 1711.10677), labels y in {-1, +1}:

    log(1 + exp(-y t))  ≈  log 2 - y t / 2 + t^2 / 8,    t = phi w

has the negative gradient b - A w, with A = phi^T phi / (4 n) and b = phi^T y / (2 n).

**k local steps** of gradient descent at rate r, w_{s+1} = w_s + r (b - A w_s), end at

    w_k - w_0 = r (I + (I - r A) + … + (I - r A)^(k-1)) (b - A w_0)

so u_k = (w_k - w_0) / (k r) = M (b - A w_0), with M the mean of those powers, is again b_k - A_k w_0, with
b_k = M b and A_k = M A. A_k is a polynomial in A, hence symmetric, and M's eigenvalues lie in [-1, 1] for 0
<= r <= 2 / max eigenvalue of A, hence u_k has u's scale. For k = 1 it is u. Its bias entry is no longer 1.

**Fixed point.** A and b are rounded once, to integers at scale 2^data_frac; A from its upper triangle, so
that it is symmetric to the last bit. phi's last column is ones, which makes A[bias, bias] the same for every
mine: exactly 2^data_frac for squared loss, a quarter of it for logistic loss, after one local step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sonar.errors import BoundsError, DataError, UsageError
from sonar.families.quadratic.maps import transform
from sonar.families.quadratic.spec import QuadraticSpec
from sonar.families.quadratic.stages import Q32_ONE, width_after

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
IntArray = NDArray[Any]  # dtype=object, of Python ints
Loss = Literal["squared", "logistic-taylor"]

LOSS_MAX = (1 << 64) - 1
"""The largest loss the contract can hold, in thousandths; a worse one is reported as this."""
_CHUNK_ROWS, _CHUNK_VALUES = 65_536, 1 << 23
_A_FACTOR: dict[Loss, float] = {"squared": 1.0, "logistic-taylor": 0.25}
_B_FACTOR: dict[Loss, float] = {"squared": 1.0, "logistic-taylor": 0.5}


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


def fixed_point(sums: Moments, loss: Loss, data_frac: int) -> LocalMap:
    """Return the map of these sums, rounded once. Raises DataError for what is not finite."""
    a, b = sums.gram / sums.rows, sums.cross / sums.rows
    return _rounded(a * _A_FACTOR[loss], b * _B_FACTOR[loss], sums.rows, data_frac)


def quadratic(phi: Matrix, y: Vector, *, data_frac: int, loss: Loss = "squared") -> LocalMap:
    """Return the map of phi float64[n, d] and targets y float64[n]. Raises DataError."""
    return fixed_point(moments(phi, y), loss, data_frac)


def local_steps(one: LocalMap, k: int, rate: float) -> LocalMap:
    """Return the map of `k` gradient steps at `rate`, from the map of one; see this module's text.

    Raises BoundsError when the steps would diverge on these data.
    """
    if k == 1:
        return one
    scale = 2.0**one.data_frac
    a, b = one.a_int.astype(float) / scale, one.b_int.astype(float) / scale
    m = _mean_power(a, k, rate)
    return _rounded(m @ a, m @ b, one.rows, one.data_frac)


def local_map(spec: QuadraticSpec, x: Matrix, y: Vector, *, data_frac: int) -> LocalMap:
    """Return what a mine with raw columns x float64[n, f] and targets y float64[n] contributes to a bounty.

    In one pass over chunks of rows, so that phi is never whole in memory.

    Raises DataError for malformed data, BoundsError for targets or local steps beyond what the spec declares.
    """
    if len(x) != len(y) or not len(x):
        raise DataError("data", f"{len(x)} rows and {len(y)} targets")
    targets = _checked_targets(spec, y)
    sums: Moments | None = None
    for part in chunks(spec, len(x)):
        chunk = moments(transform(spec, x[part]), targets[part])
        sums = chunk if sums is None else sums + chunk
    assert sums is not None
    return local_steps(fixed_point(sums, spec.loss, data_frac), spec.local_steps, _rate(spec))


def chunks(spec: QuadraticSpec, rows: int) -> Iterator[slice]:
    """Yield ranges of rows for which no stage of the feature map puts out more than 64 MiB."""
    width = widest = len(spec.features)
    for stage in spec.stages:
        width = width_after(stage, width)
        widest = max(widest, width)
    step = min(_CHUNK_ROWS, _CHUNK_VALUES // (widest + 1))
    yield from (slice(start, start + step) for start in range(0, rows, step))


def _checked_targets(spec: QuadraticSpec, y: Vector) -> Vector:
    y = np.asarray(y, dtype=np.float64)
    if not np.isfinite(y).all():
        raise DataError(f"column {spec.target}", "has a value that is infinite or not a number")
    if spec.loss == "logistic-taylor":
        if not np.isin(y, (-1.0, 1.0)).all():
            raise DataError(
                f"column {spec.target}", "has a label other than -1 and 1", hint="recode the labels"
            )
        return y
    if np.abs(y).max(initial=0.0) > spec.target_max_q32 / Q32_ONE:
        raise BoundsError(
            f"column {spec.target}: a value exceeds the bounty's limit of {spec.target_max_q32 / Q32_ONE:g}",
            hint="is the column in the units that the bounty asks for? If so, do not join it",
        )
    return y


def curvature(spec: QuadraticSpec, phi: Matrix) -> Matrix:
    """Return -du/dw, float64[d, d]: the A that a mine with rows phi float64[n, d] would use, unrounded."""
    a = _A_FACTOR[spec.loss] * phi.T @ phi / len(phi)
    return np.asarray(_mean_power(a, spec.local_steps, _rate(spec)) @ a)


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


def _rate(spec: QuadraticSpec) -> float:
    return spec.local_rate_q32 / Q32_ONE


def _mean_power(a: Matrix, k: int, rate: float) -> Matrix:
    """Return M, the mean of the powers 0 to k - 1 of I - rate A. Raises BoundsError when they grow."""
    if k == 1:
        return np.eye(len(a))
    curvatures, basis = np.linalg.eigh(a)
    if not rate * curvatures[-1] <= 2.0:
        raise BoundsError(
            f"{k} local steps at rate {rate:g} diverge on these data",
            hint=f"the rate must be at most {2.0 / float(curvatures[-1]):.3g} here; do not join this bounty",
        )
    x = power = 1.0 - rate * curvatures
    powers = np.ones_like(x)
    for bit in f"{k:b}"[1:]:  # 1 + x + … + x^(m-1) and x^m, from m to 2 m or 2 m + 1
        powers, power = powers * (1.0 + power), power * power
        if bit == "1":
            powers, power = 1.0 + x * powers, x * power
    return np.asarray((basis * (powers / k)) @ basis.T)


def _rounded(a: Matrix, b: Vector, rows: int, data_frac: int) -> LocalMap:
    scale = 2.0**data_frac
    a, b = np.rint(a * scale), np.rint(b * scale)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise DataError("data", "sums over the rows overflow", hint="rescale the columns")
    return LocalMap(_ints(np.where(_below_diagonal(len(a)), a.T, a)), _ints(b), rows, data_frac)


@lru_cache(maxsize=4)
def _below_diagonal(d: int) -> NDArray[np.bool_]:
    return np.tri(d, k=-1, dtype=bool)


def _ints(values: NDArray[np.float64]) -> IntArray:
    if np.abs(values).max() < 2.0**63:
        return values.astype(np.int64).astype(object)
    return np.array([int(value) for value in values.ravel().tolist()], dtype=object).reshape(values.shape)
