"""Opened sums that no rows have, as a lying mine makes them: refused as such, not as our own fault."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import numpy as np

from sonar.errors import DataError

P = ParamSpec("P")
R = TypeVar("R")
_FAULTS = (ArithmeticError, ValueError, np.linalg.LinAlgError)


def refuses_false_sums(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function of opened sums raise DataError where its arithmetic has no answer."""

    @wraps(function)
    def refusing(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            with np.errstate(all="ignore"):
                return function(*args, **kwargs)
        except _FAULTS as error:
            raise false_sums(str(error)) from error

    return refusing


def false_sums(why: str) -> DataError:
    """Return the error for sums that no rows have."""
    hint = "a mine sent others than its own; ask again without the mines that you do not trust"
    return DataError("sums", f"what was opened are the sums of no rows ({why})"[:300], hint=hint)
