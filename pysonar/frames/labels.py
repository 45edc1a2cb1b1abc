"""Labels as people have them, and the vocabulary that a bounty publishes of them.

Texts, whole numbers (0 and 1, 1 and 2, -1 and 1) and booleans are labels. Numbers come in their order,
others in that of the alphabet; of two classes the last is the one that a model gives the probability of.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from pysonar.frames.cells import as_texts, level_text
from sonar.data.cells import Found
from sonar.data.coding import Coder
from sonar.data.schema import MAX_LEVELS, CategoryColumn
from sonar.errors import ConfigError, DataError
from sonar.families.quadratic.losses.registry import LOSSES
from sonar.protocol.wording import first_fault
from sonar.telling.text import count

Vector = NDArray[np.float64]

MOST_NUMBERS = 32
"""More different numbers than this are amounts, unless the bounty names them as classes."""
_NAMES = "name its classes as texts, whole numbers, or true and false"


def classes_given(classes: Sequence[Any], field: str = "classes") -> tuple[str, ...]:
    """Return how the classes that a scientist names are written. Raises ConfigError."""
    texts = [level_text(one) for one in classes]
    for one, text in zip(classes, texts, strict=True):
        if not text:
            raise ConfigError(field, f"{one!r:.60} names no class", hint=_NAMES)
    written = [text for text in texts if text]
    if again := [text for text in written if written.count(text) > 1]:
        raise ConfigError(field, f"has {again[0]!r} twice", hint="name each class once")
    if not 2 <= len(written) <= MAX_LEVELS:
        problem = f"has {count(len(written), 'class', 'classes')}; from 2 to {MAX_LEVELS} can be told apart"
        raise ConfigError(field, problem, hint="name all of them, or leave it out")
    return tuple(written)


def check_classes(classes: Sequence[Any] | None, loss: str) -> None:
    """Raises ConfigError for classes of a loss that has none, or that are none."""
    if classes is None:
        return
    if not LOSSES[loss].labels:
        hint = 'give loss = "logistic-taylor" for classes, or leave classes out'
        raise ConfigError("classes", f"are for labels, and {loss!r} is a loss for amounts", hint=hint)
    classes_given(classes)


def label_map(
    name: str, values: Any, classes: Sequence[Any] | None = None, hidden: int = 0
) -> tuple[CategoryColumn, Vector]:
    """Return the vocabulary of held-out labels [n], and their places in it, float64[n].

    `classes` names the vocabulary; without, it is what the labels are. `hidden`: how many lines of a file
    come before its first row. Raises DataError naming the column: for a label that is missing, no label or
    none of `classes`, for one class alone, and for amounts; ConfigError for `classes`.
    """
    field = f"column {name!r}"
    texts = _texts(values, field, hidden)
    levels = classes_given(classes) if classes is not None else _found(texts, field)
    column = _column(name, levels)
    coder, codes = Coder(column), list[float]()
    for row, text in enumerate(texts, 1 + hidden):
        code = coder.code(text)
        if isinstance(code, Found) or np.isnan(code):
            told = ", ".join(map(repr, levels[:12])) + ", …" * (len(levels) > 12)
            problem = f"{_where(row, hidden)} has the label {text[:60]!r}; the classes are {told}"
            hint = "correct it, or name all classes: classes = [...]"
            raise DataError(field, problem, hint=hint)
        codes.append(code)
    return column, np.array(codes, dtype=np.float64)


def values_of(levels: Sequence[str]) -> NDArray[Any]:
    """Return the classes as people have them: booleans, whole numbers, numbers or texts, [classes]."""
    if tuple(levels) == ("false", "true"):
        return np.array([False, True])
    numbers = [_number(level) for level in levels]
    if any(number is None for number in numbers):
        return np.array(levels, dtype=np.str_)
    found = np.array(numbers, dtype=np.float64)
    return found.astype(np.int64) if (found == np.floor(found)).all() else found


def _number(text: str) -> float | None:
    try:
        found = float("" if "_" in text else text)
    except ValueError:
        return None
    return found if np.isfinite(found) else None


def _where(row: int, hidden: int) -> str:
    return f"line {row}" if hidden else f"row {row}"


def _texts(values: Any, field: str, hidden: int) -> list[str]:
    found = []
    try:
        texts = as_texts(values, field)
    except DataError as error:
        error.hint = f"{error.hint}; of amounts, leave loss out"
        raise
    for row, text in enumerate(texts, 1 + hidden):
        if text is None or not text.strip():
            problem = f"{_where(row, hidden)} is missing; a label is expected"
            raise DataError(field, problem, hint="drop such rows, or fill in their labels")
        found.append(text.strip())
    return found


def _found(texts: Sequence[str], field: str) -> tuple[str, ...]:
    """Return the labels that there are, in their order. Raises DataError."""
    there = {text if (number := _number(text)) is None else level_text(number) or text for text in texts}
    numbers = {text: _number(text) for text in there}
    are_numbers = all(number is not None for number in numbers.values())
    if len(there) == 1:
        problem = f"is {texts[0]!r} in every held-out row, so the holdout cannot tell models apart"
        raise DataError(field, problem, hint="hold out rows of every class, or name them: classes = [...]")
    if len(there) > (MOST_NUMBERS if are_numbers else MAX_LEVELS):
        problem = f"has {len(there)} different values in {count(len(texts), 'row')}; classes are expected"
        hint = "of amounts, leave loss out; else name the classes: classes = [...]"
        raise DataError(field, problem, hint=hint)
    if are_numbers:
        return tuple(sorted(there, key=lambda text: (numbers[text] or 0.0, text)))
    return tuple(sorted(there))


def _column(name: str, levels: tuple[str, ...]) -> CategoryColumn:
    try:
        return CategoryColumn(name=name, levels=levels)
    except ValidationError as error:
        _, problem = first_fault(error, "labels")
        hint = "rename it: at most 64 printable characters, for the column and for each class"
        raise DataError(f"column {name!r:.80}", f"cannot be published: {problem}", hint=hint) from None
