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
_POSITIVE = "if all of its values are above 0, give its low bound above 0 in the schema, such as low = 0.01"


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
    hint = _POSITIVE if problem.endswith(("more than 0", "above 0")) else ""
    return ConfigError(f"statistic.{term[1]}", problem[term.end() :], hint=hint)


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
                raise ConfigError(f"statistic.{field}", f"column {name!r} stands in {used[name]} too")
            used[name] = field
