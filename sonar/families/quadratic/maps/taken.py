"""An existing map: that of the model to start from, as it was published."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from sonar.families.quadratic.maps.base import BaseStage, BaseWish, Matrix, Seeded
from sonar.families.quadratic.maps.registry import Stage


class Taken(BaseWish):
    """The stages `given`; nothing of them comes from this holdout."""

    tells: ClassVar[str] = ", or of the rows that the model was made with from which you start"
    plain: ClassVar[bool] = False

    kind: Literal["taken"] = "taken"
    given: Annotated[tuple[Stage, ...], Field(strict=False)]

    def stages(self, names: Sequence[str], x: Matrix, seeded: Seeded) -> tuple[BaseStage, ...]:
        """Return them."""
        return self.given


class PlainlyTaken(Taken):
    """The same, of columns that are hardly collinear."""

    plain: ClassVar[bool] = True


def taken_over(stages: Sequence[BaseStage]) -> Taken:
    """Return the wish for a map that has these stages."""
    plain = not any(stage.mixes or stage.factors > 1 for stage in stages)
    return (PlainlyTaken if plain else Taken)(given=tuple(stages))
