"""Write tests/vectors/capsules.json: what passes to and from capsules, and what is signed of it.

    python scripts/make_vectors_capsules.py            write the file
    python scripts/make_vectors_capsules.py --check    only compare; exit 1 when it differs

Everything is made of labels. Bytes are hex. The signatures are bytes of the right length, nobody's.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from sonar.manifests.capsule import (
    Complaint,
    FunctionalAnswer,
    FunctionalRequest,
    Identity,
    Problem,
    SignedAnswer,
    SignedRequest,
    Succession,
    SumAnswer,
    SumRequest,
)
from sonar.manifests.model import CapsuleKey, VeilCover
from sonar.manifests.update import UpdateManifest
from sonar.protocol import codec
from sonar.protocol.capsules import answer_digest, key_digest, request_digest, succession_digest
from sonar.protocol.ids import Address, BountyId, Cid, parse_address
from sonar.protocol.record import Manifest

PATH = Path(__file__).resolve().parent.parent / "tests" / "vectors" / "capsules.json"
CHAIN_ID = 31_337


def label(text: str, count: int = 32) -> bytes:
    """Bytes made from a label: sha2-256 of label and counter, one after the other, cut to `count`."""
    parts = (
        hashlib.sha256(f"sonar test vector: capsule {text} {i}".encode()) for i in range(count // 32 + 1)
    )
    return b"".join(part.digest() for part in parts)[:count]


def address(text: str) -> Address:
    """An account."""
    return parse_address("0x" + label(text, 20).hex())


CONTRACT, BOUNTY, MINE = address("contract"), BountyId(label("bounty")), address("mine")
WHERE: dict[str, Any] = {"chain_id": CHAIN_ID, "contract": CONTRACT, "bounty": BOUNTY, "round": 3}


def member(name: str) -> CapsuleKey:
    """A capsule's key, as covers and identities carry it."""
    return CapsuleKey(
        account=address(name), epoch=2, hpke=label(f"{name} key", 1216), signature=label(f"{name} signed", 65)
    )


def succession(name: str, successor: str) -> Succession:
    """Who took whose place."""
    signed = f"{name} followed by {successor}, signed by"
    return Succession(
        account=address(name),
        successor=address(successor),
        signature=label(f"{signed} {name}", 65),
        accepted=label(f"{signed} {successor}", 65),
    )


def messages() -> dict[str, Manifest]:
    """One of each kind."""
    update = label("update")
    functional = FunctionalRequest.parse(
        {
            **WHERE,
            "vectors": [label("vector one", 40), label("vector two", 40)],
            "asks": [
                {"mine": MINE, "bits": 12, "parts": [{"round": 3, "update": update, "vector": 0}]},
                {
                    "mine": MINE,
                    "bits": 64,
                    "parts": [
                        {"round": 1, "update": label("earlier"), "vector": 1},
                        {"round": 3, "update": update, "vector": 0},
                    ],
                },
            ],
        }
    )
    sums = SumRequest.parse({**WHERE, "cohort": label("cohort")})
    told = {"capsule": address("one")}
    answer = SumAnswer.parse({**told, "request": sums.digest(), "sums": [label("a", 256), label("b", 256)]})
    return {
        "functional": functional,
        "functional-answer": FunctionalAnswer.parse(
            {**told, "request": functional.digest(), "values": [[4095, 0], [2**64 - 1, 7]]}
        ),
        "complaint": Complaint.parse(
            {**told, "request": functional.digest(), "bounty": WHERE["bounty"], "round": 3, "mines": [MINE]}
        ),
        "sum": sums,
        "sum-answer": answer,
        "identity": Identity(
            chain_id=CHAIN_ID,
            contract=CONTRACT,
            key=member("one"),
            version="2.0",
            least=3,
            bits=256,
            policy="everybody's bounties",
        ),
        "identity that followed another": Identity(
            chain_id=CHAIN_ID,
            contract=CONTRACT,
            key=member("one"),
            version="2.0",
            least=2,
            bits=512,
            policy="",
            successions=(succession("three", "two"), succession("two", "one")),
        ),
        "problem": Problem(code="budget", problem="no bits are left", hint="ask for fewer"),
        "problem of one mine": Problem(code="mine", problem="its envelope does not open", mine=MINE),
        "signed-request": SignedRequest(
            capsule=address("one"),
            nonce=label("nonce"),
            expires_s=1_900_000_000,
            body=sums.to_bytes(),
            signature=label("signature", 65),
        ),
        "signed-answer": SignedAnswer(body=answer.to_bytes(), signature=label("signature", 65)),
        "update": UpdateManifest.parse(
            {**WHERE, "mine": MINE, "model": Cid.of_manifest(b"model"), "key": label("key"), "rows": 40}
            | {"ciphertexts": 1, "blobs": [Cid.of_blob(b"a veiled update")], "veil": veil()}
        ),
        "update in words": UpdateManifest.parse(
            {**WHERE, "mine": MINE, "model": Cid.of_manifest(b"model"), "key": bytes(32), "rows": 40}
            | {"ciphertexts": 4096, "blobs": [Cid.of_blob(b"masked words")], "veil": veil() | {"wraps": b""}}
        ),
    }


