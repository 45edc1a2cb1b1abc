"""The scientist's key: how it is made and kept, and the little that it answers."""

from __future__ import annotations

import copy
import json
import os
import pickle
import stat
from collections import Counter
from dataclasses import replace
from pathlib import Path

import gmpy2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paillier_keys import small_key, textbook_decrypt

from pysonar.keys import keyfile
from pysonar.keys.key import Key, MineUpdate, RoundUpdates, _ledger_path, aggregate_digest
from pysonar.keys.ledger import Ledger
from pysonar.keys.secret import random_prime
from sonar.errors import (
    CiphertextError,
    EnvironmentFault,
    KeyFileError,
    LedgerConflict,
    UpdateOutOfRange,
    UsageError,
)
from sonar.paillier.public import PublicKey
from sonar.paillier.slots import Bounds, SlotPlan

BOUNTY = b"b" * 32
PLAN = SlotPlan.make(
    key_bits=512,
    weights=3,
    bounds=Bounds(weight_max=100, a_row_l1_max=100, b_max=100),
    mines_max=5,
    weight_rows=50,
    weight_frac=4,
    data_frac=4,
)
LIMIT = PLAN.update_max


def fresh_key() -> Key:
    """The small key with a ledger of its own."""
    return Key(*small_key().unsafe_primes())


def update(key: Key, mine: str, values: list[int], rows: int = 1, plan: SlotPlan = PLAN) -> MineUpdate:
    return MineUpdate(mine, rows, tuple(key.encrypt_weights(plan.pack(values))))


# ---- made


def test_generated_keys_are_blum_and_full_length() -> None:
    for bits in (2048, 3072):
        key = Key.generate(bits)
        p, q = key.unsafe_primes()
        assert key.public.bits == bits
        assert all(gmpy2.is_prime(x) and x % 4 == 3 and x >> (bits // 2 - 2) == 3 for x in (p, q))
        assert p != q
        assert gmpy2.gcd(p * q, (p - 1) * (q - 1)) == 1
        assert type(key.public).from_bytes(key.public.to_bytes()) == key.public
    assert len({Key.generate(1024, insecure=True).public.n for _ in range(3)}) == 3


@pytest.mark.parametrize("bits", [1024, 2047, 2056, 0, -2048, 10**6, 2048.0, True])
def test_other_sizes_are_refused(bits: int) -> None:
    with pytest.raises(UsageError, match="multiple of 16 from 2048 to 8192"):
        Key.generate(bits)


def test_every_prime_is_as_likely_as_another() -> None:
    """A search that steps to the next prime favours those after long gaps. Chi squared, 16-bit primes."""
    candidates = [p for p in range(0xC003, 1 << 16, 4) if gmpy2.is_prime(p)]
    counts = Counter(int(random_prime(16)) for _ in range(20 * len(candidates)))
    assert set(counts) <= set(candidates)
    chi_squared = sum((counts[p] - 20) ** 2 / 20 for p in candidates)
    assert abs(chi_squared - len(candidates)) < 8 * (2 * len(candidates)) ** 0.5


# ---- shown and kept


def test_nothing_secret_is_shown() -> None:
    key = small_key()
    for secret in key.unsafe_primes():
        for shown in (repr(key), str(key), repr(vars(key)), f"{key.public}"):
            assert str(secret) not in shown
            assert f"{secret:x}" not in shown


def test_keys_are_not_copied_or_pickled() -> None:
    for way in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="neither pickled nor copied"):
            way(small_key())


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "scientist.key"
    Key.generate(2048).save(path, "correct horse", dev=True)
    return path


def test_a_saved_key_comes_back_with_its_ledger(tmp_path: Path) -> None:
    path = tmp_path / "k"
    key = fresh_key()
    updates = [update(key, m, [1, 2, 3]) for m in "ab"]
    answer = aggregate(key, updates)
    key.save(path, "pass", dev=True)
    primes = key.unsafe_primes()
    key.close()
    with pytest.raises(UsageError, match="the key is closed"):
        key.unsafe_primes()
    again = Key.load(path, "pass")
    assert again.unsafe_primes() == primes
    assert answer == aggregate(again, updates)
    with pytest.raises(LedgerConflict, match="another aggregate of round 1"):
        aggregate(again, [*updates, update(again, "c", [0] * 3)])
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in tmp_path.iterdir())


