"""What the operator allows to be learned of rows: the table [privacy] of the home's mine.toml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

from sonar.errors import ConfigError
from sonar.frozen import frozen
from sonar.home.files import in_full
from sonar.privacy import accounting
from sonar.protocol.wording import in_toml, nearest

DELTA = 1e-5
"""The delta of a budget that names none."""
MOST_EPSILON = 10_000
"""A larger one protects nothing: no limit says the same."""
LEDGER = "privacy.sqlite"
"""The ledger's file in a home that names no other."""


@frozen
class Budget:
    """The most that may be learned of a row, over all bounties: (epsilon, delta) of differential privacy."""

    epsilon: float
    delta: float = DELTA

    @property
    def rho(self) -> Fraction:
        """The same in zCDP, in which prices add up."""
        return _rho_of(self.epsilon, self.delta)

    def __str__(self) -> str:
        return f"epsilon {self.epsilon:g} at delta {self.delta:g}"

    @classmethod
    def checked(cls, epsilon: Any, delta: Any, table: str) -> Budget:
        """Return the budget, if it is one. Raises ConfigError."""
        for name, value in (("epsilon", epsilon), ("delta", delta)):
            if type(value) not in (int, float):
                problem = f"must be a number (got {in_toml(value):.60})"
                hint = f"for example, write {name} = {_EXAMPLE[name]}"
                raise ConfigError(f"{table}.{name}", problem, hint=hint)
        accounting.checked(epsilon, delta, table, MOST_EPSILON)  # no float yet: an integer may be too large
        return cls(float(epsilon), float(delta))


@lru_cache(maxsize=64)
def _rho_of(epsilon: float, delta: float) -> Fraction:
    return accounting.rho_of(epsilon, delta)


_EXAMPLE = {"epsilon": "8", "delta": "1e-5"}


@frozen
class PrivacyPolicy:
    """The table [privacy]: the budget of each data set that has none of its own, and where it is counted.

    `ledger`: a file that several homes of one owner may share; empty for the home's own.
    """

    epsilon: float | None = None
    delta: float = DELTA
    ledger: str = ""

    @property
    def budget(self) -> Budget | None:
        """The budget of a data set that has none of its own; None for no limit."""
        return None if self.epsilon is None else Budget(self.epsilon, self.delta)

    def ledger_at(self, home: Path) -> Path:
        """Where what was spent is counted. Raises ConfigError."""
        return in_full(self.ledger, "privacy.ledger") if self.ledger else home / LEDGER

    @classmethod
    def read(cls, path: Path, table: Mapping[str, Any]) -> PrivacyPolicy:
        """Return what the table in the file `path` says. Raises ConfigError naming the field."""
        where = f"{path}: privacy"
        known = [one.name for one in fields(cls)]
        for key in table:
            if key not in known:
                raise ConfigError(f"{where}.{key[:80]}", "there is no such field", hint=nearest(key, known))
        if "delta" in table and "epsilon" not in table:
            raise ConfigError(where + ".epsilon", "is missing beside delta", hint="for example, epsilon = 8")
        if "epsilon" in table:
            Budget.checked(table["epsilon"], table.get("delta", DELTA), where)
        ledger = table.get("ledger", "")
        if not isinstance(ledger, str) or (ledger and not ledger.startswith(("/", "~", "$HOME", "${HOME}"))):
            problem = f"must be a file's full path (got {in_toml(ledger):.60})"
            raise ConfigError(
                where + ".ledger", problem, hint='for example, ledger = "~/sonar-ledger.sqlite"'
            )
        epsilon = float(table["epsilon"]) if "epsilon" in table else None
        return cls(epsilon, float(table.get("delta", DELTA)), ledger)
