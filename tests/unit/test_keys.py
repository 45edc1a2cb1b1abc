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

from pysonar.keys import keyfile
from pysonar.keys.holder import KeyHolder
from pysonar.keys.key import Key, random_prime
from pysonar.keys.ledger import Ledger
from pysonar.keys.local import LocalHolder
from pysonar.keys.updates import MineUpdate
from sonar.errors import (
    CiphertextError,
    EnvironmentFault,
    KeyFileError,
    LedgerConflict,
    UpdateOutOfRange,
    UsageError,
)
from sonar.paillier.cohort import aggregate_digest
from sonar.paillier.public import PublicKey
from sonar.paillier.slots import Bounds, SlotPlan
from sonar.settling.updates import Form
from tests.holder_kit import job_of
from tests.unit.paillier_keys import small_key, textbook_decrypt

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
JOB = job_of(PLAN)


def fresh_key() -> Key:
    """The small key with a ledger of its own."""
    return Key(*small_key().unsafe_primes())


def update(key: Key, mine: str, values: list[int], rows: int = 1, plan: SlotPlan = PLAN) -> MineUpdate:
    return MineUpdate.of(key.public, mine, rows, key.encrypt_weights(plan.pack(values)))


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
        with pytest.raises(KeyFileError, match=r"not a key file that|has version 2, from a newer"):
            keyfile.parse(saved, json.dumps(document | changed).encode())
    unnamed = {name: value for name, value in document.items() if name != "kind"} | {"v": 3}
    with pytest.raises(KeyFileError, match="not a key file that"):
        keyfile.parse(saved, json.dumps(unnamed).encode())


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
        Ledger(keyfile.ledger_beside(path, fingerprint), fingerprint).close()
        with pytest.raises(KeyFileError, match="does not hold two primes"):
            Key.load(path, "pass")


def test_a_file_that_says_another_fingerprint_than_its_key_has_is_refused(tmp_path: Path) -> None:
    """Else the same key would have two ledgers, and could decrypt twice."""
    path, fingerprint = tmp_path / "key", b"f" * 32
    secret = b"".join(int(prime).to_bytes(32, "big") for prime in fresh_key().unsafe_primes())
    keyfile.write(path, secret, fingerprint, "pass", light=True)
    Ledger(keyfile.ledger_beside(path, fingerprint), fingerprint).close()
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


def aggregate(key: Key, updates: list[MineUpdate], round: int = 1) -> list[int]:
    """Each round stands at weights of its own."""
    return LocalHolder(key).open_sum(JOB, round, (round,) * 3, updates)


def test_what_cannot_be_aggregated_does_not_use_up_the_round() -> None:
    key = fresh_key()
    holder = LocalHolder(key, least=3)
    a, b, c = (update(key, m, [1, 2, 3]) for m in "abc")
    bad: list[tuple[list[MineUpdate], type[Exception], str]] = [
        ([], UsageError, "0 updates; a sum takes at least 3"),
        ([a, b], UsageError, "2 updates; a sum takes at least 3"),
        ([a, a, b], UsageError, "twice"),
        ([a, b, replace(c, rows=0)], UsageError, "c: 0 rows"),
        ([replace(a, mine=str(i)) for i in range(6)], UsageError, "room for 5"),
        ([a, b, replace(c, ciphertexts=())], CiphertextError, "c: 0 ciphertexts"),
    ]
    for updates, error, problem in bad:
        with pytest.raises(error, match=problem):
            holder.open_sum(JOB, 1, (0, 0, 0), updates)
    assert holder.open_sum(JOB, 1, (0, 0, 0), [a, b, c]) == [3, 6, 9]


def test_only_ciphertexts_of_the_key_make_an_update() -> None:
    key = fresh_key()
    with pytest.raises(CiphertextError, match="shares a factor"):
        MineUpdate.of(key.public, "a", 1, [key.public.n])
    blob = update(key, "a", [1, 2, 3]).blob
    form = Form(PLAN, key.public, are_words=False)
    assert MineUpdate.read(form, "a", 1, blob) == MineUpdate.read(form, "a", 1, blob)
    with pytest.raises(CiphertextError, match="bytes"):
        MineUpdate.read(form, "a", 1, blob[1:])


def test_an_aggregate_out_of_range_is_refused_unseen() -> None:
    key = fresh_key()
    over = MineUpdate.of(key.public, "b", 1, key.encrypt_weights([3 * LIMIT]))
    with pytest.raises(UpdateOutOfRange) as caught:
        aggregate(key, [update(key, "a", [0, 0, 0]), over])
    assert str(3 * LIMIT) not in str(caught.value)


