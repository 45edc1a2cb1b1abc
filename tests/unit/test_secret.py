"""The secret half: tables of zeros, batches, the check of decryptions, and what it tells while it works."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence

import gmpy2
import pytest
from gmpy2 import mpz
from hypothesis import given, settings
from hypothesis import strategies as st

from pysonar.keys.key import Secret, _Prime, random_prime
from pysonar.keys.zeros import ZeroTable
from sonar.cores import cores_allowed, in_processes, spread
from sonar.errors import ConfigError, EnvironmentFault, UsageError
from sonar.processes.supervisor import ProcessFailed
from tests.unit.paillier_keys import small_key, textbook_decrypt

KEY = small_key()
N, N2 = KEY.public.n, KEY.public.n2


def fresh() -> Secret:
    return Secret(*KEY.unsafe_primes())


@given(st.lists(st.integers(-int(N // 2), int(N // 2)), max_size=20), st.sampled_from([1, 2, 3]))
@settings(max_examples=40, deadline=None)
def test_batches_are_what_single_ones_are(numbers: list[int], cores: int) -> None:
    some = fresh()
    some.cores = cores
    cs = some.encrypt(numbers)
    assert KEY.public.check_all(cs) == cs
    assert [textbook_decrypt(KEY, c) for c in cs] == numbers == some.decrypt(cs)


def test_many_numbers_take_the_table_and_decrypt_to_the_same() -> None:
    some = fresh()
    numbers = [(-3) ** i for i in range(150)]
    cs = some.encrypt(numbers)
    assert some._p.table
    assert some._q.table
    assert len(set(cs)) == len(cs)
    assert [textbook_decrypt(KEY, c) for c in cs] == numbers
    few = some.encrypt([5, 5])
    assert few[0] != few[1]
    assert some.decrypt(few) == [5, 5]


@given(st.binary(min_size=16, max_size=16))
def test_a_table_holds_powers_of_one_nth_power(exponent: bytes) -> None:
    p = mpz(KEY.unsafe_primes()[0])
    h = TABLE.power(b"\1" + bytes(15))
    assert TABLE.power(exponent) == gmpy2.powmod(h, int.from_bytes(exponent, "little"), p * p)
    assert gmpy2.powmod(h, p - 1, p * p) == 1


TABLE = ZeroTable(mpz(KEY.unsafe_primes()[0]))


def test_a_tables_base_has_no_square_root_for_primes_that_are_3_mod_4() -> None:
    p = random_prime(64)
    for _ in range(20):
        assert gmpy2.legendre(ZeroTable(p).power(b"\1\0\0\0"), p) == -1


@pytest.mark.parametrize("number", [N // 2 + 1, -N // 2 - 1, N, 2 * N])
def test_numbers_that_have_no_sign_are_refused(number: int) -> None:
    with pytest.raises(UsageError, match="between -n/2 and n/2"):
        fresh().encrypt([1, int(number)])


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 17), st.data())
def test_one_wrong_result_among_many_is_found(count: int, data: st.DataObject) -> None:
    """Whatever the error modulo p or q is: the law of the check, on the function that makes it."""
    some = fresh()
    bad, by_p = data.draw(st.integers(0, count - 1)), data.draw(st.booleans())
    cs = some.encrypt(list(range(count)))
    prime = some._p if by_p else some._q
    error = data.draw(st.integers(1, int(prime.p) - 1))
    plain = [mpz(m) for m in range(count)]
    other = some._q.p if by_p else some._p.p
    plain[bad] = (plain[bad] + error * other) % N  # wrong modulo one prime, right modulo the other
    zeros = [c * (1 - m * N) % N2 for c, m in zip(cs, plain, strict=True)]
    assert not prime.are_zeros(zeros)
    assert (some._q if by_p else some._p).are_zeros(zeros)


def test_a_prime_that_changed_in_memory_is_found() -> None:
    some = fresh()
    (c,) = some.encrypt([42])
    for name, change in (("p", 2), ("square", 8), ("_decrypt_factor", 4)):
        some = fresh()
        setattr(some._p, name, getattr(some._p, name) ^ change)
        with pytest.raises(EnvironmentFault, match="a decryption failed its check"):
            some.decrypt([c])
    assert fresh().decrypt([c]) == [42]


def test_long_work_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(1000))
    monkeypatch.setattr(time, "monotonic", lambda: next(now) / 2)  # half a second a look
    some, told = fresh(), []
    some.cores, some.tell = 1, lambda done, of: told.append((done, of))
    some.decrypt(some.encrypt(list(range(40))))
    assert told == [(32, 40), (32, 40)]
    some.tell = None
    some.encrypt(list(range(40)))


def test_primes_do_not_show() -> None:
    assert all(str(prime) not in repr(_Prime(mpz(prime), mpz(7))) for prime in KEY.unsafe_primes())


@pytest.mark.parametrize(("p", "q"), [(7, 7), (7, 29), (101, 607)])
def test_primes_that_make_no_key_are_refused(p: int, q: int) -> None:
    with pytest.raises(UsageError, match="make no key"):
        Secret(p, q)


# ---- the cores


@given(st.lists(st.integers(), max_size=40), st.integers(1, 5), st.integers(1, 9))
@settings(deadline=None)
def test_spreading_keeps_the_order(items: list[int], cores: int, at_a_time: int) -> None:
    parts = list(spread(lambda part: [2 * x for x in part], items, cores=cores, at_a_time=at_a_time))
    assert [x for part in parts for x in part] == [2 * x for x in items]
    assert all(len(part) <= at_a_time for part in parts)


def test_a_fault_stops_what_has_not_begun() -> None:
    begun = []

    def work(part: Sequence[int]) -> Sequence[int]:
        begun.append(part[0])
        if part[0] == 3:
            raise ValueError("three")
        return part

    with pytest.raises(ValueError, match="three"):
        list(spread(work, range(10_000), cores=2, at_a_time=1))
    assert len(begun) < 10_000
    assert threading.active_count() < 20


def test_the_user_says_how_many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    for text, cores in (("", 3), ("1", 1), (" 2 ", 2), ("64", 3), ("9" * 30, 3)):
        monkeypatch.setenv("SONAR_CORES", text)
        assert cores_allowed() == cores
    for text in ("0", "-1", "two", "1.5", "²"):
        monkeypatch.setenv("SONAR_CORES", text)
        with pytest.raises(ConfigError, match="SONAR_CORES"):
            cores_allowed()


def test_a_process_that_is_killed_is_a_fault_that_may_pass() -> None:
    """The system ends one when memory is short; the mine that waits for it has stakes elsewhere."""
    with pytest.raises(ProcessFailed, match="2 processes") as caught:
        in_processes(os._exit, [1, 1])
    assert "SONAR_CORES=1" in caught.value.hint
    assert in_processes(abs, [-3]) == [3]
