"""Blobs in parts, and the commitment to a holdout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sonar.errors import BlobTooLarge, ManifestError, UsageError
from sonar.manifests.model import commitment
from sonar.protocol.ids import PART_BYTES, Cid, joined, links_of, parts_of
from sonar.store.memory import MemoryStore
from sonar.store.mend import put_blob

VECTORS = Path(__file__).parents[1] / "vectors"


def blob_of(length: int) -> bytes:
    return bytes(i % 251 for i in range(length))


@pytest.mark.parametrize(
    "case", json.loads((VECTORS / "blobs.json").read_text()), ids=lambda c: str(c["bytes"])
)
def test_vectors_of_blobs(case: dict[str, Any]) -> None:
    assert [str(link) for link in links_of(blob_of(case["bytes"]))] == case["parts"]


@settings(max_examples=20, deadline=None)
@given(length=st.integers(0, 3 * PART_BYTES + 2))
def test_what_is_put_comes_back_whole(length: int) -> None:
    store, data = MemoryStore(), blob_of(length)
    links = put_blob(store, data)
    assert links == links_of(data)
    assert all(len(part) <= PART_BYTES for part in parts_of(data))
    assert all(map(store.pinned, links))
    assert joined(links, length, store.get) == data


def test_another_number_of_parts_is_refused_before_any_is_asked_for() -> None:
    asked: list[Cid] = []

    def get(link: Cid, most: int) -> bytes:
        asked.append(link)
        return bytes(most)

    links = links_of(blob_of(PART_BYTES + 1))
    for wrong in (links[:1], (*links, links[0])):
        with pytest.raises(ManifestError, match=r"blobs: . parts, and 1048577 bytes take 2"):
            joined(wrong, PART_BYTES + 1, get)
    assert not asked


def test_a_part_of_another_length_is_refused_before_the_next_is_asked_for() -> None:
    store = MemoryStore()
    short, rest = store.put(b"short"), store.put(b"rest")
    with pytest.raises(ManifestError, match=r"blobs\.0: has 5 bytes, not 1048576"):
        joined([short, rest], PART_BYTES + 4, store.get)
    long = store.put(bytes(PART_BYTES + 1))
    with pytest.raises(BlobTooLarge):
        joined([long, rest], PART_BYTES + 4, store.get)


@pytest.mark.parametrize("case", json.loads((VECTORS / "holdouts.json").read_text()), ids=lambda c: c["name"])
def test_vectors_of_holdouts(case: dict[str, Any]) -> None:
    salt, rows = bytes.fromhex(case["salt"]), np.array(case["rows"])
    assert commitment(salt, case["columns"], rows).hex() == case["commitment"]


@given(data=st.data())
def test_a_commitment_binds_to_every_part_of_a_holdout(data: st.DataObject) -> None:
    rows = np.array(
        data.draw(st.lists(st.lists(st.floats(-9, 9), min_size=2, max_size=2), min_size=2, max_size=4))
    )
    made = commitment(bytes(32), ["a", "b"], rows)
    other = rows.copy()
    other[data.draw(st.integers(0, len(rows) - 1)), data.draw(st.integers(0, 1))] += 1.0
    others = [
        commitment(b"\1" + bytes(31), ["a", "b"], rows),
        commitment(bytes(32), ["a", "c"], rows),
        commitment(bytes(32), ["a", "b"], other),
        commitment(bytes(32), ["a", "b"], rows[1:]),
        commitment(bytes(32), ["a"], rows.reshape(-1, 1)),
    ]
    assert made == commitment(bytes(32), ("a", "b"), np.asfortranarray(rows))
    assert made not in others


def test_what_is_no_holdout_is_refused() -> None:
    with pytest.raises(UsageError, match="32 bytes, not 5"):
        commitment(b"short", ["a"], np.zeros((1, 1)))
    with pytest.raises(UsageError, match="2 columns are named"):
        commitment(bytes(32), ["a", "b"], np.zeros((3, 1)))
