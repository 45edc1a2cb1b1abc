"""All families by `kind`: a new one adds its line here and nowhere else."""

from __future__ import annotations

from typing import Any

from sonar.families.base import Family
from sonar.families.quadratic.family import Quadratic
from sonar.families.quadratic.spec import QuadraticSpec

AnyFamily = Family[Any, Any, Any, Any, Any, Any, Any, Any, Any]

FamilySpec = QuadraticSpec
"""A family's part of a model's manifest. With a second family: their union, discriminated by `kind`."""

_FAMILIES: dict[str, AnyFamily] = {"quadratic": Quadratic()}


def family_of(spec: FamilySpec) -> AnyFamily:
    """Return the family that a spec belongs to."""
    return _FAMILIES[spec.kind]
