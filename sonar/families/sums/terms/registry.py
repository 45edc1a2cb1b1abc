"""All kinds of terms: a new one adds its line here and nowhere else."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sonar.families.sums.terms.moments import Moments
from sonar.families.sums.terms.outside import Outside

Term = Annotated[Moments | Outside, Field(discriminator="kind")]