def test_full_scrypt_unless_dev(tmp_path: Path, saved: Path) -> None:
    fresh_key().save(tmp_path / "k", "pass")
    assert json.loads((tmp_path / "k").read_text())["kdf"]["n"] == 1 << 17
    assert json.loads(saved.read_text())["kdf"]["n"] == 1 << 14
    Key.load(tmp_path / "k", "pass")


def test_wrong_passphrases_are_refused(saved: Path, tmp_path: Path) -> None:
    for wrong in ("", "correct horse ", "Correct horse"):
        with pytest.raises(KeyFileError, match="wrong passphrase"):
            Key.load(saved, wrong)
    with pytest.raises(KeyFileError, match="empty"):
        fresh_key().save(tmp_path / "k", "")
    with pytest.raises(KeyFileError, match="not in UTF-8"):
        Key.load(saved, "Schl\udcfcssel")


def test_the_file_holds_neither_prime(saved: Path) -> None:
    text = saved.read_text()
    for secret in Key.load(saved, "correct horse").unsafe_primes():
        assert f"{secret:x}" not in text
        assert str(secret) not in text


def test_a_file_that_others_may_read_is_refused(saved: Path) -> None:
    for file in (saved, next(saved.parent.glob("*.ledger"))):
        os.chmod(file, 0o640)
        with pytest.raises(KeyFileError, match="mode 0640") as caught:
            Key.load(saved, "correct horse")
        assert f"chmod 600 {file}" in caught.value.hint
        os.chmod(file, 0o600)
    Key.load(saved, "correct horse")


def test_a_key_without_its_ledger_is_refused(saved: Path, tmp_path: Path) -> None:
    moved = tmp_path / saved.name
    moved.write_bytes(saved.read_bytes())
    moved.chmod(0o600)
    with pytest.raises(KeyFileError, match=r"ledger .* is missing"):
        Key.load(moved, "correct horse")


def test_nothing_is_overwritten(saved: Path) -> None:
    """Neither a key nor, by the same key under another name, a ledger; and nothing is left behind."""
    before = {path.name: path.read_bytes() for path in saved.parent.iterdir()}
    same = Key(*Key.load(saved, "correct horse").unsafe_primes())
    for key, path in ((fresh_key(), saved), (same, saved.with_name("other"))):
        with pytest.raises(KeyFileError, match="exists"):
            key.save(path, "pass", dev=True)
        assert {path.name: path.read_bytes() for path in saved.parent.iterdir()} == before


def _same_bytes(data: str) -> list[str]:
    """Other spellings of the hex in `data`, which Python's own reader takes for the same bytes."""
    return [data.upper(), f"{data[:2]} {data[2:]}", data + "\n"]


def test_any_change_of_the_file_is_noticed(saved: Path, tmp_path: Path) -> None:
    document = json.loads(saved.read_text())
    path = tmp_path / "changed"
    path.touch(0o600)
    path.write_text(json.dumps(document))
    keyfile.read(path, "correct horse")
    changes: dict[str, object] = {
        "v": 2,
        "kind": "other",
        "fingerprint": "00" * 32,
        "kdf": document["kdf"] | {"n": 1 << 30},
        "cipher": document["cipher"] | {"nonce": "00" * 12},
        "data": "00" + document["data"][2:],
        "more": 1,
    }
    texts = [json.dumps(document | {name: value}) for name, value in changes.items()]
    texts += [json.dumps(document | {"data": other}) for other in _same_bytes(document["data"])]
    for name in document:
        texts.append(json.dumps({other: value for other, value in document.items() if other != name}))
    for text in [
        *texts,
        "",
        "[]",
        "[" * 9000,
        "7",
        '{"data": 5}',
        "x" * 20_000,
        "\udcff".encode("utf-8", "surrogateescape").decode("latin-1"),
    ]:
        path.write_text(text)
        with pytest.raises(KeyFileError):
            keyfile.read(path, "correct horse")
    with pytest.raises(KeyFileError, match="cannot be read"):
        Key.load(tmp_path / "missing", "x")


