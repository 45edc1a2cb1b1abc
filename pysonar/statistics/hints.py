"""What to give instead of a wrong field of a statistic."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

from pysonar.statistics.base import Statistic

_SHARE_OF_ONE = {
    "alpha": "give a part of 1: 0.05 for intervals of 95%",
    "threshold": "give a probability, such as 0.5",
    "l1_ratio": "give a part of 1: 1 for the lasso alone, 0.5 for half of each",
    **dict.fromkeys(("shares", "quantiles"), "give parts of 1: for 50% give 0.5"),
}
_LEVEL = 0.05  # the default of an alpha that intervals have; naive Bayes has another alpha
_LISTS_OF_NUMBERS = {
    "grid": "give times in ascending order: grid=[1, 2, 3]",
    "edges": "give numbers in ascending order: edges=[0.2, 0.5, 0.8]",
    "alphas": "give penalties in a list: alphas=[1.0]",
    "shares": "give parts of 1 in a list: shares=[0.5]; 0.5 is the median",
    "coefficients": "give a list for each output: coefficients=[[0.5, 1.2]]; of one output [model.coef_]",
    "intercepts": "give one number for each output, in a list: intercepts=[-1.5]; of one [model.intercept_]",
}


def hint_for(kind: type[Statistic], path: str, problem: str, given: Mapping[str, Any]) -> str:
    """Return what to give instead of the field at `path` of a statistic, by what is wrong with it."""
    name = path.partition(".")[0]
    function = str(kind.model_fields["kind"].default).replace("-", "_")
    info, value = kind.model_fields[name], given.get(name)
    see = f"see help(pysonar.{function})"
    if "must be a list" in problem or (isinstance(value, list | tuple) and not value):
        return _list(name, value) or f"give a list; {see}"
    if "must be a text" in problem and isinstance(value, list | tuple) and len(value) == 1:
        return f"it is one column: {name}={value[0]!r}"
    if (
        name in _SHARE_OF_ONE
        and (name != "alpha" or info.default == _LEVEL)
        and re.search(r"must be (at most|less than|more than|at least)", problem)
    ):
        return _SHARE_OF_ONE[name]
    if problem.startswith("must be '") and isinstance(value, str):
        known = re.findall(r"'([^']+)'", problem.partition(" (got ")[0])
        close = [one for one in known if one.lower() == value.lower()]
        close = close or difflib.get_close_matches(value, known, cutoff=0.75)
        return f"did you mean {close[0]!r}?" if close else f"choose one of them; {see}"
    if info.is_required():
        return see
    default = info.get_default(call_default_factory=True)
    return f"leave it out for {default!r}, the default; {see}" if default is not None else f"{see}"


def _list(name: str, value: Any) -> str:
    """Return what a list of this field looks like, made of the value if that is one entry of it."""
    if name in _LISTS_OF_NUMBERS:
        return _LISTS_OF_NUMBERS[name]
    if isinstance(value, str):
        return f"give a list: {name}=[{value[:60]!r}]"
    return f'name columns in a list: {name}=["age", "bmi"]' if name in ("columns", "rows") else ""
