"""Rows as sums with noise have them: shortened as a whole to a declared length, and cut off to integers.

v = (phi without its bias, target_unit z), then the constant. A shortened row's z is what its shortened phi
gives, so it still speaks for the same weights. Cutting off lengthens nothing. The length is checked in
integers: the price rests on it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sonar.errors import ConsentError
from sonar.families.quadratic.noise import QuadraticNoise

Matrix = NDArray[np.float64]
Ints = NDArray[np.int64]

_SHORTER = 1.0 - 2.0**-40
"""Rounding makes a length of 1,000 numbers wrong by less than 2^-42 of itself."""


def grid_rows(noise: QuadraticNoise, phi: Matrix, z: Matrix) -> tuple[Ints, int]:
    """Return rows v int64[n, width + outputs] as this module's text says, and how many were shortened.

    Of phi float64[n, width], the bias last, and z float64[n, outputs]. The constant is v's last column.
    """
    unit = float(1 << noise.frac)
    v = np.column_stack([phi[:, :-1], z * (noise.target_unit / unit)])
    largest = np.maximum(np.abs(v).max(axis=1, keepdims=True), np.finfo(float).tiny)
    along = v / largest  # so that no square overflows
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # in what is then not chosen
        most = noise.row_max * _SHORTER / np.sqrt(np.sum(along**2, axis=1, keepdims=True))
        long = unit * largest > most
        whole = np.trunc(np.where(long, along * most, v * unit)).astype(np.int64)
    check_lengths(noise, whole)
    constant = np.full((len(v), 1), noise.constant, dtype=np.int64)
    return np.hstack([whole, constant]), int(np.count_nonzero(long))


def check_lengths(noise: QuadraticNoise, v: Ints) -> None:
    """Check that no row of integers is longer than the price says. Raises ConsentError."""
    beyond = (v > noise.row_max) | (v < -noise.row_max)  # not abs: that of the least int64 is itself
    if beyond.any() or (v**2).sum(axis=1).max(initial=0) > noise.row_max**2:
        problem = "rows: one is longer on this machine than the noise is made for"
        raise ConsentError(problem, hint="this is a fault of Sonar or of numpy: please report it")


def shortened(noise: QuadraticNoise | None, phi: Matrix, z: Matrix) -> tuple[Matrix, Matrix]:
    """Return phi and z of rows as sums have them, float64[n, width] and float64[n, outputs]."""
    if noise is None:
        return phi, z
    (v, _), plain = grid_rows(noise, phi, z), phi.shape[1] - 1
    columns = [v[:, :plain] / 2.0**noise.frac, np.ones(len(v))]
    return np.column_stack(columns), v[:, plain:-1] / float(noise.target_unit)
