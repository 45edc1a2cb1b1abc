import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import stat
import time
from collections.abc import Callable
from pathlib import Path

import gmpy2
import pytest
from gmpy2 import mpz

from mine.work.pool import Pool, making_s
from sonar.errors import JournalBlocked, JournalError
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
    pool.fill(KEY, 1)
    assert pool.take(KEY, 1) == [gmpy2.powmod(7, KEY.n, KEY.n2)]


def test_filled_entries_outlive_the_process_and_are_returned_once(path: Path) -> None:
    pool = Pool(path)
    pool.fill(KEY, 5)
    pool.close()
    seen = set()
    for _ in range(5):
        pool = Pool(path)
        seen.update(pool.take(KEY, 1))
        pool.close()
    assert len(seen) == 5
    assert Pool(path).count(KEY) == 0


def test_what_was_handed_out_is_gone_from_the_file_itself(path: Path, tmp_path: Path) -> None:
    """A copy without a log beside it, of a mine that was killed, would hide a second update the same way."""
    pool = Pool(path)
    pool.fill(KEY, 2)
    assert pool._db
    assert pool._db.execute("PRAGMA synchronous").fetchone() == (3,)
    used = pool.take(KEY, 1)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    copy = tmp_path / "copy.sqlite"
    shutil.copy2(path, copy)
    assert used[0] not in Pool(copy).take(KEY, 2)


def test_an_empty_pool_makes_what_is_missing(path: Path) -> None:
    pool = Pool(path)
    pool.fill(KEY, 1)
    taken = pool.take(KEY, 3)
    assert len(set(taken)) == 3
    assert KEY.check_all(taken) == taken


def test_keys_do_not_share_entries(path: Path) -> None:
    pool = Pool(path)
    pool.fill(KEY, 1)
    pool.fill(OTHER, 1)
    assert (pool.count(KEY), pool.count(OTHER)) == (1, 1)
    pool.take(KEY, 2)
    assert (pool.count(KEY), pool.count(OTHER)) == (0, 1)


def test_only_the_owner_may_read_the_file(path: Path) -> None:
    pool = Pool(path)
    pool.fill(KEY, 1)
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_file_that_cannot_be_written_hands_nothing_out_and_is_not_deleted(path: Path) -> None:
    pool = Pool(path, renewed=_never)
    pool.fill(KEY, 1)
    for method in (lambda: pool.fill(KEY, 1), lambda: pool.take(KEY, 1)):
        assert pool.count(KEY) == 1
        assert pool._db
        pool._db.execute("PRAGMA query_only = ON")
        with pytest.raises(JournalBlocked, match="pool of blindings"):
            method()
    assert pool.count(KEY) == 1
    with pytest.raises(JournalBlocked, match="cannot be used"):
        Pool(path.parent / "no such folder" / "pool.sqlite", renewed=_never)


def _never(fault: JournalError) -> None:
    raise AssertionError(fault)


def _rows(path: Path, *values: object) -> None:
    """A pool with these entries, sound or not."""
    Pool(path).close()
    with sqlite3.connect(path) as db:
        rows = [(KEY.fingerprint, value) for value in values]
        db.executemany("INSERT INTO blinding (fingerprint, value) VALUES (?, ?)", rows)
    db.close()


def _others_may_have_read(path: Path) -> None:
    _rows(path, int(ENTRY).to_bytes(64, "big"))
    path.chmod(0o640)


def _is_no_database(path: Path) -> None:
    path.write_bytes(b"not SQLite" * 100)
    path.chmod(0o600)


def _is_empty_after_its_name(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + bytes(4000))
    path.chmod(0o600)


