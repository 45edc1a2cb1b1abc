"""Every decoder of what peers send, and of key files, against hostile inputs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pysonar.keys import keyfile
from pysonar.keys.key import Key
from pysonar.keys.local import LocalHolder
from sonar.errors import KeyFileError, SonarError, UpdateOutOfRange
from sonar.manifests.cohort import CohortManifest
from sonar.manifests.evidence import EvidenceManifest
from sonar.manifests.model import KeyManifest, ModelManifest
from sonar.manifests.update import UpdateManifest
from sonar.paillier.packed import PackedPlan
from sonar.paillier.public import PublicKey, check_proof
from sonar.paillier.slots import Bounds, SlotPlan
from sonar.protocol import codec
from sonar.protocol.record import Manifest
from tests.unit.fuzzing import INPUTS, JUNK, Rng, changed_bytes, changed_value, fuzz
from tests.unit.paillier_keys import small_key

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "manifests.json").read_text())["valid"]
PUBLIC = small_key().public
TINY = small_key(128)  # quick enough to check a proof 100,000 times


def unseen(decrypt: Callable[[], Any]) -> Any:
    """What `decrypt` returns; where it refuses a value, its words must not hold any number but an index."""
    try:
        return decrypt()
    except UpdateOutOfRange as error:
        if re.search("[0-9]{3}", f"{error} {error.hint}"):
            raise AssertionError("the error shows a value") from error
        raise


# ---- the decoders


def test_blobs_of_ciphertexts() -> None:
    blob = PUBLIC.encode_blob(small_key().encrypt_weights([1, -2]))

    def decode(data: bytes) -> None:
        assert PUBLIC.encode_blob(PUBLIC.decode_blob(data, 2)) == data

    assert fuzz(lambda rng: changed_bytes(rng, blob), decode) > INPUTS // 1000  # most numbers are ciphertexts


def test_ciphertexts_of_a_packed_sum() -> None:
    """Whatever numbers decryption gives: values in range, or an error that shows none of them."""
    plan = PackedPlan(512, 60, 16, 10)
    good = plan.pack([-(2**15), 2**15 - 1, 7] * 20)

    def make(rng: Rng) -> list[int]:
        some = [rng.choice((1, 2, 9, 11)) * x for x in good]
        some[rng.randrange(3)] ^= rng.choice((1 << rng.randrange(520), rng.getrandbits(500), 1 << 600))
        some[rng.randrange(3)] *= rng.choice((1, 1, 1, -1, 0))
        return some[: rng.choice((3, 3, 3, 3, 2, 0))]

    def decode(plain: list[int]) -> None:
        values = unseen(lambda: plan.unpack(plain, addends=9))
        assert abs(values).max() <= 9 << 15

    assert fuzz(make, decode) > INPUTS // 1000


SLOTS = SlotPlan(512, 6, 4, 4, Bounds(100, 100, 100), 5, 50)


def test_slot_plans_from_anyone() -> None:
    good = SLOTS.to_dict()

    def decode(fields: dict[str, Any]) -> None:
        plan = SlotPlan.from_dict(fields)
        assert plan.to_dict() == fields
        assert plan.slot_bits * plan.slots_per_ciphertext < plan.key_bits
        assert plan.explain()

    assert fuzz(lambda rng: changed_value(rng, {**good}), lambda x: decode(as_dict(x))) > INPUTS // 1000


def as_dict(value: Any) -> dict[str, Any]:
    """A manifest's plan is a map by the time that it gets here."""
    return value if isinstance(value, dict) else {}


def test_updates_that_were_decrypted() -> None:
    good = SLOTS.pack([SLOTS.update_max, -SLOTS.update_max, 0, 1, -1, 5])

    def make(rng: Rng) -> list[int]:
        change = rng.choice((1 << rng.randrange(520), rng.getrandbits(rng.randrange(1, 512)), 0))
        return [(x ^ change) * rng.choice((1, 1, -1, 2)) for x in good] * rng.choice((1, 1, 1, 2, 0))

    def decode(plain: list[int]) -> None:
        values = unseen(lambda: SLOTS.unpack(plain, weight=1))
        assert max(map(abs, values)) <= SLOTS.update_max

    assert fuzz(make, decode) > INPUTS // 1000


