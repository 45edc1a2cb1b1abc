"""One function for each statistic, from a question to its result:

    import pysonar

    pysonar.ols([hospital_a, hospital_b, hospital_c], target="progression").summary()

`on` is a session of a network, or a list of tables that stand for mines in this process: the same integers,
sums and steps, without key and money. The functions are made of the registry of statistics: the fields of one
are the keyword arguments of its function.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from inspect import Parameter, Signature, cleandoc, get_annotations
from typing import Any

from pysonar.asking.tables import asked_here
from pysonar.bounty.kinds.fields import StudySettings, statistic_of
from pysonar.bounty.study import Study
from pysonar.frames.schema import Columns, columns_given
from pysonar.statistics.base import Result, Statistic
from pysonar.statistics.registry import STATISTICS
from sonar.data.schema import Column
from sonar.errors import ConfigError

_ASKED = """
`on` is a session (`pysonar.connect`), or a list of tables that stand for mines: frames of pandas, polars or
Arrow, or mappings of columns. `schema` says what the columns mean (`pysonar.columns_of`, or a table for each
as in `bounty.toml`); of tables it may be left out: it is then taken from all of their rows. On a session,
`settings` are a study's money and windows, and `name` names it: asked again, also after a restart, the same
study goes on.

Raises ConfigError naming the argument, DataError naming the column; on a session what `Campaign.result`
raises.
"""
_COMMON = (
    Parameter(
        "schema", Parameter.KEYWORD_ONLY, default=None, annotation="Columns | Mapping[str, Any] | None"
    ),
    Parameter("name", Parameter.KEYWORD_ONLY, default=None, annotation="str | None"),
    Parameter("settings", Parameter.VAR_KEYWORD, annotation="Any"),
)
_TABLE = "statistic."
_PLAIN = (
    (re.compile(r"Annotated\[([\w.\[\], ]+?), Field\(.*?\)\]"), r"\1"),
    (re.compile(r"\bNames\b"), "Sequence[str]"),
    (re.compile(r"\bName\b"), "str"),
)
"""What stands in the annotations of fields, and how people write it."""


def names() -> list[str]:
    """Return the names of the functions: the kinds of statistics, with underscores."""
    return [kind.replace("-", "_") for kind in STATISTICS]


@cache
def function(name: str) -> Callable[..., Result]:
    """Return the function of a statistic by its name, with its own signature and docstring."""
    kind = name.replace("_", "-")
    statistic = STATISTICS[kind]
    fields = {field: info for field, info in statistic.model_fields.items() if field != "kind"}

    def ask(on: Any, /, **given: Any) -> Result:
        own = {field: given.pop(field) for field in list(given) if field in fields}
        _check_known(name, fields, given)
        for field, info in fields.items():
            if info.is_required() and field not in own:
                raise ConfigError(field, "is missing", hint=f"say it: {name}(on, {field}=...)")
        try:
            return asked(on, statistic_of({"kind": kind, **own}), **given)
        except ConfigError as error:
            if not error.field.startswith(_TABLE):
                raise
            raise ConfigError(error.field.removeprefix(_TABLE), error.problem, hint=error.hint) from error

    ask.__name__ = ask.__qualname__ = name
    ask.__module__ = __name__
    ask.__doc__ = f"{_told(statistic)}\n{_ASKED}"
    ask.__signature__ = Signature(  # type: ignore[attr-defined]
        [
            Parameter("on", Parameter.POSITIONAL_ONLY, annotation="Session | Sequence[Any]"),
            *(_parameter(statistic, field) for field in fields),
            *_COMMON,
        ],
        return_annotation="Result",
    )
    return ask


def _check_known(name: str, fields: Iterable[str], given: Iterable[str]) -> None:
    """Check that no argument is a misspelt field of the statistic. Raises ConfigError naming both."""
    others = {"schema", "name", "allow_file", *StudySettings.model_fields}
    for field in given:
        close = [] if field in others else get_close_matches(field, [*fields], n=1, cutoff=0.75)
        if close:
            hint = f"did you mean {close[0]}? See help(pysonar.{name})"
            raise ConfigError(field, "there is no such argument", hint=hint)


def asked(
    on: Any,
    statistic: Statistic,
    *,
    schema: Columns | Mapping[str, Any] | None = None,
    name: str | None = None,
    **settings: Any,
) -> Result:
    """Return what a statistic finds on a session or on tables: see this module. Raises as its functions."""
    from pysonar.api import Session

    columns = None if schema is None else columns_given(schema, "schema")
    if isinstance(on, Session):
        if columns is None:
            hint = "mines read their rows by it: schema=pysonar.columns_of(your_own_rows, widen=0.2)"
            raise ConfigError("schema", "is missing", hint=hint)
        named = name or _name_of(statistic, columns, settings)
        found = on.campaign(Study.of(statistic, columns=columns, name=named, **settings)).result()
        result: Result = found
        return result
    return asked_here(on, statistic, columns, settings)


def _parameter(statistic: type[Statistic], field: str) -> Parameter:
    info = statistic.model_fields[field]
    default = Parameter.empty if info.is_required() else info.get_default(call_default_factory=True)
    owner = next(one for one in statistic.__mro__ if field in get_annotations(one))
    written = str(get_annotations(owner)[field])
    for pattern, plain in _PLAIN:
        written = pattern.sub(plain, written)
    return Parameter(field, Parameter.KEYWORD_ONLY, default=default, annotation=written)


def _told(statistic: type[Statistic]) -> str:
    """Return the docstrings of a statistic and of what it is one of."""
    kinds = [one for one in statistic.__mro__ if issubclass(one, Statistic) and one is not Statistic]
    return "\n\n".join(cleandoc(one.__dict__["__doc__"]) for one in kinds if one.__dict__.get("__doc__"))


def _name_of(statistic: Statistic, columns: Sequence[Column], settings: Mapping[str, Any]) -> str:
    """Return a name that the same question has again."""
    told = [statistic.model_dump_json(), *(column.model_dump_json() for column in columns)]
    sha = hashlib.sha256("\0".join([*told, repr(sorted(settings.items()))]).encode())
    return f"{statistic.kind}-{sha.hexdigest()[:8]}"
