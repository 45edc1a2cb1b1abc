"""Products of columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement
from math import comb
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from sonar.errors import ConfigError
from sonar.families.quadratic.maps.base import BaseStage, BaseWish, Matrix, Names, Seeded, check_width
from sonar.families.quadratic.maps.standard import DEFAULT_CLIP, standard_again, standard_stage
from sonar.protocol.record import MAX_WEIGHTS

Degree = Annotated[int, Field(ge=2, le=3)]


class Polynomial(BaseStage):
    """All monomials of degree 1 to `degree`, by degree and then in the columns' order (x0 x0, x0 x1, …)."""

    kind: Literal["polynomial"] = "polynomial"
    degree: Degree

    @property
    def factors(self) -> int:
        """Return the degree."""
        return self.degree

    def width_after(self, width: int, where: str) -> int:
        """Return the number of monomials."""
        return check_width(comb(width + self.degree, self.degree) - 1, where)

    def apply(self, x: Matrix) -> Matrix:
        """Return float64[n, monomials]."""
        products = [np.prod(x[:, list(factors)], axis=1) for factors in self._monomials(x.shape[1])]
        return np.column_stack(products)

    def names(self, names: Names) -> Names:
        """Return "age", "age^2", "age bmi"."""
        return tuple(
            " ".join(f"{names[i]}^{power}" if power > 1 else names[i] for i, power in factors.items())
            for factors in map(Counter, self._monomials(len(names)))
        )

    def words(self) -> str:
        """Say of how many."""
        return f"products of up to {self.degree}"

    def _monomials(self, width: int) -> Iterator[tuple[int, ...]]:
        for power in range(1, self.degree + 1):
            yield from combinations_with_replacement(range(width), power)


class PolynomialWish(BaseWish):
    """The columns, standardised, and their products of up to `degree`, standardised again."""

    tells: ClassVar[str] = " and of their products"
    plain: ClassVar[bool] = False

    kind: Literal["polynomial"] = "polynomial"
    degree: Degree = 2
    clip: Annotated[float, Field(ge=1, le=1000, allow_inf_nan=False)] = DEFAULT_CLIP

    def stages(self, names: Sequence[str], x: Matrix, seeded: Seeded) -> tuple[BaseStage, ...]:
        """Return three stages."""
        weights = comb(len(names) + self.degree, self.degree)
        if weights > MAX_WEIGHTS:
            problem = (
                f"{self.degree} makes {weights} weights of {len(names)} columns; a model has at most "
                f"{MAX_WEIGHTS}"
            )
            lower = "lower it, or " if self.degree > 2 else ""
            raise ConfigError("degree", problem, hint=f"{lower}choose fewer columns: features = [...]")
        first, middle = standard_stage(names, x, self.clip), Polynomial(degree=self.degree)
        return first, middle, standard_again(middle.apply(first.apply(x)), self.clip)
