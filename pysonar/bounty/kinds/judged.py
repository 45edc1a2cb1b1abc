"""What a campaign asks of a bounty whose model is judged by held-out rows."""

from __future__ import annotations

from collections.abc import Sequence

from pysonar.bounty.tables import HeldOut
from pysonar.models.linear import LinearModel
from sonar.families.quadratic.course import Course, held_weights
from sonar.families.quadratic.design import Design
from sonar.manifests.model import commitment
from sonar.protocol.ids import Digest


class Judged:
    """The part of `pysonar.bounty.base.AnyBounty` that follows from a design with its holdout."""

    held_out: HeldOut

    @property
    def design(self) -> Design:
        """The model, its slot plan and the holdout."""
        raise NotImplementedError

    @property
    def metric(self) -> str:
        """What the loss is measured by."""
        return self.design.metric

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that a mine must have: the features, then the targets."""
        return self.held_out.columns

    @property
    def rounds_to_all(self) -> int:
        """How many sums tell A and b in full: each shows A in as many directions as there are outputs."""
        return -(-self.design.spec.width // self.design.spec.outputs)

    @property
    def bound(self) -> str:
        """What `held` is about."""
        return f"weight_max = {self.design.weight_max:g}"

    def commitment(self, salt: bytes) -> Digest:
        """Return the commitment to the holdout."""
        return commitment(salt, self.columns, self.held_out.values)

    def figures(self, loss: int, numbers: Sequence[int] | None = None) -> dict[str, float]:
        """Return a model's figures by its weights int[d k]; without them, those that its loss gives."""
        holdout = self.design.holdout
        if numbers is None:
            return holdout.said_all(self.metric, loss)
        return holdout.told(self.design.weights(numbers))

    def held(self, numbers: Sequence[int]) -> list[str]:
        """Return the names of the weights at `weight_max`, which might have moved further."""
        return held_weights(numbers, self.design)

    def told(self, sums: Sequence[int], mines: int, opened: int, loss: int) -> str:
        """Return nothing: figures say it."""
        return ""

    def found(self, course: Course) -> LinearModel:
        """Return the best point of a course as a model."""
        return LinearModel.of(self.design, course)
