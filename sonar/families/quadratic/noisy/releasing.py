"""From a table to sums that noise can be added to, and from noisy sums to (A, b).

**No row decides whether a mine joins:** what a refusal tells costs nothing. So a row that is or becomes
infinite or NaN, or whose target the loss does not take, counts as zeros and a constant, and as clipped.

**Exact.** A sum of products of integers is an integer, and float64 holds each below 2^53. Rows are added up
in pieces so short that the sum of the magnitudes stays below 2^52; so every partial sum is exact, in whatever
order BLAS adds, and the pieces add up in whole numbers. So the sums are the same for batches of every length,
and for rows in every order: for maps that mix columns but for the last bit of a row's phi, which BLAS may
round differently elsewhere in a batch.

**Released** is the upper triangle of the sums of v v^T, row by row, without what nobody needs: the targets'
products with each other and the square of the constant.

**After the noise** nothing more is learned of the rows, whatever is done. So (A, b) are made exactly: the
known scales are divided out, the ridge is added, and each number is rounded once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sonar.data.batches import even
from sonar.errors import ConsentError, DataError
from sonar.families.quadratic.answer import IntArray, LocalMap, bias_unit
from sonar.families.quadratic.losses.base import mapped
from sonar.families.quadratic.losses.classes import takes_codes
from sonar.families.quadratic.losses.registry import LOSSES
from sonar.families.quadratic.noise import QuadraticNoise
from sonar.families.quadratic.noisy.choosing import has_room
from sonar.families.quadratic.noisy.shortening import Ints, grid_rows
from sonar.families.quadratic.prepare import check_rows, check_sizes, chunk_rows, columns_of
from sonar.families.quadratic.spec import QuadraticSpec
from sonar.paillier.affine import check_bounds
from sonar.paillier.slots import SlotPlan
from sonar.privacy.terms import RowSums
from sonar.protocol import codec

Matrix = NDArray[np.float64]

_EXACT = 1 << 52
_WIDE = 1 << 62


def row_sums(spec: QuadraticSpec, batches: Iterable[Matrix]) -> RowSums:
    """Return the exact sums over the rows of batches float64[rows, spec.columns], in one pass.

    Raises DataError for another number of columns, ConsentError for too few rows or a spec without noise.
    """
    noise = _noise_of(spec)
    totals, rows, clipped = _Totals(spec, noise), 0, 0
    for batch in even(batches, chunk_rows(spec)):
        phi, z, bad = taken_rows(spec, batch)
        v, shortened = grid_rows(noise, phi, z)
        totals.add(v)
        rows += len(v)
        clipped += shortened + bad
    check_rows(rows, spec)
    i, j = _released_pairs(spec.width, spec.outputs)
    own = Fraction(noise.deviation**2) * _widened(spec, noise, rows) ** 2
    variances = [own if same else own / 2 for same in (i == j).tolist()]
    return RowSums([int(one) for one in totals.whole()[i, j]], variances, rows, clipped)


def taken_rows(spec: QuadraticSpec, batch: Matrix) -> tuple[Matrix, Matrix, int]:
    """Return phi and z of rows float64[n, spec.columns], zeros where they cannot be, and of how many.

    Raises DataError for another number of columns.
    """
    x, y = columns_of(spec, batch)
    phi = spec.unsafe_transform(x)
    known = np.ones(len(y), dtype=bool)
    if spec.labels is not None:
        known = takes_codes(spec.labels, y[:, 0])
        y = spec.learned(np.where(known[:, None], y, 0.0))
    pairs = list(zip(spec.targets, y.T, strict=True))
    z = np.column_stack([mapped(*pair) for pair in pairs])
    good = known & np.isfinite(np.column_stack([x, phi, z])).all(axis=1)
    for _, column in pairs:
        good &= LOSSES[spec.loss].takes(column)
    phi[~good, :-1], z[~good] = 0.0, 0.0
    return phi, z, int(np.count_nonzero(~good))


def fine_enough(spec: QuadraticSpec, plan: SlotPlan) -> bool:
    """Tell whether rounding (A, b) hides nothing of what shared noise must hide.

    Of one mine's own noise, rounding is done afterwards, and no more is learned. But what is seen of shared
    noise is a sum of rounded numbers. Of a noisy sum X over scale s each is round(f X / rows), f = factor
    2^data_frac / s; given X modulo f's denominator it is a Gaussian on multiples of f's numerator p. Sums of
    such Gaussians are as good as one if each deviates by several p; by 4, they differ by less than e^-150
    (Kairouz, Liu and Steinke 2021, arXiv 2102.06387, Proposition 14).
    """
    noise, loss = _noise_of(spec), LOSSES[spec.loss]
    if noise.parts == 1:
        return True
    unit, constant, target = 1 << noise.frac, noise.constant, noise.target_unit
    kinds = [(loss.a_factor, s) for s in (unit * unit, unit * constant)]
    kinds += [(loss.b_factor, s) for s in (unit * target, constant * target)]
    scaled = [Fraction(factor) * (1 << plan.data_frac) / s for factor, s in kinds]
    least = 16 * noise.parts * spec.rows_min**2
    return all(noise.deviation**2 * f**2 >= least * f.numerator**2 for f in scaled)


def check_noise(spec: QuadraticSpec, plan: SlotPlan) -> None:
    """Check that a spec's noise, if it has some, fits: rounding takes nothing of it, and the plan has room.

    Raises ConsentError.
    """
    if spec.noise is None:
        return
    _check_fine(spec, spec.noise, plan)
    if not has_room(spec, plan):
        problem = "noise: the bounty's bounds (a_row_l1_max, b_max) leave no room for the noise"
        raise ConsentError(problem, hint="do not join: a release would cost its price, and answer nothing")


def _check_fine(spec: QuadraticSpec, noise: QuadraticNoise, plan: SlotPlan) -> None:
    if not fine_enough(spec, plan):
        problem = f"noise: a part of {noise.parts} is too small for means of {spec.rows_min:,} rows"
        raise ConsentError(problem, hint="do not join: its scientist must ask for local noise, or fewer rows")


def _widened(spec: QuadraticSpec, noise: QuadraticNoise, rows: int) -> Fraction:
    """Return by how much more than declared a mine's part of shared noise deviates, and its ridge counts.

    An answer is a mean, and answers weigh alike behind capsules. So the noise of a mine with more rows than
    others would weigh less than the rows of theirs that it hides; this evens it out.
    """
    return Fraction(max(rows, spec.rows_min), spec.rows_min) if noise.parts > 1 else Fraction(1)


class _Totals:
    """The sums of v v^T, exact: see this module's text."""

    def __init__(self, spec: QuadraticSpec, noise: QuadraticNoise) -> None:
        size = spec.width + spec.outputs
        self._largest = max(noise.row_max, noise.constant) ** 2
        self._near: Ints = np.zeros((size, size), dtype=np.int64)
        self._near_rows = 0
        self._far = np.zeros((size, size), dtype=object)

    def add(self, v: Ints) -> None:
        """Add rows int64[n, width + outputs]."""
        piece = _EXACT // self._largest
        for start in range(0, len(v), piece):
            some = v[start : start + piece].astype(np.float64)
            if (self._near_rows + len(some)) * self._largest > _WIDE:
                self._flush()
            self._near += (some.T @ some).astype(np.int64)
            self._near_rows += len(some)

    def whole(self) -> IntArray:
        """Return the sums so far, object[width + outputs, width + outputs]."""
        self._flush()
        return self._far

    def _flush(self) -> None:
        self._far = self._far + self._near.astype(object)
        self._near[:], self._near_rows = 0, 0


