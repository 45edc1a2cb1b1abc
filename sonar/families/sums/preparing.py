"""What a mine keeps of its rows for a bounty: the sums, or the coded rows where questions have parameters."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sonar.data.schema import Rows
from sonar.errors import DataError
from sonar.families.sums.guards import Guards
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.totals import (
    Totals,
    batch_sums,
    chunks,
    coded,
    folded,
    parameters_from_integers,
    to_integers,
)
from sonar.families.sums.weighing import Weighing
from sonar.paillier.slots import SlotPlan

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Kept:
    """The sums float64[1, values] of a mine's rows, or the coded rows float64[rows, columns] themselves.

    Rows only where the question has `parameters`, since sums are then other ones in each round.
    """

    spec: SumsSpec
    values: Matrix
    asked: dict[tuple[int, ...], Vector] = field(default_factory=dict)
    """The parameters that were answered since the rows were read, of which none is forgotten."""

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self.values) if self.spec.parameters else round(float(self.values[0, 0]))

    def integers(self, plan: SlotPlan, question: Sequence[int]) -> list[int]:
        """Return the answer int[values] to parameters int[spec.parameters] in fixed point.

        Raises BoundsError, and ConsentError for parameters that would single rows out.
        """
        if not self.spec.parameters:
            return to_integers(self.spec, plan, folded(Totals(self.spec, self.values[0])))
        key, parameters = tuple(question), parameters_from_integers(question)
        earlier = [numbers for asked, numbers in self.asked.items() if asked != key]
        weighing = Weighing(self.spec, parameters, earlier)
        found = np.zeros(self.spec.values)
        for rows in coded(self.spec, [self.values]):
            weighing.see(rows)
            found += batch_sums(self.spec, rows, parameters)
        weighing.check()
        self.asked[key] = parameters
        return to_integers(self.spec, plan, folded(Totals(self.spec, found)))

    def digest(self) -> str:
        """Return the sha2-256 digest of `to_bytes`, in hex."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """Return the numbers as 64-bit floats, little-endian, row by row."""
        return self.values.astype("<f8").tobytes()


def prepare(spec: SumsSpec, batches: Iterable[Matrix]) -> Kept:
    """Return what answers are made of, from coded batches float64[rows, columns], in one pass.

    Raises DataError for rows that the schema does not allow; ConsentError where sums would tell about single
    rows.
    """
    none = np.zeros(spec.parameters)
    guards, weighing = Guards(spec), Weighing(spec, none)
    found, rows = np.zeros(spec.values), list[Matrix]()
    for batch in chunks(batches):
        read = Rows(spec.columns, batch)
        guards.see(read)
        if spec.parameters:
            weighing.see(read)  # what no parameters could change is told at once
            rows.append(batch)
        else:
            found += batch_sums(spec, read, none)
    guards.check()
    weighing.check()
    return Kept(spec, np.concatenate(rows) if rows else found[None, :])


def restored(spec: SumsSpec, data: bytes) -> Kept:
    """Return what `Kept.to_bytes` wrote for the same spec. Raises DataError."""
    width = len(spec.columns) if spec.parameters else spec.values
    if not data or len(data) % (8 * width):
        raise DataError("sums", f"are not rows of {width} numbers")
    values = np.frombuffer(data, dtype="<f8").astype(np.float64).reshape(-1, width)
    if spec.parameters:
        Rows(spec.columns, values)
    elif len(values) != 1 or not np.isfinite(values).all():
        raise DataError("sums", f"are not the {width} numbers that the question asks for")
    return Kept(spec, values)
