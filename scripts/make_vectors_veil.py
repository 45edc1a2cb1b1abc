"""Write tests/vectors/veil.json, which implementations of the veil in any language must reproduce.

    python scripts/make_vectors_veil.py            write the file
    python scripts/make_vectors_veil.py --check    only compare; exit 1 when it differs

Everything is made of labels and protects nothing. Integers are decimal text, bytes are hex. Sealing an
envelope takes randomness, so the file keeps the envelope it has for as long as that opens.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import gmpy2
import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from sonar.errors import SonarError
from sonar.paillier.public import PublicKey
from sonar.paillier.slots import VEIL_FREE_BITS, Bounds, SlotPlan
from sonar.protocol.ids import Address, BountyId, Digest
from sonar.veil.atoms import Atoms
from sonar.veil.classes import Classes
from sonar.veil.envelopes import EnvelopeKey, context, seal
from sonar.veil.functionals import FINE_BITS, class_value, finely, measured, spread, told, write_vector
from sonar.veil.masks import Words, class_masks, class_words, class_wraps, read_wraps, veiled, veiled_words
from sonar.veil.streams import Place, Purpose, seed_hash, stream, stream_key
from sonar.veil.sums import class_sums, unveiled, unveiled_words
from sonar.veil.words import WORD_BITS, class_word_value, measured_words, to_words, write_words

PATH = Path(__file__).resolve().parent.parent / "tests" / "vectors" / "veil.json"
CLASSES = Classes(3, 2)
PURPOSES: tuple[Purpose, ...] = ("mask", "wrap", "word")
MINES, ROUNDS, ROW_WEIGHTS = ("one", "two"), (1, 2), (3, 255)
PLAN = SlotPlan.make(
    key_bits=1024,
    weights=20,
    bounds=Bounds(weight_max=4 << 16, a_row_l1_max=6 << 20, b_max=4 << 20),
    mines_max=8,
    weight_rows=255,
    free_bits=VEIL_FREE_BITS,
)
VECTOR = [(-1) ** i * (i * i % 11) for i in range(PLAN.weights)]
FINE = [pow(127, -1, 1 << PLAN.slot_bits)] * PLAN.weights
"""Of multiples of 127 this makes numbers that are 127 times as small; of others, anything."""
BITS = 12
WORDS = [0, 1, -1, 2**63 - 1, -(2**63), 123_456_789]
WORD_VECTOR = [1, -1, 2**40, -3, 5, 2**63 + 7 - 2**64]


def label(text: str, count: int = 32) -> bytes:
    """Bytes made from a label: sha2-256 of label and counter, one after the other."""
    parts = (hashlib.sha256(f"sonar test vector: veil {text} {i}".encode()) for i in range(count // 32))
    return b"".join(part.digest() for part in parts)


def modulus(name: str) -> mpz:
    """A modulus: nothing here asks for its primes."""
    return mpz(int.from_bytes(label(name, 128), "big")) | mpz(1) << 1023 | 1


N = modulus("n")
MODULI = {1: N, 2: modulus("later n")}
"""By round: the key changes after the first."""


def seeds(mine: str) -> list[bytes]:
    """A mine's seeds, one a class."""
    return [label(f"seed {mine} {c}") for c in range(CLASSES.count)]


def place(mine: str, round_number: int) -> Place:
    """Where its answer of a round is."""
    return Place(
        Digest(label(f"question {round_number}")), label(f"nonce {mine} {round_number}"), round_number
    )


def values(mine: str, round_number: int) -> list[int]:
    """An answer; the largest values are among them."""
    most = PLAN.update_max
    some = [0, 1, -1, most, -most, *(int.from_bytes(label(f"{mine} {i}")[:4], "big") for i in range(15))]
    return [value * (-1) ** (i * round_number % 3) for i, value in enumerate(some)]


def vectors() -> dict[str, Any]:
    """Everything in the file."""
    return {
        "n": str(N),
        "plan": {name: str(value) for name, value in PLAN.to_dict().items()} | derived(),
        "classes": {"members": CLASSES.members, "threshold": CLASSES.threshold, "without": CLASSES.without},
        "answers": [answer(mine, r) for mine in MINES for r in ROUNDS],
        "sum": opened_sum(),
        "functionals": [
            functional(VECTOR, spread(PLAN, VECTOR), 0),
            functional(FINE, finely(PLAN, FINE), FINE_BITS),
        ],
        "words": words(),
        "envelope": envelope(),
        "atoms": atoms(),
    }


def derived() -> dict[str, str]:
    """What follows from the plan."""
    names = ("free_bits", "slot_bits", "slots_per_ciphertext", "ciphertexts")
    return {name: str(getattr(PLAN, name)) for name in names}


