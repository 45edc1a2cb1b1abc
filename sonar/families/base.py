"""What a family of models is: the pure functions that mines and scientists call. Neither branches on its
kind.

A round publishes a question: numbers that are hidden from the mines (weights, encrypted under the
scientist's key), or that everybody sees (`MineSide.visible`). Each mine gives an answer, a vector of bounded
integers; only the sum of a cohort's answers is opened; the next question follows from it.

To add a family: a folder beside this file with a class that has all of `Family`, and a line in the registry.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol, Self, TypeVar

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from sonar.data.schema import Schema
from sonar.families.opened import Opened, Past
from sonar.families.veiled import VeiledSide
from sonar.paillier.affine import Run
from sonar.paillier.public import PublicKey
from sonar.paillier.slots import SlotPlan
from sonar.privacy.terms import Price, RowSums

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Spec_contra = TypeVar("Spec_contra", contravariant=True)
Prep = TypeVar("Prep", bound="Prepared")
Design_contra = TypeVar("Design_contra", contravariant=True)
Reference_contra = TypeVar("Reference_contra", contravariant=True)
Reference_co = TypeVar("Reference_co", covariant=True)
Optimiser_contra = TypeVar("Optimiser_contra", contravariant=True)
Rules = TypeVar("Rules")
Reference = TypeVar("Reference")


class Prepared(Protocol):
    """The sums of a mine's rows, once per bounty."""

    @property
    def rows(self) -> int:
        """How many there are."""
        ...

    def digest(self) -> str:
        """Return the sha2-256 digest of `to_bytes`, in hex: it tells whether anything has changed."""
        ...

    def to_bytes(self) -> bytes:
        """Return all of it, in its one encoding."""
        ...


class Rows(Protocol):
    """A table, as a mine has it: its rows come in batches, and none is kept."""

    def batches(self, columns: Sequence[str]) -> Iterable[Matrix]:
        """Yield the numbers of these columns, float64[rows, columns]. Raises DataError."""
        ...

    def coded(self, schema: Schema) -> Iterable[Matrix]:
        """Yield the rows as `sonar.data.schema.Rows` takes them, float64[rows, columns]. Raises DataError."""
        ...


class MineSide(Protocol[Spec_contra, Prep]):
    """What a mine asks of a family."""

    @property
    def visible(self) -> bool:
        """Whether everybody sees the numbers of a question; else they are encrypted."""
        ...

    def numbers(self, spec: Spec_contra) -> int:
        """Return how many numbers a question has."""
        ...

    def seconds(self, spec: Spec_contra, plan: SlotPlan) -> float:
        """Return about how long an answer takes on one core, in seconds."""
        ...

    def read(self, spec: Spec_contra, rows: Rows) -> Iterable[Matrix]:
        """Yield a table's rows in batches, as `prepare` and `sums` take them. Raises DataError."""
        ...

    def columns(self, spec: Spec_contra) -> tuple[str, ...]:
        """Return the columns that a table must have, features first."""
        ...

    def schema(self, spec: Spec_contra) -> Schema:
        """Return what the columns mean; none where all are numbers, and no cell may be missing."""
        ...

    def check_rows(self, spec: Spec_contra, rows: int) -> None:
        """Check from the number of rows alone whether a table could serve. Raises ConsentError."""
        ...

    def check_asked(self, spec: Spec_contra, rounds: int) -> None:
        """Check how often the same rows would be asked about in one bounty. Raises ConsentError."""
        ...

    def prepare(self, spec: Spec_contra, plan: SlotPlan, batches: Iterable[Matrix]) -> Prep:
        """Return the sums of the rows, from batches float64[rows, columns], in one pass.

        All that protects single rows is checked, and the plan's bounds. Raises DataError, ConsentError (for
        a spec with noise, too: see `sums`), BoundsError.
        """
        ...

    def restored(self, spec: Spec_contra, plan: SlotPlan, data: bytes) -> Prep:
        """Return what `Prepared.to_bytes` made for the same spec and plan. Raises DataError."""
        ...

    def answer(
        self,
        key: PublicKey,
        plan: SlotPlan,
        prepared: Prep,
        question: Sequence[mpz],
        *,
        rows: Callable[[], Iterable[Matrix]] | None = None,
        parts: int = 1,
        run: Run | None = None,
    ) -> list[mpz]:
        """Return the answer to a question, packed in ciphertexts that are not yet re-randomised.

        `question`: the ciphertexts of a hidden one, the numbers of a visible one. `rows` gives the table's
        batches once more, as `read` does, to a family whose answers need them again. Raises BoundsError,
        CiphertextError; DataError, ConsentError for what `rows` gives.
        """
        ...

    def values(
        self,
        plan: SlotPlan,
        prepared: Prep,
        question: Sequence[int],
        rows: Callable[[], Iterable[Matrix]] | None = None,
    ) -> list[int]:
        """Return the answer in the clear, int[plan.weights], to a question's numbers. Raises as `answer`."""
        ...

    def price(self, spec: Spec_contra) -> Price | None:
        """Return what answers cost the rows that they are made of; None for sums without noise."""
        ...

    def check_noise(self, spec: Spec_contra, plan: SlotPlan) -> None:
        """Check that what answers show has all the noise that the price stands for. Raises ConsentError."""
        ...

    def sums(self, spec: Spec_contra, batches: Iterable[Matrix]) -> RowSums:
        """Return the exact sums of clipped rows to which a spec with noise asks to add some, in one pass.

        Of batches float64[rows, columns], in whatever lengths they come. Raises DataError, ConsentError.
        """
        ...

    def released(self, spec: Spec_contra, plan: SlotPlan, values: Sequence[int], rows: int) -> Prep:
        """Return what answers are made of, from the values of `sums` with their noise, over so many rows.

        Raises BoundsError for what the plan has no room for, DataError for another number of values.
        """
        ...

    def sums_id(self, spec: Spec_contra) -> bytes:
        """Return all of a spec that the noisy sums depend on, in one encoding.

        Two specs of the same id can be served by one release of the same rows.
        """
        ...

    def in_words(self, spec: Spec_contra) -> str:
        """Say what is learned from the columns, to people who decide whether to train on it."""
        ...


