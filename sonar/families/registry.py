"""The families that there are, by `kind`: the one place to which a new one adds its line."""

from __future__ import annotations

from sonar.families.quadratic.spec import QuadraticSpec

FamilySpec = QuadraticSpec
"""A family's part of a model's manifest. With a second family: their union, discriminated by `kind`."""
