import multiprocessing
import os
import random
import signal
import stat
import time
from pathlib import Path

import gmpy2
import pytest
from gmpy2 import mpz

from mine.pool import Pool
from sonar.errors import JournalError
from sonar.paillier.public import PublicKey


def make_key(seed: int) -> PublicKey:
    rng = random.Random(seed)
    p = gmpy2.next_prime(mpz(rng.getrandbits(128) | 1 << 127))
    q = gmpy2.next_prime(mpz(rng.getrandbits(128) | 1 << 127))
    return PublicKey(p * q)


KEY, OTHER = make_key(1), make_key(2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pool.sqlite"


def test_an_entry_is_a_unit_to_the_power_of_n(path: Path) -> None:
    pool = Pool(path, rng=lambda bound: 7)
    pool.fill(KEY)
    assert pool.take(KEY, 1) == [gmpy2.powmod(7, KEY.n, KEY.n2)]


def test_filled_entries_outlive_the_process_and_are_returned_once(path: Path) -> None:
    pool = Pool(path)
    for _ in range(5):
        pool.fill(KEY)
    pool.close()
    seen = set()
    for _ in range(5):
        pool = Pool(path)
        seen.update(pool.take(KEY, 1))
        pool.close()
    assert len(seen) == 5
    assert Pool(path).count(KEY) == 0


def test_an_empty_pool_makes_what_is_missing(path: Path) -> None:
    pool = Pool(path)
    pool.fill(KEY)
    taken = pool.take(KEY, 3)
    assert len(set(taken)) == 3
    assert KEY.check_all(taken) == taken


def test_keys_do_not_share_entries(path: Path) -> None:
    pool = Pool(path)
    pool.fill(KEY)
    pool.fill(OTHER)
    assert (pool.count(KEY), pool.count(OTHER)) == (1, 1)
    pool.take(KEY, 2)
    assert (pool.count(KEY), pool.count(OTHER)) == (0, 1)


def test_only_the_owner_may_read_the_file(path: Path) -> None:
    pool = Pool(path)
    pool.fill(KEY)
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_file_that_cannot_be_written_hands_nothing_out(path: Path) -> None:
    pool = Pool(path)
    pool.fill(KEY)
    pool._db.execute("PRAGMA query_only = ON")
    for method in (lambda: pool.fill(KEY), lambda: pool.take(KEY, 1)):
        with pytest.raises(JournalError, match="pool of blindings"):
            method()
    assert pool.count(KEY) == 1


def _take_and_tell(path: Path, told: Path) -> None:
    pool = Pool(path)
    with told.open("a") as out:
        while True:
            for entry in pool.take(KEY, 2):
                out.write(f"{entry}\n")
                out.flush()


def test_kill_9_never_makes_an_entry_come_twice(path: Path, tmp_path: Path) -> None:
    pool = Pool(path)
    for _ in range(400):
        pool.fill(KEY)
    told = tmp_path / "told"
    for pause_s in (0.0, 0.002, 0.005):
        told.touch()
        before = told.stat().st_size
        process = multiprocessing.get_context("fork").Process(target=_take_and_tell, args=(path, told))
        process.start()
        while told.stat().st_size == before:
            time.sleep(0.001)
        time.sleep(pause_s)
        assert process.pid
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        with told.open("a") as out:
            out.write("\n")
    entries = [line for line in told.read_text().splitlines() if line]
    left = {str(entry) for entry in pool.take(KEY, pool.count(KEY))} if pool.count(KEY) else set()
    whole = [entry for entry in entries if len(entry) > 100]
    assert len(whole) == len(set(whole)) > 3
    assert not left & set(whole)
