"""What a scientist asks of many tables at once: a statistic of the pooled rows, from code or from a file.

    name = "heights"
    cohort = 10                # most mines per round
    fee = "0.002 ether"        # per mine and round; there is no reward

    [statistic]
    kind = "describe"          # the others: `pysonar run --help`

    [columns.height]           # each column, as all mines have it
    low = 50                   # values beyond are clipped
    high = 250
    unit = "cm"
    missing = true             # cells may be empty

    [columns.sex]
    levels = ["f", "m"]        # a column of categories, with its vocabulary

Mines see the question and answer with sums over their rows, of which only the cohort's are opened. They are
paid fees alone, and nobody recomputes settlements: a sum that is false in a way that some rows could have is
not found out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pysonar.bounty.base import Offered
from pysonar.bounty.kinds.fields import StudySettings, schema_of, statistic_of, study_settings_of
from pysonar.bounty.tables import read
from pysonar.bounty.terms import Offer, offer_of
from pysonar.given import require_type
from pysonar.statistics.base import Result, Seen, Statistic
from sonar.data.schema import Schema
from sonar.errors import ConfigError, EnvironmentFault, SonarError
from sonar.families.registry import family_of
from sonar.families.sums.course import ASKS, DONE, Course, Inquiry, Visited
from sonar.families.sums.guards import ROUNDS
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.totals import (
    from_integers,
    parameters_from_integers,
    parameters_to_integers,
    plan_of,
)
from sonar.home.files import expanded
from sonar.manifests.model import commitment
from sonar.protocol.ids import Digest
from sonar.telling.text import count

_LARGEST = 2.0**31
"""Beyond it a parameter cannot be published, as what is not finite; a step that diverges gets there."""
SPARE_ROUNDS = 2
"""So many rounds are beyond those that the statistic takes, for rounds in which nothing is opened:
unused ones cost nothing.
"""


def is_study(path: Path | str) -> bool:
    """Tell whether a bounty's file asks for a statistic. Raises ConfigError for one that cannot be read."""
    return bool({"statistic", "columns"} & read(expanded(path, "bounty")).keys())


