"""A model with a ridge that the holdout chose, from what a campaign has opened anyway."""

from __future__ import annotations

from pysonar.models.linear import LinearModel
from sonar.families.quadratic.course import Course
from sonar.families.quadratic.design import Design
from sonar.families.quadratic.shrinking import shrunk


def with_ridge(design: Design, course: Course) -> LinearModel:
    """Return the model of the best ridge, or of the course's best point if no ridge is better."""
    weights, loss = shrunk(design, course)
    return LinearModel.at(design, weights, loss)
