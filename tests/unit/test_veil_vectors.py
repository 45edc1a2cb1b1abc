"""The vector file is what the code makes, and is right by the formulas of the protocol's page alone."""

from __future__ import annotations

import hashlib
import hmac
import json
import runpy
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, MLKEM768X25519PrivateKey, Suite

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENT = json.loads((ROOT / "tests" / "vectors" / "veil.json").read_text())
N = int(DOCUMENT["n"])
SIZE, SLOTS = (int(DOCUMENT["plan"][name]) for name in ("slot_bits", "slots_per_ciphertext"))
COUNT = int(DOCUMENT["plan"]["ciphertexts"])
WRAP_BYTES = (SIZE + 7) // 8
CLASSES = len(DOCUMENT["classes"]["without"])
ANSWERS: list[dict[str, Any]] = DOCUMENT["answers"]


def test_the_code_makes_the_file() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "make_vectors_veil.py"))
    assert script["main"](["--check"]) == 0


# ---- below, nothing of ours: Python's integers, HMAC, AES block by block, and the page's formulas


def key_of(seed: str, purpose: str, answer: dict[str, Any]) -> bytes:
    place = bytes.fromhex(answer["question"] + answer["nonce"]) + answer["round"].to_bytes(4, "big")
    text = b"sonar veil 1" + purpose.encode() + place
    return hmac.new(bytes.fromhex(seed), text, hashlib.sha256).digest()


