"""The table [privacy] of a bounty: what a row's release may cost, and who adds the noise."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

from pydantic import BaseModel, ConfigDict

from sonar.errors import ConfigError
from sonar.families.quadratic.noisy.choosing import NoiseWish
from sonar.privacy.accounting import checked, rho_of
from sonar.protocol.wording import nearest

DELTA = 1e-5
EPSILON_LEAST, EPSILON_MOST = 0.01, 100.0
"""Beyond these, a model of anything is noise, or noise protects nobody."""


class PrivacySettings(BaseModel):
    """What a mine's one release costs each of its rows: (`epsilon`, `delta`).

    `noise`: "local", each mine's own suffices against everybody; "shared", that of `min_mines` mines together
    does, which takes capsules.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    epsilon: float
    delta: float = DELTA
    noise: Literal["local", "shared"] = "local"

    @property
    def shared(self) -> bool:
        """Whether it takes several mines' noise."""
        return self.noise == "shared"

    @property
    def rho(self) -> Fraction:
        """What a release may cost, in zCDP."""
        return rho_of(self.epsilon, self.delta)

    def wish(self, min_mines: int) -> NoiseWish:
        """Return what the family is asked for, where a sum is made of at least so many mines."""
        return NoiseWish(self.rho, min_mines if self.shared else 1)


def check_privacy(asked: PrivacySettings, *, capsules: bool, local_steps: int) -> None:
    """Raises ConfigError for noise that makes no sense, or that the bounty's other fields do not fit."""
    if not EPSILON_LEAST <= asked.epsilon <= EPSILON_MOST:
        problem = f"is {asked.epsilon}; it must be from {EPSILON_LEAST:g} to {EPSILON_MOST:g}"
        hint = "1 protects strongly, 8 is usual; leave [privacy] out for sums without noise"
        raise ConfigError("privacy.epsilon", problem, hint=hint)
    checked(asked.epsilon, asked.delta, "privacy")
    if asked.shared and not capsules:
        problem = "is 'shared', and only capsules see to it that sums of enough mines are opened"
        hint = 'add [capsules], or give noise = "local": each mine\'s own noise then suffices'
        raise ConfigError("privacy.noise", problem, hint=hint)
    if local_steps > 1:
        problem = f"is {local_steps}, and noise is added to sums that serve one step in a round"
        raise ConfigError("local_steps", problem, hint="leave it out, or leave [privacy] out")


def privacy_hint(inner: str) -> str:
    """Return what to write instead of a wrong field of [privacy], or of that table."""
    field = inner.partition(".")[0]
    if not field:
        return "write [privacy] and below it epsilon = 8; in Python, privacy={'epsilon': 8}"
    if field == "epsilon":
        return "give a number, such as epsilon = 8; 1 protects strongly"
    if field == "delta":
        return f"give far less than 1 over a mine's rows, or leave it out for {DELTA:g}"
    if field == "noise":
        return "'local' (the default), or 'shared' behind capsules"
    return nearest(field, PrivacySettings.model_fields)