def _is_cut_off(path: Path) -> None:
    _rows(path, *[int(ENTRY).to_bytes(64, "big")] * 200)
    os.truncate(path, path.stat().st_size // 2)


def _has_bad_pages(path: Path) -> None:
    _rows(path, *[int(ENTRY).to_bytes(64, "big")] * 200)
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xa5" * (len(data) - 4096))


def _has(value: object) -> Callable[[Path], None]:
    return lambda path: _rows(path, int(ENTRY).to_bytes(64, "big"), value)


ENTRY = gmpy2.powmod(12345, KEY.n, KEY.n2)
DAMAGES: dict[str, Callable[[Path], None]] = {
    "others may have read it": _others_may_have_read,
    "no database": _is_no_database,
    "nothing but a header": _is_empty_after_its_name,
    "cut off": _is_cut_off,
    "bad pages": _has_bad_pages,
    "an entry of no bytes": _has(b""),
    "an entry of 0": _has(b"\0" * 64),
    "an entry of n": _has(int(KEY.n).to_bytes(64, "big")),
    "an entry above n^2": _has(b"\xff" * 64),
    "an entry of text": _has("text"),
    "an entry of a number": _has(7),
}


def _use(pool: Pool) -> list[mpz]:
    pool.count(KEY)
    return pool.take(KEY, 2)


@pytest.mark.parametrize("name", DAMAGES)
def test_a_file_that_is_no_good_is_told_and_hands_nothing_out(path: Path, name: str) -> None:
    DAMAGES[name](path)
    with pytest.raises(JournalError, match="pool of blindings") as caught:
        _use(Pool(path))
    assert not isinstance(caught.value, JournalBlocked)
    assert "makes another one" in caught.value.hint


@pytest.mark.parametrize("name", DAMAGES)
def test_a_file_that_is_no_good_is_made_anew_and_none_of_it_is_used(path: Path, name: str) -> None:
    DAMAGES[name](path)
    told: list[JournalError] = []
    pool = Pool(path, renewed=told.append)
    taken = _use(pool)
    assert len(told) == 1
    assert len({ENTRY, *taken}) == 3
    assert KEY.check_all(taken) == taken
    pool.fill(KEY, 1)
    pool.close()
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Pool(path, renewed=_never).count(KEY) == 1


def test_a_file_that_its_operator_deletes_meanwhile_is_made_anew(path: Path) -> None:
    pool = Pool(path, renewed=_never)
    pool.fill(KEY, 2)
    path.unlink()
    with pytest.raises(JournalBlocked, match="cannot be used"):
        pool.fill(KEY, 1)
    pool.fill(KEY, 1)
    assert pool.count(KEY) == Pool(path).count(KEY) == 1


def test_a_journal_that_a_kill_left_is_not_taken_for_the_new_file_s(path: Path, tmp_path: Path) -> None:
    """It holds the old file's pages, with entries of that."""
    _rows(path, *[int(ENTRY).to_bytes(64, "big")] * 200)
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA cache_spill = 1")
    db.execute("PRAGMA cache_size = 1")
    db.execute("BEGIN IMMEDIATE")
    db.execute("DELETE FROM blinding")
    log = path.with_name(f"{path.name}-journal")
    hot = log.read_bytes()
    db.close()
    assert hot
    log.write_bytes(hot)
    path.write_bytes(b"not SQLite" * 100)
    told: list[JournalError] = []
    pool = Pool(path, renewed=told.append)
    pool.count(KEY)
    assert len(told) == 1
    assert not log.exists()
    assert pool.count(KEY) == 0


@pytest.mark.parametrize("cores", [1, 2, 5])
def test_entries_are_made_over_the_cores(path: Path, cores: int) -> None:
    pool = Pool(path)
    pool.cores = cores
    pool.fill(KEY, 7)
    assert pool.count(KEY) == 7
    taken = pool.take(KEY, 9)
    assert len(set(taken)) == 9
    assert KEY.check_all(taken) == taken


def test_what_a_failing_source_of_randomness_leaves(path: Path) -> None:
    """Entries that were made before the fault are kept, and the fault is not hidden."""
    draws = iter(range(2, 5))

    def rng(bound: int) -> int:
        value = next(draws, None)
        if value is None:
            raise OSError("no randomness")
        return value

    pool = Pool(path, rng=rng)
    pool.cores = 1
    with pytest.raises(OSError, match="no randomness"):
        pool.fill(KEY, 9)
    assert pool.count(KEY) == 3


def test_the_estimate_of_the_idle_time_is_of_the_right_size(path: Path) -> None:
    pool = Pool(path)
    key = PublicKey((mpz(1) << 2047) + 1)
    pool.cores = 1
    assert pool.making_s(key, 3) == 3 * pool.making_s(key, 1) == making_s(2048, 3)
    pool.cores = 2
    assert pool.making_s(key, 10) == making_s(2048, 5)
    assert pool.making_s(key, 1) == making_s(2048, 1)
    assert 0.02 < making_s(3072, 1) < 0.04


def _take_fill_and_tell(path: Path, told: Path) -> None:
    """A mine's life in short: fill, take, use, and tell what was used; until it is killed."""
    pool = Pool(path)
    pool.cores = 2
    with told.open("a") as out:
        out.write("\n")  # ends a line that a kill cut off
        while True:
            pool.fill(KEY, 2)
            for entry in pool.take(KEY, 3):
                out.write(f"{entry}\n")
                out.flush()


def test_kill_9_never_makes_an_entry_come_twice(path: Path, tmp_path: Path) -> None:
    """Thirty lives of one pool, each ended by SIGKILL at some instant: nothing was ever handed out twice."""
    pool = Pool(path)
    pool.fill(KEY, 60)
    pool.close()
    told = tmp_path / "told"
    told.touch()
    for _ in range(30):
        before = told.stat().st_size
        process = multiprocessing.get_context("fork").Process(target=_take_fill_and_tell, args=(path, told))
        process.start()
        while told.stat().st_size < before + 2:
            time.sleep(0.0005)
        time.sleep(random.random() * 0.01)
        assert process.pid
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    whole = [line for line in told.read_text().splitlines() if len(line) > 140]
    pool = Pool(path)
    left = [str(entry) for entry in pool.take(KEY, pool.count(KEY))]
    assert len(whole) > 60
    assert len(set(whole + left)) == len(whole) + len(left)
