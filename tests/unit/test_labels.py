"""Labels of every kind become one vocabulary and its codes, and every bad one is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pysonar.bounty.request import Bounty
from pysonar.bounty.shelf import Shelf
from pysonar.frames.labels import label_map, values_of
from pysonar.models.linear import LinearModel
from sonar.errors import ConfigError, DataError, ManifestError
from sonar.families.quadratic.losses.classes import calibration, codes_of, log_probabilities, one_vs_rest
from sonar.families.quadratic.noisy.releasing import released_map, row_sums, sums_id
from sonar.families.quadratic.prepare import prepare
from sonar.families.quadratic.spec import QuadraticSpec
from tests.family_kit import run_clear

RNG = np.random.default_rng(5)
X = RNG.normal(size=(90, 3))
THREE = (2.0 * X + 0.4 * RNG.normal(size=(90, 3))).argmax(axis=1)
NAMES = ["a", "b", "c"]
OF: dict[str, Any] = {"target": "kind", "features": NAMES, "name": "l", "loss": "logistic-taylor"}


def bounty(labels: Any, **settings: Any) -> Bounty:
    return Bounty.of(X, labels, **(OF | {"cohort": 3, "key_bits": 2048} | settings))


@pytest.mark.parametrize(
    ("labels", "levels", "values"),
    [
        (np.array([0, 1, 1]), ("0", "1"), [0, 1]),
        (np.array([2.0, 1.0, 1.0]), ("1", "2"), [1, 2]),
        ([-1, 1, 1], ("-1", "1"), [-1, 1]),
        ([True, False, True], ("false", "true"), [False, True]),
        (["yes", " no ", "yes"], ("no", "yes"), ["no", "yes"]),
        (["10", "9", "10.0"], ("9", "10"), [9, 10]),
        (["b", "a", "é"], ("a", "b", "é"), ["a", "b", "é"]),
        (np.array(["x", 3], dtype=object), ("3", "x"), ["3", "x"]),
    ],
)
def test_labels_as_people_have_them(labels: Any, levels: tuple[str, ...], values: list[Any]) -> None:
    column, codes = label_map("kind", labels)
    assert column.levels == levels
    assert values_of(levels).tolist() == values
    again, same = label_map("kind", [levels[int(code)] for code in codes], levels)
    assert (again, same.tolist()) == (column, codes.tolist())


@pytest.mark.parametrize(
    ("labels", "classes", "said"),
    [
        ([0, 1, 2], [0, 1], r"row 3 has the label '2'; the classes are '0', '1'"),
        ([0, np.nan, 1], None, "row 2 is missing"),
        (["a", None, "b"], None, "row 2 is missing"),
        (["a", " ", "b"], None, "row 2 is missing"),
        ([0.5, 1.5, 0.5], None, "names no category"),
        ([1j, 2j], None, "complex"),
        (np.array(["2020-01-01", "2021-01-01"], dtype="datetime64[D]"), None, "names no category"),
        ([1, 1, 1], None, "is '1' in every held-out row"),
        (np.arange(100), None, "has 100 different values in 100 rows; classes are expected"),
        ([[1, 2], [3, 4]], None, "has the shape"),
        (["a" * 65, "b"], None, "cannot be published"),
        ([0, 1], ["a", "a"], "has 'a' twice"),
        ([0, 1], ["a"], "has 1 class; from 2"),
        ([0, 1], [None, "a"], "None names no class"),
    ],
)
def test_bad_labels_are_told(labels: Any, classes: Any, said: str) -> None:
    with pytest.raises((DataError, ConfigError), match=said):
        label_map("kind", labels, classes)


def test_classes_need_a_loss_and_rows_of_each() -> None:
    with pytest.raises(ConfigError, match="classes: are for labels, and 'squared'"):
        bounty(X[:, 0], loss="squared", classes=["a", "b"])
    with pytest.raises(DataError, match="column 'kind': has no held-out row of '3', so the holdout cannot"):
        _ = bounty(THREE, classes=[0, 1, 2, 3]).design
    with pytest.raises(ConfigError, match="classes: "):
        bounty(THREE, classes="abc")


def test_one_bounty_has_all_classes_and_one_column() -> None:
    one = bounty(THREE)
    spec, plan = one.design.spec, one.design.plan
    assert (spec.outputs, spec.width, plan.weights, plan.outputs) == (3, 4, 12, 3)
    assert spec.columns == (*NAMES, "kind")
    assert [target.name for target in spec.targets] == ["0", "1", "2"]
    assert one.initial_loss == 1_000_000
    assert QuadraticSpec.parse(spec.model_dump()) == spec
    for change in ({"levels": ("0", "1")}, {"missing": True}):
        with pytest.raises(ManifestError):
            QuadraticSpec.parse(spec.model_dump() | {"labels": spec.model_dump()["labels"] | change})
    with pytest.raises(ManifestError, match="labels: 'squared' is a loss for amounts"):
        QuadraticSpec.parse(spec.model_dump() | {"loss": "squared"})


def test_the_null_model_says_the_frequencies_and_a_scale_changes_no_loss() -> None:
    one = bounty(THREE)
    held, targets = one.design.holdout, one.design.spec.targets
    p = np.exp(log_probabilities(targets, np.zeros((1, 3))))[0]
    assert p == pytest.approx(np.bincount(THREE) / len(THREE), abs=1e-9)
    w = RNG.normal(size=12)
    for metric in ("log_loss", "auc"):
        assert held.loss(w, metric) == held.loss(7.5 * w, metric) == held.loss(w / 100, metric)


def test_the_scale_is_the_best_one() -> None:
    targets = bounty(THREE).design.spec.targets
    s = 3.0 * np.eye(3)[THREE] + RNG.normal(size=(90, 3))
    best = calibration(targets, s, THREE)
    assert best.constant == 0.0

    def loss(t: float) -> float:
        log_q = log_probabilities(targets, t * s)
        wanted = np.full((90, 3), 0.25 / 90)
        wanted[np.arange(90), THREE] = 1 - 0.5 / 90
        return float(-np.mean(np.sum(wanted * log_q, axis=1)))

    assert loss(best.slope) <= min(loss(best.slope * factor) for factor in (0.5, 0.99, 1.01, 2.0))
    assert calibration(targets, -s, THREE).slope == 0.0
    assert calibration(targets, 0.0 * s, THREE).slope == 1.0
    assert calibration(targets, 100.0 * np.eye(3)[THREE], THREE).slope < 1.0  # all right: still finite


RARE = (X @ [1.0, -1.0, 0.5] > 0.5).astype(np.intp)


def test_of_two_classes_the_line_is_the_best_one() -> None:
    targets = bounty(RARE).design.spec.targets
    s = 0.2 * (X @ [1.0, -1.0, 0.5] + RNG.normal(size=90))[:, None] + 4.0
    best = calibration(targets, s, RARE)
    wanted = np.where(RARE == 1, 1 - 0.5 / 90, 0.5 / 90)

    def loss(slope: float, constant: float) -> float:
        log_q = log_probabilities(targets, slope * s + constant)
        return float(-np.mean((1 - wanted) * log_q[:, 0] + wanted * log_q[:, 1]))

    least = loss(best.slope, best.constant)
    near = [(f, d) for f in (0.8, 0.999, 1.0, 1.001, 1.2) for d in (-0.5, -0.001, 0.0, 0.001, 0.5)]
    assert all(least <= loss(f * best.slope, best.constant + d) for f, d in near)
    told = np.exp(log_probabilities(targets, best.of(s)))[:, 1]
    assert np.mean(told) == pytest.approx(np.mean(wanted), abs=1e-9)  # right in the mean


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e12, 1e250])
def test_a_line_is_finite_and_calibrating_twice_changes_nothing(factor: float) -> None:
    targets = bounty(RARE).design.spec.targets
    outputs: list[Any] = [(2.0 * RARE - 1.0)[:, None], X[:, :1] + 3.0, X @ np.array([[1.0], [-1.0], [0.5]])]
    for s in outputs:
        found = calibration(targets, factor * s, RARE)
        assert np.isfinite([found.slope, found.constant]).all()
        again = calibration(targets, found.of(factor * s), RARE)
        assert (again.slope, again.constant) == pytest.approx((1.0, 0.0), abs=1e-4)


def test_what_says_nothing_of_two_classes_is_the_null_model() -> None:
    one = bounty(RARE)
    held, targets = one.design.holdout, one.design.spec.targets
    zeros = np.zeros((90, 1))
    assert calibration(targets, zeros, RARE).of(zeros).tolist() == zeros.tolist()
    for s in (zeros, zeros + 7.0, zeros - 1e100, -(X @ [1.0, -1.0, 0.5])[:, None]):
        assert held.loss_of_scores(s, "log_loss") == 1_000_000


def test_of_two_classes_neither_scale_nor_bias_changes_the_loss() -> None:
    held = bounty(RARE).design.holdout
    w = np.array([1.0, -1.0, 0.5, 0.0])
    for metric in ("log_loss", "auc"):
        losses = {
            held.loss(f * (w + d * np.eye(4)[3]), metric) for f in (0.01, 1.0, 50.0) for d in (-3.0, 0.0, 3.0)
        }
        assert len(losses) == 1
        assert losses.pop() < 900_000


def test_probabilities_of_a_rare_class_are_right_in_the_mean() -> None:
    one, model = trained(np.where(RARE == 1, "yes", "no"))
    told = model.probability(X)
    assert np.mean(told) == pytest.approx(np.mean(RARE), abs=0.5 / 90)
    log_loss = -np.mean(np.log(np.where(RARE == 1, told, 1.0 - told)))
    assert log_loss == pytest.approx(model.figures["log_loss"], rel=1e-6)
    assert model.loss == pytest.approx(1e6 * log_loss / one.design.holdout.nulls("log_loss")[0], abs=1)


def test_codes_are_places_in_the_vocabulary() -> None:
    column, codes = label_map("kind", THREE)
    assert one_vs_rest(column, codes.astype(np.intp))[0].sum() == -1.0
    for bad in (3.0, -1.0, 0.5, np.nan, np.inf):
        with pytest.raises(DataError, match="column 'kind': has the label number"):
            codes_of(column, np.array([0.0, bad]))


def trained(labels: Any, **settings: Any) -> tuple[Bounty, LinearModel]:
    """A model of three mines with the holdout's own rows, by the code that mines run."""
    one = bounty(labels, **settings)
    spec, plan = one.design.spec, one.design.plan
    _, codes = label_map("kind", labels, spec.labels.levels if spec.labels else None)
    maps = [prepare(spec, plan, [np.column_stack([X, codes])[rows]]) for rows in np.split(np.arange(90), 3)]
    return one, LinearModel.of(one.design, run_clear(one.design, maps, 6))


