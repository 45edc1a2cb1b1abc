"""What statistics share when they ask: columns that are there, and the spec of their terms."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import ValidationError

from pysonar.statistics.columns import used
from sonar.data.schema import Column
from sonar.errors import ConfigError
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.outside import Outside
from sonar.families.sums.terms.registry import Term
from sonar.protocol.wording import first_fault, nearest

OUTSIDE = "outside"
_ABOVE = 'give its low bound above 0, if all values are: schema={{**schema, "{0}": {{"low": 0.1, …}}}}'
_HINTS = {
    "exposure": _ABOVE,
    "weights": 'a weight is a number of 0 or more: schema={{**schema, "{0}": {{"low": 0, "high": 10}}}}',
    "time": 'time runs from 0 on: schema={{**schema, "{0}": {{"low": 0, "high": 60}}}}',
    "event": "name a column of 0 (censored) and 1, or of two categories, of which the second is the event",
    "mu_low_q32": "give mu_min below mu_max, or leave both out",
    "grid": "give times in ascending order: grid=[1, 2, 3]",
    "edges": "give numbers in ascending order: edges=[0.2, 0.5, 0.8]",
}
_OF_TARGETS = {
    "binomial": "make 0 and 1 of it, or two categories; of counts take family='poisson', of amounts 'gamma'",
    "0 to 1 are": "make 0 and 1 of it, or two categories; of amounts take task='regression'",
    "2 are": "make two levels of it; of more take task='classes'",
    "poisson needs": "counts are 0 or more: give the column a low bound of 0, if no count is below",
    "gamma needs": _ABOVE,
}
"""What to give instead, by the field of a term that says what is wrong, and by words of a target."""


def spec_of(
    columns: Sequence[Column],
    names: Sequence[str],
    terms: Sequence[Term],
    parameters: int,
    rows_min: int,
    rows_max: int,
) -> SumsSpec:
    """Return the spec of terms over columns of these names. Raises ConfigError naming the field."""
    try:
        return SumsSpec(
            columns=used(columns, names),
            terms=(*terms, Outside(name=OUTSIDE, columns=tuple(names))),
            parameters=parameters,
            rows_min=rows_min,
            rows_max=rows_max,
        )
    except ValidationError as error:
        problem = first_fault(error, "statistic")[1]
        raise _said_of_statistic(problem.split(" (got ")[0]) from None


def _said_of_statistic(problem: str) -> ConfigError:
    """Return the error with the statistic's field, instead of a term's."""
    term = re.match(r"terms\.\d+\.(\w+): ", problem)
    if term is None:
        return ConfigError("statistic", problem)
    return ConfigError(f"statistic.{term[1]}", problem[term.end() :], hint=_hint(term[1], problem))


def _hint(field: str, problem: str) -> str:
    named = re.search(r"column '([^']+)'", problem)
    found = _HINTS.get(field, "")
    if field == "target":
        found = next((hint for word, hint in _OF_TARGETS.items() if word in problem), "name another column")
    return found.format(named[1] if named else "name")


def check_names(declared: Sequence[Column], /, **fields: str | Sequence[str] | None) -> None:
    """Check that every name in every field is that of a column, and in one field alone.

    Raises ConfigError, which names the field.
    """
    known, used = [column.name for column in declared], dict[str, str]()
    for field, value in fields.items():
        names = [value] if isinstance(value, str) else value or ()
        for name in names:
            if name not in known:
                raise ConfigError(
                    f"statistic.{field}", f"there is no column {name!r}", hint=nearest(name, known)
                )
            if name in used:
                hint = f"name it in one of the two; {field} is another column"
                raise ConfigError(
                    f"statistic.{field}", f"column {name!r} stands in {used[name]} too", hint=hint
                )
            used[name] = field
