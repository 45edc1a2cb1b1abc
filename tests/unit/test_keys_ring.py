"""A holder whose key changes: each round by its own key, and one ledger and one memory for all of them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from pysonar.keys import keyfile
from pysonar.keys.archive import Archive
from pysonar.keys.base import Keyring
from pysonar.keys.key import Key
from pysonar.keys.ledger import Ledger
from pysonar.keys.local import LocalHolder
from pysonar.keys.updates import MineUpdate
from sonar.errors import JournalError, KeyFileError, LedgerConflict
from sonar.paillier.affine import affine_update
from tests.holder_kit import job_of
from tests.unit.test_family_inspection import PLAN, Mine, mines_of
from tests.unit.test_keys_local import W_1, W_2, W_3

JOB = job_of(PLAN)


@cache
def primes(number: int) -> tuple[int, int]:
    p, q = Key.generate(1024, insecure=True).unsafe_primes()
    return int(p), int(q)


def opened(folder: Path) -> LocalHolder:
    """The holder of a program that was just started."""
    first = Key.load(folder / "a.json", "pass")
    return LocalHolder(Keyring(first, lambda: keyfile.files_of(folder, "a"), "pass"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Key(*primes(0)).save(tmp_path / "a.json", "pass", dev=True)
    return tmp_path


def rotate(folder: Path, number: int) -> None:
    first = keyfile.named(folder / "a.json").fingerprint
    Key(*primes(number)).save_next(keyfile.next_file(folder, "a"), "pass", first, dev=True)


def sent(number: int, mines: dict[str, Mine], w: list[int]) -> list[MineUpdate]:
    """What mines send of weights under key `number`."""
    key = Key(*primes(number))
    enc_w = key.encrypt_weights(w)
    return [
        MineUpdate.of(key.public, name, 40, affine_update(key.public, PLAN, mine.a, mine.b, enc_w))
        for name, mine in mines.items()
    ]


def some_mines(count: int = 4) -> dict[str, Mine]:
    return {f"m{i}": mine for i, mine in enumerate(mines_of(np.random.default_rng(3), count))}


def test_tests_sums_and_scores_go_over_rounds_of_two_keys_as_over_those_of_one(
    folder: Path, tmp_path: Path
) -> None:
    mines, weights = some_mines(), (W_1, W_2, W_3)
    single = LocalHolder(Key(*primes(0)))
    holder = opened(folder)
    for number, w in enumerate(weights, start=1):
        if number > 1:
            rotate(folder, number - 1)
            assert holder.turn(JOB, number)
            assert holder.turn(JOB, number)  # asked again, the same is decided
        under = sent(number - 1, mines, w)
        assert holder.public_of(JOB, number).n == Key(*primes(number - 1)).public.n
        alone = sent(0, mines, w)
        assert holder.holds(JOB, number, w, under) == single.holds(JOB, number, w, alone)
        assert holder.open_sum(JOB, number, w, under) == single.open_sum(JOB, number, w, alone)
        holder.close()
        holder = opened(folder)  # the next round finds what was opened before
    vectors = {number: [1.0, -2.0, 0.5, 3.0, 0.25] for number in (1, 2, 3)}
    assert holder.score(JOB, 3, vectors) == single.score(JOB, 3, vectors)
    assert not holder.turn(JOB, 4)  # no newer key was asked for
    assert [holder.key(JOB, number).n for number in (1, 2, 3, 4)] == [
        Key(*primes(number)).public.to_bytes() for number in (0, 1, 2, 2)
    ]
    holder.close()


def test_a_replay_from_under_another_key_is_seen(folder: Path) -> None:
    """Whoever sends the answer of an earlier round again has re-encrypted it: the values tell."""
    mines, holder = some_mines(), opened(folder)
    holder.holds(JOB, 1, W_1, sent(0, mines, W_1))
    rotate(folder, 1)
    holder.turn(JOB, 2)
    first, *others = mines
    replayed = sent(1, {first: mines[first]}, W_1)
    now = sent(1, {name: mines[name] for name in others}, W_2)
    told = holder.holds(JOB, 2, W_2, [*replayed, *now])
    assert told[first] is not None
    assert {told[name] for name in others} == {None}
    holder.close()


def test_another_cohort_at_the_same_weights_is_refused_under_the_next_key_too(folder: Path) -> None:
    """Else a change of the key would open the difference of two sums, which is one mine's answer."""
    mines, holder = some_mines(), opened(folder)
    holder.open_sum(JOB, 1, W_1, sent(0, mines, W_1))
    rotate(folder, 1)
    holder.turn(JOB, 2)
    fewer = {name: mine for name, mine in mines.items() if name != "m0"}
    with pytest.raises(LedgerConflict, match="another cohort's aggregate"):
        holder.open_sum(JOB, 2, W_1, sent(1, fewer, W_1))
    holder.close()
    holder = opened(folder)
    with pytest.raises(LedgerConflict, match="another cohort's aggregate"):
        holder.open_sum(JOB, 2, W_1, sent(1, fewer, W_1))
    assert holder.open_sum(JOB, 2, W_1, sent(1, mines, W_1))
    holder.close()