def veil() -> dict[str, Any]:
    """What a mine's update carries for three capsules, two of which open."""
    return {
        "nonce": label("nonce of an update"),
        "seeds": [label(f"seed hash {c}") for c in range(3)],
        "wraps": label("wraps", 9),
        "envelopes": [label(f"envelope {i}", 1200) for i in range(3)],
    }


def vectors() -> dict[str, Any]:
    """Everything in the file."""
    keys = sorted((member(name) for name in ("one", "two", "three")), key=lambda key: int(key.account, 16))
    cover = VeilCover.parse(
        {"threshold": 2, "members": keys, "bits": 256, "audit": {"optimiser": label("o")}}
    )
    return {
        "manifests": [
            {"name": name, "bytes": message.to_bytes().hex(), "digest": message.digest().hex()}
            for name, message in messages().items()
        ],
        "cover": codec.encode(plain(cover)).hex(),
        "signed": signed(),
    }


def plain(cover: VeilCover) -> dict[str, Any]:
    """A cover as a model's manifest writes it."""
    members = [{**dict(member), "account": bytes.fromhex(member.account[2:])} for member in cover.members]
    return {**dict(cover), "members": members, "audit": dict(cover.audit) if cover.audit else None}


def signed() -> dict[str, Any]:
    """What accounts sign, with the hash that they sign."""
    one, request, answer = member("one"), messages()["signed-request"], messages()["signed-answer"]
    assert isinstance(request, SignedRequest)
    assert isinstance(answer, SignedAnswer)
    return {
        "chain_id": CHAIN_ID,
        "contract": CONTRACT,
        "key": {
            "capsule": one.account,
            "epoch": one.epoch,
            "hpke": one.hpke.hex(),
            "digest": key_digest(CHAIN_ID, CONTRACT, one.account, one.epoch, one.hpke).hex(),
        },
        "request": {
            "capsule": request.capsule,
            "nonce": request.nonce.hex(),
            "expires": request.expires_s,
            "body": request.body.hex(),
            "digest": request_digest(
                CHAIN_ID, CONTRACT, request.capsule, request.nonce, request.expires_s, request.body
            ).hex(),
        },
        "answer": {
            "body": answer.body.hex(),
            "digest": answer_digest(CHAIN_ID, CONTRACT, answer.body).hex(),
        },
        "succession": {
            "account": address("two"),
            "successor": one.account,
            "digest": succession_digest(CHAIN_ID, CONTRACT, address("two"), one.account).hex(),
        },
    }


def main(arguments: list[str]) -> int:
    """Write or compare."""
    text = json.dumps(vectors(), indent=1) + "\n"
    if arguments == ["--check"]:
        same = PATH.is_file() and PATH.read_text(encoding="utf-8") == text
        print(f"{PATH.name} {'is up to date' if same else 'differs: run scripts/make_vectors_capsules.py'}")
        return 0 if same else 1
    PATH.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
