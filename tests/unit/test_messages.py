"""Manifests: round trips, every limit named, and nothing but Sonar's errors out of hostile bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sonar.errors import BlobTooLarge, ManifestError, SonarError
from sonar.families.quadratic.spec import QuadraticSpec
from sonar.manifests.cohort import CohortManifest
from sonar.manifests.evidence import EvidenceManifest
from sonar.manifests.model import AllowList, KeyManifest, ModelManifest
from sonar.manifests.update import UpdateManifest
from sonar.protocol import codec
from sonar.protocol.ids import Cid, digest_of
from sonar.protocol.record import Manifest

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "manifests.json").read_text())
KINDS: dict[str, type[Manifest]] = {
    "key": KeyManifest,
    "model": ModelManifest,
    "update": UpdateManifest,
    "cohort": CohortManifest,
    "evidence": EvidenceManifest,
    "allowlist": AllowList,
}
VALID = {case["name"]: (KINDS[case["kind"]], bytes.fromhex(case["bytes"])) for case in VECTORS["valid"]}
MODEL, MODEL_BYTES = ModelManifest, VALID["model, standardised columns"][1]
UPDATE, UPDATE_BYTES = UpdateManifest, VALID["update"][1]
EVIDENCE, EVIDENCE_BYTES = VALID["evidence, one left out"]
LINK = Cid.of_manifest(b"")


@pytest.mark.parametrize("name", VALID)
def test_round_trip(name: str) -> None:
    kind, data = VALID[name]
    manifest = kind.from_bytes(data)
    assert manifest.to_bytes() == data
    assert manifest.digest() == digest_of(data)
    assert manifest.cid() == Cid.of_manifest(data)
    assert kind.from_bytes(data) == manifest
    assert hash(manifest) == hash(kind.from_bytes(data))


@pytest.mark.parametrize("name", VALID)
@pytest.mark.parametrize("other", KINDS)
def test_a_manifest_of_another_kind_is_refused(name: str, other: str) -> None:
    kind, data = VALID[name]
    if KINDS[other] is not kind:
        with pytest.raises(ManifestError):
            KINDS[other].from_bytes(data)


def changed(data: bytes, path: str, value: object) -> bytes:
    """Return the manifest with the field at `path` set, or removed for `...`."""
    fields = codec.decode(data, max_bytes=1 << 20)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    inner: Any = fields
    for part in parents:
        inner = inner[part]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return codec.encode(fields)


@pytest.mark.parametrize(
    ("path", "value", "field", "problem"),
    [
        ("v", 1, "v", "this ModelManifest has version 1, from an older Sonar"),
        ("v", 3, "v", "this ModelManifest has version 3, from a newer Sonar"),
        ("v", True, "v", "must be 2"),
        ("v", "1", "v", "str"),
        ("v", ..., "ModelManifest", "canonical"),
        ("kind", "update", "kind", "model"),
        ("name", "", "name", "at least 1"),
        ("name", "x" * 65, "name", "at most 64"),
        ("name", "\x1b[31mred", "name", "printable"),
        ("name", b"diabetes", "name", "bytes"),
        ("round", 0, "round", "at least 1"),
        ("round", 256, "round", "at most 255"),
        ("round", True, "round", "bool"),
        ("round", None, "round", "NoneType"),
        ("key", Cid.of_blob(b""), "key", "dag-cbor link"),
        ("key", LINK.to_bytes(), "key", "bytes"),
        ("blobs", [LINK], "blobs.0", "raw link"),
        ("blobs", [], "blobs", "at least 1"),
        ("zero_start", 1, "zero_start", "true or false"),
        ("extra", 1, "extra", "unknown field"),
        ("\x1b]0;evil\x07", 1, "\N{REPLACEMENT CHARACTER}]0;evil\N{REPLACEMENT CHARACTER}", "unknown field"),
        ("plan", ..., "plan", "missing"),
        ("plan.weights", 4, "ModelManifest", "4 weights"),
        ("plan.key_bits", 1 << 20, "plan.key_bits", "at most 16,384"),
        ("plan.weight_max", 1 << 63, "plan.weight_max", "at most 9,223,372,036,854,775,807"),
        ("plan.weight_rows", 0, "plan.weight_rows", "at least 1"),
        ("plan.mines_max", 256, "plan.mines_max", "255"),
        ("family.features", [], "family.features", "at least 1"),
        ("family.features", ["a", "a"], "family", "named twice"),
        ("family.features", ["a", "target"], "family", "named twice"),
        ("family.features", "ab", "family.features", "str"),
        ("family.features.0", 7, "family.features.0", "int"),
        ("family.loss", "hinge", "family.loss", "squared"),
        ("family.local_steps", 10_001, "family.local_steps", "at most 10,000"),
        ("family.local_steps", 2, "family", "local_rate_q32"),
        ("family.targets.0.scale_q32", 0, "family.targets.0.scale_q32", "more than 0"),
        ("family.targets.0.clip_q32", 0, "family.targets.0.clip_q32", "more than 0"),
        ("family.targets", [], "family.targets", "at least 1 entry"),
        ("family.stages.0.kind", "cosine", "family.stages.0", "standard"),
        ("family.stages.0.std_q32.1", 0, "family.stages.0.std_q32.1", "more than 0"),
        ("family.stages.0.mean_q32", [1], "family", "2 entries"),
        ("family.stages.0.mean_q32.0", 1 << 63, "family.stages.0.mean_q32.0", "at most"),
        ("family.stages.0.clip_q32", -1, "family.stages.0.clip_q32", "more than 0"),
        ("family.stages", [{"kind": "polynomial", "degree": 3}] * 8, "family", "1000"),
        ("family.stages", [{"kind": "polynomial", "degree": 4}], "family.stages.0.degree", "3"),
        ("family.stages", [{"kind": "clip", "clip_q32": 1}] * 9, "family.stages", "at most 8"),
        (
            "family.stages",
            [{"kind": "fourier", "weights_q32": [[1, 2], [3]], "phases_q32": [0, 0]}],
            "family",
            "stages.0.weights_q32: each row must have 2",
        ),
        (
            "family.stages",
            [{"kind": "fourier", "weights_q32": [[1, 2], [3, 4]], "phases_q32": [0]}],
            "family",
            "stages.0.phases_q32: must have 2",
        ),
    ],
)
def test_what_a_model_manifest_may_not_hold(path: str, value: object, field: str, problem: str) -> None:
    with pytest.raises(ManifestError) as caught:
        MODEL.from_bytes(changed(MODEL_BYTES, path, value))
    assert caught.value.field == field
    assert problem in caught.value.problem
    assert caught.value.hint


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("mine", "0x" + "11" * 20, "mine"),
        ("mine", b"\1" * 19, "mine"),
        ("contract", None, "contract"),
        ("bounty", b"\1" * 31, "bounty"),
        ("key", b"\1" * 33, "key"),
        ("key", LINK, "key"),
        ("chain_id", 0, "chain_id"),
        ("chain_id", 1 << 63, "chain_id"),
        ("rows", 0, "rows"),
        ("rows", 1 << 32, "rows"),
        ("rows", -1, "rows"),
        ("ciphertexts", 4097, "ciphertexts"),
        ("blob", LINK, "blob"),
        ("model", None, "model"),
    ],
)
def test_what_an_update_manifest_may_not_hold(path: str, value: object, field: str) -> None:
    with pytest.raises(ManifestError) as caught:
        UPDATE.from_bytes(changed(UPDATE_BYTES, path, value))
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("path", "value", "problem"),
    [
        ("loss", -1, "at least 0"),
        ("loss", (1 << 64) - 1, None),
        ("aggregate", b"", "32"),
        ("aggregate", None, None),
        ("cohort", [], "at least 1"),
        ("accepted_rows", 1, "sum"),
        ("cohort.0.share_bps", 9_999, "10000 basis points"),
        ("cohort.0.mine", b"\xff" * 20, "ascending"),
        ("cohort.0.reason", "the same data as another's", None),
        ("cohort.1.reason", "", "must say why"),
        ("cohort.1.reason", "x" * 201, "200"),
        ("cohort.1.share_bps", 5, "left out"),
    ],
)
def test_evidence(path: str, value: object, problem: str | None) -> None:
    data = changed(EVIDENCE_BYTES, path, value)
    if problem is None:
        assert EVIDENCE.from_bytes(data).to_bytes() == data
        return
    with pytest.raises(ManifestError, match=problem):
        EVIDENCE.from_bytes(data)


@pytest.mark.parametrize(("bits", "n_bytes"), [(71, 9), (73, 9), (72, 10)])
def test_a_modulus_has_exactly_the_bits_it_says_in_as_few_bytes(bits: int, n_bytes: int) -> None:
    n = 1 << 71
    KeyManifest.parse({"bits": 72, "n": n.to_bytes(9, "big"), "proof": b""})
    with pytest.raises(ManifestError, match="n must have exactly `bits` bits"):
        KeyManifest.parse({"bits": bits, "n": n.to_bytes(n_bytes, "big"), "proof": b""})


def test_size_is_checked_before_anything_else() -> None:
    with pytest.raises(BlobTooLarge):
        UPDATE.from_bytes(b"\xff" * (UPDATE.max_bytes + 1))


def test_what_is_not_a_map_is_refused() -> None:
    with pytest.raises(ManifestError, match="is not a map"):
        UPDATE.from_bytes(b"\x80")


def test_addresses_are_text_in_python_and_bytes_on_the_wire() -> None:
    update = UPDATE.from_bytes(UPDATE_BYTES)
    assert update.mine.startswith("0x")
    fields: Any = codec.decode(UPDATE_BYTES)
    assert fields["mine"] == bytes.fromhex(update.mine[2:])
    lower = dict(update) | {"mine": update.mine.lower()}
    assert UPDATE.parse(lower) == update
    other_case = "0x" + update.mine[2:].swapcase()
    assert other_case not in (lower["mine"], update.mine)
    with pytest.raises(ManifestError, match=r"mine: .*checksum"):
        UPDATE.parse(lower | {"mine": other_case})


def test_a_valid_manifest_does_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        MODEL.from_bytes(MODEL_BYTES).name = "other"  # type: ignore[misc]


def test_widths_of_feature_maps() -> None:
    def outputs(*stages: Mapping[str, object]) -> int:
        return QuadraticSpec.parse(
            {
                "features": ["a", "b", "c"],
                "targets": [{"name": "y", "centre_q32": 0, "scale_q32": 1, "clip_q32": 1}],
                "stages": stages,
                "rows_min": 1,
            }
        ).weights

    square, cube = ({"kind": "polynomial", "degree": degree} for degree in (2, 3))
    fourier = {"kind": "fourier", "weights_q32": [[1, 2, 3]] * 5, "phases_q32": [0] * 5}
    assert outputs() == 4
    assert outputs({"kind": "clip", "clip_q32": 1}) == 4
    assert outputs(square) == 3 + 6 + 1
    assert outputs(cube) == 3 + 6 + 10 + 1
    assert outputs(fourier) == 6
    assert outputs(fourier, square) == 5 + 15 + 1


@pytest.mark.parametrize("kind", KINDS.values())
@given(st.binary(max_size=120))
def test_random_bytes(kind: type[Manifest], data: bytes) -> None:
    with suppress(SonarError):
        kind.from_bytes(data)


junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 64), (1 << 64) - 1)
    | st.binary(max_size=40)
    | st.text(max_size=20)
    | st.builds(Cid, st.sampled_from(["raw", "dag-cbor"]), st.binary(min_size=32, max_size=32)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def paths(value: object, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield prefix
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from paths(item, (*prefix, str(key)))


@given(st.sampled_from(sorted(VALID)), junk, st.data())
def test_valid_manifests_with_one_field_replaced(name: str, value: object, draw: st.DataObject) -> None:
    kind, data = VALID[name]
    some = [path for path in paths(codec.decode(data, max_bytes=1 << 20)) if path]
    data = changed(data, ".".join(draw.draw(st.sampled_from(some))), value)
    with suppress(SonarError):
        assert kind.from_bytes(data).to_bytes() == data


@given(st.sampled_from(sorted(VALID)), st.data())
def test_valid_manifests_with_bytes_changed(name: str, draw: st.DataObject) -> None:
    kind, data = VALID[name]
    edited = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 3))):
        edited[draw.draw(st.integers(0, len(edited) - 1))] = draw.draw(st.integers(0, 255))
    with suppress(SonarError):
        assert kind.from_bytes(bytes(edited)).to_bytes() == bytes(edited)
