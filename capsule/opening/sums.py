"""Sums: the weighted sums of the masks of a set that the chain has fixed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gmpy2 import mpz

from capsule.problems import Refused
from sonar.veil.masks import class_masks
from sonar.veil.sums import class_sums, class_word_sums
from sonar.veil.words import write_words

if TYPE_CHECKING:
    from capsule.opening.bounties import Bounty
    from capsule.opening.chainview import View
    from capsule.opening.updates import Masked, Updates
    from sonar.manifests.cohort import CohortManifest


def masked_of(
    updates: Updates, bounty: Bounty, view: View, cohort: CohortManifest
) -> list[tuple[int, Masked]]:
    """Return the updates of a set, each after its weight. Raises Refused for a weight beyond its rows."""
    found = []
    for one in cohort.addends:
        masked = updates.get(bounty, view, cohort.round, one.mine, one.update)
        most = min(masked.rows, bounty.plan.weight_rows)
        if one.weight > most:
            raise Refused(
                "cohort",
                f"{one.mine} has the weight {one.weight}; with {masked.rows} rows it is at most {most}",
            )
        found.append((one.weight, masked))
    return found


def sums_of(bounty: Bounty, masked: list[tuple[int, Masked]]) -> tuple[bytes, ...]:
    """Return the sums of each class that this capsule holds: for each ciphertext a number as long as n, or
    for each word one of 8 bytes.

    All updates are of one round, and so under one key. Masks are made one update after the other, of words
    chunk by chunk: memory does not grow with their number.
    """
    if bounty.are_words:
        return tuple(_words_of(bounty.plan.weights, masked, number) for number in bounty.held)
    n, count, width = masked[0][1].n, bounty.plan.ciphertexts, (bounty.plan.key_bits + 7) // 8

    def masks(number: int) -> Iterator[tuple[int, list[mpz]]]:
        return ((weight, class_masks(one.seeds[number], one.place, n, count)) for weight, one in masked)

    return tuple(
        b"".join(int(total).to_bytes(width, "big") for total in class_sums(n, count, masks(number)))
        for number in bounty.held
    )


def _words_of(count: int, masked: list[tuple[int, Masked]], number: int) -> bytes:
    answers = [(weight, one.seeds[number], one.place) for weight, one in masked]
    return b"".join(map(write_words, class_word_sums(count, answers)))
