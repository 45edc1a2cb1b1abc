"""Measures of the veil: a veiled update, masks of long vectors against Flower's SecAgg+, a capsule's sum."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from benchmarks.contenders import Array, Blob, Mine, Phe, Sonar, Task
from benchmarks.demo import FLOWER, timed_run
from benchmarks.peers import BITS
from benchmarks.race import Result, race, ratios, timed
from benchmarks.updates import TURN_S, checked
from pysonar.keys.key import Key
from sonar.paillier.openings import check_openings
from sonar.paillier.slots import VEIL_FREE_BITS, decode_update
from sonar.protocol.ids import Digest
from sonar.veil.classes import Classes
from sonar.veil.envelopes import EnvelopeKey, seal
from sonar.veil.masks import CHUNK_WORDS, Words, add_masks, class_masks, veiled
from sonar.veil.streams import Place, seed_hash
from sonar.veil.sums import class_word_sums, unveiled, unveiled_words

MEMBERS = Classes(3, 2)
MINES, WORDS = 10, 1_000_000
ROUNDS = 5
FRACTION = 24
ERROR_MAX = 1e-4
SECAGG = Path(__file__).with_name("secagg_job.py")
FEWEST, ALL = "Flower SecAgg+", "Flower SecAgg+, all pairs"


class Veiled(Sonar):
    """Ours under a veil of 2 of 3: the plan leaves 41 bits free, and each ciphertext gets three masks."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.mine: Mine = replace(self.mine, plan=replace(task.plan, free_bits=VEIL_FREE_BITS))
        self.seeds = new_seeds()

    def run(self) -> Blob:
        entries, self._entries = self._entries, []
        self.place = new_place()
        public = self.mine.public
        covered, wraps = veiled(public, self.mine.plan, self.mine.product(), self.seeds, self.place)
        self._blob = self.mine.published(covered, entries)
        return self._blob + wraps

    def result(self, blob: Blob) -> Array:
        public, plan = self.task.key.public, self.mine.plan
        opened = [
            mpz(self.task.phe_secret.raw_decrypt(int(c)))
            for c in public.decode_blob(self._blob, plan.ciphertexts)
        ]
        masks = [class_masks(seed, self.place, public.n, plan.ciphertexts) for seed in self.seeds]
        plain = [int(x) for x in unveiled(public.n, opened, masks)]
        return decode_update(plan.unpack(plain, weight=1), plan)


def veil_update(rounds: int) -> Result:
    """A veiled update, over the same without a veil."""
    task = Task(BITS)
    medians = race(
        {"sonar": checked(Veiled(task), task), "plain": checked(Sonar(task), task)}, rounds, TURN_S
    )
    return Result(
        {"plain": medians["sonar"] / medians["plain"]},
        medians,
        rounds=rounds,
        note="processor time; the ratio is the veiled update's over the plain one's",
    )


def veil_update_phe(rounds: int) -> Result:
    """A veiled update, against phe's row by row."""
    task = Task(BITS)
    medians = race(
        {"sonar": checked(Veiled(task), task), "phe": checked(Phe(task, "phe"), task)}, rounds, TURN_S
    )
    return Result(ratios(medians), medians, rounds=rounds, note="processor time")


def veil_masks(rounds: int, quick: bool) -> Result:
    """Ten mines' vectors of 1,000,000 floats, masked, summed, and the masks taken off, on one core.

    All work of all parties counts, envelopes and keys too. Flower's is its own code with two neighbours a
    client, the fewest that it takes, and with all pairs, for which no nine clients can read the tenth.
    """
    rounds = 2 if quick else min(rounds, ROUNDS)
    vectors = [np.random.default_rng([2017, i]).normal(size=WORDS) for i in range(MINES)]
    sent: list[int] = []

    def ours() -> float:
        seconds = []
        for _ in range(2):  # the first one also waits for fresh memory, as Flower's does
            used, (mean, size) = timed(lambda: _summed(vectors))
            seconds.append(used)
            _check("sonar", float(np.abs(mean - np.mean(vectors, axis=0)).max()))
            sent.append(size)
        return min(seconds)

    runners: dict[str, Callable[[], float]] = {"sonar": ours}
    if FLOWER.exists():
        runners |= {FEWEST: lambda: _flower(3), ALL: lambda: _flower(MINES)}
    medians = race(runners, rounds)
    return Result(
        ratios(medians),
        medians | {"sonar, bytes a value": sent[0] / WORDS},
        rounds=rounds,
        note="processor time of all parties, the faster of two runs; SecAgg+ has 3 shares: the fewest",
        missing=() if FLOWER.exists() else (FEWEST,),
    )


def veil_sum(rounds: int, mines: int = 255, words: int = WORDS) -> dict[str, Any]:
    """A capsule's sums of 255 mines' masks of 1,000,000 words in its two classes, and its peak memory."""
    found = [json.loads(_capsule(mines, words)) for _ in range(rounds)]
    seconds, memory = (median(each[name] for each in found) for name in ("seconds", "peak_mib"))
    return {
        "ratio": {},
        "medians": {"sonar": seconds, "peak memory, MiB": memory},
        "unit": "s",
        "rounds": rounds,
        "note": "processor time of one core, 2 of 3 capsules; the whole process's peak memory",
    }


