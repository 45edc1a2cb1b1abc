"""Feature maps that a bounty names: what is posted, who can take part, and what it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from pysonar.bounty.bounty import Bounty
from pysonar.campaign.model import LinearModel
from pysonar.campaign.posting import prepare
from pysonar.campaign.shelf import Shelf
from pysonar.keys.keys import Key
from sonar.data import examples
from sonar.errors import DataError, SonarError
from sonar.families.quadratic.course import Course, Point
from sonar.families.quadratic.optimisers.base import ORIGIN
from sonar.families.registry import family_of
from sonar.manifests.model import ModelManifest

Array = NDArray[np.float64]
TABLE = examples.load("diabetes")
POLYNOMIAL: dict[str, Any] = {"feature_map": "polynomial"}
FOURIER: dict[str, Any] = {"feature_map": "fourier", "n_components": 12}


def bounty_of(x: Array, y: Array, **settings: Any) -> Bounty:
    names = [f"c{i}" for i in range(x.shape[1])]
    return Bounty.of(x, y, target="y", features=names, **({"name": "t", "min_mines": 2} | settings))


def told(bounty: Bounty) -> str:
    """What `explain` says, whatever the width of its lines."""
    return " ".join(bounty.explain().split())


@pytest.mark.parametrize("settings", [{}, POLYNOMIAL, FOURIER])
def test_what_is_explained_is_posted_and_gone_on_with(tmp_path: Path, settings: dict[str, Any]) -> None:
    fields = "".join(f"{name} = {value!r}\n" for name, value in settings.items())
    (tmp_path / "bounty.toml").write_text(f'name = "d"\n{fields}[holdout]\nexample = "diabetes"\n')
    explained = Bounty.from_toml(tmp_path / "bounty.toml")
    spec = explained.design.spec
    assert family_of(spec).in_words(spec) in told(explained)
    posted = Bounty.example("diabetes", name="d", **settings)
    key = Key.generate(1024, insecure=True)
    manifest = ModelManifest.from_bytes(prepare(posted, key).model_manifest)
    shelf = Shelf(tmp_path)
    shelf.keep(posted)
    taken = shelf.take("d")
    assert explained == posted == taken
    assert explained.design.spec == manifest.family == taken.design.spec
    assert manifest.plan.model_dump() == taken.design.plan.to_dict()
    model = LinearModel(manifest.family, np.arange(float(manifest.family.weights)), 1.0)
    model.save(tmp_path / "model.json")
    x = TABLE.matrix(posted.features)
    assert (LinearModel.load(tmp_path / "model.json").predict(x) == model.predict(x)).all()


def test_a_bounty_tells_what_its_map_asks_for_and_tells() -> None:
    text = told(Bounty.example("diabetes", **POLYNOMIAL))
    assert "standardised to ±8, then products of up to 2, then standardised to ±8: 66 weights" in text
    assert "198 to 65535 rows" in text
    assert "up to 2 columns of 0 and 1, five rows of each combination" in text
    assert "products of up to 4 columns; of columns of 0 and 1 these count the rows that have 4" in text
    assert "deviations of your holdout's columns and of their products" in text
    text = told(Bounty.example("diabetes", feature_map="fourier", n_components=100))
    assert "100 random cosines" in text
    assert "478 to 65535 rows" in text  # more than three per weight
    assert "drawn at random and published" in text
    assert "products" not in Bounty.example("diabetes").explain()


@pytest.mark.parametrize(
    ("columns", "settings", "field", "told"),
    [
        (3, {"degree": 2}, "degree", "has no effect but with feature_map = 'polynomial'"),
        (3, FOURIER | {"degree": 2}, "degree", "has no effect"),
        (3, {"gamma": 1.0}, "gamma", "has no effect but with feature_map = 'fourier'"),
        (3, POLYNOMIAL | {"n_components": 5}, "n_components", "has no effect"),
        (3, POLYNOMIAL | {"random_state": 0}, "random_state", "has no effect"),
        (3, {"feature_map": "fourier"}, "n_components", "is missing"),
        (44, POLYNOMIAL, "degree", "2 makes 1035 weights of 44 columns; a model has at most 1000"),
        (20, POLYNOMIAL | {"degree": 3}, "degree", "3 makes 1771 weights of 20 columns"),
        (3, FOURIER | {"n_components": 1000}, "n_components", "1000 makes 1001 weights with the bias"),
        (60, FOURIER | {"n_components": 999}, "n_components", "59940 published numbers; at most 58254"),
        (3, POLYNOMIAL | {"degree": 4}, "degree", "less than or equal to 3 (got 4)"),
        (3, FOURIER | {"gamma": 0.0}, "gamma", "greater than or equal to"),
        (3, {"feature_map": "cubic"}, "feature_map", "'standard', 'polynomial' or 'fourier'"),
        (43, POLYNOMIAL | {"commit_window_s": 40}, "commit_window_s", "too short for updates that take"),
    ],
)
def test_a_map_that_cannot_be_is_told_by_its_field(
    columns: int, settings: dict[str, Any], field: str, told: str
) -> None:
    x = np.random.default_rng(0).normal(size=(30, columns))
    with pytest.raises(SonarError) as caught:
        bounty_of(x, 5 + x[:, 0], **settings)
    assert str(caught.value).startswith(f"{field}: ")
    assert told in str(caught.value)
    assert caught.value.hint


def test_the_largest_maps_fit_into_a_manifest() -> None:
    rng = np.random.default_rng(0)
    windows = {"commit_window_s": 600}
    for columns, settings in ((58, FOURIER | {"n_components": 999}), (43, POLYNOMIAL)):
        names = [chr(0x20000 + i) * 64 for i in range(columns)]
        x = rng.normal(size=(30, columns))
        bounty = Bounty.of(x, 5 + x[:, 0], target="y", features=names, name="w", **settings, **windows)
        manifest = prepare(bounty, Key.generate(1024, insecure=True)).model_manifest
        assert ModelManifest.from_bytes(manifest).family == bounty.design.spec


def test_coefficients_of_products_are_scikit_learns() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(5, 2, (60, 3))
    y = 7 + x[:, 0] * x[:, 1] + rng.normal(size=60)
    design = bounty_of(x, y, **POLYNOMIAL, clip=1000.0).design
    target = design.spec.targets[0]
    best = np.linalg.lstsq(design.holdout.phi, (y - target.centre) / target.scale, rcond=None)[0]
    start = family_of(design.spec).start(design)
    own = LinearModel.of(design, Course((*start.points, Point(design.rounded(best), ORIGIN, 0)))).coefficients
    scaled = StandardScaler().fit_transform(x)
    fit = LinearRegression().fit(PolynomialFeatures(2, include_bias=False).fit_transform(scaled), y)
    assert [*own.values()] == pytest.approx([*fit.coef_, fit.intercept_], abs=1e-4)
    assert list(own)[3:5] == ["c0^2", "c0 c1"]


def test_coefficients_with_one_name_are_not_mixed_up() -> None:
    x = np.random.default_rng(0).normal(size=(30, 3))
    bounty = Bounty.of(x, 5 + x[:, 0], target="y", features=["a", "b", "a b"], name="t", **POLYNOMIAL)
    model = LinearModel(bounty.design.spec, np.zeros(10), 1.0)
    with pytest.raises(DataError, match="one name"):
        _ = model.coefficients
