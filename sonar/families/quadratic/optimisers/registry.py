"""All optimisers: a new one is a file beside this one, and a line in `OPTIMISERS`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field

from sonar.families.quadratic.optimisers.base import OptimiserWish
from sonar.families.quadratic.optimisers.gradient_descent import GradientDescentWish
from sonar.families.quadratic.optimisers.gradient_memory import GradientMemoryWish

OPTIMISERS: dict[str, type[OptimiserWish]] = {
    one.model_fields["kind"].default: one for one in (GradientMemoryWish, GradientDescentWish)
}
"""What `optimiser` in bounty.toml may name."""

if TYPE_CHECKING:
    AnyOptimiser = OptimiserWish
else:  # a union of what is registered, which pydantic tells apart by `kind`
    AnyOptimiser = Annotated[Union[tuple(OPTIMISERS.values())], Field(discriminator="kind")]  # noqa: UP007
