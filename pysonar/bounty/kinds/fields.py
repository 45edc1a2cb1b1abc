"""The fields of a study, checked one by one: money and windows, the statistic, the columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from pysonar.bounty.settings import Amount, BountyName, CapsuleSettings, Window, check_members, validated
from pysonar.frames.schema import check_levels, column_hint, outwards_q32
from pysonar.statistics.base import Statistic
from pysonar.statistics.hints import hint_for
from pysonar.statistics.registry import STATISTICS
from sonar.data.fixed import to_q32
from sonar.data.schema import CategoryColumn, NumberColumn, Schema
from sonar.errors import ConfigError, DataError, ManifestError
from sonar.families.sums.spec import LEAST_ROWS
from sonar.paillier.slots import VEIL_FREE_BITS
from sonar.protocol.wording import nearest
from sonar.telling.amounts import MAX_DECIMALS

_EXAMPLE = '[statistic]\n  kind = "describe"'


MOST_BITS = 24
"""What is asked of an answer in a round at most: a bit that tells nothing, and the bits of one word. Of any
plan of sums up to `MAX_MEMBERS` members' 35 classes, `sonar.veil.words.spoiler_bits` are 23 or fewer.
"""


class StudyCapsules(CapsuleSettings):
    """Who keeps single answers to a study from being read. Nobody recomputes its settlements.

    `bits`: of each answer a few are asked if the sum is out of range, to tell whose doing it is. Else none.
    """

    bits: Annotated[int, Field(ge=1, le=4096)] = MOST_BITS

    @property
    def audited(self) -> bool:
        """No: there is nothing to recompute."""
        return False


class StudySettings(BaseModel):
    """Everything in a study except its statistic and its columns.

    Money and windows are as in `pysonar.bounty.settings.Settings`; there is no reward. `rounds`: the most on
    the chain, None for those of the statistic and two more. A mine has `rows_min` to `rows_max` rows: sums of
    fewer rows tell more about each, and sums of more rows have fewer digits.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    name: BountyName
    rounds: Annotated[int, Field(ge=1, le=254)] | None = None
    cohort: Annotated[int, Field(ge=2, le=255)] = 10
    min_mines: Annotated[int, Field(ge=2, le=255)] = 3
    rows_min: Annotated[int, Field(ge=LEAST_ROWS, lt=1 << 32)] = LEAST_ROWS
    rows_max: Annotated[int, Field(ge=LEAST_ROWS, lt=1 << 32)] = 1 << 20
    commit_window_s: Window | None = None
    reveal_window_s: Window | None = None
    settle_window_s: Window | None = None
    quiet_s: Annotated[int, Field(ge=0, lt=1 << 16)] = 0
    asset: Annotated[str, Field(max_length=42)] | None = None
    asset_symbol: Annotated[str, Field(max_length=16)] = ""
    asset_decimals: Annotated[int, Field(ge=0, le=MAX_DECIMALS)] | None = None
    stake: Amount = "0.01 ether"
    fee: Amount = "0.002 ether"
    overdue_bps: Annotated[int, Field(ge=0, le=10_000)] = 10_000
    settler: Annotated[str, Field(max_length=42)] | None = None
    allow: Annotated[list[str], Field(strict=False)] | None = None
    capsules: StudyCapsules | None = None
    key_bits: Annotated[int, Field(ge=1024, le=8192, multiple_of=256)] = 3072
    insecure_key: bool = False

    @property
    def amounts(self) -> dict[str, str]:
        """What is staked and paid, as it is written, by the field's name: no reward."""
        return {"stake": self.stake, "fee": self.fee}

    @property
    def free_bits(self) -> int:
        """What stays free at the top of a plaintext, for masks."""
        return 0 if self.capsules is None else VEIL_FREE_BITS


def study_settings_of(fields: Mapping[str, Any]) -> StudySettings:
    """Return the checked settings. Raises ConfigError naming the field."""
    if "reward" in fields:
        problem = "is no field of a study: mines are paid fees alone, as nobody can tell an answer's worth"
        raise ConfigError("reward", problem, hint="leave it out; give a larger fee")
    settings = validated(StudySettings, fields, "")
    if settings.rows_min > settings.rows_max:
        problem = f"{settings.rows_min} is more than rows_max = {settings.rows_max}"
        raise ConfigError("rows_min", problem, hint="lower it, or raise rows_max")
    if settings.capsules is not None:
        _check_capsules(settings.capsules)
    return settings


def _check_capsules(asked: StudyCapsules) -> None:
    check_members(asked)
    if asked.audit:
        problem = "is true, and of a statistic there is nothing to recompute: it pays fees alone"
        raise ConfigError("capsules.audit", problem, hint="leave it out")
    if asked.bits < MOST_BITS:  # else capsules refuse to tell who has spoilt a sum
        problem = f"is {asked.bits}, and to tell who has spoilt a sum takes up to {MOST_BITS} of a mine"
        raise ConfigError("capsules.bits", problem, hint=f"give {MOST_BITS} or more, or leave it out")


