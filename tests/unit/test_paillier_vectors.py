"""The vector file is what the code makes, and is right by the definitions alone."""

from __future__ import annotations

import hashlib
import json
import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PATH = ROOT / "tests" / "vectors" / "paillier.json"


@pytest.fixture(scope="module")
def vectors() -> dict[str, Any]:
    return dict(json.loads(PATH.read_text()))


def test_the_code_makes_the_file(vectors: dict[str, Any]) -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "make_vectors_paillier.py"))
    assert json.loads(json.dumps(script["vectors"]())) == vectors


def numbers(blob: str, n: int) -> list[int]:
    data, width = bytes.fromhex(blob), ((n * n).bit_length() + 7) // 8
    assert len(data) % width == 0
    return [int.from_bytes(data[i : i + width], "big") for i in range(0, len(data), width)]


def test_the_file_is_right_by_the_definitions(vectors: dict[str, Any]) -> None:
    """Nothing of ours is used below: Python's integers and Paillier's formulas."""
    p, q, n = (int(vectors["key"][name]) for name in ("p", "q", "n"))
    n2, totient = n * n, (p - 1) * (q - 1)
    assert p * q == n
    assert n.bit_length() == 2048
    n_bytes = bytes.fromhex(vectors["key"]["n_bytes"])
    assert int.from_bytes(n_bytes, "big") == n
    assert hashlib.sha256(n_bytes).hexdigest() == vectors["key"]["fingerprint"]

    width, proof = len(n_bytes), bytes.fromhex(vectors["key"]["proof"])
    assert len(proof) == 11 * width
    for i in range(11):
        hashed = b"".join(
            hashlib.sha256(b"sonar key proof 1" + bytes([0, i, 0, j]) + n_bytes).digest()
            for j in range((2048 + 128 + 255) // 256)
        )
        challenge = int.from_bytes(hashed, "big") % n
        assert vectors["key"]["challenges"][i] == str(challenge)
        assert pow(int.from_bytes(proof[i * width : (i + 1) * width], "big"), n, n) == challenge

    def decrypt(c: int) -> int:
        m = (pow(c, totient, n2) - 1) // n * pow(totient, -1, n) % n
        return m if 2 * m < n else m - n

    for case in vectors["encrypt"]:
        m, r, c = (int(case[name]) for name in ("plaintext", "r", "ciphertext"))
        assert c == pow(1 + n, m % n, n2) * pow(r, n, n2) % n2
        assert decrypt(c) == m

    slot = int(vectors["plan"]["slot_bits"])
    for case in vectors["pack"]:
        assert [str(sum(int(v) << slot * i for i, v in enumerate(case["values"])))] == case["plaintexts"]

    affine, weight_frac = vectors["affine"], int(vectors["plan"]["weight_frac"])
    a, b = [[int(x) for x in row] for row in affine["a"]], [int(x) for x in affine["b"]]
    w = [int(x) for x in affine["weights"]]
    assert [decrypt(c) for c in numbers(affine["weights_blob"], n)] == w
    update = [b[i] * 2**weight_frac - sum(a[i][j] * w[j] for j in range(3)) for i in range(3)]
    assert [str(x) for x in update] == affine["update"]
    packed = sum(x << slot * i for i, x in enumerate(update))
    (before,) = numbers(affine["update_blob_before_blinding"], n)
    assert decrypt(before) == packed
    total = 1
    for mine in affine["mines"]:
        (c,) = numbers(mine["blob"], n)
        assert c == before * pow(int(mine["r"]), n, n2) % n2
        total = total * pow(c, mine["rows"], n2) % n2
    assert numbers(affine["aggregate_blob"], n) == [total]
    assert [str(x * sum(mine["rows"] for mine in affine["mines"])) for x in update] == affine["aggregate"]
    assert decrypt(total) == packed * sum(mine["rows"] for mine in affine["mines"])