def answer(mine: str, round_number: int) -> dict[str, Any]:
    """One answer: its streams, masks and wraps, and its ciphertexts before and after."""
    where, plain = place(mine, round_number), PLAN.pack(values(mine, round_number))
    key = PublicKey(MODULI[round_number])
    before = [key.encrypt(int(x % key.n), 2 + i) for i, x in enumerate(plain)]
    after, wraps = veiled(key, PLAN, before, seeds(mine), where)
    return {
        "mine": mine,
        "n": str(key.n),
        "question": where.question.hex(),
        "nonce": where.nonce.hex(),
        "round": where.round,
        "values": texts(values(mine, round_number)),
        "classes": [class_of(seed, where) for seed in seeds(mine)],
        "ciphertexts": texts(before),
        "veiled": texts(after),
        "wraps": wraps.hex(),
    }


def class_of(seed: bytes, where: Place) -> dict[str, Any]:
    """What one class adds to one answer."""
    return {
        "seed": seed.hex(),
        "hash": seed_hash(seed).hex(),
        "keys": {purpose: stream_key(seed, purpose, where).hex() for purpose in PURPOSES},
        "streams": {purpose: stream(seed, purpose, where, 40).hex() for purpose in PURPOSES},
        "masks": texts(class_masks(seed, where, MODULI[where.round], PLAN.ciphertexts)),
        "wraps": texts(class_wraps(seed, where, PLAN.slot_bits, PLAN.ciphertexts)),
    }


def masked(mine: str, round_number: int) -> list[mpz]:
    """The plaintexts X of an answer."""
    n = MODULI[round_number]
    plain = [1 + (x % n) * n for x in PLAN.pack(values(mine, round_number))]
    after, _ = veiled(PublicKey(n), PLAN, plain, seeds(mine), place(mine, round_number))
    return [gmpy2.divexact(c - 1, n) for c in after]


def opened_sum() -> dict[str, Any]:
    """The weighted sum of both mines' answers in round 1."""
    columns = zip(*(masked(mine, 1) for mine in MINES), strict=True)
    opened = [sum(w * x for w, x in zip(ROW_WEIGHTS, column, strict=True)) % N for column in columns]
    told_sums = [
        class_sums(
            N,
            PLAN.ciphertexts,
            (
                (weight, class_masks(seeds(mine)[c], place(mine, 1), N, PLAN.ciphertexts))
                for mine, weight in zip(MINES, ROW_WEIGHTS, strict=True)
            ),
        )
        for c in range(CLASSES.count)
    ]
    plain = [int(x) for x in unveiled(N, opened, told_sums)]
    return {
        "weights": list(ROW_WEIGHTS),
        "opened": texts(opened),
        "classes": [texts(sums) for sums in told_sums],
        "values": texts(PLAN.unpack(plain, weight=sum(ROW_WEIGHTS))),
    }


def functional(of_values: list[int], vector: list[int], fine: int) -> dict[str, Any]:
    """A functional of one mine's answers in both rounds, under two keys: in units of 2^-fine."""
    mine, parts = MINES[0], [place(MINES[0], r) for r in ROUNDS]
    found = [
        class_value(
            PLAN,
            list(MODULI.values()),
            [vector, vector],
            [class_masks(seed, where, MODULI[where.round], PLAN.ciphertexts) for where in parts],
            [class_wraps(seed, where, PLAN.slot_bits, PLAN.ciphertexts) for where in parts],
        )
        for seed in seeds(mine)
    ]
    heard = [told(value, PLAN.slot_bits, BITS) for value in found]
    wraps = [read_wraps(PLAN, bytes.fromhex(answer(mine, r)["wraps"])) for r in ROUNDS]
    result = measured(
        PLAN, list(MODULI.values()), [vector] * 2, [masked(mine, r) for r in ROUNDS], wraps, heard, BITS
    )
    exact = sum(v * u << fine for r in ROUNDS for v, u in zip(of_values, values(mine, r), strict=True))
    return {
        "mine": mine,
        "fine_bits": fine,
        "vector": texts(of_values),
        "vector_bytes": write_vector(PLAN, vector).hex(),
        "bits": BITS,
        "class_values": texts(found),
        "told": heard,
        "value": str(result.value),
        "error": str(result.error),
        "exact": str(exact),
    }


