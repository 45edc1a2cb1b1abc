"""Write tests/vectors/*.json, which implementations in any language must reproduce byte for byte.

    python scripts/make_vectors.py            write the files
    python scripts/make_vectors.py --check    only compare; exit 1 when one differs

The inputs are fixed numbers made for this purpose; none of them is a secret of anything. Bytes are hex. A
number that JSON readers commonly round (beyond 2^53) is written as text.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sonar.errors import SonarError
from sonar.manifests.cohort import CohortManifest
from sonar.manifests.evidence import EvidenceManifest
from sonar.manifests.model import AllowList, KeyManifest, ModelManifest, commitment
from sonar.manifests.update import UpdateManifest
from sonar.protocol import allowlist, codec
from sonar.protocol.ids import (
    ETHER,
    PART_BYTES,
    Address,
    BountyId,
    Cid,
    Digest,
    digest_of,
    links_of,
    parse_address,
)
from sonar.protocol.phase import Terms
from sonar.protocol.record import Manifest
from sonar.protocol.seal import TERMS_ABI, bounty_id, encode_terms, kept, seal, terms_values

FOLDER = Path(__file__).resolve().parent.parent / "tests" / "vectors"
KINDS: tuple[type[Manifest], ...] = (
    KeyManifest,
    ModelManifest,
    UpdateManifest,
    CohortManifest,
    EvidenceManifest,
    AllowList,
)
_JSON_SAFE = 1 << 53


def word(label: str) -> Digest:
    """Return 32 bytes made from a label."""
    return digest_of(f"sonar test vector: {label}".encode())


def address(label: str) -> Address:
    """Return an address made from a label."""
    return parse_address("0x" + word(label)[:20].hex())


CONTRACT, SCIENTIST, MINE = address("contract"), address("scientist"), address("mine")
TERMS = Terms(ETHER, 10, 3, 7, 40, 40, 60, 10**16, 10**15, 10**18, 26_645_643, 2_500_000)
_96, _64, _24 = (1 << 96) - 1, (1 << 64) - 1, (1 << 24) - 1
_16 = (1 << 16) - 1
WIDEST = Terms(
    *(address("asset"), 255, 255, 255, _24, _24, _24, _96, _96, _96, _64, _64, word("root")),
    settler=address("settler"),
    overdue_bps=_16,
    quiet_s=_16,
)
SIGNED = replace(TERMS, settler=address("settler"), overdue_bps=2_500, quiet_s=15)


def seals() -> Any:
    """Return seals: the same inputs with each field changed once, and the widest."""
    base: tuple[Any, ...] = (1337, CONTRACT, BountyId(word("bounty")), 1, MINE, word("update"), word("salt"))
    other: tuple[Any, ...] = (
        1,
        SCIENTIST,
        BountyId(word("bounty 2")),
        255,
        SCIENTIST,
        word("update 2"),
        word("salt 2"),
    )
    cases = [base, *((*base[:i], other[i], *base[i + 1 :]) for i in range(len(base)))]
    cases.append(((1 << 256) - 1, *other[1:]))
    names = ("chain_id", "contract", "bounty", "round", "mine", "update_digest", "salt")
    return [
        {
            **_json(dict(zip(names, case, strict=True))),
            "seal": seal(*case).hex(),
            "kept": kept(seal(*case)).hex(),
        }
        for case in cases
    ]


def bounties() -> Any:
    """Return bounty ids with the encoding of their terms."""
    result = []
    for chain_id, terms in ((1337, TERMS), (1, TERMS), (1337, SIGNED), (1337, WIDEST)):
        given = (chain_id, CONTRACT, SCIENTIST, terms, word("model"), word("key"), word("salt"))
        fields = dict(zip(TERMS_ABI, terms_values(terms), strict=True))
        names = ("chain_id", "contract", "scientist", "terms", "model_digest", "key_digest", "salt")
        case = _json(dict(zip(names, (*given[:3], fields, *given[4:]), strict=True)))
        result.append({**case, "encoded_terms": encode_terms(terms).hex(), "bounty": bounty_id(*given).hex()})
    return result


def cids() -> Any:
    """Return CIDs of bytes, in both codecs, as text and in binary."""
    cases = []
    for data in (b"", b"hello world", bytes(range(256)), b"\xa0"):
        for cid in (Cid.of_blob(data), Cid.of_manifest(data)):
            cases.append(
                {"bytes": data.hex(), "codec": cid.codec, "cid": str(cid), "binary": cid.to_bytes().hex()}
            )
    good = str(Cid.of_blob(b""))
    refused = [
        "",
        good[:-1],
        good + "a",
        good.upper(),
        "f" + Cid.of_blob(b"").to_bytes().hex(),
        "Qm" + "1" * 44,
    ]
    return {"valid": cases, "refused": refused}


def allowlists() -> Any:
    """Return allow-lists of 1 to 9 mines: the terms' root, and each mine's proof."""
    mines = [address(f"mine {i}") for i in range(9)]
    return [
        {
            "root": allowlist.root_of(mines[:size]).hex(),
            "proofs": {
                mine: [node.hex() for node in allowlist.proof_of(mines[:size], mine) or []]
                for mine in mines[:size]
            },
        }
        for size in (1, 2, 3, 5, 9)
    ]


def manifests() -> Any:
    """Return valid manifests of each kind, and edits of them that must be refused."""
    valid = _valid_manifests()
    return {
        "valid": [
            {
                "name": name,
                "kind": _kind(manifest),
                "fields": _json(codec.decode(manifest.to_bytes(), max_bytes=manifest.max_bytes)),
                "bytes": manifest.to_bytes().hex(),
                "cid": str(manifest.cid()),
            }
            for name, manifest in valid.items()
        ],
        "invalid": [
            {"name": name, "kind": kind, "bytes": data.hex(), "error": _error(kind, data)}
            for name, kind, data in _invalid_manifests(valid["update"], valid["model, standardised columns"])
        ],
    }


def _valid_manifests() -> dict[str, Manifest]:
    # Moduli of these sizes without any structure: a manifest does not say that a key is sound.
    n = int.from_bytes(b"".join(word(f"n {i}") for i in range(8)), "big") | 1 << 2047 | 1
    proof = b"".join(word(f"proof {i}") for i in range(11 * 8))
    key = KeyManifest(bits=2048, n=n.to_bytes(256, "big"), proof=proof)
    standard = {
        "kind": "standard",
        "mean_q32": [1 << 32, -7],
        "std_q32": [1, (1 << 63) - 1],
        "clip_q32": 8 << 32,
    }
    spec: dict[str, Any] = {
        "features": ["age", "körper größe"],
        "targets": [{"name": "target", "centre_q32": 152 << 32, "scale_q32": 77 << 32, "clip_q32": 8 << 32}],
        "stages": [standard],
        "loss": "squared",
        "local_steps": 1,
        "local_rate_q32": 0,
        "rows_min": 10,
    }
    plan: dict[str, Any] = {
        "key_bits": 2048,
        "weights": 3,
        "weight_frac": 16,
        "data_frac": 20,
        "weight_max": 1 << 26,
        "a_row_l1_max": 1 << 24,
        "b_max": 1 << 29,
        "mines_max": 64,
        "weight_rows": 1000,
        "outputs": 1,
    }
    parts = [Cid.of_blob(b"ciphertexts"), Cid.of_blob(b"more of them")]
    links = {"key": key.cid(), "blobs": parts, "zero_start": True, "holdout": word("holdout")}
    links["cover"] = {"kind": "paillier"}
    model = ModelManifest.parse({"name": "diabetes", "round": 1, "family": spec, "plan": plan, **links})
    maps = [
        {"kind": "clip", "clip_q32": 1 << 32},
        {"kind": "polynomial", "degree": 2},
        {"kind": "fourier", "weights_q32": [[1, -2, 3, -4, 5], [0] * 5], "phases_q32": [1 << 31, 0]},
    ]
    leaves: list[dict[str, Any]] = [
        {
            "kind": "leaves",
            "leaves": [[{"column": 0, "above_q32": -5, "upto_q32": 9}, {"column": 1, "upto_q32": 0}]],
        },
        {"kind": "standard", "mean_q32": [0, 1, 2], "std_q32": [1 << 32] * 3, "clip_q32": 8 << 32},
    ]
    constants = {"centre_q32": -1 << 31, "scale_q32": 1 << 32, "clip_q32": 2 << 32}
    labels = [{"name": "ill", **constants}]
    taylor = {
        "loss": "logistic-taylor",
        "targets": labels,
        "stages": maps,
        "local_steps": 5,
        "local_rate_q32": 1 << 31,
    }
    where = {"chain_id": 1337, "contract": CONTRACT, "bounty": word("bounty"), "round": 1}
    update = UpdateManifest.parse(
        {**where, "mine": MINE, "model": model.cid(), "key": digest_of(key.n), "rows": 40, "ciphertexts": 1}
        | {"blobs": [Cid.of_blob(b"an encrypted update")]}
    )
    mines = sorted((MINE, SCIENTIST), key=str.lower)
    listed = AllowList.parse({"mines": mines})
    member = {"update": update.digest(), "rows": 40, "accepted": True, "share_bps": 10_000}
    left_out = {
        "update": word("u"),
        "rows": 7,
        "accepted": False,
        "reason": "a value out of range",
    }
    found = {"model": model.cid(), "new_model": model.cid(), "loss": 7, "best_loss": 6, "accepted_rows": 40}
    cohort = [{"mine": mines[0], **member}, {"mine": mines[1], **left_out, "share_bps": 0}]
    return {
        "key": key,
        "model, standardised columns": model,
        "model, other stages and loss": ModelManifest.parse(
            {"name": "taylor", "round": 255, "family": spec | taylor, "plan": plan, **links}
        ),
        "model, no stages": ModelManifest.parse(
            {
                "name": "plain",
                "round": 2,
                "family": spec | {"stages": []},
                "plan": plan,
                **links,
                "zero_start": False,
            }
        ),
        "model, leaves": ModelManifest.parse(
            {
                "name": "leaves",
                "round": 1,
                "family": spec | {"stages": leaves},
                "plan": plan | {"weights": 4},
                **links,
            }
        ),
        "model, among named mines": model.model_copy(update={"allow_list": listed.cid()}),
        "allow-list": listed,
        "update": update,
        "cohort": CohortManifest.parse(
            {**where, "addends": [{"mine": mine, "update": word(mine), "weight": 33} for mine in mines]}
        ),
        "evidence, one left out": EvidenceManifest.parse(
            {**where, **found, "aggregate": word("a"), "cohort": cohort}
        ),
        "evidence, nobody accepted": EvidenceManifest.parse(
            {**where, **found, "accepted_rows": 0, "aggregate": None, "cohort": cohort[1:]}
        ),
    }


def _invalid_manifests(update: Manifest, model: Manifest) -> list[tuple[str, str, bytes]]:
    data = update.to_bytes()
    fields: Any = codec.decode(data)

    def edit(**change: Any) -> bytes:
        return codec.encode({**fields, **change})

    link = fields["blobs"][0]
    wide_round = data.replace(b"\x65round\x01", b"\x65round\x18\x01")
    as_float = data.replace(b"\x64rows\x18\x28", b"\x64rows\xf9\x51\x00")
    return [
        ("unknown field", "update", edit(extra=1)),
        ("missing field", "update", codec.encode({k: v for k, v in fields.items() if k != "rows"})),
        ("version 1", "update", edit(v=1)),
        ("a later version", "update", edit(v=3)),
        ("no parts", "update", edit(blobs=[])),
        ("another kind", "update", edit(kind="model")),
        ("true for 1", "update", edit(round=True)),
        ("text for bytes", "update", edit(mine="0x" + "11" * 20)),
        ("address of 21 bytes", "update", edit(mine=b"\x01" * 21)),
        ("bytes for a link", "update", edit(blobs=[link.to_bytes()])),
        ("link for bytes", "update", edit(key=link)),
        ("link with the wrong codec", "update", edit(blobs=[fields["model"]])),
        ("no rows", "update", edit(rows=0)),
        ("too many rows", "update", edit(rows=1 << 32)),
        ("number not in shortest form", "update", wide_round),
        ("float", "update", as_float),
        ("bytes after the end", "update", data + b"\x00"),
        ("cut short", "update", data[:-1]),
        ("keys not sorted", "update", b"\xa2\x61v\x01\x61a\x01"),
        ("a key twice", "update", b"\xa2\x61v\x01\x61v\x01"),
        ("indefinite length", "update", b"\xbf\xff"),
        ("not a map", "update", b"\x80"),
        ("nested too deep", "update", b"\x81" * 100 + b"\x00"),
        ("model with a field that has a default left out", "model", _without_loss(model)),
        ("null for an optional field", "model", _with_null(model)),
        ("list not ascending", "allowlist", _list_of(b"\2" * 20, b"\1" * 20)),
        ("a mine twice on a list", "allowlist", _list_of(b"\1" * 20, b"\1" * 20)),
        ("list of nobody", "allowlist", _list_of()),
        ("a sum of one", "cohort", _cohort(1)),
        ("a mine twice in a sum", "cohort", _cohort(1, 1)),
        ("a sum that is not ascending", "cohort", _cohort(2, 1)),
    ]


def _with_null(model: Manifest) -> bytes:
    fields: Any = codec.decode(model.to_bytes())
    return codec.encode({**fields, "allow_list": None})


def _list_of(*mines: bytes) -> bytes:
    return codec.encode({"v": 2, "kind": "allowlist", "mines": list(mines)})


def _cohort(*mines: int) -> bytes:
    addends: Any = [{"mine": bytes([mine]) * 20, "update": word("u"), "weight": 33} for mine in mines]
    where: dict[str, Any] = {"chain_id": 1, "contract": bytes(20), "bounty": word("b"), "round": 1}
    return codec.encode({"v": 2, "kind": "cohort", **where, "addends": addends})


def _without_loss(model: Manifest) -> bytes:
    fields: Any = codec.decode(model.to_bytes())
    del fields["family"]["loss"]
    return codec.encode(fields)


def _kind(manifest: Manifest) -> str:
    return str(type(manifest).model_fields["kind"].default)


def _error(kind: str, data: bytes) -> str:
    by_name = {each.model_fields["kind"].default: each for each in KINDS}
    try:
        by_name[kind].from_bytes(data)
    except SonarError as error:
        return type(error).__name__
    raise AssertionError(f"{data.hex()} is accepted")


def _json(value: Any) -> Any:
    """Return `value` for JSON: bytes as hex, links as {"/": cid} (as in DAG-JSON), large integers as text."""
    if isinstance(value, dict):
        return {key: _json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json(item) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Cid):
        return {"/": str(value)}
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= _JSON_SAFE:
        return str(value)
    return value


def blobs() -> Any:
    """Return how long blobs fall into parts: byte i of the blob is i modulo 251."""
    lengths = (0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES + 5)
    return [
        {"bytes": length, "parts": [str(link) for link in links_of(bytes(i % 251 for i in range(length)))]}
        for length in lengths
    ]


def holdouts() -> Any:
    """Return commitments to holdouts, rows as the numbers' shortest text."""
    cases = {
        "two columns": (("age", "körper größe"), [[1.5, -0.0], [1e-300, 2.0]]),
        "one row": (("y",), [[0.1]]),
    }
    return [
        {"name": name, "salt": word(name).hex(), "columns": list(columns), "rows": rows}
        | {"commitment": commitment(word(name), columns, np.array(rows)).hex()}
        for name, (columns, rows) in cases.items()
    ]


FILES: dict[str, Callable[[], Any]] = {
    "seals.json": seals,
    "bounties.json": bounties,
    "cids.json": cids,
    "manifests.json": manifests,
    "allowlists.json": allowlists,
    "blobs.json": blobs,
    "holdouts.json": holdouts,
}


def render(make: Callable[[], Any]) -> str:
    """Return a file's text."""
    return json.dumps(make(), indent=1, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write or check all files."""
    stale = []
    for name, make in FILES.items():
        path, text = FOLDER / name, render(make)
        if "--check" not in arguments:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
    if stale:
        print(f"differ: {', '.join(stale)}; if the protocol changed on purpose, run scripts/make_vectors.py")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
