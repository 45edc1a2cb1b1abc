"""What is asked of rows, as it stands in a bounty's manifest: columns, and the terms that are summed.

A question also has `parameters`, numbers that everybody sees and that change from round to round: the
coefficients at which a step of a generalised linear model is computed, say.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from sonar.data.schema import CategoryColumn, Column, NumberColumn
from sonar.families.sums.terms.registry import Term
from sonar.paillier.slots import MAX_VALUES
from sonar.protocol.record import Record, Rows

PARAMETER_FRAC = 32
MAX_PARAMETERS = 1024
LEAST_ROWS = 10
Vector = NDArray[np.float64]


class SumsSpec(Record):
    """Sums of `terms` over the rows of `columns`; a mine has `rows_min` to `rows_max` rows.

    `parameters`: how many visible numbers a question has, each in fixed point with `PARAMETER_FRAC` bits.
    """

    kind: Literal["sums"] = "sums"
    columns: Annotated[tuple[Column, ...], Field(strict=False, min_length=1, max_length=256)]
    terms: Annotated[tuple[Term, ...], Field(strict=False, min_length=1, max_length=256)]
    parameters: Annotated[int, Field(ge=0, le=MAX_PARAMETERS)] = 0
    rows_min: Rows
    rows_max: Rows

    @cached_property
    def by_name(self) -> dict[str, NumberColumn | CategoryColumn]:
        """The columns by name."""
        return {column.name: column for column in self.columns}

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each term's sums, by its name, in their order."""
        return {term.name: term.shape(self.by_name) for term in self.terms}

    @cached_property
    def values(self) -> int:
        """How many sums there are: the number of rows first, then the terms'."""
        return 1 + sum(math.prod(shape) for shape in self.shapes.values())

    @cached_property
    def bounds(self) -> Vector:
        """The most that one row adds to each sum, float64[values]."""
        return np.concatenate([[1.0], *(term.bounds(self.by_name).ravel() for term in self.terms)])

    @cached_property
    def asked_once(self) -> bool:
        """Whether a bounty may ask it in one round alone."""
        return any(term.asked_once() for term in self.terms)

    def label(self, place: int) -> str:
        """Say which sum lies at a place."""
        if place == 0:
            return "the number of rows"
        for term, shape in self.shapes.items():
            place -= (size := math.prod(shape))
            if place < 1:
                return f"term {term!r}, sum {place + size}"
        raise IndexError(place)

    @property
    def weights(self) -> int:
        """How many values an answer has."""
        return self.values

    @property
    def outputs(self) -> int:
        """One vector of sums."""
        return 1

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            raise ValueError("columns: two have the same name")
        if len({term.name for term in self.terms}) != len(self.terms):
            raise ValueError("terms: two have the same name")
        for place, term in enumerate(self.terms):
            try:
                term.check(self.by_name, self.parameters)
            except ValueError as error:
                raise ValueError(f"terms.{place}.{error}") from None
        self._check_together()
        if self.rows_min < LEAST_ROWS or self.rows_min > self.rows_max:
            raise ValueError(f"rows_min: must be within {LEAST_ROWS} and rows_max, {self.rows_max}")
        if self.values > MAX_VALUES:
            raise ValueError(f"terms: {self.values} sums; at most {MAX_VALUES}")
        return self

    def _check_together(self) -> None:
        """Raise ValueError for terms of which each alone may be asked."""
        once = [place for place, term in enumerate(self.terms) if term.asked_once()]
        if len(once) > 1:
            raise ValueError(
                f"terms.{once[1]}.kind: a question has one of {self.terms[once[1]].kind!r} at most"
            )
        by: dict[str, str] = {}
        for place, term in enumerate(self.terms):
            if (pair := term.grouped(self.by_name)) and by.setdefault(*pair) != pair[1]:
                problem = f"{pair[0]!r} is told by {by[pair[0]]!r} already, and the two could be joined"
                raise ValueError(f"terms.{place}.by: {problem}")