def test_a_file_of_another_kind_or_version_is_told_before_a_passphrase_is_tried(saved: Path) -> None:
    document = json.loads(saved.read_text())
    keyfile.parse(saved, json.dumps(document).encode())
    for changed in (
        {"v": 2},
        {"kind": "other"},
        {"fingerprint": "00" * 31},
        {"kdf": document["kdf"] | {"salt": "00" * 31}},
        {"cipher": document["cipher"] | {"name": "aes-128-gcm"}},
        {"cipher": document["cipher"] | {"nonce": "00" * 11}},
    ):
        with pytest.raises(KeyFileError, match="not a key file of a version that this program reads"):
            keyfile.parse(saved, json.dumps(document | changed).encode())


def test_a_key_file_has_a_limit(saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.touch(0o600)
    path.write_bytes(saved.read_bytes().ljust(16384))
    keyfile.read(path, "correct horse")
    path.write_bytes(saved.read_bytes().ljust(16385))
    with pytest.raises(KeyFileError, match="more than 16384 bytes"):
        keyfile.read(path, "correct horse")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("n", n) for n in (16384.0, float("inf"), True, -16384, 16385, 1 << 13, 1 << 21)),
        ("r", 8.0),
        ("p", True),
        ("p", 2),
        ("salt", "00"),
        ("name", "argon2"),
    ],
)
def test_what_scrypt_would_not_take_is_refused_before(
    saved: Path, tmp_path: Path, field: str, value: object
) -> None:
    document = json.loads(saved.read_text())
    path = tmp_path / "changed"
    path.write_text(json.dumps(document | {"kdf": document["kdf"] | {field: value}}))
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match="is not a key file"):
        Key.load(path, "correct horse")


def test_a_file_of_two_composites_or_of_one_prime_twice_is_refused(tmp_path: Path) -> None:
    """Whoever gives somebody a key file and its passphrase may have put anything into it."""
    p, q = (int(x) for x in fresh_key().unsafe_primes())
    for i, (first, second) in enumerate([(p, p), (p + 2, q), (p, q - 2), (1, q), (0, q)]):
        path, n = tmp_path / f"{i}.key", first * second
        fingerprint = PublicKey(gmpy2.mpz(n)).fingerprint
        secret = first.to_bytes(32, "big") + second.to_bytes(32, "big")
        keyfile.write(path, secret, fingerprint, "pass", light=True)
        Ledger(_ledger_path(path, fingerprint), fingerprint).close()
        with pytest.raises(KeyFileError, match="does not hold two primes"):
            Key.load(path, "pass")


def test_a_file_that_says_another_fingerprint_than_its_key_has_is_refused(tmp_path: Path) -> None:
    """Else the same key would have two ledgers, and could decrypt twice."""
    path, fingerprint = tmp_path / "key", b"f" * 32
    secret = b"".join(int(prime).to_bytes(32, "big") for prime in fresh_key().unsafe_primes())
    keyfile.write(path, secret, fingerprint, "pass", light=True)
    Ledger(_ledger_path(path, fingerprint), fingerprint).close()
    with pytest.raises(KeyFileError, match="holds another key than its fingerprint says"):
        Key.load(path, "pass")


def test_only_a_file_is_read_as_a_key_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)  # opening it would wait for ever
    for name in ("pipe", "."):
        with pytest.raises(KeyFileError, match="is not a file"):
            Key.load(tmp_path / name, "pass")


# ---- the aggregate


values = st.lists(st.sampled_from([0, LIMIT, -LIMIT]) | st.integers(-LIMIT, LIMIT), min_size=3, max_size=3)
cohorts = st.lists(st.tuples(values, st.integers(1, 50)), min_size=2, max_size=5)


@settings(max_examples=40, deadline=None)
@given(cohorts)
def test_the_aggregate_is_the_weighted_sum(cohort: list[tuple[list[int], int]]) -> None:
    key = fresh_key()
    updates = [update(key, f"m{i}", v, rows) for i, (v, rows) in enumerate(cohort)]
    total = aggregate(key, updates)
    assert total == [sum(rows * v[i] for v, rows in cohort) for i in range(3)]


def aggregate(
    key: Key,
    updates: list[MineUpdate],
    round: int = 1,
    plan: SlotPlan = PLAN,
    min_mines: int = 2,
    weights_int: tuple[int, ...] | None = None,
    bounty: bytes = BOUNTY,
) -> list[int]:
    """Each round stands at weights of its own, unless a test says where."""
    return key.decrypt_aggregate(
        bounty=bounty,
        round=round,
        plan=plan,
        weights_int=(round,) * 3 if weights_int is None else weights_int,
        updates=updates,
        min_mines=min_mines,
    )


