"""What a mine revealed is believed in no field: each is held against the bounty."""

from __future__ import annotations

from typing import Any

import pytest

from pysonar.campaign.collect import fetch_update
from sonar.errors import BlobNotFound, BlobTooLarge, CiphertextError, ManifestError, SonarError
from sonar.families.quadratic.spec import QuadraticSpec
from sonar.families.quadratic.target import Target
from sonar.manifests.model import PaillierCover
from sonar.manifests.update import UpdateManifest
from sonar.paillier.slots import Bounds, SlotPlan
from sonar.protocol.ids import Address, BountyId, Cid, Digest, links_of
from sonar.settling.updates import Expected
from sonar.store.memory import MemoryStore
from tests.unit.paillier_keys import small_key

MINE, OTHER = (Address("0x" + digit * 40) for digit in "12")
KEY = small_key()
PLAN = SlotPlan.make(
    key_bits=512, weights=9, bounds=Bounds(1 << 30, 1 << 30, 1 << 30), mines_max=9, weight_rows=99
)
TARGET = Target(name="y", centre_q32=0, scale_q32=1 << 32, clip_q32=1 << 40)
SPEC = QuadraticSpec(features=("a", "b", "c"), targets=(TARGET,), rows_min=10)
COVER = PaillierCover()
EXPECTED = Expected(7, OTHER, BountyId(b"b" * 32), 3, Digest(b"m" * 32), KEY.public, SPEC, PLAN, COVER)
BLOB = KEY.public.encode_blob(KEY.encrypt_weights([5] * PLAN.ciphertexts))


def fetch(blob: bytes = BLOB, **changes: Any) -> Any:
    fields: dict[str, Any] = {
        "chain_id": 7,
        "contract": OTHER,
        "bounty": BountyId(b"b" * 32),
        "round": 3,
        "mine": MINE,
        "model": Cid("dag-cbor", Digest(b"m" * 32)),
        "key": KEY.public.fingerprint,
        "rows": 40,
        "ciphertexts": PLAN.ciphertexts,
        "blobs": links_of(blob),
    }
    store = MemoryStore()
    store.put(blob)
    link = store.put(UpdateManifest(**(fields | changes)).to_bytes(), "dag-cbor")
    return fetch_update(store, EXPECTED, MINE, link.digest)


def test_a_good_update_comes_with_its_rows_and_ciphertexts() -> None:
    assert PLAN.ciphertexts > 1
    found, links = fetch()
    assert (found.mine, found.rows, found.blob, links) == (MINE, 40, BLOB, links_of(BLOB))
    assert KEY.public.encode_blob(found.ciphertexts) == BLOB


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("chain_id", 8),
        ("contract", MINE),
        ("bounty", BountyId(b"c" * 32)),
        ("round", 2),
        ("mine", OTHER),
        ("model", Cid("dag-cbor", Digest(b"n" * 32))),
        ("key", b"k" * 32),
        ("ciphertexts", PLAN.ciphertexts + 1),
        ("rows", 9),
    ],
)
def test_a_field_of_another_update_is_named(field: str, value: Any) -> None:
    with pytest.raises(ManifestError, match=field) as caught:
        fetch(**{field: value})
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("blob", "error"),
    [
        (BLOB[:-1], ManifestError),
        (BLOB + b"\0", BlobTooLarge),
        (bytes(len(BLOB)), CiphertextError),
        (b"\xff" * len(BLOB), CiphertextError),
        (b"", ManifestError),
    ],
    ids=["a byte less", "a byte more", "zeros", "ones", "nothing"],
)
def test_a_blob_that_is_none_is_refused(blob: bytes, error: type[SonarError]) -> None:
    with pytest.raises(error):
        fetch(blob)


def test_a_ciphertext_that_shares_a_factor_is_refused() -> None:
    n = int(KEY.public.n)
    width = KEY.public.ciphertext_bytes
    with pytest.raises(CiphertextError, match="0"):
        fetch(n.to_bytes(width, "big") + BLOB[width:])


def test_a_manifest_that_is_not_there_may_come_yet() -> None:
    with pytest.raises(BlobNotFound):
        fetch_update(MemoryStore(), EXPECTED, MINE, Digest(b"d" * 32))


def test_bytes_that_are_no_manifest_are_refused() -> None:
    store = MemoryStore()
    with pytest.raises(ManifestError):
        fetch_update(store, EXPECTED, MINE, store.put(b"not cbor", "dag-cbor").digest)
