"""The columns that a model of this family predicts."""

from __future__ import annotations

from functools import cached_property

from sonar.data.fixed import Q32, PositiveQ32, from_q32
from sonar.protocol.record import Name, Record


class Target(Record):
    """A column to predict. A model learns z = clip((y - centre) / scale, ±clip)."""

    name: Name
    centre_q32: Q32
    scale_q32: PositiveQ32
    clip_q32: PositiveQ32

    @cached_property
    def centre(self) -> float:
        """What the null model predicts, in the column's unit."""
        return from_q32(self.centre_q32)

    @cached_property
    def scale(self) -> float:
        """The unit of z, in the column's."""
        return from_q32(self.scale_q32)

    @cached_property
    def clip(self) -> float:
        """The largest |z| that is learned."""
        return from_q32(self.clip_q32)