class APoint(Protocol):
    """Where a campaign has come to: a question's numbers, and the loss that the round is settled with."""

    @property
    def weights_int(self) -> tuple[int, ...]:
        """The numbers, as many as a question has."""
        ...

    @property
    def loss(self) -> int:
        """The loss there, in millionths."""
        ...

    def listed(self) -> list[Any]:
        """Return all else that `replayed` needs to make it again, in JSON's own types."""
        ...


class ACourse(Protocol):
    """Every point of a campaign so far, and what was opened at those that were asked about."""

    @property
    def current(self) -> APoint:
        """The newest point: what the next round asks about."""
        ...

    @property
    def best(self) -> APoint:
        """The point of the lowest loss; of several the first."""
        ...

    @property
    def begun(self) -> bool:
        """Whether a sum was opened."""
        ...

    def moved(self, point: Any) -> Self:
        """Return the course with one more point."""
        ...


class Tests(Protocol[Spec_contra, Rules, Reference_contra]):
    """What single answers are tested by."""

    @property
    def why(self) -> Mapping[str, str]:
        """Every test by name, and what to say about an answer that fails it."""
        ...

    @property
    def round_only(self) -> frozenset[str]:
        """The tests that honest data may fail: a failure counts for its round only."""
        ...

    def tests(
        self, spec: Spec_contra, plan: SlotPlan, min_mines: int, random_bits: Callable[[int], int]
    ) -> Rules:
        """Return what single answers are tested against; all of it follows from the model's manifest."""
        ...

    def inspect(
        self,
        rules: Rules,
        past: Past,
        now: Opened,
        trusted: Callable[[str], bool],
        reference: Reference_contra | None = None,
    ) -> dict[str, str | None]:
        """Return for each mine in the round `now`, after the `past` ones, the first failed test, or None.

        Mines that are not `trusted` (left out for good) count neither towards what others are compared with
        nor towards the least number of mines.
        """
        ...

    def same(
        self, rules: Rules, now: Opened, rows: Mapping[str, int], reference: Reference_contra | None = None
    ) -> dict[str, str]:
        """Tell whose answers are of the same data: by mine the first address of its group.

        `rows`: those who are looked at, with the rows that they say they have.
        """
        ...


Course = TypeVar("Course", bound=ACourse)
Point = TypeVar("Point", bound=APoint)


class ScientistSide(Protocol[Design_contra, Course, Point, Optimiser_contra, Reference_co]):
    """What a campaign asks of a family. Design and optimiser are the family's own."""

    @property
    def scored(self) -> bool:
        """Whether mines are paid by what each has contributed; else alike."""
        ...

    def start(self, design: Design_contra) -> Course:
        """Return the course of a campaign that has not begun."""
        ...

    def seen(
        self,
        design: Design_contra,
        course: Course,
        number: int,
        sums: Sequence[int],
        rows: int,
        accepted: Collection[str],
    ) -> Course:
        """Return the course with round `number`'s opened sum, int[plan.weights].

        It is of `accepted` mines, which weigh `rows` together.
        """
        ...

    def step(self, design: Design_contra, optimiser: Optimiser_contra, course: Course) -> Point:
        """Return the point to which the last opened sum leads, with its loss."""
        ...

    def replayed(self, weights_int: Sequence[int], listed: list[Any], loss: int) -> Point:
        """Return a point as `step` made it, from what a journal has of it."""
        ...

    def score_vectors(
        self, design: Design_contra, optimiser: Optimiser_contra, course: Course, point: Point
    ) -> Mapping[int, Vector]:
        """Return per round the vector whose product with an answer is its part of the way to `point`."""
        ...

    def reference(self, design: Design_contra, weights_int: Sequence[int]) -> Reference_co | None:
        """Return what held-out rows say of answers to the numbers of a round; None without such rows."""
        ...


class Family(
    MineSide[Spec_contra, Prep],
    Tests[Spec_contra, Rules, Reference],
    ScientistSide[Design_contra, Course, Point, Optimiser_contra, Reference],
    VeiledSide[Rules, Reference],
    Protocol,
):
    """A family of models."""
