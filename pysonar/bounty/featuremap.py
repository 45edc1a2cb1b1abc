"""The public feature map that a scientist names, with constants from her holdout.

standard     the columns, standardised
polynomial   those, and their products of up to `degree`, standardised again
fourier      random Fourier features of those (scikit-learn's RBFSampler), standardised again
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb
from typing import Literal

import numpy as np

from pysonar.bounty.holdout import Array
from sonar.errors import ConfigError, DataError
from sonar.families.quadratic.columns import standard_stage, to_q32
from sonar.families.quadratic.maps import apply_stages
from sonar.families.quadratic.stages import Fourier, Polynomial, Stage, Standard
from sonar.manifests.model import ModelManifest
from sonar.protocol.record import MAX_WEIGHTS

Kind = Literal["standard", "polynomial", "fourier"]

DEGREE = 2
MAX_MATRIX = ModelManifest.max_bytes // 2 // 9
"""Numbers of a Fourier map at most: of nine bytes each, they leave half of a manifest to all the rest."""
_LEAST_DEVIATION = 1e-6
_GOES_WITH: dict[str, Kind] = {
    "degree": "polynomial",
    "n_components": "fourier",
    "gamma": "fourier",
    "random_state": "fourier",
}


@dataclass(frozen=True)
class MapWish:
    """The map that a scientist names; None takes the default, where there is one."""

    feature_map: Kind
    clip: float
    degree: int | None
    n_components: int | None
    gamma: float | None
    random_state: int | None


def stages_of(wish: MapWish, names: Sequence[str], x: Array) -> tuple[Stage, ...]:
    """Return the map's stages for held-out columns x float64[n, f]. Raises ConfigError, DataError."""
    _check(wish, len(names))
    first = standard_stage(names, x, wish.clip)
    if wish.feature_map == "standard":
        return (first,)
    middle = (
        Polynomial(degree=wish.degree or DEGREE)
        if wish.feature_map == "polynomial"
        else _fourier(wish, len(names))
    )
    return first, middle, _standard_again(apply_stages((first, middle), x), wish.clip)


def _check(wish: MapWish, columns: int) -> None:
    for field, kind in _GOES_WITH.items():
        if getattr(wish, field) is not None and wish.feature_map != kind:
            hint = f"leave {field} out, or choose that map"
            raise ConfigError(field, f"has no effect but with feature_map = {kind!r}", hint=hint)
    if columns >= MAX_WEIGHTS:
        problem = f"{columns} columns and a bias; a model has at most {MAX_WEIGHTS} weights"
        raise DataError("features", problem, hint="choose fewer columns")
    if wish.feature_map == "polynomial":
        degree = wish.degree or DEGREE
        weights = comb(columns + degree, degree)
        if weights > MAX_WEIGHTS:
            problem = (
                f"{degree} makes {weights} weights of {columns} columns; a model has at most {MAX_WEIGHTS}"
            )
            lower = "lower it, or " if degree > 2 else ""
            raise ConfigError("degree", problem, hint=f"{lower}choose fewer columns: features = [...]")
    if wish.feature_map == "fourier":
        _check_components(wish.n_components, columns)


def _check_components(components: int | None, columns: int) -> None:
    if components is None:
        hint = "say how many to make, 50 for instance; `explain` tells how many rows mines then need"
        raise ConfigError("n_components", "is missing, and feature_map = 'fourier' needs it", hint=hint)
    if components >= MAX_WEIGHTS:
        problem = (
            f"{components} makes {components + 1} weights with the bias; a model has at most {MAX_WEIGHTS}"
        )
        raise ConfigError("n_components", problem, hint=f"lower it, to {MAX_WEIGHTS - 1} at most")
    if components * columns > MAX_MATRIX:
        problem = (
            f"{components} of {columns} columns take {components * columns} published numbers; at most "
            f"{MAX_MATRIX} fit into a manifest"
        )
        hint = f"lower it, to {MAX_MATRIX // columns} at most, or choose fewer columns"
        raise ConfigError("n_components", problem, hint=hint)


def _fourier(wish: MapWish, columns: int) -> Fourier:
    """Draw the map as RBFSampler does. It is the same for the same settings, so that what is explained is
    posted, and gone on with; numpy keeps this older generator's stream for ever (NEP 19).
    """
    components, gamma = wish.n_components or 0, wish.gamma or 1.0 / columns
    random = np.random.RandomState(wish.random_state or 0)
    weights = np.sqrt(2.0 * gamma) * random.normal(size=(columns, components))
    phases = random.uniform(0.0, 2.0 * np.pi, size=components)
    return Fourier(
        weights_q32=tuple(tuple(to_q32(value, "gamma") for value in row) for row in weights.T.tolist()),
        phases_q32=tuple(to_q32(value) for value in phases.tolist()),
    )


def _standard_again(x: Array, clip: float) -> Standard:
    """Standardise what a map makes. What hardly varies on the holdout, as the square of a balanced column
    of 0 and 1, is only centred: divided by next to nothing, rounding errors would be a feature.
    """
    deviations = x.std(axis=0)
    deviations[deviations < _LEAST_DEVIATION] = 1.0
    return Standard(
        mean_q32=tuple(to_q32(value) for value in x.mean(axis=0).tolist()),
        std_q32=tuple(to_q32(value) for value in deviations.tolist()),
        clip_q32=to_q32(clip, "clip"),
    )
