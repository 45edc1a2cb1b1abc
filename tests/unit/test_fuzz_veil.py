"""What peers send of a veil, against hostile inputs: wraps, vectors, envelopes, openings, words."""

from __future__ import annotations

import secrets
from typing import Any

from sonar.data.fixed import to_q32
from sonar.data.schema import NumberColumn
from sonar.errors import BlobNotFound, SonarError
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.terms.outside import Outside
from sonar.families.sums.totals import plan_of
from sonar.manifests.update import UpdateManifest, Veil
from sonar.paillier.openings import Opening, check_openings
from sonar.paillier.slots import VEIL_FREE_BITS, Bounds, SlotPlan
from sonar.protocol import codec
from sonar.protocol.ids import Cid, links_of, parse_address
from sonar.settling.updates import Expected, read_update
from sonar.veil.envelopes import EnvelopeKey, seal
from sonar.veil.functionals import finely, read_vector, write_vector
from sonar.veil.masks import read_wraps, write_wraps
from sonar.veil.streams import seed_hash
from sonar.veil.words import check_plan, measured_words, read_words, to_words, write_words
from tests.unit.fuzzing import INPUTS, Rng, changed_bytes, changed_value, fuzz
from tests.unit.paillier_keys import small_key
from tests.unit.veil_kit import seeds_of
from tests.veil_kit import BOUNTY, HERE, MINE, MODEL, cover_of, make_capsules, new_seeds, sealed

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


# ---- answers in words

SPEC = SumsSpec(
    columns=(NumberColumn(name="x", low_q32=to_q32(-1), high_q32=to_q32(1)),),
    terms=(Outside(name="o", columns=("x",)),),
    rows_min=10,
    rows_max=1000,
)
WORDS_PLAN = plan_of(SPEC, 512, 5)
COUNT = WORDS_PLAN.weights
WHERE = parse_address(HERE.address)
BLOB = write_words(to_words(range(-1, COUNT - 1)))


def test_words() -> None:
    """Every word is one; another number of them is none."""

    def decode(data: bytes) -> None:
        assert write_words(read_words(data, COUNT)) == data

    assert fuzz(lambda rng: changed_bytes(rng, BLOB), decode) > INPUTS // 1000


def test_vectors_of_words() -> None:
    good, answer = write_words(to_words([2**63 - 1] * COUNT)), to_words([-(2**63)] * COUNT)

    def decode(data: bytes) -> None:
        vector = read_words(data, COUNT, "vectors")
        assert -(2**63) <= measured_words([(vector, answer)], [0, 4095], 12).value < 2**63

    assert fuzz(lambda rng: changed_bytes(rng, good), decode) > INPUTS // 1000


def test_updates_in_words() -> None:
    """A manifest with any field changed, and any blob: what is taken has all words, and nothing else."""
    cover = cover_of(make_capsules(3), bits=24)
    seeds = new_seeds(cover)
    plain = UpdateManifest(
        chain_id=HERE.chain_id,
        contract=WHERE,
        bounty=BOUNTY,
        round=1,
        mine=MINE,
        model=MODEL,
        key=bytes(32),
        rows=40,
        ciphertexts=COUNT,
        blobs=links_of(BLOB),
    )
    veil = Veil(
        nonce=b"n" * 32,
        seeds=tuple(map(seed_hash, seeds)),
        wraps=b"",
        envelopes=sealed(plain, cover, seeds),
    )
    good = plain.model_copy(update={"veil": veil}).to_bytes()
    tree = codec.decode(good)
    check_plan(WORDS_PLAN, cover.classes.count)
    place = HERE.chain_id, WHERE, BOUNTY, 1
    expected = Expected(*place, MODEL.digest, None, SPEC, WORDS_PLAN, cover)

    def make(rng: Rng) -> tuple[bytes, bytes]:
        blob = changed_bytes(rng, BLOB) if rng.random() < 0.5 else BLOB
        if rng.random() < 0.5:
            return changed_bytes(rng, good), blob
        try:
            return codec.encode(changed_value(rng, tree)), blob
        except SonarError:  # the change has no encoding
            return good, blob

    def decode(hostile: tuple[bytes, bytes]) -> None:
        manifest, blob = hostile

        def get(link: Cid, limit: int) -> bytes:
            if link.codec == "dag-cbor":
                return manifest
            if link != links_of(BLOB)[0]:
                raise BlobNotFound(str(link))
            return blob[:limit]

        update = read_update(get, expected, MINE, MODEL.digest)
        assert update.ciphertexts == ()
        assert update.blob == blob[: len(BLOB)]
        assert len(read_words(update.blob, COUNT)) == COUNT
        assert update.veil is not None
        assert (update.veil.wraps, len(update.veil.envelopes)) == (b"", 3)

    decode((good, BLOB))
    assert fuzz(make, decode, INPUTS // 2) > INPUTS // 1000
    many = INPUTS // 20  # a thousand links take a millisecond
    assert fuzz(lambda rng: (changed_links(rng, tree), BLOB), decode, many) > many // 1000


def changed_links(rng: Rng, tree: Any) -> bytes:
    """The manifest with any number of links and of words, up to what its fields hold, and beyond."""
    links = tree["blobs"] * rng.choice([0, 1, 1, 2, 1024, 1025])
    counts = [COUNT, COUNT, 0, 1, COUNT + 1, 4096, 4097, 2**32, 2**63 - 1]
    return codec.encode({**tree, "blobs": links, "ciphertexts": rng.choice(counts)})
