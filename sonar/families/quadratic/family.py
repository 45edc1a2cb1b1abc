"""The quadratic family behind its port (`sonar.families.base`); the work is done in the files beside this."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from gmpy2 import mpz

from sonar.data.schema import Schema
from sonar.families.base import Rows
from sonar.families.opened import Opened, Past
from sonar.families.quadratic.answer import LocalMap, Matrix, Vector
from sonar.families.quadratic.comparison import Reference, reference_of
from sonar.families.quadratic.course import Course, Point, contribution_vectors, next_point, start_of
from sonar.families.quadratic.design import Design
from sonar.families.quadratic.inspection import ROUND_ONLY, WHY, Rules, inspect, rules_of, same
from sonar.families.quadratic.noisy.side import NoisyQuadratic
from sonar.families.quadratic.optimisers.base import Coefficients, Listed, Optimiser
from sonar.families.quadratic.prepare import check_rows, prepare
from sonar.families.quadratic.spec import QuadraticSpec
from sonar.families.quadratic.veiled.side import VeiledQuadratic
from sonar.paillier.affine import Run, affine_update, estimated_s
from sonar.paillier.public import PublicKey
from sonar.paillier.slots import SlotPlan


class Quadratic(NoisyQuadratic, VeiledQuadratic):
    """Models that are linear in their weights."""

    why: Mapping[str, str] = WHY
    round_only = ROUND_ONLY
    visible = False
    scored = True

    def numbers(self, spec: QuadraticSpec) -> int:
        """Return the number of weights."""
        return spec.weights

    def seconds(self, spec: QuadraticSpec, plan: SlotPlan) -> float:
        """Return how long the products take."""
        return estimated_s(plan)

    def read(self, spec: QuadraticSpec, rows: Rows) -> Iterable[Matrix]:
        """Return the numbers of the columns; a column of labels as codes."""
        schema = self.schema(spec)
        return rows.coded(schema) if schema else rows.batches(spec.columns)

    def columns(self, spec: QuadraticSpec) -> tuple[str, ...]:
        """Return the features, then the targets."""
        return spec.columns

    def schema(self, spec: QuadraticSpec) -> Schema:
        """Return what the columns of a bounty with labels mean; of others all are numbers."""
        return () if spec.labels is None else spec.row_schema

    def check_rows(self, spec: QuadraticSpec, rows: int) -> None:
        """Check by the number of rows alone whether a table could serve. Raises ConsentError."""
        check_rows(rows, spec)

    def check_asked(self, spec: QuadraticSpec, rounds: int) -> None:
        """All answers come from one (A, b), which `check_rows` takes as known in full."""

    def prepare(self, spec: QuadraticSpec, plan: SlotPlan, batches: Iterable[Matrix]) -> LocalMap:
        """Return (A, b). Raises DataError, ConsentError, BoundsError."""
        return prepare(spec, plan, batches)

    def restored(self, spec: QuadraticSpec, plan: SlotPlan, data: bytes) -> LocalMap:
        """Return the (A, b) that `to_bytes` wrote. Raises DataError."""
        return LocalMap.from_bytes(data, spec.width, spec.outputs, plan.data_frac)

    def answer(
        self,
        key: PublicKey,
        plan: SlotPlan,
        prepared: LocalMap,
        question: Sequence[mpz],
        *,
        rows: Callable[[], Iterable[Matrix]] | None = None,
        parts: int = 1,
        run: Run | None = None,
    ) -> list[mpz]:
        """Return Enc(b - A w), packed. Raises BoundsError, CiphertextError."""
        return affine_update(key, plan, prepared.a_int, prepared.b_int, question, parts=parts, run=run)

    def values(
        self,
        plan: SlotPlan,
        prepared: LocalMap,
        question: Sequence[int],
        rows: Callable[[], Iterable[Matrix]] | None = None,
    ) -> list[int]:
        """Return b - A w."""
        return prepared.answer(question, plan.weight_frac)

    def in_words(self, spec: QuadraticSpec) -> str:
        """Return the feature map, and how many weights it has."""
        return f"feature map {spec.words}"

    def start(self, design: Design) -> Course:
        """Return the course of a campaign that has not begun."""
        return start_of(design)

    def seen(
        self,
        design: Design,
        course: Course,
        number: int,
        sums: Sequence[int],
        rows: int,
        accepted: Collection[str],
    ) -> Course:
        """Return the course with one more gradient."""
        return course.seen(number, sums, rows, accepted, design.plan)

    def step(self, design: Design, optimiser: Optimiser, course: Course) -> Point:
        """Return the next point."""
        return next_point(course, optimiser, design)

    def replayed(self, weights_int: Sequence[int], listed: Listed, loss: int) -> Point:
        """Return a point with its coefficients."""
        return Point(tuple(weights_int), Coefficients.of(listed), loss)

    def score_vectors(
        self, design: Design, optimiser: Optimiser, course: Course, point: Point
    ) -> dict[int, Vector]:
        """Return one vector per round."""
        return contribution_vectors(course, point, optimiser, design)

    def reference(self, design: Design, weights_int: Sequence[int]) -> Reference:
        """Return what the holdout says of answers."""
        return reference_of(design, weights_int)

    def tests(
        self, spec: QuadraticSpec, plan: SlotPlan, min_mines: int, random_bits: Callable[[int], int]
    ) -> Rules:
        """Return what single answers are tested by."""
        return rules_of(spec, plan, min_mines, random_bits)

    def inspect(
        self,
        rules: Rules,
        past: Past,
        now: Opened,
        trusted: Callable[[str], bool],
        reference: Reference | None = None,
    ) -> dict[str, str | None]:
        """Return the first failed test of each mine."""
        return inspect(rules, past, now, trusted, reference)

    def same(
        self, rules: Rules, now: Opened, rows: Mapping[str, int], reference: Reference | None = None
    ) -> dict[str, str]:
        """Return who is of the same data."""
        return same(rules, now, rows, reference)
