"""All kinds of terms: a new one adds its line here and nowhere else."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sonar.families.sums.terms.at_risk import AtRisk
from sonar.families.sums.terms.cox_step import CoxStep
from sonar.families.sums.terms.glm_step import GlmStep
from sonar.families.sums.terms.moments import Moments
from sonar.families.sums.terms.outside import Outside

Term = Annotated[AtRisk | CoxStep | GlmStep | Moments | Outside, Field(discriminator="kind")]