def words() -> dict[str, Any]:
    """Words modulo 2^64: the masks of a class here and there, and two masked answers with their sum."""
    answers = [np.array(WORDS, np.int64), np.array(WORDS[::-1], np.int64)]
    total = np.zeros(len(WORDS), np.uint64)
    sent, subtracted = [], []
    for mine, weight, each in zip(MINES, ROW_WEIGHTS, answers, strict=True):
        sent.append(veiled_words(each, seeds(mine), place(mine, 1)))
        total += sent[-1] * np.uint64(weight)
        for seed in seeds(mine):
            subtracted.append((0, class_words(seed, place(mine, 1), 0, len(WORDS)) * np.uint64(weight)))
    first = seeds(MINES[0])[0]
    return {
        "first": texts(class_words(first, place(MINES[0], 1), 0, 3)),
        "from_16383": texts(class_words(first, place(MINES[0], 1), 16_383, 3)),
        "answers": [texts(each) for each in answers],
        "masked": [texts(each) for each in sent],
        "weights": list(ROW_WEIGHTS),
        "sum": texts(unveiled_words(total, subtracted)),
        "blob": write_words(sent[0]).hex(),
        "functional": functional_of_words(answers[0], sent[0]),
    }


def functional_of_words(values_: NDArray[np.int64], sent: Words) -> dict[str, Any]:
    """A functional of the first mine's words."""
    vector, where = to_words(WORD_VECTOR), place(MINES[0], 1)
    found = [class_word_value([(vector, seed, where)]) for seed in seeds(MINES[0])]
    heard = [told(value, WORD_BITS, BITS) for value in found]
    result = measured_words([(vector, sent)], heard, BITS)
    exact = sum(v * int(u) for v, u in zip(WORD_VECTOR, values_, strict=True))
    return {
        "vector": texts(WORD_VECTOR),
        "vector_bytes": write_words(vector).hex(),
        "bits": BITS,
        "class_values": texts(found),
        "told": heard,
        "value": str(result.value),
        "error": str(result.error),
        "exact": str((exact + 2**63) % 2**64 - 2**63),
    }


def envelope() -> dict[str, Any]:
    """Member 0's seeds, sealed: it holds the classes that were made without the others."""
    key = EnvelopeKey.from_bytes(label("envelope key", 96))
    held = [seeds(MINES[0])[c] for c in CLASSES.held_by(0)]
    every = [seed_hash(seed) for seed in seeds(MINES[0])]
    hashes = [every[c] for c in CLASSES.held_by(0)]
    fields: dict[str, Any] = {
        "chain_id": 31337,
        "contract": Address("0x" + "0123456789" * 4),
        "bounty": BountyId(label("bounty")),
        "mine": Address("0x" + "9876543210" * 4),
        "epoch": 7,
    }
    info = context(**fields, hashes=every)
    return {
        **fields,
        "bounty": fields["bounty"].hex(),
        "private": key.to_bytes().hex(),
        "public": key.public.hex(),
        "context": info.hex(),
        "seeds": [seed.hex() for seed in held],
        "sealed": kept(key, info, hashes) or seal(key.public, held, info).hex(),
    }


def kept(key: EnvelopeKey, info: bytes, hashes: list[bytes]) -> str:
    """The envelope in the file, if it opens."""
    try:
        sealed = str(json.loads(PATH.read_text(encoding="utf-8"))["envelope"]["sealed"])
        key.open(bytes.fromhex(sealed), info, hashes)
    except (OSError, ValueError, KeyError, SonarError):
        return ""
    return sealed


def atoms() -> list[dict[str, Any]]:
    """Sets that were opened, a new one, and whether it may be."""
    cases = [
        ([], "abc", 3),
        ([], "ab", 3),
        (["abcdef"], "abcdef", 3),
        (["abcdef"], "abcde", 3),
        (["abcdef"], "abc", 3),
        (["abcdef"], "abcdefg", 3),
        (["abcdef"], "abcdefghi", 3),
        (["abcdef", "abcghi"], "defghi", 3),
        (["abcdef", "abcghi"], "adghi", 3),
        (["ab"], "abcde", 3),
    ]
    return [
        {
            "opened": opened,
            "new": new,
            "least": least,
            "atoms": sorted("".join(sorted(atom)) for atom in Atoms(map(frozenset, opened)).atoms),
            "allowed": not Atoms(map(frozenset, opened)).fault(frozenset(new), least),
        }
        for opened, new, least in cases
    ]


def texts(numbers: Any) -> list[str]:
    """Integers as decimal text."""
    return [str(int(number)) for number in numbers]


def main(arguments: list[str]) -> int:
    """Write or compare."""
    text = json.dumps(vectors(), indent=1) + "\n"
    if arguments == ["--check"]:
        same = PATH.is_file() and PATH.read_text(encoding="utf-8") == text
        print(f"{PATH.name} {'is up to date' if same else 'differs: run scripts/make_vectors_veil.py'}")
        return 0 if same else 1
    PATH.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
