"""Write tests/vectors/paillier.json, whose ciphertexts implementations in any language must reproduce.

    python scripts/make_vectors_paillier.py            write the file
    python scripts/make_vectors_paillier.py --check    only compare; exit 1 when it differs

The key is made of published numbers and protects nothing. Integers are decimal text, bytes are hex.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import gmpy2
from gmpy2 import mpz

from pysonar.keys.key import Key
from pysonar.keys.updates import MineUpdate
from sonar.paillier.affine import affine_update
from sonar.paillier.cohort import aggregate_digest
from sonar.paillier.public import PublicKey, proof_challenges
from sonar.paillier.slots import Bounds, SlotPlan

PATH = Path(__file__).resolve().parent.parent / "tests" / "vectors" / "paillier.json"
BITS = 2048
A = [[1048576, -30000, 7], [-30000, 2097151, 524288], [7, 524288, 1048576]]
B = [-5242880, 159383552, 0]
W = [65536, -9961472, 152]
ROWS = (40, 65_535)


def number(label: str, bits: int) -> mpz:
    """An integer of `bits` bits or fewer made from a label: sha2-256 of label and counter, concatenated."""
    digests = (
        hashlib.sha256(f"sonar test vector: {label} {i}".encode()).digest() for i in range(bits // 256 + 1)
    )
    return mpz(int.from_bytes(b"".join(digests), "big") >> (-bits % 256 or 256))


def prime(label: str) -> int:
    """A prime with the top two bits set, 3 modulo 4, the next one from a label's number."""
    candidate = gmpy2.next_prime(number(label, BITS // 2) | mpz(3) << (BITS // 2 - 2))
    while candidate % 4 != 3:
        candidate = gmpy2.next_prime(candidate)
    return int(candidate)


def unit(label: str, n: mpz) -> int:
    """Randomness for one ciphertext, in (0, n)."""
    return int(number(label, BITS) % n)


def vectors() -> dict[str, Any]:
    """Everything in the file."""
    p, q = prime("p"), prime("q")
    key = Key(p, q)
    plan = SlotPlan.make(
        key_bits=BITS,
        weights=len(B),
        bounds=Bounds(weight_max=1000 << 16, a_row_l1_max=6 << 20, b_max=1500 << 20),
        mines_max=64,
        weight_rows=65_535,
    )
    fields = {"p": p, "q": q, "n": key.public.n}
    return {
        "key": {
            **texts(fields),
            "n_bytes": key.public.to_bytes().hex(),
            "fingerprint": key.public.fingerprint.hex(),
            "challenges": [str(x) for x in proof_challenges(key.public)],
            "proof": key.proof.hex(),
        },
        "encrypt": encryptions(key.public),
        "plan": {**texts(plan.to_dict()), **derived(plan)},
        "pack": [packing(plan, 1, v) for v in ([0, 0, 0], [1, -1, 1], [-1, 0, 0], [0, 0, -plan.update_max])]
        + [packing(plan, 104, [104 * plan.update_max, -104 * plan.update_max, 5])],
        "affine": affine(key.public, plan),
    }


def texts(fields: dict[str, Any]) -> dict[str, str]:
    """Integers as decimal text."""
    return {name: str(value) for name, value in fields.items()}


def derived(plan: SlotPlan) -> dict[str, str]:
    """What follows from a plan's fields."""
    names = ("update_max", "total_max", "slot_bits", "slots_per_ciphertext", "ciphertexts")
    return texts({name: getattr(plan, name) for name in names})


def encryptions(public: PublicKey) -> list[dict[str, str]]:
    """Enc(m, r) of signed plaintexts with their randomness."""
    cases = []
    for i, m in enumerate((0, 1, -1, 152 << 36, -(public.n // 2), public.n // 2)):
        r = unit(f"r {i}", public.n)
        cases.append(texts({"plaintext": m, "r": r, "ciphertext": public.encrypt(int(m % public.n), r)}))
    return cases


def packing(plan: SlotPlan, weight: int, values: list[int]) -> dict[str, Any]:
    """Values and their signed plaintexts."""
    return {
        "weight": weight,
        "values": [str(v) for v in values],
        "plaintexts": [str(x) for x in plan.pack(values)],
    }


def affine(public: PublicKey, plan: SlotPlan) -> dict[str, Any]:
    """A model's blob, two mines' updates on it, blinded with given randomness, and their aggregate."""
    enc_w = [public.encrypt(int(w % public.n), unit(f"w {j}", public.n)) for j, w in enumerate(W)]
    update = affine_update(public, plan, A, B, enc_w)
    mines = []
    for i, rows in enumerate(ROWS):
        r = unit(f"blinding {i}", public.n)
        blinded = tuple(public.rerandomise(c, gmpy2.powmod(r, public.n, public.n2)) for c in update)
        mines.append((r, MineUpdate.of(public, f"mine {i}", rows, blinded)))
    updates = [mine for _, mine in mines]
    columns = zip(*(mine.ciphertexts for mine in updates), strict=True)
    sums = [public.weighted_sum(column, ROWS) for column in columns]
    expected = [
        (B[i] << plan.weight_frac) - sum(A[i][j] * W[j] for j in range(len(B))) for i in range(len(B))
    ]
    return {
        "a": [[str(x) for x in row] for row in A],
        "b": [str(x) for x in B],
        "weights": [str(x) for x in W],
        "weights_blob": public.encode_blob(enc_w).hex(),
        "update": [str(x) for x in expected],
        "update_blob_before_blinding": public.encode_blob(update).hex(),
        "mines": [{"mine": m.mine, "rows": m.rows, "r": str(r), "blob": m.blob.hex()} for r, m in mines],
        "aggregate": [str(sum(ROWS) * x) for x in expected],
        "aggregate_blob": public.encode_blob(sums).hex(),
        "aggregate_digest": aggregate_digest(public, plan, updates).hex(),
    }


def main(arguments: list[str]) -> int:
    """Write or check the file."""
    text = json.dumps(vectors(), indent=1) + "\n"
    if "--check" not in arguments:
        PATH.write_text(text, encoding="utf-8")
        return 0
    if PATH.exists() and PATH.read_text(encoding="utf-8") == text:
        return 0
    print(f"{PATH.name} differs; if the arithmetic changed on purpose, run scripts/make_vectors_paillier.py")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
