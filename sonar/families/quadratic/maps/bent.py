"""Columns and their absolute values: lines that bend at each column's mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from sonar.families.quadratic.maps.base import BaseStage, BaseWish, Matrix, Names, Seeded, check_width
from sonar.families.quadratic.maps.standard import DEFAULT_CLIP, standard_stage


class Bent(BaseStage):
    """x -> x, |x|, column by column: first all columns, then all absolute values."""

    kind: Literal["bent"] = "bent"

    @property
    def factors(self) -> int:
        """A column of three values and its absolute value single out each, as products of two do."""
        return 2

    def width_after(self, width: int, where: str) -> int:
        """Return twice the width."""
        return check_width(2 * width, where)

    def apply(self, x: Matrix) -> Matrix:
        """Return float64[n, 2 width]."""
        return np.hstack([x, np.abs(x)])

    def names(self, names: Names) -> Names:
        """Return "age", …, "|age|", …"""
        return (*names, *(f"|{name}|" for name in names))

    def words(self) -> str:
        """Say what."""
        return "bent at the mean"


class BentWish(BaseWish):
    """The standardised columns and their absolute values.

    A model is then a line on each side of a column's mean: twice the weights, for columns whose effect is
    larger at one end, as that of skewed ones.
    """

    plain: ClassVar[bool] = False

    kind: Literal["bent"] = "bent"
    clip: Annotated[float, Field(ge=1, le=1000, allow_inf_nan=False)] = DEFAULT_CLIP

    def stages(self, names: Sequence[str], x: Matrix, seeded: Seeded) -> tuple[BaseStage, ...]:
        """Return two stages."""
        return standard_stage(names, x, self.clip), Bent()
