"""Two small statistics of tests' own: one of one round, and one that asks again at what it was told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pysonar.statistics.base import Result, Seen, Statistic
from pysonar.statistics.registry import STATISTICS
from sonar.data.schema import Column
from sonar.errors import DataError
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.moments import Moments
from sonar.families.sums.terms.outside import Outside

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Numbers:
    """What a small statistic finds."""

    found: dict[str, float]

    def summary(self) -> str:
        return "\n".join(f"{name:<12}{value:.6g}" for name, value in self.found.items())

    def to_dict(self) -> dict[str, Any]:
        return {"kind": "numbers", **self.found}

    def _repr_html_(self) -> str:
        return f"<pre>{self.summary()}</pre>"


class Means(Statistic):
    """The mean of each column of numbers, in one round."""

    kind: Literal["means"] = "means"

    def spec(self, columns: Sequence[Column], rows_min: int, rows_max: int) -> SumsSpec:
        names = tuple(column.name for column in columns)
        terms = (Moments(name="products", columns=names), Outside(name="outside", columns=names))
        return SumsSpec(columns=tuple(columns), terms=terms, rows_min=rows_min, rows_max=rows_max)

    def result(self, spec: SumsSpec, seen: Sequence[Seen]) -> Result:
        totals = seen[-1].totals
        row = totals["products"].sum(axis=0)[0]  # two words each
        found = {"rows": float(totals.rows), "mines": float(seen[-1].mines)}
        for place, column in enumerate(spec.columns):
            if column.kind == "number":
                found[column.name] = column.centre + column.scale * float(row[1 + place] / row[0])
        return Numbers(found)


class Thrice(Means):
    """The same, asked three times: at 0, at the pooled rows, and at twice as many."""

    kind: Literal["thrice"] = "thrice"  # type: ignore[assignment]

    @property
    def rounds(self) -> int:
        return 3

    def spec(self, columns: Sequence[Column], rows_min: int, rows_max: int) -> SumsSpec:
        return super().spec(columns, rows_min, rows_max).model_copy(update={"parameters": 1})

    def step(self, spec: SumsSpec, seen: Sequence[Seen]) -> Vector | None:
        return np.array([float(seen[-1].totals.rows * len(seen))])

    def result(self, spec: SumsSpec, seen: Sequence[Seen]) -> Result:
        found = super().result(spec, seen).to_dict()
        return Numbers({**found, "asked": float(sum(one.parameters[0] for one in seen))})


class Broken(Means):
    """Finds that the sums allow no answer."""

    kind: Literal["broken"] = "broken"  # type: ignore[assignment]

    @property
    def rounds(self) -> int:
        return 2

    def step(self, spec: SumsSpec, seen: Sequence[Seen]) -> Vector | None:
        raise DataError("columns", "'age' and 'height' are collinear")

    def result(self, spec: SumsSpec, seen: Sequence[Seen]) -> Result:
        raise DataError("columns", "'age' and 'height' are collinear")


def register() -> None:
    """Let files name these statistics."""
    for kind in (Means, Thrice, Broken):
        STATISTICS.setdefault(kind.model_fields["kind"].default, kind)
