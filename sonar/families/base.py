"""What a family of models is: the pure functions that mines and scientists call. Neither branches on its
kind.

A round publishes a question (weights, here hidden from the mines); each mine gives an answer, a vector of
bounded integers; only the sum of a cohort's answers is opened; the next question follows from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from sonar.families.veiled import VeiledSide
from sonar.paillier.affine import Run
from sonar.paillier.public import PublicKey
from sonar.paillier.slots import SlotPlan
from sonar.privacy.terms import Price, RowSums

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Spec_contra = TypeVar("Spec_contra", contravariant=True)
Prep = TypeVar("Prep", bound="Prepared")
Wish_contra = TypeVar("Wish_contra", contravariant=True)
Design = TypeVar("Design")
Course = TypeVar("Course")
Point = TypeVar("Point")
Optimiser_contra = TypeVar("Optimiser_contra", contravariant=True)
Rules_co = TypeVar("Rules_co", covariant=True)
Reference_co = TypeVar("Reference_co", covariant=True)
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


class MineSide(Protocol[Spec_contra, Prep]):
    """What a mine asks of a family."""

    def columns(self, spec: Spec_contra) -> tuple[str, ...]:
        """Return the columns that a table must have, features first."""
        ...

    def check_rows(self, spec: Spec_contra, rows: int) -> None:
        """Check from the number of rows alone whether a table could serve. Raises ConsentError."""
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
        weights: Sequence[mpz],
        *,
        parts: int = 1,
        run: Run | None = None,
    ) -> list[mpz]:
        """Return the answer to encrypted weights, not yet re-randomised.

        Raises BoundsError, CiphertextError.
        """
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


class ScientistSide(
    Protocol[Spec_contra, Wish_contra, Design, Course, Point, Optimiser_contra, Rules_co, Reference_co]
):
    """What a scientist asks of a family."""

    def design(
        self,
        wish: Wish_contra,
        x: Matrix,
        y: Matrix,
        features: Sequence[str],
        targets: Sequence[str],
        seeded: Callable[[int], Any],
    ) -> Design:
        """Return the model for held-out rows x float64[n, f] and y float64[n, k]; `seeded` draws constants.

        Raises DataError, ConfigError, BoundsError, PlanError, ManifestError.
        """
        ...

    def start(self, design: Design) -> Course:
        """Return the course of a campaign that has not begun."""
        ...

    def step(self, design: Design, optimiser: Optimiser_contra, course: Course) -> Point:
        """Return the point to which the last opened sum leads, with its loss."""
        ...

    def score_vectors(
        self, design: Design, optimiser: Optimiser_contra, course: Course, point: Point
    ) -> Mapping[int, Vector]:
        """Return per round the vector whose product with an answer is its part of the way to `point`."""
        ...

    def reference(self, design: Design, weights_int: Sequence[int]) -> Reference_co:
        """Return what the held-out rows say of answers to the weights int[d k] of a round."""
        ...

    def tests(
        self, spec: Spec_contra, plan: SlotPlan, min_mines: int, random_bits: Callable[[int], int]
    ) -> Rules_co:
        """Return what single answers are tested against; all of it follows from the model's manifest."""
        ...


class Family(
    MineSide[Spec_contra, Prep],
    ScientistSide[Spec_contra, Wish_contra, Design, Course, Point, Optimiser_contra, Rules, Reference],
    VeiledSide[Rules, Reference],
    Protocol,
):
    """A family of models."""
