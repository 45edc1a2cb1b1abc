"""What a statistic is: the question that it asks, the next one after an opened sum, and what all say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from sonar.data.schema import Column
from sonar.errors import ConfigError
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.totals import Totals
from sonar.protocol.wording import first_fault

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Seen:
    """One round: the parameters that were asked at, what the pooled rows add up to, and of how many mines."""

    parameters: Vector
    totals: Totals
    mines: int


class Result(Protocol):
    """What a statistic finds. `summary()` is a table in text, as statsmodels has it."""

    def summary(self) -> str:
        """Return it as a text of lines, for a terminal."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return all of its numbers as JSON-ready values."""
        ...

    def _repr_html_(self) -> str: ...


class Statistic(BaseModel):
    """A question about pooled rows: its fields are those of the table [statistic] of `bounty.toml`.

    All but the fields is pure: the same sums give the same next question, after a restart too.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    naming: ClassVar[tuple[str, ...]] = (
        "target",
        "column",
        "columns",
        "by",
        "weight",
        "weights",
        "exposure",
        "time",
        "event",
        "strata",
    )
    """The fields that name columns, of those that a statistic has."""

    kind: str

    def named(self) -> dict[str, tuple[str, ...]]:
        """Return the names of columns in the fields that name some."""
        given = {field: getattr(self, field) for field in self.naming if field in type(self).model_fields}
        return {
            field: (names,) if isinstance(names, str) else tuple(names)
            for field, names in given.items()
            if names is not None
        }

    @property
    def takes_all(self) -> bool:
        """Whether it is of all columns that there are."""
        return "columns" in type(self).model_fields and "columns" not in self.named()

    @property
    def rounds(self) -> int:
        """The most rounds that it takes."""
        return 1

    def spec(self, columns: Sequence[Column], rows_min: int, rows_max: int) -> SumsSpec:
        """Return what mines are asked, of the columns that a bounty declares.

        Raises ConfigError naming the field, DataError.
        """
        raise NotImplementedError

    def asked(self, columns: Sequence[Column], rows_min: int, rows_max: int) -> SumsSpec:
        """Return `spec`, or say what is wrong with it by a field. Raises ConfigError, DataError."""
        try:
            return self.spec(columns, rows_min, rows_max)
        except ValidationError as error:
            field, problem = first_fault(error, "question")
            problem = problem.partition(" (got ")[0]
            if "sums; at most" not in problem:
                raise ConfigError(f"statistic.{field}", problem, hint="ask for something smaller") from None
            hint = "name fewer columns, or levels: a question has room for so many sums"
            raise ConfigError("statistic.columns", problem, hint=hint) from None

    def start(self, spec: SumsSpec) -> Vector:
        """Return the parameters of the first round, float64[spec.parameters]."""
        return np.zeros(spec.parameters)

    def step(self, spec: SumsSpec, seen: Sequence[Seen]) -> Vector | None:
        """Return the next parameters after the rounds `seen`; None when there is nothing more to ask."""
        return None

    def result(self, spec: SumsSpec, seen: Sequence[Seen]) -> Result:
        """Return what was found. Raises DataError for sums that allow no answer, as of collinear columns."""
        raise NotImplementedError


Kind = TypeVar("Kind", bound=Statistic)


def statistic_of(kind: type[Kind], fields: Mapping[str, Any]) -> Kind:
    """Return the statistic with these fields, for a caller in Python. Raises ConfigError naming the field."""
    try:
        return kind.model_validate(dict(fields))
    except ValidationError as error:
        field, problem = first_fault(error, "statistic", show=True, given=dict(fields))
        hint = f"see help(pysonar.{kind.model_fields['kind'].default.replace('-', '_')})"
        raise ConfigError(field, problem, hint=hint) from None