def test_cohorts_that_differ_by_one_mine_are_not_summed_at_the_same_weights() -> None:
    key = fresh_key()
    a, b, c = (update(key, m, [1, 2, 3], 7) for m in "abc")
    aggregate(key, [a, b, c], weights_int=(5, 0, -5))
    finer = replace(PLAN, weight_frac=PLAN.weight_frac + 1)
    for changes in ({"round": 2}, {"bounty": b"another bounty" * 2}, {"round": 2, "plan": finer}):
        scale = 1 << (changes.get("plan", PLAN).weight_frac - PLAN.weight_frac)  # type: ignore[attr-defined]
        with pytest.raises(LedgerConflict, match="another cohort"):
            aggregate(key, [a, b], weights_int=(5 * scale, 0, -5 * scale), **changes)  # type: ignore[arg-type]
    with pytest.raises(LedgerConflict, match="another cohort"):
        aggregate(key, [a, b, replace(c, rows=8)], round=2, weights_int=(5, 0, -5))
    fresh = [update(key, m, [1, 2, 3], 7) for m in "abc"]  # re-randomised, and the same sum
    assert aggregate(key, fresh, round=2, weights_int=(5, 0, -5)) == [21, 42, 63]
    fewer = [update(key, m, [1, 2, 3], 7) for m in "ab"]
    assert aggregate(key, fewer, round=3, weights_int=(5, 0, -4)) == [14, 28, 42]
    with pytest.raises(UsageError, match="2 weights"):
        aggregate(key, [a, b], round=4, weights_int=(5, 0))


def test_a_round_has_one_aggregate() -> None:
    key = fresh_key()
    a, b, c = (update(key, m, [1, 2, 3], 7) for m in "abc")
    assert aggregate(key, [a, b, c]) == aggregate(key, [c, a, b]) == [21, 42, 63]
    others = [
        [a, b],
        [a, b, replace(c, rows=6)],
        [a, b, replace(c, mine="d")],
        [a, b, update(key, "c", [1, 2, 3], 7)],
    ]
    for other in others:
        with pytest.raises(LedgerConflict, match="another aggregate of round 1"):
            aggregate(key, other)
    with pytest.raises(LedgerConflict, match="another aggregate of round 1"):
        aggregate(key, [a, b, c], plan=replace(PLAN, weight_rows=49))
    for changes in ({"round": 2}, {"bounty": b"another bounty" * 2, "weights_int": (9, 9, 9)}):
        with pytest.raises(LedgerConflict, match="part of another aggregate"):  # whatever it is called
            aggregate(key, [a, b], **changes)  # type: ignore[arg-type]
    assert aggregate(key, [update(key, m, [1, 2, 3], 7) for m in "ab"], round=2) == [14, 28, 42]


def test_what_cannot_be_aggregated_does_not_use_up_the_round() -> None:
    key = fresh_key()
    a, b = (update(key, m, [1, 2, 3]) for m in "ab")
    bad: list[tuple[list[MineUpdate], type[Exception], str]] = [
        ([], UsageError, "0 updates; an aggregate takes at least 2"),
        ([a], UsageError, "1 updates; an aggregate takes at least 2"),
        ([a, a], UsageError, "twice"),
        ([a, replace(b, rows=0)], UsageError, "b: 0 rows"),
        ([a, replace(b, rows=51)], UsageError, "b: 51 rows; the slot plan takes 1 to 50"),
        ([replace(a, mine=str(i)) for i in range(6)], UsageError, "room for 5"),
        ([a, replace(b, ciphertexts=())], CiphertextError, "b: 0 ciphertexts"),
        ([a, replace(b, ciphertexts=(key.public.n,))], CiphertextError, "shares a factor"),
    ]
    for updates, error, problem in bad:
        with pytest.raises(error, match=problem):
            aggregate(key, updates, min_mines=1)
    with pytest.raises(UsageError, match="takes at least 3"):
        aggregate(key, [a, b], min_mines=3)
    with pytest.raises(UsageError, match="key of 1024 bits, not 512"):
        aggregate(key, [a, b], plan=replace(PLAN, key_bits=1024))
    assert aggregate(key, [a, b]) == [2, 4, 6]


