"""What a key reveals of a ciphertext so that others can check it: its plaintext and its randomness."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import pytest
from gmpy2 import mpz

from pysonar.keys.ahead import OpenedAhead
from pysonar.keys.key import Key
from sonar.errors import EnvironmentFault
from tests.unit.paillier_keys import small_key

KEY = Key(*small_key(1024).unsafe_primes())
PUBLIC = KEY.public


def test_an_opening_encrypts_to_the_same_ciphertext() -> None:
    blinding = PUBLIC.blinding(secrets.randbelow)
    wide = PUBLIC.rerandomise(PUBLIC.encrypt(int(PUBLIC.n) - 1, 7), blinding)
    ciphertexts = [*KEY.encrypt_weights([0, 5, -5]), wide, PUBLIC.encrypt(3, 1)]
    found = KEY.unsafe_open(ciphertexts)
    assert [m for m, _ in found] == [0, 5, PUBLIC.n - 5, PUBLIC.n - 1, 3]
    assert found[-1] == (3, 1)
    for (m, r), ciphertext in zip(found, ciphertexts, strict=True):
        assert PUBLIC.encrypt(m, r) == ciphertext


def test_a_sum_of_ciphertexts_opens_too() -> None:
    """A mine's answer is made by arithmetic on ciphertexts; its randomness is nobody's choice."""
    a, b = KEY.encrypt_weights([11, -4])
    total = PUBLIC.add_plain(PUBLIC.weighted_sum([a, b], [3, 5]), 1000)
    ((m, r),) = KEY.unsafe_open([total])
    assert m == 3 * 11 - 5 * 4 + 1000
    assert PUBLIC.encrypt(m, r) == total


def test_a_miscalculated_root_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    key = Key(*small_key(1024).unsafe_primes())
    ciphertexts = key.encrypt_weights([1, 2])
    combine = type(key._secret)._combine
    wrong = lambda self, x_p, x_q: combine(self, x_p, mpz(x_q) + 1)  # noqa: E731
    monkeypatch.setattr(type(key._secret), "_combine", wrong)
    with pytest.raises(EnvironmentFault, match="failed its check"):
        key._secret.roots([c % key.public.n for c in ciphertexts])
    with pytest.raises(EnvironmentFault, match="failed its check"):
        key.unsafe_open(ciphertexts)


def test_openings_of_known_plaintexts_take_no_decryption(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = [0, 5, -5, *range(20)]
    ciphertexts = KEY.encrypt_weights(numbers)
    found = KEY.unsafe_open(ciphertexts)
    monkeypatch.delattr(type(KEY._secret), "decrypt")
    assert KEY.unsafe_open(ciphertexts, numbers) == found


def test_what_was_announced_is_opened_once(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b, c = KEY.encrypt_weights([1, -2, 3])
    wanted = [KEY.unsafe_open([a, b]), KEY.unsafe_open([c])]
    ahead, opened, inner = OpenedAhead(), list[int](), KEY.unsafe_open

    def counted(ciphertexts: Sequence[mpz], plain: Sequence[int] | None = None) -> list[tuple[int, int]]:
        opened.append(len(ciphertexts))
        return inner(ciphertexts, plain)

    monkeypatch.setattr(KEY, "unsafe_open", counted)
    ahead.begin(KEY, [[a, b], [c]], [1, -2, 3])
    assert [ahead.open(KEY, [a, b]), ahead.open(KEY, [c])] == wanted
    assert opened == [3]
    assert ahead.open(KEY, [b]) == wanted[0][1:]
    assert opened == [3, 1]


def test_what_went_wrong_meanwhile_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    ciphertexts = KEY.encrypt_weights([7])
    inner, faults = KEY.unsafe_open, [EnvironmentFault("a miscalculation")]

    def faulty(ciphertexts: Sequence[mpz], plain: Sequence[int] | None = None) -> list[tuple[int, int]]:
        if faults:
            raise faults.pop()
        return inner(ciphertexts, plain)

    monkeypatch.setattr(KEY, "unsafe_open", faulty)
    ahead = OpenedAhead()
    ahead.begin(KEY, [ciphertexts], [7])
    assert ahead.open(KEY, ciphertexts) == inner(ciphertexts)
    assert not faults
