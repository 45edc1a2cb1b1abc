"""Random Fourier features: cosines that approximate a Gaussian kernel (Rahimi and Recht 2007)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from sonar.data.fixed import Q32Row, floats, to_q32
from sonar.errors import ConfigError
from sonar.families.quadratic.maps.base import BaseStage, BaseWish, Matrix, Names, Seeded, check_width
from sonar.families.quadratic.maps.standard import DEFAULT_CLIP, standard_again, standard_stage
from sonar.protocol.record import MAX_WEIGHTS

MAX_MATRIX = (1 << 20) // 2 // 9
"""Numbers of the matrix at most: at nine bytes each, they leave half of a manifest's 1 MiB to the rest."""


class Fourier(BaseStage):
    """x -> sqrt(2 / D) cos(W x + phase), W with D rows; behind x itself if `beside`."""

    mixes: ClassVar[bool] = True
    sums: ClassVar[str] = "products of two cosines (or columns that stay), and of one and the target"

    kind: Literal["fourier"] = "fourier"
    weights_q32: Annotated[tuple[Q32Row, ...], Field(strict=False, min_length=1, max_length=MAX_WEIGHTS)]
    phases_q32: Q32Row
    beside: Literal[True] | None = None

    def width_after(self, width: int, where: str) -> int:
        """Return D, and as many more as it takes if they stay."""
        if any(len(row) != width for row in self.weights_q32):
            raise ValueError(f"{where}.weights_q32: each row must have {width} entries")
        drawn = len(self.weights_q32)
        if len(self.phases_q32) != drawn:
            raise ValueError(f"{where}.phases_q32: must have {drawn} entries, like weights_q32")
        return check_width(drawn + (width if self.beside else 0), where)

    def apply(self, x: Matrix) -> Matrix:
        """Return float64[n, D], or [n, width + D]."""
        angles = x @ floats(self.weights_q32).T + floats(self.phases_q32)
        cosines = np.asarray(np.sqrt(2.0 / len(self.weights_q32)) * np.cos(angles))
        return np.hstack([x, cosines]) if self.beside else cosines

    def names(self, names: Names) -> Names:
        """Return "fourier 1", "fourier 2", …, behind those of the columns that stay."""
        drawn = tuple(f"fourier {i + 1}" for i in range(len(self.weights_q32)))
        return (*names, *drawn) if self.beside else drawn

    def words(self) -> str:
        """Say how many."""
        return f"{len(self.weights_q32)} random cosines" + " beside them" * bool(self.beside)


class FourierWish(BaseWish):
    """Random Fourier features of the standardised columns (scikit-learn's RBFSampler), standardised again.

    `gamma` is 1 / columns if it is not given.
    """

    tells: ClassVar[str] = " and of the cosines of them, which are drawn at random and published"
    plain: ClassVar[bool] = False

    kind: Literal["fourier"] = "fourier"
    n_components: Annotated[int, Field(ge=1)] | None = None
    gamma: Annotated[float, Field(ge=1e-6, le=1e6, allow_inf_nan=False)] | None = None
    random_state: Annotated[int, Field(ge=0, lt=1 << 32)] = 0
    clip: Annotated[float, Field(ge=1, le=1000, allow_inf_nan=False)] = DEFAULT_CLIP

    def stages(self, names: Sequence[str], x: Matrix, seeded: Seeded) -> tuple[BaseStage, ...]:
        """Return three stages."""
        first = standard_stage(names, x, self.clip)
        middle = self._middle(len(names), seeded)
        return first, middle, standard_again(middle.apply(first.apply(x)), self.clip)

    def _middle(self, columns: int, seeded: Seeded) -> Fourier:
        return self._drawn(self._components(columns), columns, seeded)

    def _components(self, columns: int) -> int:
        components = self.n_components
        if components is None:
            hint = "say how many to make, 50 for instance; `explain` says how many rows mines then need"
            raise ConfigError("n_components", f"is missing, and the map {self.kind!r} needs it", hint=hint)
        if components >= MAX_WEIGHTS:
            problem = f"{components} makes {components + 1} weights with the bias; at most {MAX_WEIGHTS}"
            raise ConfigError("n_components", problem, hint=f"lower it, to {MAX_WEIGHTS - 1} at most")
        if components * columns > MAX_MATRIX:
            problem = (
                f"{components} of {columns} columns take {components * columns} published numbers; at most "
                f"{MAX_MATRIX} fit into a manifest"
            )
            hint = f"lower it, to {MAX_MATRIX // columns} at most, or choose fewer columns"
            raise ConfigError("n_components", problem, hint=hint)
        return components

    def _drawn(self, components: int, columns: int, seeded: Seeded) -> Fourier:
        """Draw as RBFSampler does. The same settings give the same draw, so what is explained is what is
        posted and resumed; numpy keeps RandomState's stream for ever (NEP 19).
        """
        random: Any = seeded(self.random_state)
        weights = np.sqrt(2.0 * (self.gamma or 1.0 / columns)) * random.normal(size=(columns, components))
        phases = random.uniform(0.0, 2.0 * np.pi, size=components)
        return Fourier(
            weights_q32=tuple(tuple(to_q32(value, "gamma") for value in row) for row in weights.T.tolist()),
            phases_q32=tuple(to_q32(value) for value in phases.tolist()),
        )


class LinearFourierWish(FourierWish):
    """The standardised columns themselves, and random Fourier features of them, standardised again.

    The columns say what is linear, so that few cosines say much of the rest.
    """

    kind: Literal["linear-fourier"] = "linear-fourier"  # type: ignore[assignment]

    def _middle(self, columns: int, seeded: Seeded) -> Fourier:
        return super()._middle(columns, seeded).model_copy(update={"beside": True})
