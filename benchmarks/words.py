"""A question of 2,000 values answered in words under masks by ten mines, and its sum opened: no encryption.

All that is done with an answer once it is computed: masks, and bytes as they lie in the store; each of two
capsules opens its envelopes and adds up its masks; the scientist adds up words, compares what two tell of
their class, takes the masks off and checks the range. Envelopes are sealed once a bounty, and so not counted.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.race import race, timed
from benchmarks.veil import MEMBERS, new_place, new_seeds
from sonar.paillier.slots import Bounds, SlotPlan
from sonar.veil.envelopes import EnvelopeKey, seal
from sonar.veil.masks import veiled_words
from sonar.veil.streams import Place, seed_hash
from sonar.veil.sums import class_word_sums, unveiled_words, word_sum
from sonar.veil.words import read_words, sum_of, to_words, write_words

MINES, VALUES = 10, 2_000
PLAN = SlotPlan.make(
    key_bits=3072,
    weights=VALUES,
    bounds=Bounds(weight_max=1, a_row_l1_max=1, b_max=1 << 57),
    mines_max=MINES,
    weight_rows=1,
    weight_frac=0,
    data_frac=37,
)
TURN_S = 0.1
JOB = Path(__file__).with_name("capsule_job.py")


@dataclass(frozen=True)
class Sent:
    """What a mine's update carries: its words, where they are masked, and what its capsules open."""

    blob: bytes
    place: Place
    envelopes: list[bytes]
    hashes: list[bytes]


class Round:
    """Ten mines' answers, what they send, and what two capsules tell of it."""

    def __init__(self) -> None:
        rng = np.random.default_rng(2017)
        self.answers = [rng.integers(-(1 << 57), 1 << 57, VALUES).tolist() for _ in range(MINES)]
        self.keys = [EnvelopeKey.new() for _ in range(MEMBERS.members)]
        self.seeds = [new_seeds() for _ in range(MINES)]
        self.sealed = [
            [seal(key.public, [seeds[c] for c in MEMBERS.held_by(i)], b"") for i, key in enumerate(self.keys)]
            for seeds in self.seeds
        ]
        self.sent = self.masked()
        self.told = [self.summed(member) for member in range(MEMBERS.threshold)]
        if self.opened() != [sum(column) for column in zip(*self.answers, strict=True)]:
            raise RuntimeError("the opened sum is not that of the answers")

    def masked(self) -> list[Sent]:
        """What ten mines do with their answers."""
        found = []
        for values, seeds, envelopes in zip(self.answers, self.seeds, self.sealed, strict=True):
            place = new_place()
            blob = write_words(veiled_words(to_words(values), seeds, place))
            found.append(Sent(blob, place, envelopes, list(map(seed_hash, seeds))))
        return found

    def summed(self, member: int) -> dict[int, bytes]:
        """What one capsule tells: by class."""
        held, key = MEMBERS.held_by(member), self.keys[member]
        seeds = [key.open(one.envelopes[member], b"", [one.hashes[c] for c in held]) for one in self.sent]
        found = {}
        for at, number in enumerate(held):
            answers = [(1, own[at], one.place) for own, one in zip(seeds, self.sent, strict=True)]
            found[number] = b"".join(map(write_words, class_word_sums(VALUES, answers)))
        return found

    def opened(self) -> list[int]:
        """What the scientist makes of it."""
        classes: dict[int, bytes] = {}
        for told in self.told:
            for number, sums in told.items():
                if classes.setdefault(number, sums) != sums:
                    raise RuntimeError(f"two capsules tell different sums of class {number}")
        total = word_sum([(1, read_words(one.blob, VALUES)) for one in self.sent])
        plain = unveiled_words(total, ((0, read_words(sums, VALUES)) for sums in classes.values()))
        return sum_of(PLAN, plain, MINES, MEMBERS.count)


def words(rounds: int, quick: bool) -> dict[str, Any]:
    """Wall times of the three steps, what a mine sends, and a capsule process's memory as words and mines
    grow.
    """
    rounds, ours, clock = min(rounds, 3 if quick else 7), Round(), time.perf_counter
    steps: Mapping[str, Callable[[], object]] = {
        "ten mines mask": ours.masked,
        "a capsule's sums": partial(ours.summed, 0),
        "opening": ours.opened,
    }
    runners = {name: partial(_wall, step, clock) for name, step in steps.items()}
    medians = race(runners, rounds, TURN_S)
    many = VALUES * (10 if quick else 100)
    small, large = _peak_mib(MINES, VALUES), _peak_mib(255, many)
    return {
        "ratio": {},
        "medians": {"sonar": sum(medians.values()) + medians["a capsule's sums"], **medians},
        "unit": "s",
        "rounds": rounds,
        "memory_mib": {"10 mines, 2,000 words": small, f"255 mines, {many:,} words": large},
        "bytes": {
            "a mine's words": len(ours.sent[0].blob),
            "a capsule's answer": sum(map(len, ours.told[0].values())),
        },
        "note": f"{VALUES:,} words, {MINES} mines, 2 of 3 capsules; sonar: all steps with two capsules; wall",
    }


def _wall(step: Callable[[], object], clock: Callable[[], float]) -> float:
    return timed(step, clock)[0]


def _peak_mib(mines: int, count: int) -> float:
    """The peak memory of a capsule's process that adds up masks."""
    command = [sys.executable, str(JOB), str(mines), str(count)]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(json.loads(found)["peak_mib"])