@pytest.mark.parametrize("half", ["_p", "_q"])
def test_a_fault_in_either_half_releases_nothing(half: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last ciphertext of a batch comes out wrong by one bit, modulo one of the primes."""
    key = fresh_key()
    holder = LocalHolder(key)
    updates = [update(key, m, [1, 2, 3]) for m in "ab"]
    prime = type(key._secret._p)
    right, broken = prime.decrypt, getattr(key._secret, half)

    def wrong(self: object, cs: list[int]) -> list[int]:
        plain = right(self, cs)  # type: ignore[arg-type]
        return [*plain[:-1], plain[-1] ^ 4] if self is broken else plain

    monkeypatch.setattr(prime, "decrypt", wrong)
    questions = (
        lambda: holder.open_sum(JOB, 1, (0, 0, 0), updates),
        lambda: holder.holds(JOB, 1, (0, 0, 0), updates),
        lambda: key.unsafe_decrypt(updates[0].ciphertexts),
    )
    for question in questions:
        with pytest.raises(EnvironmentFault, match="nothing was released"):
            question()
    monkeypatch.undo()
    assert holder.open_sum(JOB, 1, (0, 0, 0), updates) == [2, 4, 6]
    assert not holder.knows(JOB, 1)


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


def score(cohort: dict[str, list[int]], factor: dict[str, int] | None = None) -> dict[str, int]:
    """The scores of one round in which each mine sent these values, by their first."""
    key = fresh_key()
    holder = LocalHolder(key)
    filler = {f"filler {i}": [0, 0, 0] for i in range(2 - len(cohort))}
    updates = [
        update(key, mine, sent, (factor or {}).get(mine, 1)) for mine, sent in (cohort | filler).items()
    ]
    holder.holds(JOB, 1, (0, 0, 0), updates)
    holder.open_sum(JOB, 1, (0, 0, 0), updates)
    given = holder.score(JOB, 1, {1: [1.0, 0.0, 0.0]})
    return {mine: given[mine] for mine in cohort}


def test_a_huge_negative_score_leaves_the_positive_ones_positive() -> None:
    """Else nobody's were, and the accepted would share equally: the one who did the harm as well."""
    assert score({"a": [1, 0, 0], "b": [0, 0, 0], "c": [-LIMIT, 0, 0]}, {"c": 50}) == {
        "a": 1,
        "b": 0,
        "c": -32767,
    }


@settings(max_examples=20, deadline=None)
@given(st.dictionaries(st.sampled_from("abcde"), values, min_size=1))
def test_scores_are_16_bits_in_the_right_order(cohort: dict[str, list[int]]) -> None:
    cohort = {mine: [sent[0], *sent[1:-1], place] for place, (mine, sent) in enumerate(cohort.items(), 1)}
    scores = score(cohort)
    assert all(-(1 << 15) <= s < 1 << 15 for s in scores.values())
    ranked = sorted(cohort, key=lambda m: cohort[m][0])
    assert [scores[m] for m in ranked] == sorted(scores.values())


def test_a_round_tested_anew_with_other_updates_scores_none_of_them() -> None:
    """As after a restored journal: a sum was made of others."""
    key = fresh_key()
    holder = LocalHolder(key)
    updates = [update(key, m, [1, 2, 3]) for m in "ab"]
    holder.open_sum(JOB, 1, (0, 0, 0), updates)
    holder.holds(JOB, 1, (0, 0, 0), [updates[0], update(key, "b", [7, 7, 7])])
    with pytest.raises(LedgerConflict, match="update of b in round 1 is not the one"):
        holder.score(JOB, 1, {1: [1.0, 0.0, 0.0]})
    holder.holds(JOB, 1, (0, 0, 0), updates)
    assert holder.score(JOB, 1, {1: [1.0, 0.0, 0.0]}) == {"a": 32767, "b": 32767}


# ---- the hazard, named


def test_one_update_is_opened_only_by_the_unsafe_call() -> None:
    key = fresh_key()
    one = update(key, "a", [1, -2, LIMIT])
    assert PLAN.unpack(key.unsafe_decrypt(one.ciphertexts), weight=1) == [1, -2, LIMIT]
    assert PLAN.unpack([textbook_decrypt(key, c) for c in one.ciphertexts], weight=1) == [1, -2, LIMIT]
    public = {
        type(made): {name for name in dir(made) if not name.startswith("_")}
        for made in (key, LocalHolder(key))
    }
    assert public[Key] == {
        "close",
        "decrypt_packed_sum",
        "encrypt_packed",
        "encrypt_weights",
        "generate",
        "ledger",
        "load",
        "on_progress",
        "proof",
        "public",
        "save",
        "save_next",
        "unsafe_decrypt",
        "unsafe_derive",
        "unsafe_open",
        "unsafe_primes",
    }
    port = {name for name in dir(KeyHolder) if not name.startswith("_")}
    assert public[LocalHolder] == port | {"close"}
