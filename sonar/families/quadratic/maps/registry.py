"""All maps: a new one is a file beside this one, and a line in `MAPS`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple, Union

from pydantic import Field

from sonar.families.quadratic.maps.base import BaseStage, BaseWish
from sonar.families.quadratic.maps.bent import Bent, BentWish
from sonar.families.quadratic.maps.clip import Clip
from sonar.families.quadratic.maps.fourier import Fourier, FourierWish, LinearFourierWish
from sonar.families.quadratic.maps.leaves import Leaves, LeavesWish
from sonar.families.quadratic.maps.polynomial import Polynomial, PolynomialWish
from sonar.families.quadratic.maps.standard import Standard, StandardWish


class Map(NamedTuple):
    """A stage that a manifest may have, and what a scientist may write to have it."""

    stage: type[BaseStage]
    wishes: tuple[type[BaseWish], ...] = ()


MAPS = (
    Map(Standard, (StandardWish,)),
    Map(Clip),
    Map(Bent, (BentWish,)),
    Map(Polynomial, (PolynomialWish,)),
    Map(Fourier, (FourierWish, LinearFourierWish)),
    Map(Leaves, (LeavesWish,)),
)
WISHES: dict[str, type[BaseWish]] = {
    wish.model_fields["kind"].default: wish for one in MAPS for wish in one.wishes
}
"""What `feature_map` in bounty.toml may name."""

if TYPE_CHECKING:
    Stage = BaseStage
    MapWish = BaseWish
else:  # unions of what is registered, which pydantic tells apart by `kind`
    Stage = Annotated[Union[tuple(one.stage for one in MAPS)], Field(discriminator="kind")]  # noqa: UP007
    MapWish = Annotated[Union[tuple(WISHES.values())], Field(discriminator="kind")]  # noqa: UP007
