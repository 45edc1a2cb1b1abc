"""Columns cut off at a published bound."""

from __future__ import annotations

from typing import Literal

import numpy as np

from sonar.data.fixed import PositiveQ32, from_q32
from sonar.families.quadratic.maps.base import BaseStage, Matrix


class Clip(BaseStage):
    """x -> clip(x, ±clip)."""

    kind: Literal["clip"] = "clip"
    clip_q32: PositiveQ32

    def apply(self, x: Matrix) -> Matrix:
        """Return float64[n, width]."""
        clip = from_q32(self.clip_q32)
        return np.clip(x, -clip, clip)

    def words(self) -> str:
        """Say where."""
        return f"cut off at ±{from_q32(self.clip_q32):g}"
