"""Maps that keep the columns: bent at their means, and with cosines beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pysonar.bounty.request import Bounty
from sonar.errors import ConfigError, ConsentError
from sonar.families.quadratic.maps.bent import Bent
from sonar.families.quadratic.maps.fourier import Fourier
from sonar.families.quadratic.prepare import prepare
from sonar.families.quadratic.spec import QuadraticSpec

RNG = np.random.default_rng(3)
X = RNG.normal(size=(80, 3)) * [1.0, 5.0, 0.1] + [0.0, 100.0, 3.0]
Y = np.abs(X[:, 0]) + RNG.normal(size=80) * 0.1
NAMES = ["a", "b", "c"]


def spec_of(**feature_map: Any) -> QuadraticSpec:
    bounty = Bounty.of(X, Y, target="y", features=NAMES, name="m", key_bits=2048, feature_map=feature_map)
    return bounty.design.spec


def test_bent_columns_are_lines_on_each_side_of_the_mean() -> None:
    spec = spec_of(kind="bent")
    z = (X - X.mean(axis=0)) / X.std(axis=0)
    assert spec.transform(X) == pytest.approx(np.column_stack([z, np.abs(z), np.ones(80)]), abs=1e-6)
    assert spec.names == ("a", "b", "c", "|a|", "|b|", "|c|", "(bias)")
    assert "bent at the mean" in spec.words
    assert spec.degree == 2
    assert not spec.mixes
    assert spec.least_rows == 21
    with pytest.raises(ValueError, match="at most 1000"):
        Bent().width_after(500, "stages.0")


def test_a_bent_column_of_few_values_may_single_nobody_out() -> None:
    bounty = Bounty.of(X, Y, target="y", features=NAMES, name="m", key_bits=2048, feature_map="bent")
    rows = np.column_stack([X, Y])
    rows[:, 2] = np.repeat([2.9, 3.0, 3.1], [3, 40, 37])
    with pytest.raises(ConsentError, match="columns 'c': have a combination of values that fewer than 5"):
        prepare(bounty.design.spec, bounty.design.plan, [rows])


def test_cosines_stand_beside_the_columns() -> None:
    beside, alone = (spec_of(kind=kind, n_components=5) for kind in ("linear-fourier", "fourier"))
    assert beside.width == alone.width + 3 == 9
    assert beside.names[:4] == ("a", "b", "c", "fourier 1")
    assert beside.mixes
    assert "5 random cosines beside them" in beside.words
    both, cosines = beside.transform(X), alone.transform(X)
    assert both[:, 3:] == pytest.approx(cosines, abs=1e-9)
    z = (X - X.mean(axis=0)) / X.std(axis=0)
    assert both[:, :3] == pytest.approx(z, abs=1e-5)
    stage = alone.stages[1]
    assert isinstance(stage, Fourier)
    assert "beside" not in {name for name, value in stage if value is not None}
    with pytest.raises(ConfigError, match="the map 'linear-fourier' needs it"):
        spec_of(kind="linear-fourier")