def test_an_aggregate_out_of_range_is_refused_unseen() -> None:
    key = fresh_key()
    over = MineUpdate("b", 1, tuple(key.encrypt_weights([3 * LIMIT])))
    with pytest.raises(UpdateOutOfRange) as caught:
        aggregate(key, [update(key, "a", [0, 0, 0]), over])
    assert str(3 * LIMIT) not in str(caught.value)


@pytest.mark.parametrize("half", ["_p", "_q"])
def test_a_fault_in_either_half_releases_nothing(half: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last ciphertext of a batch comes out wrong by one bit, modulo one of the primes."""
    key = fresh_key()
    updates = [update(key, m, [1, 2, 3]) for m in "ab"]
    prime = type(key._secret._p)
    right, broken = prime.decrypt, getattr(key._secret, half)

    def wrong(self: object, cs: list[int]) -> list[int]:
        plain = right(self, cs)  # type: ignore[arg-type]
        return [*plain[:-1], plain[-1] ^ 4] if self is broken else plain

    monkeypatch.setattr(prime, "decrypt", wrong)
    now = RoundUpdates(1, (0, 0, 0), {one.mine: one for one in updates})
    rules = {"zero_start": True, "bias_index": 2, "bias_curvature": None, "min_mines": 2}
    questions = (
        lambda: aggregate(key, updates),
        lambda: key.inspect(bounty=BOUNTY, round=1, plan=PLAN, history=[now], **rules),
        lambda: score(key, {one.mine: [(one, [1.0, 0.0, 0.0])] for one in updates}),
        lambda: key.unsafe_decrypt_update(PLAN, updates[0]),
    )
    for question in questions:
        with pytest.raises(EnvironmentFault, match="nothing was released"):
            question()
    monkeypatch.undo()
    assert aggregate(key, updates) == [2, 4, 6]
    assert set(score(key, {"a": [(updates[0], [1.0, 0.0, 0.0])]}).values()) == {32767}


def test_the_digest_names_the_set() -> None:
    key = fresh_key()
    a, b = (update(key, m, [1, 2, 3]) for m in "ab")
    digest = aggregate_digest(key.public, PLAN, [a, b])
    assert digest == aggregate_digest(key.public, PLAN, [b, a])
    assert len(digest) == 32
    different = [
        [a],
        [a, replace(b, rows=2)],
        [a, replace(b, mine="c")],
        [replace(a, mine="b"), replace(b, mine="a")],
    ]
    assert len({digest, *(aggregate_digest(key.public, PLAN, u) for u in different)}) == 5


# ---- scores


def score(key: Key, terms: dict[str, list[tuple[MineUpdate, list[float]]]], round: int = 1) -> dict[str, int]:
    return key.score(bounty=BOUNTY, round=round, plan=PLAN, terms=terms)


def aggregated(key: Key, terms: dict[str, list[tuple[MineUpdate, list[float]]]]) -> None:
    """Have it on record that the one update of each mine was aggregated in round 1."""
    updates = {mine: key._digest(one) for mine, [(one, _)] in terms.items()}
    key.ledger.record_aggregate(BOUNTY, 1, b"", weights=b"", cohort=b"", updates=updates)


def test_scores_are_the_products_scaled_together() -> None:
    key = fresh_key()
    a1, a2, b = (
        update(key, "a", [256, 512, -256]),
        update(key, "a", [0, 256, 0]),
        update(key, "b", [-2560, 0, 0]),
    )
    # In real units (2^8): a1 = (1, 2, -1), a2 = (0, 1, 0), b = (-10, 0, 0).
    aggregate(key, [a1, update(key, "b", [1, 1, 1])], round=1)
    aggregate(key, [a2, b, update(key, "c", [1, 1, 1])], round=2)
    aggregate(key, [update(key, mine, [1, 1, 1]) for mine in "ab"], round=3)
    terms = {"a": [(a1, [1.0, 1.0, 1.0]), (a2, [0.0, 3.0, 0.0])], "b": [(b, [1.0, 0.0, 0.0])], "c": []}
    scores = {"a": 16384, "b": -32767, "c": 0}
    assert score(key, terms, round=2) == scores
    assert key.ledger.totals(BOUNTY)["a"].score_bits == 16
    assert score(key, {**terms, "a": [(a1, [0.5] * 3), (a2, [0.5] * 3)]}, round=2) == scores
    with pytest.raises(LedgerConflict, match="were given for other updates"):
        score(key, {"a": terms["a"]}, round=2)
    assert key.ledger.totals(BOUNTY)["a"].score_bits == 16
    assert score(key, {"a": terms["a"]}, round=3) == {"a": 32767}
    assert key.ledger.totals(BOUNTY)["a"].score_bits == 32


def test_only_aggregated_updates_are_scored() -> None:
    """Else a known update beside a mine's would be a ruler to read it by, 16 bits more with every label."""
    key = fresh_key()
    a, b, ruler = (update(key, mine, [7, -3, 2]) for mine in ("a", "b", "ruler"))
    aggregate(key, [a, b], round=1)
    one = [1.0, 0.0, 0.0]
    for number, terms in [
        (2, {"a": [(a, one)]}),
        (1, {"a": [(a, one)], "ruler": [(ruler, one)]}),
        (1, {"a": [(a, one)], "b": [(b, one), (ruler, one)]}),
        (1, {"a": [(a, one)], "b": [(a, [0.0, 1.0, 0.0])]}),
    ]:
        with pytest.raises(LedgerConflict, match="aggregated"):
            score(key, terms, round=number)
    assert key.ledger.totals(BOUNTY) == {}


def test_a_huge_negative_score_leaves_the_positive_ones_positive() -> None:
    """Else nobody's were, and the accepted would share equally: the one who did the harm as well."""
    key = fresh_key()
    weight = {"a": 1e-9, "b": 0.0, "c": -1e9}
    terms = {mine: [(update(key, mine, [256, 0, 0]), [w, 0.0, 0.0])] for mine, w in weight.items()}
    aggregated(key, terms)
    assert score(key, terms) == {"a": 1, "b": 0, "c": -32767}


def test_scores_of_nothing_are_zero() -> None:
    key = fresh_key()
    assert score(key, {}, round=2) == {}
    terms = {"a": [(update(key, "a", [0, 0, 0]), [1.0, 1.0, 1.0])]}
    aggregated(key, terms)
    assert score(key, terms) == {"a": 0}


@pytest.mark.parametrize("vector", [[1.0], [float("nan"), 1.0, 1.0], [float("inf"), 1.0, 1.0]])
def test_malformed_coefficients_are_refused(vector: list[float]) -> None:
    key = fresh_key()
    with pytest.raises(UsageError, match="coefficient"):
        score(key, {"a": [(update(key, "a", [1, 2, 3]), vector)]})


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.sampled_from("abcdef"), values, min_size=1))
def test_scores_are_16_bits_in_the_right_order(cohort: dict[str, list[int]]) -> None:
    key = fresh_key()
    terms = {m: [(update(key, m, v), [1.0, 0.0, 0.0])] for m, v in cohort.items()}
    aggregated(key, terms)
    scores = score(key, terms)
    assert all(-(1 << 15) <= s < 1 << 15 for s in scores.values())
    ranked = sorted(cohort, key=lambda m: cohort[m][0])
    assert [scores[m] for m in ranked] == sorted(scores.values())


# ---- the hazard, named


def test_one_update_is_opened_only_by_the_unsafe_call() -> None:
    key = fresh_key()
    one = update(key, "a", [1, -2, LIMIT])
    assert key.unsafe_decrypt_update(PLAN, one) == [1, -2, LIMIT]
    with pytest.raises(UpdateOutOfRange, match="a: a value is outside the range"):
        key.unsafe_decrypt_update(PLAN, update(key, "a", [1, -2, LIMIT + 1]))
    assert PLAN.unpack([textbook_decrypt(key, c) for c in one.ciphertexts], weight=1) == [1, -2, LIMIT]
    public = {name for name in dir(key) if not name.startswith("_")}
    assert public == {
        "close",
        "decrypt_aggregate",
        "decrypt_packed_sum",
        "encrypt_packed",
        "encrypt_weights",
        "generate",
        "inspect",
        "ledger",
        "load",
        "on_progress",
        "proof",
        "public",
        "save",
        "score",
        "unsafe_decrypt_update",
        "unsafe_primes",
    }
