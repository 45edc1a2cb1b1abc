"""Sums as numbers and as integers: what a mine adds up, what it sends, and what an opened sum says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sonar.data.batches import even
from sonar.data.schema import Rows
from sonar.errors import BoundsError
from sonar.families.sums.spec import PARAMETER_FRAC, SumsSpec
from sonar.paillier.slots import MAX_FRAC, Bounds, SlotPlan

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
SUM_BITS = 62
"""A sum over the fullest cohort takes so many bits with its sign, so that it fits a word under masks."""
_FLOAT_ROOM = 2.0**-40
"""By how much rounding of floats may take a sum beyond its bound, which it then has."""
_CHUNK_ROWS = 16_384
"""Some columns of so many rows fit a processor's cache."""


class Totals(Mapping[str, Vector]):
    """Sums over rows, by a term's name: float64[shape] each. `rows`: over how many rows.

    `frac`: to how many bits after the point each mine rounded them, as multiples of their bounds.
    """

    def __init__(self, spec: SumsSpec, values: Vector, frac: int = MAX_FRAC) -> None:
        self.spec, self.flat, self.frac = spec, values, frac
        self.rows = round(float(values[0]))

    def __getitem__(self, name: str) -> Vector:
        start = 1
        for term, shape in self.spec.shapes.items():
            size = int(np.prod(shape))
            if term == name:
                return self.flat[start : start + size].reshape(shape)
            start += size
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.spec.shapes)

    def __len__(self) -> int:
        return len(self.spec.shapes)


def totals(spec: SumsSpec, batches: Iterable[Matrix], parameters: Vector) -> Totals:
    """Return the sums over coded rows (`sonar.data.schema.Rows`), in one pass. Raises DataError.

    Batches are cut to one length first, so that the sums do not depend on how the rows arrive.
    """
    found = np.zeros(spec.values)
    for rows in coded(spec, batches):
        found += batch_sums(spec, rows, parameters)
    return Totals(spec, found)


def coded(spec: SumsSpec, batches: Iterable[Matrix]) -> Iterator[Rows]:
    """Yield the rows in batches of one length, checked by the schema. Raises DataError."""
    return (Rows(spec.columns, batch) for batch in chunks(batches))


def chunks(batches: Iterable[Matrix]) -> Iterator[Matrix]:
    """Yield the same rows in batches of one length; the last may be shorter."""
    return even(batches, _CHUNK_ROWS)


def batch_sums(spec: SumsSpec, rows: Rows, parameters: Vector) -> Vector:
    """Return the sums over one batch, float64[values]."""
    parts = [term.sums(spec.by_name, rows, parameters).ravel() for term in spec.terms]
    return np.concatenate([[float(len(rows))], *parts])


def folded(found: Totals) -> Totals:
    """Return what a mine answers with: see `BaseTerm.folded`."""
    spec = found.spec
    parts = [
        term.folded(spec.by_name, sums).ravel() for term, sums in zip(spec.terms, found.values(), strict=True)
    ]
    return Totals(spec, np.concatenate([found.flat[:1], *parts]))


def plan_of(spec: SumsSpec, key_bits: int, mines_max: int, free_bits: int = 0) -> SlotPlan:
    """Return the slot plan of answers: totals, which all weigh 1. Raises PlanError.

    The integer of a value is round(total / bound * 2^data_frac), bound the most that one row adds to it.
    """
    frac = min(SUM_BITS - spec.rows_max.bit_length() - mines_max.bit_length(), MAX_FRAC)
    bounds = Bounds(weight_max=1, a_row_l1_max=1, b_max=spec.rows_max << frac)
    return SlotPlan.make(
        key_bits=key_bits,
        weights=spec.values,
        bounds=bounds,
        mines_max=mines_max,
        weight_rows=1,
        weight_frac=0,
        data_frac=frac,
        free_bits=free_bits,
    )


def to_integers(spec: SumsSpec, plan: SlotPlan, found: Totals) -> list[int]:
    """Return what a mine sends, int[values]. Raises BoundsError for sums that the plan has no room for."""
    ratios, most = found.flat / spec.bounds, spec.rows_max << plan.data_frac
    if not (np.abs(ratios) <= spec.rows_max * (1 + _FLOAT_ROOM)).all():
        over = int(np.argmin(np.abs(ratios) <= spec.rows_max * (1 + _FLOAT_ROOM)))
        raise BoundsError(f"{spec.label(over)}: is larger than the bounty's bounds for {spec.rows_max} rows")
    scaled = np.rint(np.ldexp(ratios, plan.data_frac))
    return [max(-most, min(int(value), most)) for value in scaled.tolist()]


def from_integers(spec: SumsSpec, plan: SlotPlan, sums: Sequence[int]) -> Totals:
    """Return the totals that opened integers, int[values], stand for."""
    values = np.array([float(value) for value in sums])
    return Totals(spec, np.ldexp(values, -plan.data_frac) * spec.bounds, plan.data_frac)


def parameters_to_integers(parameters: Vector) -> tuple[int, ...]:
    """Return visible parameters in fixed point."""
    return tuple(round(float(value) * 2**PARAMETER_FRAC) for value in parameters)


def parameters_from_integers(integers: Sequence[int]) -> Vector:
    """Return the parameters that fixed-point integers stand for, float64[parameters]."""
    return np.array([value / 2**PARAMETER_FRAC for value in integers], dtype=np.float64)
