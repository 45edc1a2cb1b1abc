"""One function for each statistic, from a question to its result:

    import pysonar

    pysonar.ols([hospital_a, hospital_b, hospital_c], target="progression").summary()

`on` is a session of a network, or a list of tables that stand for mines in this process: the same integers,
sums and steps, without key and money. The functions are made of the registry of statistics: the fields of one
are the keyword arguments of its function.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from inspect import Parameter, Signature, cleandoc
from typing import Any

from pysonar.bounty.kinds.fields import StudySettings, statistic_of
from pysonar.bounty.study import Study
from pysonar.frames.coding import coded
from pysonar.frames.named import is_frame
from pysonar.frames.schema import Columns, columns_given, columns_of_all
from pysonar.statistics.base import Result, Statistic
from pysonar.statistics.local import ROWS_MAX, compute
from pysonar.statistics.registry import STATISTICS
from sonar.data.schema import Column
from sonar.errors import ConfigError, DataError

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
_ON = "give a session, pysonar.connect(), or a list of tables: [frame_a, frame_b, frame_c]"


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
        return asked(on, statistic_of({"kind": kind, **own}), **given)

    ask.__name__ = ask.__qualname__ = name
    ask.__module__ = __name__
    ask.__doc__ = f"{cleandoc(statistic.__doc__ or '')}\n{_ASKED}"
    ask.__signature__ = Signature(  # type: ignore[attr-defined]
        [
            Parameter("on", Parameter.POSITIONAL_ONLY, annotation="Session | Sequence[Any]"),
            *(_parameter(statistic, field) for field in fields),
            *_COMMON,
        ],
        return_annotation="Result",
    )
    return ask


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
    return _here(on, statistic, columns, settings)


def _here(on: Any, statistic: Statistic, columns: Columns | None, settings: Mapping[str, Any]) -> Result:
    """Ask tables in this process."""
    tables = _tables(on)
    for field in settings:
        if field not in ("rows_min", "rows_max"):
            known = field in StudySettings.model_fields
            problem = (
                "is of a session; tables in this process need none" if known else "there is no such argument"
            )
            fields = ", ".join(name for name in type(statistic).model_fields if name != "kind")
            raise ConfigError(field, problem, hint=f"leave it out; {statistic.kind} has {fields or 'none'}")
    if columns is None:
        columns = _described(tables)
    rows = [coded(table, columns, f"on[{place}]") for place, table in enumerate(tables)]
    limits = {"rows_min": 10, "rows_max": ROWS_MAX, **settings}
    return compute(statistic, columns, rows, **limits)


def _tables(on: Any) -> Sequence[Any]:
    if is_frame(on) or isinstance(on, str | bytes) or not isinstance(on, Sequence):
        what = "one table" if is_frame(on) else f"of the type {type(on).__name__!r}"
        raise ConfigError("on", f"is {what}", hint=_ON)
    if not on:
        raise ConfigError("on", "has no table", hint=_ON)
    for place, table in enumerate(on):
        if not is_frame(table):
            problem = f"is of the type {type(table).__name__!r}, which has no columns by name"
            raise ConfigError(f"on[{place}]", problem, hint="give a DataFrame, or a mapping of columns")
    return on


def _described(tables: Sequence[Any]) -> Columns:
    try:
        return columns_of_all(tables)
    except DataError as error:
        hint = f"{error.hint}; or say what columns there are: schema=pysonar.columns_of(table, names=[...])"
        raise DataError(error.field, error.problem, hint=hint) from error


def _parameter(statistic: type[Statistic], field: str) -> Parameter:
    info = statistic.model_fields[field]
    default = Parameter.empty if info.is_required() else info.get_default(call_default_factory=True)
    written = next((c.__annotations__[field] for c in statistic.__mro__ if field in c.__annotations__), Any)
    return Parameter(field, Parameter.KEYWORD_ONLY, default=default, annotation=written)


def _name_of(statistic: Statistic, columns: Sequence[Column], settings: Mapping[str, Any]) -> str:
    """Return a name that the same question has again."""
    told = [statistic.model_dump_json(), *(column.model_dump_json() for column in columns)]
    sha = hashlib.sha256("\0".join([*told, repr(sorted(settings.items()))]).encode())
    return f"{statistic.kind}-{sha.hexdigest()[:8]}"
