"""All losses by name: a new one is a file beside this one, and a line here."""

from __future__ import annotations

from sonar.families.quadratic.losses.base import Loss
from sonar.families.quadratic.losses.logistic_taylor import LOGISTIC_TAYLOR
from sonar.families.quadratic.losses.squared import SQUARED

LOSSES: dict[str, Loss] = {one.name: one for one in (SQUARED, LOGISTIC_TAYLOR)}