def stream(key: bytes, count: int) -> bytes:
    block = Cipher(algorithms.AES256(key), modes.ECB()).encryptor()  # the counter below makes it counter mode
    return b"".join(block.update(i.to_bytes(16, "big")) for i in range(-(-count // 16)))[:count]


def numbers(data: bytes, width: int) -> list[int]:
    return [int.from_bytes(data[i : i + width], "big") for i in range(0, len(data), width)]


def masks(seed: str, answer: dict[str, Any]) -> list[int]:
    n = int(answer["n"])
    width = (n.bit_length() + 7) // 8 + 16
    return [x % n for x in numbers(stream(key_of(seed, "mask", answer), width * COUNT), width)]


def wraps(seed: str, answer: dict[str, Any]) -> list[int]:
    data = stream(key_of(seed, "wrap", answer), WRAP_BYTES * COUNT)
    return [x % (1 << SIZE) for x in numbers(data, WRAP_BYTES)]


def words(seed: str, answer: dict[str, Any], first: int, count: int) -> list[int]:
    data = stream(key_of(seed, "word", answer), 8 * (first + count))
    return [int.from_bytes(data[8 * i : 8 * i + 8], "little") for i in range(first, first + count)]


def seeds_of(mine: str) -> list[str]:
    answer = next(each for each in ANSWERS if each["mine"] == mine)
    return [each["seed"] for each in answer["classes"]]


def packed(values: list[str]) -> list[int]:
    return [
        sum(int(v) << (SIZE * i) for i, v in enumerate(values[start : start + SLOTS]))
        for start in range(0, len(values), SLOTS)
    ]


def masked(answer: dict[str, Any]) -> list[int]:
    """X of each ciphertext."""
    columns = zip(*(masks(seed, answer) for seed in seeds_of(answer["mine"])), strict=True)
    n = int(answer["n"])
    return [(p + sum(column)) % n for p, column in zip(packed(answer["values"]), columns, strict=True)]


def digits(number: int) -> list[int]:
    return [number >> (SIZE * i) for i in range(SLOTS + 1)]


def test_the_classes_are_the_sets_of_those_who_do_not_hold_them() -> None:
    classes = DOCUMENT["classes"]
    sets = combinations(range(classes["members"]), classes["threshold"] - 1)
    assert [tuple(each) for each in classes["without"]] == list(sets)


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda a: f"{a['mine']} {a['round']}")
def test_an_answer_is_masked_as_the_page_says(answer: dict[str, Any]) -> None:
    for each in answer["classes"]:
        seed = bytes.fromhex(each["seed"])
        assert each["hash"] == hashlib.sha256(b"sonar veil seed 1" + seed).hexdigest()
        for purpose, text in each["keys"].items():
            assert text == key_of(each["seed"], purpose, answer).hex()
            assert each["streams"][purpose] == stream(bytes.fromhex(text), 40).hex()
        assert each["masks"] == [str(x) for x in masks(each["seed"], answer)]
        assert each["wraps"] == [str(x) for x in wraps(each["seed"], answer)]
    sums = [sum(column) for column in zip(*(masks(s, answer) for s in seeds_of(answer["mine"])), strict=True)]
    hidden = [
        sum(column) for column in zip(*(wraps(s, answer) for s in seeds_of(answer["mine"])), strict=True)
    ]
    n = int(answer["n"])
    k = [(total // n + s) % (1 << SIZE) for total, s in zip(sums, hidden, strict=True)]
    assert answer["wraps"] == b"".join(x.to_bytes(WRAP_BYTES, "big") for x in k).hex()
    for i, (before, after) in enumerate(zip(answer["ciphertexts"], answer["veiled"], strict=True)):
        plain = packed(answer["values"])[i]
        assert int(before) == (1 + plain * n) * pow(2 + i, n, n * n) % n**2
        assert int(after) == int(before) * (1 + n * (sums[i] % n)) % n**2


def test_the_sum_opens_as_the_page_says() -> None:
    case = DOCUMENT["sum"]
    first = [answer for answer in ANSWERS if answer["round"] == 1]
    told = [
        [
            sum(w * masks(seeds_of(a["mine"])[c], a)[j] for a, w in zip(first, case["weights"], strict=True))
            % N
            for j in range(COUNT)
        ]
        for c in range(CLASSES)
    ]
    assert case["classes"] == [[str(x) for x in sums] for sums in told]
    for j in range(COUNT):
        opened = sum(w * masked(a)[j] for a, w in zip(first, case["weights"], strict=True)) % N
        assert case["opened"][j] == str(opened)
        total = (opened - sum(sums[j] for sums in told)) % N
        assert (total if 2 * total < N else total - N) == packed(case["values"])[j]
    for value, *own in zip(case["values"], *(a["values"] for a in first), strict=True):
        assert int(value) == sum(w * int(u) for w, u in zip(case["weights"], own, strict=True))


@pytest.mark.parametrize("case", DOCUMENT["functionals"], ids=lambda c: f"fine {c['fine_bits']}")
def test_a_functional_is_told_as_the_page_says(case: dict[str, Any]) -> None:
    parts = [answer for answer in ANSWERS if answer["mine"] == case["mine"]]
    assert len({answer["n"] for answer in parts}) == 2
    fine, modulus = case["fine_bits"], 1 << SIZE
    places = [[0] * (SLOTS + 1) for _ in range(COUNT)]
    for i, v in enumerate(case["vector"]):
        places[i // SLOTS][i % SLOTS] = int(v)
    numbers_of = [0] * (COUNT * (SLOTS + 1) if fine else 0) + [v for each in places for v in each]
    text = b"".join((v % modulus).to_bytes(WRAP_BYTES, "big") for v in numbers_of)
    assert case["vector_bytes"] == text.hex()

    def dot(j: int, number: int) -> int:
        return sum(v * digit for v, digit in zip(places[j], digits(number << fine), strict=True))

    def of_all(big: list[list[int]], small: list[list[int]]) -> int:
        return sum(
            dot(j, x[j]) + dot(j, int(a["n"])) * k[j]
            for a, x, k in zip(parts, big, small, strict=True)
            for j in range(COUNT)
        )

    told = []
    for c, seed in enumerate(seeds_of(case["mine"])):
        value = of_all([masks(seed, a) for a in parts], [wraps(seed, a) for a in parts]) % modulus
        assert case["class_values"][c] == str(value)
        told.append(value >> (SIZE - case["bits"]))
    assert case["told"] == told
    k = [numbers(bytes.fromhex(a["wraps"]), WRAP_BYTES) for a in parts]
    step = 1 << (SIZE - case["bits"])
    value = of_all([masked(a) for a in parts], k) - sum(y * step + step // 2 for y in told)
    value = (value + modulus // 2) % modulus - modulus // 2
    assert case["value"] == str(value)
    exact = sum(
        int(v) * int(u) << fine for a in parts for v, u in zip(case["vector"], a["values"], strict=True)
    )
    assert case["exact"] == str(exact)
    off = (exact - value + modulus // 2) % modulus - modulus // 2
    assert abs(off) <= int(case["error"])


def test_the_error_of_a_functional_is_the_pages() -> None:
    for case in DOCUMENT["functionals"]:
        balanced = [(int(v) + (1 << SIZE - 1)) % (1 << SIZE) - (1 << SIZE - 1) for v in case["vector"]]
        carried = 2 * sum(abs(v) for i, v in enumerate(balanced) if i % SLOTS)  # of two parts
        plan = {name: int(value) for name, value in DOCUMENT["plan"].items()}
        most = (plan["b_max"] << plan["weight_frac"]) + plan["a_row_l1_max"] * plan["weight_max"]
        fine = case["fine_bits"]
        lower = (most << fine) // (1 << SIZE - 1) + 1 if fine else 0
        truncated = CLASSES * (1 << SIZE - case["bits"] - 1)
        assert case["error"] == str(truncated + carried * (CLASSES + lower))


def test_words_are_masked_as_the_page_says() -> None:
    case = DOCUMENT["words"]
    first = [answer for answer in ANSWERS if answer["round"] == 1]
    seed = first[0]["classes"][0]["seed"]
    assert case["first"] == [str(x) for x in words(seed, first[0], 0, 3)]
    assert case["from_16383"] == [str(x) for x in words(seed, first[0], 16_383, 3)]
    count = len(case["sum"])
    for answer, own, sent in zip(first, case["answers"], case["masked"], strict=True):
        columns = zip(*(words(s, answer, 0, count) for s in seeds_of(answer["mine"])), strict=True)
        assert sent == [str((int(u) + sum(m)) % 2**64) for u, m in zip(own, columns, strict=True)]
    for value, *own in zip(case["sum"], *case["answers"], strict=True):
        total = sum(w * int(u) for w, u in zip(case["weights"], own, strict=True))
        assert int(value) == (total + 2**63) % 2**64 - 2**63
    blob = bytes.fromhex(case["blob"])
    assert [str(int.from_bytes(blob[i : i + 8], "little")) for i in range(0, len(blob), 8)] == case["masked"][
        0
    ]


def test_functionals_of_words_are_the_page_s() -> None:
    case, (answer, *_) = DOCUMENT["words"]["functional"], ANSWERS
    vector = [int(v) for v in case["vector"]]
    assert case["vector_bytes"] == b"".join((v % 2**64).to_bytes(8, "little") for v in vector).hex()
    told = []
    for seed, value in zip(seeds_of(answer["mine"]), case["class_values"], strict=True):
        masks_ = words(seed, answer, 0, len(vector))
        assert int(value) == sum(v * m for v, m in zip(vector, masks_, strict=True)) % 2**64
        told.append(int(value) >> (64 - case["bits"]))
    assert case["told"] == told
    step = 2 ** (64 - case["bits"])
    sent = [int(x) for x in DOCUMENT["words"]["masked"][0]]
    value = sum(v * x for v, x in zip(vector, sent, strict=True)) - sum(y * step + step // 2 for y in told)
    assert int(case["value"]) == (value + 2**63) % 2**64 - 2**63
    assert case["error"] == str(CLASSES * step // 2)
    exact = sum(v * int(u) for v, u in zip(vector, DOCUMENT["words"]["answers"][0], strict=True))
    assert int(case["exact"]) == (exact + 2**63) % 2**64 - 2**63
    assert abs((exact - int(case["value"]) + 2**63) % 2**64 - 2**63) <= int(case["error"])


def test_the_envelope_opens_as_the_page_says() -> None:
    case = DOCUMENT["envelope"]
    hashes = b"".join(bytes.fromhex(each["hash"]) for each in ANSWERS[0]["classes"])
    info = (
        b"sonar veil envelope 1"
        + case["chain_id"].to_bytes(8, "big")
        + bytes.fromhex(case["contract"][2:] + case["bounty"] + case["mine"][2:])
        + case["epoch"].to_bytes(4, "big")
        + hashes
    )
    assert case["context"] == info.hex()
    private = bytes.fromhex(case["private"])
    mlkem = MLKEM768PrivateKey.from_seed_bytes(private[:64])
    x25519 = X25519PrivateKey.from_private_bytes(private[64:])
    public = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
    assert case["public"] == public.hex()
    suite = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    key = MLKEM768X25519PrivateKey(mlkem, x25519)
    assert suite.decrypt(bytes.fromhex(case["sealed"]), key, info).hex() == "".join(case["seeds"])
    held = [c for c, without in enumerate(DOCUMENT["classes"]["without"]) if 0 not in without]
    assert case["seeds"] == [ANSWERS[0]["classes"][c]["seed"] for c in held]


@pytest.mark.parametrize("case", DOCUMENT["atoms"], ids=lambda c: f"{c['opened']} {c['new']}")
def test_atoms_are_what_the_page_says(case: dict[str, Any]) -> None:
    def atoms(sets: list[str]) -> set[str]:
        members = sorted(set("".join(sets)))
        signs = {mine: tuple(mine in each for each in sets) for mine in members}
        return {"".join(m for m in members if signs[m] == sign) for sign in signs.values()}

    before, after = atoms(case["opened"]), atoms([*case["opened"], case["new"]])
    assert case["atoms"] == sorted(before)
    small = [atom for atom in after - before if len(atom) < case["least"]]
    assert case["allowed"] == (not small and len(case["new"]) >= case["least"])