@pytest.mark.parametrize("kind", ["numbers", "texts"])
def test_a_model_of_three_classes(kind: str, tmp_path: Path) -> None:
    labels: Any = THREE if kind == "numbers" else np.array(["low", "mid", "top"])[THREE]
    one, model = trained(labels)
    proba = model.predict_proba(X)
    assert proba.shape == (90, 3)
    assert proba.sum(axis=1) == pytest.approx(1.0)
    assert set(model.predict(X).tolist()) <= set(labels.tolist())
    assert model.score(X, labels) == np.mean(model.predict(X) == labels) == model.figures["accuracy"] > 0.8
    told = -np.mean(np.log(proba[np.arange(90), THREE]))
    assert told == pytest.approx(model.figures["log_loss"], rel=1e-6)
    metrics = pytest.importorskip("sklearn.metrics")
    auc = metrics.roc_auc_score(THREE, proba, multi_class="ovr", average="macro")
    assert auc == pytest.approx(model.figures["auc"], abs=1e-9)
    null = one.design.holdout.nulls("log_loss")[0]
    assert model.loss == pytest.approx(1e6 * told / null, abs=1)
    model.save(tmp_path / "model.json")
    assert LinearModel.load(tmp_path / "model.json").predict(X).tolist() == model.predict(X).tolist()
    assert sorted(model.coefficients)[-1] == f"{model.levels_known[-1]}: c"
    with pytest.raises(DataError, match="has the label 'none'"):
        model.score(X, ["none"] * 90)


