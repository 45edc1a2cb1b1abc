"""What peers send of a veil, against hostile inputs: wraps, vectors, envelopes, openings."""

from __future__ import annotations

import secrets

from sonar.paillier.openings import Opening, check_openings
from sonar.paillier.slots import VEIL_FREE_BITS, Bounds, SlotPlan
from sonar.veil.envelopes import EnvelopeKey, seal
from sonar.veil.functionals import finely, read_vector, write_vector
from sonar.veil.masks import read_wraps, write_wraps
from sonar.veil.streams import seed_hash
from tests.unit.fuzzing import INPUTS, Rng, changed_bytes, fuzz
from tests.unit.paillier_keys import small_key
from tests.unit.veil_kit import seeds_of

PLAN = SlotPlan.make(
    key_bits=512, weights=20, bounds=Bounds(9, 9, 9), mines_max=3, weight_rows=9, free_bits=VEIL_FREE_BITS
)
SEEDS = seeds_of("mine", 2)


def test_wraps() -> None:
    good = write_wraps(PLAN, range(7, 7 + PLAN.ciphertexts))

    def decode(data: bytes) -> None:
        assert write_wraps(PLAN, read_wraps(PLAN, data)) == data

    assert fuzz(lambda rng: changed_bytes(rng, good), decode) > INPUTS // 1000


def test_vectors() -> None:
    good = write_vector(PLAN, finely(PLAN, range(-10, 10)))

    def decode(data: bytes) -> None:
        assert write_vector(PLAN, read_vector(PLAN, data)) == data

    assert fuzz(lambda rng: changed_bytes(rng, good), decode) > INPUTS // 1000


def test_envelopes() -> None:
    """None but the one that was sealed opens."""
    key, hashes = EnvelopeKey.new(), [seed_hash(seed) for seed in SEEDS]
    good = seal(key.public, SEEDS, b"context")

    def decode(data: bytes) -> None:
        assert key.open(data, b"context", hashes) == SEEDS
        assert data == good

    fuzz(lambda rng: changed_bytes(rng, good), decode, INPUTS // 10)


def test_public_keys_of_envelopes() -> None:
    good = EnvelopeKey.new().public
    fuzz(lambda rng: changed_bytes(rng, good), lambda public: seal(public, SEEDS, b""), INPUTS // 10)


def test_openings() -> None:
    """Numbers of any size, from anyone: only what a ciphertext holds passes."""
    key = small_key(128).public
    openings = [(i, 2 + i) for i in range(12)]
    ciphertexts = [key.encrypt(x, r) for x, r in openings]

    def make(rng: Rng) -> list[Opening]:
        hostile = list(openings)
        for _ in range(rng.randrange(3)):
            value = rng.choice([-1, 0, 1, int(key.n), rng.getrandbits(rng.randrange(1, 400))])
            i = rng.randrange(len(hostile))
            hostile[i] = (value, hostile[i][1]) if rng.random() < 0.5 else (hostile[i][0], value)
        return hostile

    def decode(hostile: list[Opening]) -> None:
        check_openings(key, ciphertexts, hostile, secrets.randbits)
        assert [x for x, _ in hostile] == [x for x, _ in openings]

    assert fuzz(make, decode, INPUTS // 50) > INPUTS // 500
