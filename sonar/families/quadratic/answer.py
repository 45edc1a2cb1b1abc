"""A mine's whole contribution as one affine map u(w) = b - A w, with A symmetric.

**The map.** A = a phi^T phi / n and b = c phi^T z / n, with the loss's factors a and c
(`sonar.families.quadratic.losses.base`), z the mapped targets [n, k] and phi [n, d]. All outputs share A.

**k local steps** of gradient descent at rate r, w_{s+1} = w_s + r (b - A w_s), end at

    w_k - w_0 = r (I + (I - r A) + … + (I - r A)^(k-1)) (b - A w_0)

so u_k = (w_k - w_0) / (k r) = M (b - A w_0), with M the mean of those powers, is again b_k - A_k w_0, with
b_k = M b and A_k = M A. A_k is a polynomial in A, hence symmetric, and M's eigenvalues lie in [-1, 1] for 0
<= r <= 2 / max eigenvalue of A, hence u_k has u's scale. For k = 1 it is u. Its bias entry is no longer 1.

**Fixed point.** A and b are rounded once, to integers at scale 2^data_frac; A from its upper triangle, so
that it is symmetric to the last bit. phi's last column is ones, which makes A[bias, bias] the same for every
mine: exactly a 2^data_frac, after one local step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonar.data.fixed import from_q32
from sonar.errors import BoundsError, DataError
from sonar.families.quadratic.losses.base import Loss
from sonar.families.quadratic.losses.registry import LOSSES
from sonar.families.quadratic.spec import QuadraticSpec

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]
IntArray = NDArray[Any]  # dtype=object, of Python ints


@dataclass(frozen=True)
class Moments:
    """Sums over rows, which add up over batches: `gram` is phi^T phi, `cross` is phi^T z [d, k]."""

    gram: Matrix
    cross: Matrix
    rows: int

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.gram + other.gram, self.cross + other.cross, self.rows + other.rows)


@dataclass(frozen=True)
class LocalMap:
    """u(w) = b - A w in fixed point: `a_int` object[d, d] symmetric and `b_int` object[d, k], at 2^data_frac.

    The last entry of each output is the bias. It is made of `rows` rows.
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
        return int(abs(self.b_int).max())

    def update(self, w: Vector) -> Vector:
        """Return u(w) in the clear, for weights float64[d k] output by output."""
        d, k = self.b_int.shape
        columns = np.asarray(w, dtype=np.float64).reshape(k, d).T
        moved = self.b_int.astype(float) - self.a_int.astype(float) @ columns
        return np.asarray(moved.T.ravel() / 2.0**self.data_frac)

    def answer(self, weights_int: Sequence[int], weight_frac: int) -> list[int]:
        """Return an opened answer: integers [d k] at 2^(weight_frac + data_frac), output by output."""
        d, k = self.b_int.shape
        w = np.array([int(one) for one in weights_int], dtype=object).reshape(k, d).T
        return [int(one) for one in (self.b_int * (1 << weight_frac) - self.a_int @ w).T.ravel()]

    def digest(self) -> str:
        """Return the sha2-256 digest of `to_bytes`, in hex."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """Return (rows, A, b) as decimal numbers with commas between them."""
        numbers = [self.rows, *self.a_int.ravel().tolist(), *self.b_int.ravel().tolist()]
        return ",".join(str(int(number)) for number in numbers).encode()

    @classmethod
    def from_bytes(cls, data: bytes, d: int, k: int, data_frac: int) -> LocalMap:
        """Return the map of `d` columns and `k` outputs that `to_bytes` wrote. Raises DataError."""
        try:
            rows, *numbers = map(int, data.split(b","))
        except ValueError:
            numbers = []
        if len(numbers) != d * (d + k):
            raise DataError("sums", f"are not the {d * (d + k)} numbers of {d} columns and {k} outputs")
        a, b = np.array(numbers[: d * d], dtype=object), np.array(numbers[d * d :], dtype=object)
        return cls(a.reshape(d, d), b.reshape(d, k), rows, data_frac)


def moments(phi: Matrix, z: Matrix) -> Moments:
    """Return the sums over the rows of phi float64[n, d] and z float64[n, k].

    Raises DataError when they do not fit.
    """
    if phi.ndim != 2 or z.ndim != 2 or len(z) != len(phi) or not len(phi):
        raise DataError(
            "data", f"phi has shape {phi.shape}, targets {z.shape}; one of each per row, and some rows"
        )
    return Moments(phi.T @ phi, phi.T @ z, len(phi))


def fixed_point(sums: Moments, loss: Loss, data_frac: int) -> LocalMap:
    """Return the map of these sums, rounded once. Raises DataError for what is not finite."""
    a, b = sums.gram / sums.rows, sums.cross / sums.rows
    return _rounded(a * loss.a_factor, b * loss.b_factor, sums.rows, data_frac)


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


def bias_unit(spec: QuadraticSpec, data_frac: int) -> int | None:
    """Return A[bias, bias] as the integer that every mine has, None where it is the mine's own."""
    return int(LOSSES[spec.loss].a_factor * (1 << data_frac)) if spec.local_steps == 1 else None


def row_answers(spec: QuadraticSpec, phi: Matrix, z: Matrix, w: Matrix) -> Matrix:
    """Return each row's own answer to weights float64[d, k]: float64[n, k, d], whose mean is that of all.

    Of phi float64[n, d] and z float64[n, k]. Raises BoundsError when local steps diverge on these rows.
    """
    loss = LOSSES[spec.loss]
    residual = loss.b_factor * z - loss.a_factor * (phi @ w)
    a = loss.a_factor * phi.T @ phi / len(phi)
    return (
        residual[:, :, None]
        * (phi @ _mean_power(a, spec.local_steps, from_q32(spec.local_rate_q32)))[:, None]
    )


def local_map(spec: QuadraticSpec, sums: Moments, data_frac: int) -> LocalMap:
    """Return what a mine whose rows have these sums contributes to a bounty.

    Raises DataError, BoundsError.
    """
    one = fixed_point(sums, LOSSES[spec.loss], data_frac)
    return local_steps(one, spec.local_steps, from_q32(spec.local_rate_q32))


def curvature(spec: QuadraticSpec, phi: Matrix) -> Matrix:
    """Return -du/dw of one output, float64[d, d]: the A, unrounded, of rows phi float64[n, d].

    Raises BoundsError when local steps diverge on these rows.
    """
    a = LOSSES[spec.loss].a_factor * phi.T @ phi / len(phi)
    return np.asarray(_mean_power(a, spec.local_steps, from_q32(spec.local_rate_q32)) @ a)


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


def _rounded(a: Matrix, b: Matrix, rows: int, data_frac: int) -> LocalMap:
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