def veil_openings(rounds: int, count: int = 2_000) -> Result:
    """Openings of 2,000 ciphertexts at 2048 bits, checked together as an auditor does."""
    key = Key.generate(BITS).public
    r = mpz(secrets.randbelow(int(key.n)))
    power, ciphertexts, openings = gmpy2.powmod(r, key.n, key.n2), [], []
    blinding, unit = mpz(1), mpz(1)
    for _ in range(count):  # powers of one number, which are quick to make
        blinding, unit = blinding * power % key.n2, unit * r % key.n
        plain = secrets.randbelow(int(key.n))
        ciphertexts.append(key.add_plain(blinding, plain))
        openings.append((plain, int(unit)))

    def ours() -> float:
        return timed(lambda: check_openings(key, ciphertexts, openings, secrets.randbits))[0]

    return Result({}, race({"sonar": ours}, rounds), rounds=rounds, note="processor time of one core")


@dataclass(frozen=True)
class _Sent:
    """What a mine publishes beside its words: where they are masked, and an envelope for each capsule."""

    place: Place
    envelopes: list[bytes]
    hashes: list[bytes]


def _summed(vectors: Sequence[NDArray[np.float64]]) -> tuple[NDArray[np.float64], int]:
    """The vectors' mean as the scientist gets it, and the bytes that one mine's words take."""
    keys = [EnvelopeKey.new() for _ in range(MEMBERS.members)]
    total, sent, size = np.zeros(len(vectors[0]), np.uint64), [], 0
    for vector in vectors:
        words, beside = _mine(vector, keys)
        total += words
        sent.append(beside)
        size = words.nbytes
    told = [
        each for member in range(MEMBERS.threshold) for each in _told(member, keys[member], sent, len(total))
    ]
    opened = unveiled_words(total, _agreed(told))
    return opened / (len(vectors) * 2.0**FRACTION), size


def _mine(vector: NDArray[np.float64], keys: Sequence[EnvelopeKey]) -> tuple[Words, _Sent]:
    seeds, place = new_seeds(), new_place()
    words = _fixed(vector).view(np.uint64)
    add_masks(words, seeds, place)
    envelopes = [
        seal(key.public, [seeds[c] for c in MEMBERS.held_by(member)], place.nonce)
        for member, key in enumerate(keys)
    ]
    return words, _Sent(place, envelopes, [seed_hash(seed) for seed in seeds])


def _fixed(vector: NDArray[np.float64]) -> NDArray[np.int64]:
    """Rounded to multiples of 2^-24, chunk by chunk, so that what lies between stays in the cache."""
    words, scaled = np.empty(len(vector), np.int64), np.empty(CHUNK_WORDS)
    for start in range(0, len(vector), CHUNK_WORDS):
        part = scaled[: len(vector) - start]
        np.multiply(vector[start : start + CHUNK_WORDS], 2.0**FRACTION, out=part)
        words[start : start + CHUNK_WORDS] = np.rint(part, out=part)
    return words


def _told(
    member: int, key: EnvelopeKey, sent: Sequence[_Sent], count: int
) -> Iterator[tuple[int, Iterator[Words]]]:
    """The classes that a capsule holds, and its sum of each, in chunks."""
    held = MEMBERS.held_by(member)
    seeds = [
        key.open(each.envelopes[member], each.place.nonce, [each.hashes[c] for c in held]) for each in sent
    ]
    for i, number in enumerate(held):
        answers = [(1, own[i], each.place) for own, each in zip(seeds, sent, strict=True)]
        yield number, class_word_sums(count, answers)


def _agreed(told: Sequence[tuple[int, Iterator[Words]]]) -> Iterator[tuple[int, Words]]:
    """Each class once, chunk by chunk, after all who hold it were compared."""
    numbers, start = [number for number, _ in told], 0
    for chunks in zip(*(sums for _, sums in told), strict=True):
        by_class: dict[int, Words] = {}
        for number, chunk in zip(numbers, chunks, strict=True):
            if not np.array_equal(by_class.setdefault(number, chunk), chunk):
                raise RuntimeError(f"two capsules tell different sums of class {number}")
        yield from ((start, chunk) for chunk in by_class.values())
        start += len(chunks[0])


def new_seeds() -> list[bytes]:
    """A fresh seed for each class."""
    return [secrets.token_bytes(32) for _ in range(MEMBERS.count)]


def new_place() -> Place:
    """A place with a fresh nonce."""
    return Place(Digest(bytes(32)), secrets.token_bytes(32), 1)


def _flower(shares: int) -> float:
    _, text = timed_run([str(FLOWER), str(SECAGG), str(MINES), str(WORDS), str(shares)], {})
    told = json.loads(text.splitlines()[-1])
    _check("Flower", told["error"])
    return float(told["seconds"])


def _check(who: str, error: float) -> None:
    if not error <= ERROR_MAX:
        raise RuntimeError(f"{who}'s mean is off by {error}")


def _capsule(mines: int, words: int) -> str:
    command = [sys.executable, str(Path(__file__).with_name("capsule_job.py")), str(mines), str(words)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
