"""Figures of accuracy: what holds, which number stands for a figure, and the exit code."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from benchmarks.accuracy import __main__ as accuracy
from benchmarks.accuracy.base import Compared, Figure, Found, equal, no_less, no_more, relative, within
from benchmarks.accuracy.leaves import trained
from benchmarks.accuracy.registry import FIGURES
from pysonar.bounty.request import Bounty
from sonar.data import examples

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks" / "accuracy"
Compare = Callable[[str, float, float, float], Compared]


def found(*compared: Compared) -> Found:
    return Found("a test", "numpy", compared)


def test_every_file_of_figures_is_registered() -> None:
    kept = {path.stem for path in FOLDER.glob("*.py")}
    figures = {figure.__module__.rpartition(".")[2] for figure in FIGURES.values()}
    assert kept - {"__init__", "__main__", "base", "registry", "campaigns"} == figures


@pytest.mark.parametrize(
    ("near", "far"),
    [
        (relative("", 1.0000009, 1.0, 1e-6), relative("", 1.0000011, 1.0, 1e-6)),
        (relative("", -2.0000018, -2.0, 1e-6), relative("", 2.0, -2.0, 1e-6)),
        (relative("", 0.0, 0.0, 1e-6), relative("", 1e-12, 0.0, 1e-6)),
        (within("", 0.9005, 0.9, 1e-3), within("", 0.902, 0.9, 1e-3)),
        (no_less("", 1.0, 0.9, 0.01), no_less("", 0.88, 0.9, 0.01)),
        (no_more("", 0.1, 0.9, 0.01), no_more("", 0.92, 0.9, 0.01)),
    ],
)
def test_what_is_near_enough_holds(near: Compared, far: Compared) -> None:
    assert near.holds
    assert not far.holds


@pytest.mark.parametrize("compare", [relative, within, no_less, no_more])
@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_does_not_hold(compare: Compare, odd: float) -> None:
    assert not compare("", odd, 1.0, 1.0).holds
    assert not compare("", 1.0, odd, 1.0).holds
    json.dumps(found(compare("", odd, 1.0, 1.0)).to_dict(), allow_nan=False)


def test_the_worst_number_stands_for_a_figure() -> None:
    easy, hard = within("easy", 5.0, 5.5, 100.0), within("hard", 1.0, 1.0009, 1e-3)
    assert found(easy, hard).worst is hard
    assert found(easy, within("nan", math.nan, 1.0, 1.0), hard).worst.what == "nan"
    assert found(within("exact", 1.0, 1.0, 0.0), easy).worst is easy


def test_nothing_compared_does_not_hold() -> None:
    assert not found().holds


def test_names_beside_numbers() -> None:
    one, other = equal("error", ["age", "bmi"], [1.0, 2.0], [1.0, 3.0], 1e-6)
    assert (one.what, one.holds, other.what, other.holds) == ("error of age", True, "error of bmi", False)
    with pytest.raises(ValueError, match="zip"):
        equal("error", ["age"], [1.0, 2.0], [1.0, 3.0], 1e-6)


def test_it_prints_json_alone_and_fails_if_a_figure_does_not_hold(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def loud(quick: bool) -> Found:
        print("what a library prints")
        return found(within("mean", 1.0, 1.0 if quick else 2.0, 0.5))

    figures: dict[str, Figure] = {"loud": loud, "other": lambda quick: found(within("", 1.0, 1.0, 0.0))}
    monkeypatch.setattr(accuracy, "FIGURES", figures)
    assert accuracy.main(["--json", "--quick", "--only", "loud"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told) == ["loud"]
    assert {"ours": 1.0, "pooled": 1.0, "holds": True}.items() <= told["loud"].items()
    assert accuracy.main([]) == 1
    table = capsys.readouterr().out
    assert "NO" in table
    assert "loud: a test; 1 compared with numpy" in table


def test_a_peer_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def needs(quick: bool) -> Found:
        import no_such_library  # type: ignore[import-not-found]  # noqa: F401

        return found()

    monkeypatch.setattr(accuracy, "FIGURES", {"needs": needs})
    with pytest.raises(SystemExit, match="no_such_library is not installed here; run: make accuracy"):
        accuracy.main([])


def test_mines_of_the_diabetes_rows_train_what_least_squares_finds_on_all_of_them() -> None:
    table = examples.load("diabetes")
    bounty = Bounty.example("diabetes")
    rows = table.matrix(bounty.held_out.columns)[bounty.held_out.rows :]
    model = trained(bounty, np.array_split(rows, 10))
    pooled = LinearRegression().fit(rows[:, :-1], rows[:, -1])
    assert np.corrcoef(model.predict(rows[:, :-1]), pooled.predict(rows[:, :-1]))[0, 1] > 0.99
    assert model.figures["r2"] > 0.5