def statistic_of(given: Statistic | Mapping[str, Any] | None) -> Statistic:
    """Return the checked statistic: itself, or of the fields of its table. Raises ConfigError."""
    if isinstance(given, Statistic):
        return given
    if not isinstance(given, Mapping):
        problem = "the table [statistic] is missing" if given is None else "is not a table"
        raise ConfigError("statistic", problem, hint=f"add:\n  {_EXAMPLE}")
    kind, rest = given.get("kind"), dict(given)
    if not isinstance(kind, str) or kind not in STATISTICS:
        problem = "is missing" if kind is None else f"there is no statistic {str(kind)[:60]!r}"
        raise ConfigError("statistic.kind", problem, hint=nearest(str(kind), STATISTICS))
    try:
        return validated(STATISTICS[kind], rest, "statistic.")
    except ConfigError as error:
        if (path := error.field.removeprefix("statistic.")).partition(".")[0] not in STATISTICS[
            kind
        ].model_fields:
            raise  # an unknown field: its hint is the nearest known one
        hint = hint_for(STATISTICS[kind], path, error.problem, rest)
        raise ConfigError(error.field, error.problem, hint=hint) from None


class ColumnSettings(BaseModel):
    """The table of one column: `low` and `high` of numbers, or the `levels` of categories."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    low: float | None = None
    high: float | None = None
    levels: list[str] | None = None
    missing: bool = False
    unit: str = ""


def schema_of(given: Mapping[str, Any] | Schema | None) -> Schema:
    """Return the columns that tables of their names declare. Raises ConfigError naming column and field."""
    if isinstance(given, tuple | list):
        if not given or not all(isinstance(one, NumberColumn | CategoryColumn) for one in given):
            hint = "give columns as `pysonar.columns_of` makes them, or a table by each column's name"
            raise ConfigError("columns", "is no list of columns", hint=hint)
        return tuple(given)
    if not isinstance(given, Mapping) or not given:
        hint = "add a table for each, such as:\n  [columns.age]\n  low = 0\n  high = 120"
        raise ConfigError("columns", "no column is declared", hint=hint)
    return tuple(_column(str(name), table) for name, table in given.items())


def _column(name: str, table: Any) -> NumberColumn | CategoryColumn:
    where = f"columns.{name[:64]}"
    if isinstance(table, NumberColumn | CategoryColumn):
        if table.name != name:
            raise ConfigError(where, f"is a column named {table.name!r}", hint="give both the same name")
        return table
    if not isinstance(table, Mapping):
        hint = f"write [{where}], and below it low and high, or levels"
        raise ConfigError(where, "is not a table", hint=hint)
    asked = validated(ColumnSettings, table, f"{where}.")
    try:
        return _category(name, asked) if asked.levels is not None else _number(name, asked, where)
    except ManifestError as error:
        field = error.field.removesuffix("_q32")
        problem = error.problem.replace("_q32", "").partition(" (got ")[0]
        hint = column_hint(field.partition(".")[0])
        raise ConfigError(f"{where}.{field}", problem, hint=hint) from None


def _category(name: str, asked: ColumnSettings) -> CategoryColumn:
    for field in ("low", "high"):
        if getattr(asked, field) is not None:
            problem = "does not go with levels: a column has numbers or categories"
            raise ConfigError(f"columns.{name}.{field}", problem, hint="leave one of the two out")
    levels = tuple(asked.levels or ())
    check_levels(f"columns.{name[:64]}.levels", levels)
    return CategoryColumn.parse({"name": name, "levels": levels, "missing": asked.missing})


def _number(name: str, asked: ColumnSettings, where: str) -> NumberColumn:
    if asked.low is None or asked.high is None:
        field = "low" if asked.low is None else "high"
        most = "least" if field == "low" else "largest"
        hint = f"give {field} = the {most} value that occurs; of categories, levels = [...]"
        raise ConfigError(f"{where}.{field}", "is missing", hint=hint)
    for field, value in (("low", asked.low), ("high", asked.high)):
        try:
            to_q32(value, f"{where}.{field}")
        except DataError as error:
            raise ConfigError(f"{where}.{field}", f"{value!r} cannot be published", hint=error.hint) from None
    if asked.low >= asked.high:
        problem = f"{asked.low:g} is not below high = {asked.high:g}"
        raise ConfigError(f"{where}.low", problem, hint="values beyond the two are clipped")
    bounds = outwards_q32(asked.low, asked.high)
    return NumberColumn.parse({"name": name, **bounds, "missing": asked.missing, "unit": asked.unit})
