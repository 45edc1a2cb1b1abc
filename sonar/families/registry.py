"""All families by `kind`: a new one adds its lines here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Tag

from sonar.families.base import Family
from sonar.families.quadratic.family import Quadratic
from sonar.families.quadratic.spec import QuadraticSpec
from sonar.families.sums.family import Sums
from sonar.families.sums.spec import SumsSpec

AnyFamily = Family[Any, Any, Any, Any, Any, Any, Any, Any]


def _kind(given: object) -> str | None:
    """The kind of a spec, or of its fields: without one, as before there were several, quadratic."""
    kind = given.get("kind", "quadratic") if isinstance(given, Mapping) else getattr(given, "kind", None)
    return kind if isinstance(kind, str) else None


FamilySpec = Annotated[
    Annotated[QuadraticSpec, Tag("quadratic")] | Annotated[SumsSpec, Tag("sums")], Discriminator(_kind)
]
"""A family's part of a model's manifest."""

_FAMILIES: dict[str, AnyFamily] = {"quadratic": Quadratic(), "sums": Sums()}


def family_of(spec: FamilySpec) -> AnyFamily:
    """Return the family that a spec belongs to."""
    return _FAMILIES[spec.kind]


WHY: Mapping[str, str] = {test: why for each in _FAMILIES.values() for test, why in each.why.items()}
"""Every test of every family by name, and what to say about an answer that fails it."""
ROUND_ONLY = frozenset[str]().union(*(each.round_only for each in _FAMILIES.values()))
"""The tests that honest data may fail. A test of the same name means the same in every family."""
