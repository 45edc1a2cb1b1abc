"""What passes to and from capsules: the vector file is what the code makes, and its hashes are EIP-712's."""

from __future__ import annotations

import hashlib
import json
import runpy
from pathlib import Path
from typing import Any

import pytest
from eth_account.messages import encode_typed_data
from eth_utils.crypto import keccak

from sonar.errors import SonarError
from sonar.manifests import capsule
from sonar.manifests.model import VeilCover
from sonar.manifests.update import UpdateManifest
from sonar.protocol import codec
from sonar.protocol.record import Manifest
from tests.unit.fuzzing import INPUTS, Rng, changed_bytes, changed_value, fuzz

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENT = json.loads((ROOT / "tests" / "vectors" / "capsules.json").read_text())
KINDS: dict[str, type[Manifest]] = {
    "functional": capsule.FunctionalRequest,
    "functional-answer": capsule.FunctionalAnswer,
    "complaint": capsule.Complaint,
    "sum": capsule.SumRequest,
    "sum-answer": capsule.SumAnswer,
    "identity": capsule.Identity,
    "identity that followed another": capsule.Identity,
    "problem": capsule.Problem,
    "problem of one mine": capsule.Problem,
    "signed-request": capsule.SignedRequest,
    "signed-answer": capsule.SignedAnswer,
    "update": UpdateManifest,
    "update in words": UpdateManifest,
}
MESSAGES = {case["name"]: bytes.fromhex(case["bytes"]) for case in DOCUMENT["manifests"]}


def test_the_code_makes_the_file() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "make_vectors_capsules.py"))
    assert script["main"](["--check"]) == 0


def test_every_kind_has_a_vector_and_comes_back() -> None:
    assert MESSAGES.keys() == KINDS.keys()
    for case in DOCUMENT["manifests"]:
        data = MESSAGES[case["name"]]
        assert KINDS[case["name"]].from_bytes(data).to_bytes() == data
        assert case["digest"] == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("name", KINDS)
def test_hostile_messages(name: str) -> None:
    """Read as what they are, or refused by an error of ours."""
    data = MESSAGES[name]
    tree = codec.decode(data)

    def make(rng: Rng) -> bytes:
        if rng.random() < 0.8:
            return changed_bytes(rng, data)
        try:
            return codec.encode(changed_value(rng, tree))
        except SonarError:  # the change has no encoding
            return data[:-1]

    def decode(hostile: bytes) -> None:
        assert KINDS[name].from_bytes(hostile).to_bytes() == hostile

    assert fuzz(make, decode, INPUTS // 5) > 0


@pytest.mark.parametrize(
    "change",
    [
        lambda steps: steps[::-1],
        lambda steps: steps[:1],  # it ends at another account than the key's
        lambda steps: steps[1:] * 2,
        lambda steps: [],
        lambda steps: [{**steps[0], "account": steps[1]["successor"]}, steps[1]],  # a ring
        lambda steps: [*steps[:1], {**steps[1], "signature": b""}],
    ],
)
def test_successions_that_do_not_lead_to_the_key_s_account_are_none(change: Any) -> None:
    tree: Any = codec.decode(MESSAGES["identity that followed another"])
    with pytest.raises(SonarError, match="successions"):
        capsule.Identity.from_bytes(codec.encode({**tree, "successions": change(tree["successions"])}))


def test_the_cover_is_the_one_of_the_file() -> None:
    fields: Any = codec.decode(bytes.fromhex(DOCUMENT["cover"]))
    cover = VeilCover.parse(fields)
    assert (cover.threshold, cover.classes.count, cover.bits) == (2, 3, 256)
    with pytest.raises(SonarError, match="members: are not ascending"):
        VeilCover.parse({**fields, "members": fields["members"][::-1]})


# ---- below, nothing of ours: EIP-712 as eth_account reads it

TYPES = {
    "CapsuleKey": [("capsule", "address"), ("epoch", "uint32"), ("hpke", "bytes")],
    "Request": [("capsule", "address"), ("nonce", "bytes32"), ("expires", "uint64"), ("body", "bytes")],
    "Answer": [("body", "bytes")],
    "Succession": [("account", "address"), ("successor", "address")],
}


@pytest.mark.parametrize(
    ("case", "kind"),
    [("key", "CapsuleKey"), ("request", "Request"), ("answer", "Answer"), ("succession", "Succession")],
)
def test_what_is_signed_is_eip_712(case: str, kind: str) -> None:
    fields = dict(DOCUMENT["signed"][case])
    expected = fields.pop("digest")
    message = {
        name: bytes.fromhex(value) if isinstance(value, str) and not value.startswith("0x") else value
        for name, value in fields.items()
    }
    domain = {
        "name": "Sonar Capsule",
        "version": "2",
        "chainId": DOCUMENT["signed"]["chain_id"],
        "verifyingContract": DOCUMENT["signed"]["contract"],
    }
    types = {kind: [{"name": name, "type": type_} for name, type_ in TYPES[kind]]}
    made = encode_typed_data(domain, types, message)
    assert keccak(b"\x19" + made.version + made.header + made.body).hex() == expected
