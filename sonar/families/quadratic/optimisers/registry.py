"""All optimisers: a new one is a file beside this one, and a line in `OPTIMISERS`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Field, TypeAdapter, ValidationError

from sonar.errors import ManifestError
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

MAX_SETTINGS_BYTES = 4096
_READ: TypeAdapter[OptimiserWish] = TypeAdapter(AnyOptimiser)


def written(metric: str, wish: OptimiserWish) -> bytes:
    """Return how a bounty's weights are stepped and its loss is measured, in one encoding: canonical JSON.

    Its sha2-256 in the first model's manifest (`AuditSpec`) names both before anybody commits.
    """
    settings = {"metric": metric, "optimiser": wish.model_dump(mode="json")}
    return json.dumps(settings, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def read(data: bytes) -> tuple[str, OptimiserWish]:
    """Return the metric and the optimiser of what `written` wrote, from anyone. Raises ManifestError."""
    hint = "send what the bounty was posted with"
    if len(data) > MAX_SETTINGS_BYTES:
        problem = f"has {len(data)} bytes; at most {MAX_SETTINGS_BYTES} are read"
        raise ManifestError("optimiser", problem, hint=hint)
    try:
        fields = json.loads(data)
        metric, wish = fields["metric"], _READ.validate_python(fields["optimiser"])
    except (ValueError, KeyError, TypeError, RecursionError, ValidationError):
        raise ManifestError("optimiser", "is not a metric and the settings of one", hint=hint) from None
    if not isinstance(metric, str) or written(metric, wish) != data:
        raise ManifestError("optimiser", "is not in canonical form", hint=hint)
    return metric, wish
