"""Feature maps that a bounty names: what is posted, who can take part, and what it is called."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from pysonar.bounty.explain import explain
from pysonar.bounty.request import Bounty
from pysonar.bounty.shelf import Shelf
from pysonar.campaign.opening import prepare
from pysonar.keys.key import Key
from pysonar.keys.local import LocalHolder
from pysonar.models.linear import LinearModel
from sonar.data import examples
from sonar.errors import DataError, SonarError
from sonar.families.quadratic.course import Course, Point, start_of
from sonar.families.quadratic.optimisers.base import ORIGIN
from sonar.manifests.model import ModelManifest
from sonar.store.memory import MemoryStore

Array = NDArray[np.float64]
TABLE = examples.load("diabetes")
POLYNOMIAL: dict[str, Any] = {"feature_map": "polynomial"}


def polynomial(**wanted: Any) -> dict[str, Any]:
    return {"feature_map": {"kind": "polynomial", **wanted}}


def fourier(components: int = 12, **wanted: Any) -> dict[str, Any]:
    return {"feature_map": {"kind": "fourier", "n_components": components, **wanted}}


FOURIER = fourier()


def bounty_of(x: Array, y: Array, **settings: Any) -> Bounty:
    names = [f"c{i}" for i in range(x.shape[1])]
    return Bounty.of(x, y, target="y", features=names, **({"name": "t", "min_mines": 2} | settings))


def told(bounty: Bounty) -> str:
    """What `explain` says, whatever the width of its lines."""
    return " ".join(explain(bounty).split())


def in_toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {in_toml(each)}" for name, each in value.items()) + " }"
    return json.dumps(value)


@pytest.mark.parametrize("settings", [{}, POLYNOMIAL, FOURIER])
def test_what_is_explained_is_posted_and_gone_on_with(tmp_path: Path, settings: dict[str, Any]) -> None:
    fields = "".join(f"{name} = {in_toml(value)}\n" for name, value in settings.items())
    (tmp_path / "bounty.toml").write_text(f'name = "d"\n{fields}[holdout]\nexample = "diabetes"\n')
    explained = Bounty.from_toml(tmp_path / "bounty.toml")
    assert explained.design.spec.words in told(explained)
    posted = Bounty.example("diabetes", name="d", **settings)
    key = Key.generate(1024, insecure=True)
    manifest = ModelManifest.from_bytes(prepare(posted, LocalHolder(key), MemoryStore()).model_manifest)
    shelf = Shelf(tmp_path)
    shelf.keep(posted)
    taken = shelf.take("d")
    assert explained == posted == taken
    assert explained.design.spec == manifest.family == taken.design.spec
    assert manifest.plan.model_dump() == taken.design.plan.to_dict()
    model = LinearModel(manifest.family, np.arange(float(manifest.family.weights)), 1)
    model.save(tmp_path / "model.json")
    x = TABLE.matrix(posted.features)
    assert (LinearModel.load(tmp_path / "model.json").predict(x) == model.predict(x)).all()


def test_a_bounty_tells_what_its_map_asks_for_and_tells() -> None:
    text = told(Bounty.example("diabetes", **POLYNOMIAL))
    assert "standardised to ±8, then products of up to 2, then standardised to ±8: 66 weights" in text
    assert "198 rows at least" in text
    assert "up to 2 columns of 0 and 1, five rows of each combination" in text
    assert "products of up to 4 columns; of columns of 0 and 1 these count the rows that have 4" in text
    assert "deviation of each column of your holdout, targets included and of their products" in text
    text = told(Bounty.example("diabetes", **fourier(100)))
    assert "100 random cosines" in text
    assert "478 rows at least" in text  # more than three per weight
    assert "drawn at random and published" in text
    assert "products" not in explain(Bounty.example("diabetes"))


@pytest.mark.parametrize(
    ("columns", "settings", "field", "told"),
    [
        (3, {"feature_map": {"kind": "standard", "degree": 2}}, "feature_map", "degree"),
        (3, fourier(degree=2), "feature_map", "degree"),
        (3, polynomial(n_components=5), "feature_map", "n_components"),
        (3, {"feature_map": "fourier"}, "n_components", "is missing"),
        (44, POLYNOMIAL, "degree", "2 makes 1035 weights of 44 columns; a model has at most 1000"),
        (20, polynomial(degree=3), "degree", "3 makes 1771 weights of 20 columns"),
        (3, fourier(1000), "n_components", "1000 makes 1001 weights with the bias"),
        (60, fourier(999), "n_components", "59940 published numbers; at most 58254"),
        (3, polynomial(degree=4), "feature_map", "at most 3 (got 4)"),
        (3, fourier(gamma=0.0), "feature_map", "at least 1e-06"),
        (3, {"feature_map": "cubic"}, "feature_map", "of standard, bent, polynomial, fourier"),
        (43, POLYNOMIAL | {"commit_window_s": 40}, "commit_window_s", "too short for updates that take"),
    ],
)
def test_a_map_that_cannot_be_is_told_by_its_field(
    columns: int, settings: dict[str, Any], field: str, told: str
) -> None:
    x = np.random.default_rng(0).normal(size=(30, columns))
    with pytest.raises(SonarError) as caught:
        bounty_of(x, 5 + x[:, 0], **settings)
    assert str(caught.value).startswith((f"{field}: ", f"{field}."))
    assert told in str(caught.value)
    assert caught.value.hint


def test_the_largest_maps_fit_into_a_manifest() -> None:
    rng = np.random.default_rng(0)
    windows = {"commit_window_s": 600}
    for columns, settings in ((58, fourier(999)), (43, POLYNOMIAL)):
        names = [chr(0x20000 + i) * 64 for i in range(columns)]
        x = rng.normal(size=(30, columns))
        bounty = Bounty.of(x, 5 + x[:, 0], target="y", features=names, name="w", **settings, **windows)
        manifest = prepare(
            bounty, LocalHolder(Key.generate(1024, insecure=True)), MemoryStore()
        ).model_manifest
        assert ModelManifest.from_bytes(manifest).family == bounty.design.spec


def test_coefficients_of_products_are_scikit_learns() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(5, 2, (60, 3))
    y = 7 + x[:, 0] * x[:, 1] + rng.normal(size=60)
    design = bounty_of(x, y, **polynomial(clip=1000.0)).design
    best = np.linalg.lstsq(design.holdout.phi, (y - y.mean()) / y.std(), rcond=None)[0]
    point = Point(design.rounded(best), ORIGIN, 0)
    own = LinearModel.of(design, Course((*start_of(design).points, point))).coefficients
    scaled = StandardScaler().fit_transform(x)
    fit = LinearRegression().fit(PolynomialFeatures(2, include_bias=False).fit_transform(scaled), y)
    assert [*own.values()] == pytest.approx([*fit.coef_, fit.intercept_], abs=1e-4)
    assert list(own)[3:5] == ["c0^2", "c0 c1"]


def test_coefficients_with_one_name_are_not_mixed_up() -> None:
    x = np.random.default_rng(0).normal(size=(30, 3))
    bounty = Bounty.of(x, 5 + x[:, 0], target="y", features=["a", "b", "a b"], name="t", **POLYNOMIAL)
    model = LinearModel(bounty.design.spec, np.zeros(10), 1_000_000)
    with pytest.raises(DataError, match="one name"):
        _ = model.coefficients
