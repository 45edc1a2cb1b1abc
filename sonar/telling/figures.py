"""How good a model is, for people: R², MSE, log loss and the like, from the names that programs use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping


def plain(value: float, digits: int) -> str:
    """Return a number of any unit in so many digits; a large one to the point, not as a power of ten."""
    return f"{value:,.{digits}g}" if abs(round(value)) < 10**digits else f"{value:,.0f}"


def _amount(value: float) -> str:
    """For any unit: five digits, and all digits before the point."""
    return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:#.5g}"


_SAID: dict[str, tuple[str, Callable[[float], str]]] = {
    "r2": ("R²", lambda value: f"{round(value, 4) + 0.0:.4f}"),  # no minus before a zero
    "mse": ("MSE", _amount),
    "log_loss": ("log loss", "{:.4f}".format),
    "auc": ("AUC", "{:.4f}".format),
    "accuracy": ("accuracy", "{:.1%}".format),
}


def heading(name: str) -> str:
    """Return what people call a metric; of one output of several, with the column's name: "mse weight"."""
    metric, _, column = name.partition(" ")
    said = _SAID[metric][0] if metric in _SAID else metric
    return f"{said} {column}".rstrip()


def figure(name: str, value: float) -> str:
    """Return a value of the metric `name`, in as many digits as say something."""
    metric = name.partition(" ")[0]
    told = _SAID[metric][1](value) if metric in _SAID else _amount(value)
    return told if told.strip("-0.%") else told.removeprefix("-")  # nothing has no sign


def cells(figures: Mapping[str, float], names: Iterable[str]) -> list[str]:
    """Return the figures of these names, for a table's row; empty where there is none."""
    return [figure(name, figures[name]) if name in figures else "" for name in names]


def in_words(figures: Mapping[str, float]) -> str:
    """Return figures as the end of a sentence: "R² 0.5298, MSE 2,620.0"."""
    return ", ".join(f"{heading(name)} {figure(name, value)}" for name, value in figures.items())


def of_squared(loss: int, null_mse: float | None) -> dict[str, float]:
    """Return what a squared loss on the chain, in millionths of the null model's, says in people's units.

    Without the null model's MSE, as of several targets, that is R² alone, the mean over them.
    """
    part = loss / 1_000_000
    return {"r2": 1 - part} | ({} if null_mse is None else {"mse": part * null_mse})
