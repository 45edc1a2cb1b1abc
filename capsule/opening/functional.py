"""Functionals: the first bits of a linear combination of one mine's masks, counted by mine and round."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from gmpy2 import mpz

from capsule.home.entries import Ask as Told
from capsule.problems import Refused
from sonar.errors import ManifestError
from sonar.manifests.capsule import Ask, FunctionalRequest, Part
from sonar.paillier.cohort import digest_of_parts
from sonar.protocol.ids import Address, Digest
from sonar.veil.functionals import class_value, read_vector, told
from sonar.veil.masks import Words, class_masks, class_wraps
from sonar.veil.words import class_word_value, read_words, spoiler_bits

if TYPE_CHECKING:
    from capsule.opening.bounties import Bounty
    from capsule.opening.chainview import View
    from capsule.opening.updates import Masked, Updates

MOST_DIGITS = 40_000_000
"""The most digits that one request may have multiplied: half a minute of one core, a microsecond each."""
_LONG = "ask for fewer mines in each request"


@dataclass(frozen=True)
class Question:
    """An ask and the digest that names all of it: what was asked before is told again for nothing."""

    ask: Ask
    digest: bytes


def questions_of(bounty: Bounty, request: FunctionalRequest) -> list[Question]:
    """Return the asks of a request, checked for form. Raises Refused."""
    most, work = bounty.value_bits, 0
    width = (most + 7) // 8
    hashes = [hashlib.sha256(vector).digest() for vector in request.vectors]
    for ask in request.asks:
        rounds = [part.round for part in ask.parts]
        if rounds != sorted(set(rounds)) or rounds[-1] != request.round:
            _malformed(f"the parts of an ask about {ask.mine} do not ascend by round up to {request.round}")
        if any(part.vector >= len(hashes) for part in ask.parts):
            _malformed(f"an ask about {ask.mine} names a vector that the request does not have")
        if ask.bits > most:
            _malformed(f"an ask about {ask.mine} is for {ask.bits} bits; a value has {most}")
        digits = sum(len(request.vectors[part.vector]) for part in ask.parts) // width
        work += digits * len(bounty.held)
    if work > MOST_DIGITS:
        raise Refused(
            "too-large", f"the request takes {work} products; the limit is {MOST_DIGITS}", hint=_LONG
        )
    if bounty.tells_range_only:
        _check_range_only(bounty, request)
    return [Question(ask, _digest(request.round, ask, hashes)) for ask in request.asks]


def _check_range_only(bounty: Bounty, request: FunctionalRequest) -> None:
    """Check that no more is asked than what tells whose word is out of range: the first bits of one word, or
    of none. By other vectors, multiples of a word above all, its last bits could be asked for. Raises
    Refused.
    """
    plan = bounty.plan
    for index, data in enumerate(request.vectors):
        words = _words_in(data, plan.weights, index)
        if np.count_nonzero(words) > 1 or words.max() > 1:
            raise Refused(
                "vector",
                f"vectors.{index} is neither zero nor one at a single word; nothing else is told of answers "
                "to a question that everybody sees",
            )
    most = spoiler_bits(plan, bounty.cover.classes.count)
    for ask in request.asks:
        if ask.bits > most or len(ask.parts) > 1:
            raise Refused(
                "vector",
                f"an ask about {ask.mine} is for {ask.bits} bits of {len(ask.parts)} answers; of one answer "
                f"at most {most} bits are told: they say whether a word is in range",
            )


def _words_in(data: bytes, count: int, index: int) -> Words:
    try:
        return read_words(data, count, "vectors")
    except ManifestError as error:
        raise Refused("malformed", f"vectors.{index}: {error.problem}") from error


def _digest(number: int, ask: Ask, hashes: Sequence[bytes]) -> bytes:
    parts = (bytes([part.round]) + part.update + hashes[part.vector] for part in ask.parts)
    return digest_of_parts(b"sonar ask 1", bytes([number, ask.bits]), ask.mine.encode(), *parts)


def _malformed(problem: str) -> None:
    raise Refused("malformed", problem)


class Teller:
    """Computes what is told of one request's asks. It opens each update, and makes its masks, once."""

    def __init__(self, updates: Updates, bounty: Bounty, view: View, request: FunctionalRequest) -> None:
        self._updates, self._bounty, self._view = updates, bounty, view
        self._vectors: dict[int, list[int]] = {}
        self._words: dict[int, Words] = {}
        self._request = request
        self._read: dict[tuple[Address, int, bytes], Masked] = {}
        self._made: dict[tuple[Address, int], tuple[list[list[mpz]], list[list[int]]]] = {}
        self._mine: Address | None = None

    def check(self, asks: Sequence[Ask]) -> None:
        """Check all updates and vectors that asks need, before any work. Raises Refused."""
        for ask in asks:
            for part in ask.parts:
                self._masked(ask.mine, part.round, part.update)
                self._check_vector(part.vector)

    def at_fault(self, asks: Sequence[Ask]) -> tuple[Address, ...]:
        """Return the mines whose masks cannot be made, though the asks name what they revealed.

        Raises Refused for any other fault of the asks.
        """
        found: dict[Address, None] = {}
        for ask in asks:
            try:
                self.check([ask])
            except Refused as refusal:
                if refusal.code != "mine" or not all(self._is_revealed(ask.mine, part) for part in ask.parts):
                    raise
                found[ask.mine] = None
        return tuple(found)

    def _is_revealed(self, mine: Address, part: Part) -> bool:
        revealed = self._view.round(part.round).reveals.get(mine)
        return revealed is not None and revealed.update_digest == part.update

    def value(self, question: Question) -> Told:
        """Return what an ask is told: a number for each class that this capsule holds."""
        values = self._of_words(question.ask) if self._bounty.are_words else self._of_digits(question.ask)
        told_ = tuple(told(value, self._bounty.value_bits, question.ask.bits) for value in values)
        return Told(question.ask.mine, question.digest, question.ask.bits, told_)

    def _of_words(self, ask: Ask) -> list[int]:
        masked = [self._masked(ask.mine, part.round, part.update) for part in ask.parts]
        vectors = [self._words_at(part.vector) for part in ask.parts]
        return [
            class_word_value([(v, one.seeds[c], one.place) for v, one in zip(vectors, masked, strict=True)])
            for c in self._bounty.held
        ]

    def _of_digits(self, ask: Ask) -> list[int]:
        bounty = self._bounty
        if ask.mine != self._mine:
            self._made.clear()  # the masks of one mine at a time
            self._mine = ask.mine
        vectors = [self._vector(part.vector) for part in ask.parts]
        made = [self._streams(ask.mine, part.round, part.update) for part in ask.parts]
        moduli = [self._masked(ask.mine, part.round, part.update).n for part in ask.parts]
        values = []
        for index in range(len(bounty.held)):
            masks = [each[index] for each, _ in made]
            wraps = [each[index] for _, each in made]
            values.append(class_value(bounty.plan, moduli, vectors, masks, wraps))
        return values

    def _check_vector(self, index: int) -> None:
        if self._bounty.are_words:
            self._words_at(index)
        else:
            self._vector(index)

    def _vector(self, index: int) -> list[int]:
        if index not in self._vectors:
            try:
                self._vectors[index] = read_vector(self._bounty.plan, self._request.vectors[index])
            except ManifestError as error:
                raise Refused("malformed", f"vectors.{index}: {error.problem}") from error
        return self._vectors[index]

    def _words_at(self, index: int) -> Words:
        if index not in self._words:
            self._words[index] = _words_in(self._request.vectors[index], self._bounty.plan.weights, index)
        return self._words[index]

    def _masked(self, mine: Address, number: int, update: bytes) -> Masked:
        place = mine, number, update
        if place not in self._read:
            self._read[place] = self._updates.get(self._bounty, self._view, number, mine, Digest(update))
        return self._read[place]

    def _streams(self, mine: Address, number: int, update: bytes) -> tuple[list[list[mpz]], list[list[int]]]:
        if (mine, number) not in self._made:
            masked, bounty = self._masked(mine, number, update), self._bounty
            count, slot_bits = bounty.plan.ciphertexts, bounty.plan.slot_bits
            seeds = [masked.seeds[c] for c in bounty.held]
            self._made[mine, number] = (
                [class_masks(seed, masked.place, masked.n, count) for seed in seeds],
                [class_wraps(seed, masked.place, slot_bits, count) for seed in seeds],
            )
        return self._made[mine, number]


def values_of(
    questions: Sequence[Question], told: Mapping[tuple[Address, bytes], tuple[int, ...]]
) -> tuple[tuple[int, ...], ...]:
    """Return what is told of each ask, in their order."""
    return tuple(told[each.ask.mine, each.digest] for each in questions)