def test_packed_plans() -> None:
    good = {"key_bits": 2048, "values": 10_000, "value_bits": 16, "addends": 10}

    def decode(fields: dict[str, Any]) -> None:
        plan = PackedPlan(**fields)
        assert plan.slots >= 1
        assert plan.ciphertexts * plan.slots >= plan.values

    def make(rng: Rng) -> dict[str, Any]:
        value = rng.choice((rng.choice(JUNK), rng.getrandbits(rng.randrange(40))))
        return {**good, rng.choice(list(good)): value}

    assert fuzz(make, decode) > INPUTS // 1000


def test_public_keys() -> None:
    good = small_key(1024).public.to_bytes()

    def decode(data: bytes) -> None:
        assert PublicKey.from_bytes(data, insecure=True).to_bytes() == data

    def make(rng: Rng) -> bytes:
        data = changed_bytes(rng, good)
        return data if rng.random() < 0.1 else (data + good)[:128]

    fuzz(make, decode)


def test_key_proofs() -> None:
    proof = TINY.proof
    check_proof(TINY.public, proof)

    def make(rng: Rng) -> bytes:
        return changed_bytes(rng, proof)

    def decode(data: bytes) -> None:
        check_proof(TINY.public, data)
        assert data == proof  # an n-th root is unique

    fuzz(make, decode)


@pytest.mark.parametrize(
    "kind", [KeyManifest, ModelManifest, UpdateManifest, CohortManifest, EvidenceManifest]
)
def test_manifests(kind: type[Manifest]) -> None:
    name = kind.__name__.removesuffix("Manifest").lower()
    blocks = [bytes.fromhex(case["bytes"]) for case in VECTORS if case["kind"] == name]
    data = min(blocks, key=len)
    tree = codec.decode(data)

    def make(rng: Rng) -> bytes:
        if rng.random() < 0.8:
            return changed_bytes(rng, data)
        try:
            return codec.encode(changed_value(rng, tree))
        except SonarError:  # the change has no encoding
            return data[:-1]

    def decode(data: bytes) -> None:
        assert kind.from_bytes(data).to_bytes() == data

    assert fuzz(make, decode) > INPUTS // 10_000


def test_the_codec() -> None:
    valid = [bytes.fromhex(case["bytes"]) for case in VECTORS if case["kind"] != "key"]

    def make(rng: Rng) -> bytes:
        data = changed_bytes(rng, rng.choice(valid))
        return data if rng.random() < 0.8 else b"\x81" * rng.randrange(5000) + data

    def decode(data: bytes) -> None:
        assert codec.encode(codec.decode(data)) == data

    assert fuzz(make, decode) > INPUTS // 1000


@pytest.fixture(scope="module")
def key_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fuzz") / "scientist.key"
    Key(*small_key().unsafe_primes()).save(path, "right", dev=True)
    return path


def test_key_files(key_path: Path) -> None:
    """The part that reads a file, before anything is derived from the passphrase."""
    text = key_path.read_bytes()
    document = json.loads(text)

    def make(rng: Rng) -> bytes:
        if rng.random() < 0.5:
            return changed_bytes(rng, text)
        return json.dumps(changed_value(rng, document), default=lambda value: value.hex()).encode()

    def decode(content: bytes) -> None:
        header, data = keyfile.parse(key_path, content)
        assert 1 << 14 <= header["kdf"]["n"] <= 1 << 20
        assert isinstance(data, bytes)

    assert fuzz(make, decode) > INPUTS // 1000


def test_key_files_that_are_opened(key_path: Path, tmp_path: Path) -> None:
    """The whole way: fewer, because each takes scrypt. Nothing but the file itself opens."""
    text, path = key_path.read_bytes(), tmp_path / "changed"
    path.touch(0o600)

    def decode(content: bytes) -> None:
        path.write_bytes(content)
        try:
            keyfile.read(path, "right")
        except KeyFileError:
            return
        assert json.loads(content) == json.loads(text)

    fuzz(lambda rng: changed_bytes(rng, text), decode, inputs=60)


def test_a_real_keys_manifest_is_among_what_is_taken() -> None:
    manifest = LocalHolder(small_key(1024)).key()
    read = KeyManifest.from_bytes(manifest.to_bytes())
    check_proof(PublicKey.from_bytes(read.n, insecure=True), read.proof)
