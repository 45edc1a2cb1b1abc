"""All kinds of terms: a new one adds its line here and nowhere else."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sonar.families.sums.terms.brackets import Brackets
from sonar.families.sums.terms.cells import Cells
from sonar.families.sums.terms.histogram import Histogram
from sonar.families.sums.terms.logs import Logs
from sonar.families.sums.terms.moments import Moments
from sonar.families.sums.terms.outside import Outside
from sonar.families.sums.terms.powers import Powers
from sonar.families.sums.terms.steps.at_risk import AtRisk
from sonar.families.sums.terms.steps.cox_step import CoxStep
from sonar.families.sums.terms.steps.glm_step import GlmStep
from sonar.families.sums.terms.steps.residual_moments import ResidualMoments
from sonar.families.sums.terms.steps.scores import Scores

Term = Annotated[
    AtRisk
    | Brackets
    | Cells
    | CoxStep
    | GlmStep
    | Histogram
    | Logs
    | Moments
    | Outside
    | Powers
    | ResidualMoments
    | Scores,
    Field(discriminator="kind"),
]