def test_the_old_key_alone_does_not_open_what_was_opened_under_the_new_one(folder: Path) -> None:
    mines, holder = some_mines(), opened(folder)
    holder.holds(JOB, 1, W_1, sent(0, mines, W_1))
    rotate(folder, 1)
    holder.turn(JOB, 2)
    holder.holds(JOB, 2, W_2, sent(1, mines, W_2))
    holder.close()
    (path,) = folder.glob("*.opened")
    secret = Key(*primes(0)).unsafe_derive(b"archive")
    thief = Archive(path, secret, lambda name: secret)
    assert thief.page(JOB.bounty, 1) is not None
    with pytest.raises(JournalError, match="it was changed"):
        thief.page(JOB.bounty, 2)
    thief.close()


def test_the_first_decision_about_a_round_stands(folder: Path) -> None:
    holder = opened(folder)
    rotate(folder, 1)
    assert holder.turn(JOB, 2)
    rotate(folder, 2)
    assert holder.turn(JOB, 2)
    assert holder.public_of(JOB, 2).n == Key(*primes(1)).public.n
    assert holder.turn(JOB, 3)
    assert holder.public_of(JOB, 3).n == Key(*primes(2)).public.n
    assert holder.public_of(JOB, 1).n == Key(*primes(0)).public.n
    other = job_of(PLAN, min_mines=3)
    assert holder.public_of(other, 3).n == Key(*primes(0)).public.n  # another bounty of this key
    holder.close()


def test_a_key_that_cannot_be_opened_changes_nothing(folder: Path) -> None:
    holder = opened(folder)
    first = keyfile.named(folder / "a.json").fingerprint
    Key(*primes(1)).save_next(keyfile.next_file(folder, "a"), "another", first, dev=True)
    with pytest.raises(KeyFileError, match="wrong passphrase"):
        holder.turn(JOB, 2)
    assert holder.public_of(JOB, 2).n == Key(*primes(0)).public.n
    assert len(holder.encrypt([1], JOB, 2)) == 1
    holder.close()


def test_a_ledger_of_the_format_before_is_brought_up_to_date(tmp_path: Path) -> None:
    """It knew one key for each bounty; what it says of sums stays."""
    path, owner = tmp_path / "x.ledger", b"f" * 32
    ledger = Ledger(path, owner)
    ledger.record_scores(b"b", 1, 16, {"m": 3})
    ledger.close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE turn")
        db.execute("PRAGMA user_version = 2")
    again = Ledger(path, owner)
    assert again.scores(b"b", 1) == {"m": 3}
    again.record_turn(b"b", 2, b"g" * 32)
    assert again.turns(b"b") == {2: b"g" * 32}
    again.close()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (3,)
        db.execute("PRAGMA user_version = 1")
    with pytest.raises(KeyFileError, match="has version 1, from an older Sonar"):
        Ledger(path, owner)