def test_two_classes_have_one_output_and_the_last_ones_probability() -> None:
    labels = np.where(THREE > 0, "yes", "no")
    one, model = trained(labels)
    assert one.design.spec.outputs == 1
    assert model.predict_proba(X)[:, 1] == pytest.approx(model.probability(X))
    assert (model.probability(X) > 0.5).tolist() == (model.predict(X) == "yes").tolist()
    assert np.exp(model.decision_function(X)) == pytest.approx(
        model.probability(X) / (1 - model.probability(X)), rel=1e-9
    )


def test_a_mine_with_few_rows_of_a_class_is_refused_and_one_without_is_not() -> None:
    one = bounty(THREE)
    spec, plan = one.design.spec, one.design.plan
    codes = np.where(np.arange(90) < 3, 2.0, np.arange(90) % 2)
    with pytest.raises(Exception, match="column 'kind = 2': only 3 rows differ"):
        prepare(spec, plan, [np.column_stack([X, codes])])
    prepare(spec, plan, [np.column_stack([X, np.arange(90) % 2])])


def test_a_bounty_with_labels_is_kept(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    one = bounty(np.array(["low", "mid", "top"])[THREE], classes=["low", "mid", "top"], patience=3)
    shelf.keep(one)
    again = shelf.take("l")
    assert again == one
    assert isinstance(again, Bounty)
    assert again.design.spec == one.design.spec
    other = bounty(np.array(["low", "mid", "zzz"])[THREE], patience=3)
    assert other.digest != one.digest


def test_texts_in_a_csv_and_in_a_frame(tmp_path: Path) -> None:
    words = np.array(["low", "mid", "top"])[THREE]
    rows = zip(X.tolist(), words.tolist(), strict=True)
    lines = ["a,b,c,kind", *(",".join([*map(repr, row), word]) for row, word in rows)]
    (tmp_path / "h.csv").write_text("\n".join(lines) + "\n")
    text = 'name = "l"\nloss = "logistic-taylor"\ncohort = 3\nkey_bits = 2048\n'
    text += '[holdout]\ncsv = "h.csv"\ntarget = "kind"\n'
    (tmp_path / "b.toml").write_text(text)
    from_file = Bounty.from_toml(tmp_path / "b.toml")
    frame = {name: X[:, i] for i, name in enumerate(NAMES)} | {"kind": words}
    from_code = Bounty.of(frame, **(OF | {"features": None, "cohort": 3, "key_bits": 2048}))
    assert from_file == from_code == bounty(words)
    (tmp_path / "h.csv").write_text("\n".join([*lines[:5], "1,2,3,", *lines[5:]]) + "\n")
    with pytest.raises(DataError, match="column 'kind': line 6 is missing; a label is expected"):
        Bounty.from_toml(tmp_path / "b.toml")


def test_sums_with_noise_take_labels_and_no_row_decides() -> None:
    """A label that is none counts as zeros, and its row tells nobody that it is there."""
    one = bounty(THREE, privacy={"epsilon": 8.0})
    spec, plan = one.design.spec, one.design.plan
    assert spec.labels is not None
    rows = np.column_stack([X, THREE.astype(float)])
    sums = row_sums(spec, [rows])
    made = released_map(spec, plan, sums.values, sums.rows)
    assert made.b_int.shape == (4, 3)
    pulls = made.b_int[:3].astype(float)
    assert all(pulls[k, k] == pulls[:, k].max() > 0 for k in range(3))  # each column is one class's own
    rows[:, -1] = [7.0, np.nan] * 45
    none = row_sums(spec, [rows])
    assert none.clipped == 90
    assert not released_map(spec, plan, none.values, none.rows).b_int.any()
    other = spec.model_copy(update={"labels": spec.labels.model_copy(update={"name": "sort"})})
    assert sums_id(other) != sums_id(spec)
