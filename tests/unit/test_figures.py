"""What people read of a model: the same digits wherever it is told."""

from __future__ import annotations

import pytest

from sonar.telling.figures import cells, figure, heading, in_words


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("r2", 0.529816, "0.5298"),
        ("r2", -3.66312, "-3.6631"),
        ("mse", 2619.998, "2,620.0"),
        ("mse", 1.25e9, "1,250,000,000.0"),
        ("mse", 0.000412345, "0.00041234"),
        ("mse weight", 12.5, "12.500"),
        ("log_loss", 0.6931471, "0.6931"),
        ("accuracy", 0.98765, "98.8%"),
        ("concordance", 0.5, "0.50000"),
    ],
)
def test_a_figure_has_the_digits_that_say_something(name: str, value: float, told: str) -> None:
    assert figure(name, value) == told


def test_figures_are_named_as_people_do() -> None:
    assert [heading(name) for name in ("r2", "mse weight", "log_loss", "auc", "other")] == [
        "R²",
        "MSE weight",
        "log loss",
        "AUC",
        "other",
    ]
    assert in_words({"r2": 0.5, "mse": 2.0}) == "R² 0.5000, MSE 2.0000"
    assert cells({"mse": 2.0}, ["r2", "mse"]) == ["", "2.0000"]
