"""The part of the quadratic family that is about noise, behind its port."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sonar.families.quadratic.answer import LocalMap, Matrix
from sonar.families.quadratic.noisy.releasing import check_noise, released_map, row_sums, sums_id
from sonar.families.quadratic.spec import QuadraticSpec
from sonar.paillier.slots import SlotPlan
from sonar.privacy.terms import Price, RowSums


class NoisyQuadratic:
    """See `sonar.families.base.MineSide`."""

    def price(self, spec: QuadraticSpec) -> Price | None:
        """Return what the noise leaves to be learned of a row; None without noise."""
        return spec.noise.price if spec.noise else None

    def check_noise(self, spec: QuadraticSpec, plan: SlotPlan) -> None:
        """Check that rounding (A, b) takes nothing of shared noise. Raises ConsentError."""
        check_noise(spec, plan)

    def sums(self, spec: QuadraticSpec, batches: Iterable[Matrix]) -> RowSums:
        """Return the upper triangle of the sums of v v^T. Raises DataError, ConsentError."""
        return row_sums(spec, batches)

    def released(self, spec: QuadraticSpec, plan: SlotPlan, values: Sequence[int], rows: int) -> LocalMap:
        """Return (A, b) with ridge. Raises BoundsError, DataError."""
        return released_map(spec, plan, values, rows)

    def sums_id(self, spec: QuadraticSpec) -> bytes:
        """Return columns, feature map, target map and noise, without the ridge."""
        return sums_id(spec)