class Unjudged:
    """The part of `pysonar.bounty.base.AnyBounty` that says: the loss measures nothing, only whether more is
    asked.
    """

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that a mine must have: those that the statistic is about."""
        raise NotImplementedError

    @property
    def features(self) -> tuple[str, ...]:
        """The same: nothing is predicted."""
        return self.columns

    @property
    def optimiser(self) -> None:
        """None: the statistic itself says what comes next."""

    @property
    def initial_loss(self) -> int:
        """The loss by which the contract knows that more is asked."""
        return ASKS

    @property
    def target_loss(self) -> int:
        """The loss by which the contract knows that the last sum is opened."""
        return DONE

    @property
    def metric(self) -> str:
        """Empty: the loss measures nothing."""
        return ""

    @property
    def rounds_to_all(self) -> int:
        """The first sum already tells what was asked for."""
        return 1

    @property
    def bound(self) -> str:
        """Empty: no parameter has one."""
        return ""

    def commitment(self, salt: bytes) -> Digest:
        """Return the commitment to no rows: nothing is judged."""
        return commitment(salt, self.columns, np.zeros((0, len(self.columns))))

    def figures(self, loss: int, numbers: Sequence[int] | None = None) -> dict[str, float]:
        """Return nothing: the loss measures nothing."""
        return {}

    def held(self, numbers: Sequence[int]) -> list[str]:
        """Return nothing: parameters have no bound."""
        return []


@dataclass(frozen=True, eq=False, repr=False)
class Study(Unjudged, Offered):
    """The bounty of a statistic, before it is posted. Make one with `Study.from_toml` or `.of`.

    `schema`: the columns that mines have. `dev`: it is for a development network, where less time to settle
    is given; see `on`. Two are equal if settings, statistic and columns are.
    """

    settings: StudySettings
    statistic: Statistic
    schema: Schema
    dev: bool = False

    @classmethod
    def of(
        cls, statistic: Statistic | Mapping[str, Any], *, columns: Mapping[str, Any] | Schema, **settings: Any
    ) -> Study:
        """Ask for a statistic; `settings` are the fields of `StudySettings`.

        `columns` are a schema, or by each column's name a table as in a file: {"low": 0, "high": 120} for
        numbers, {"levels": ["f", "m"]} for categories; and missing, unit. Raises ConfigError, DataError.
        """
        return cls(study_settings_of(settings), statistic_of(statistic), schema_of(columns))

    @classmethod
    def from_toml(cls, path: Path | str) -> Study:
        """Read the file of a study. Raises ConfigError, DataError."""
        require_type(path, Path | str, "study", 'name the file: Study.from_toml("study.toml")')
        return cls.from_fields(read(expanded(path, "study")))

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Study:
        """Return the study that a file's fields are. Raises ConfigError, DataError."""
        rest = {name: value for name, value in fields.items() if name not in ("statistic", "columns")}
        settings = study_settings_of(rest)  # names a misspelt table
        return cls(settings, statistic_of(fields.get("statistic")), schema_of(fields.get("columns")))

    def __post_init__(self) -> None:
        _ = self.offer  # raises now for what cannot be posted

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that a mine must have: those that the statistic is about."""
        return tuple(column.name for column in self.spec.columns)

    @cached_property
    def spec(self) -> SumsSpec:
        """What mines are asked."""
        return self.statistic.asked(self.schema, self.settings.rows_min, self.settings.rows_max)

    @cached_property
    def design(self) -> Inquiry:
        """What is asked, how answers are packed, and what is asked next."""
        plan = plan_of(self.spec, self.settings.key_bits, self.settings.cohort, self.settings.free_bits)
        start = parameters_to_integers(self.statistic.start(self.spec))
        return Inquiry(self.spec, plan, start, self._follow)

    def _follow(self, visited: Sequence[Visited]) -> tuple[int, ...] | None:
        """The parameters after these rounds, None at the end. Sums that allow no step end it too: `found`
        then tells why.
        """
        seen = self.seen(visited)
        if len(seen) >= self.statistic.rounds:
            return None
        try:
            found = self.statistic.step(self.spec, seen)
        except (SonarError, ArithmeticError, np.linalg.LinAlgError):
            return None
        if found is None or np.shape(found) != (self.spec.parameters,):
            return None
        return parameters_to_integers(found) if (np.abs(found) < _LARGEST).all() else None

    def seen(self, visited: Sequence[Visited]) -> list[Seen]:
        """Return what was opened as the statistic takes it."""
        plan = self.design.plan
        return [
            Seen(
                parameters_from_integers(one.parameters),
                from_integers(self.spec, plan, one.sums),
                one.mines,
            )
            for one in visited
        ]

    @cached_property
    def rounds(self) -> int:
        """How many rounds the bounty has on the chain."""
        most, answered = self.statistic.rounds, ROUNDS if self.spec.parameters else 254
        if self.spec.asked_once:
            answered = 1
        rounds = self.settings.rounds or min(most + SPARE_ROUNDS, max(most, answered))
        if rounds > answered:
            problem = f"is {rounds}, and mines answer a question whose numbers change in {answered} at most"
            hint = f"give {answered} or fewer, and fewer steps to the statistic if it takes more"
            raise ConfigError("rounds", problem, hint=hint)
        return rounds

    @cached_property
    def offer(self) -> Offer:
        """What mines are offered. Raises ConfigError naming a field of the settings."""
        train_s = family_of(self.spec).seconds(self.spec, self.design.plan)
        return offer_of(self.settings, self.rounds, ASKS, DONE, train_s, dev=self.dev)

    @cached_property
    def digest(self) -> str:
        """Hex digest of all of it: shows whether a file still matches what was posted."""
        parts = (self.settings, self.statistic, *self.schema)
        sha = hashlib.sha256(b"sonar study v1")
        for part in parts:
            sha.update(b"\0" + part.model_dump_json().encode())
        return sha.hexdigest()

    def told(self, sums: Sequence[int], mines: int, opened: int, loss: int) -> str:
        """Return which of the statistic's rounds it was, and over how many rows."""
        rows = from_integers(self.spec, self.design.plan, sums).rows
        over = f"sums over {count(rows, 'row')} of {count(mines, 'mine')}"
        end = "; that is all" if loss == DONE else ""
        return f"{self.statistic.kind}, round {opened} of at most {self.statistic.rounds}: {over}{end}"

    def found(self, course: Course) -> Result:
        """Return what the statistic says. Raises DataError for sums that allow no answer; EnvironmentFault
        where the last one is not opened.
        """
        if course.best.loss != DONE:
            opened, most = len(course.visited), self.statistic.rounds
            raise EnvironmentFault(
                f"{self.settings.name!r} has opened {count(opened, 'sum')} of at most {most}: it is "
                "not complete",
                hint="`pysonar status` shows how each round ended; `pysonar resume` goes on while it is open",
            )
        return self.statistic.result(self.spec, self.seen(course.visited))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Study) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return (
            f"<Study {self.settings.name!r}: {self.statistic.kind} of {', '.join(map(repr, self.columns))}>"
        )