@lru_cache(maxsize=8)
def _released_pairs(width: int, outputs: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns of what is released of the symmetric matrix over (phi, targets, constant)."""
    plain, size = width - 1, width + outputs
    i, j = np.triu_indices(size)
    between = (i >= plain) & (j < size - 1)
    keep = ~between & ~((i == size - 1) & (j == size - 1))
    return i[keep], j[keep]


def released_map(spec: QuadraticSpec, plan: SlotPlan, values: Sequence[int], rows: int) -> LocalMap:
    """Return what a mine contributes, from noisy values as `row_sums` orders them, over so many rows.

    Raises ConsentError, BoundsError, and DataError for another number of values.
    """
    noise = _noise_of(spec)
    check_rows(rows, spec)
    _check_fine(spec, noise, plan)
    i, j = _released_pairs(spec.width, spec.outputs)
    if len(values) != len(i):
        raise DataError("sums", f"are {len(values)} numbers; the bounty's are {len(i)}")
    size, plain = spec.width + spec.outputs, spec.width - 1
    whole = np.zeros((size, size), dtype=object)
    whole[i, j] = whole[j, i] = [int(value) for value in values]
    loss, unit = LOSSES[spec.loss], 1 << noise.frac
    one = bias_unit(spec, plan.data_frac)
    assert one is not None  # noise takes one local step
    places = [*range(plain), size - 1]
    scales = np.array([unit] * plain + [noise.constant], dtype=object)

    gram = whole[np.ix_(places, places)] << 32
    gram[np.arange(plain), np.arange(plain)] += int(_widened(spec, noise, rows) * noise.ridge_q32) << (
        2 * noise.frac
    )
    gram_scale = np.multiply.outer(scales, scales) * (rows << 32)
    cross = whole[np.ix_(places, range(plain, size - 1))]
    cross_scale = scales[:, None] * (rows * noise.target_unit)

    a = _rounded(gram, gram_scale, Fraction(loss.a_factor) * (1 << plan.data_frac))
    a[plain, plain] = one
    b = _rounded(cross, cross_scale, Fraction(loss.b_factor) * (1 << plan.data_frac))
    result = LocalMap(a, b, rows, plan.data_frac)
    check_sizes(spec, plan, result)
    check_bounds(plan, result.a_int, result.b_int)
    return result


def _rounded(above: IntArray, below: IntArray, factor: Fraction) -> IntArray:
    """Return factor above / below to the nearest integers, halves up; `below` is positive."""
    twice = 2 * factor.numerator * above + factor.denominator * below
    return np.asarray(twice // (2 * factor.denominator * below), dtype=object)


def sums_id(spec: QuadraticSpec) -> bytes:
    """Return what noisy sums depend on, in canonical DAG-CBOR: all of the spec but what is done afterwards.

    The ridge changes none of the sums, and the least number of rows changes shared noise alone. The loss
    decides which rows are taken.
    """
    fields = spec.model_dump(include={"kind", "features", "targets", "stages", "loss", "noise"})
    del fields["noise"]["ridge_q32"]
    if spec.labels is not None:
        fields["labels"] = spec.labels.model_dump()
    rows_min = spec.rows_min if _noise_of(spec).parts > 1 else 0
    return codec.encode(fields | {"rows_min": rows_min})


def _noise_of(spec: QuadraticSpec) -> QuadraticNoise:
    if spec.noise is None:
        raise ConsentError("noise: the bounty declares none", hint="use `prepare`")
    return spec.noise
