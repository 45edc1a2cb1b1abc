"""The ledger and what a home remembers of it, against hostile files and records."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mine.consent import POLICY_FILE, Policy
from mine.data.dataset import DataSet, register_csv
from mine.privacy.accounts import Asked, Privacy
from mine.privacy.ledger import Charge, Ledger, Release, Shown, content_of
from mine.privacy.policy import Budget, PrivacyPolicy
from mine.privacy.rows import marks_of
from sonar.home.journal import Journal
from sonar.privacy.terms import Price
from tests.unit.fuzzing import INPUTS, Rng, changed_bytes, changed_value, fuzz
from tests.unit.test_fuzz_files import changed_text, from_file

ASKED = Asked(Price(Fraction(1, 10)), b"sums", True, 8, 2)
OPENED = INPUTS // 20
"""How many files are opened: each takes most of a millisecond, or several."""


@pytest.fixture
def dataset(tmp_path: Path) -> DataSet:
    path = tmp_path / "d.csv"
    path.write_text("a,b\n" + "".join(f"{i},{i / 7}\n" for i in range(30)))
    return register_csv(path, "d")


def used(path: Path, dataset: DataSet) -> tuple[Privacy, str]:
    """The records of a home that has released something twice."""
    journal = Journal(path / "journal.sqlite", lasting=False)
    privacy = Privacy(Ledger(path / "privacy.sqlite"), journal, PrivacyPolicy(epsilon=50.0), 100)
    journal.put("data/d", dataset.to_record())
    privacy.give("d", Budget(20.0))
    name = ""
    for sums in (b"other", b"sums"):
        name = privacy.ledger.release_name(dataset, sums, 1)
        charge = Charge(content_of(dataset), "d", Fraction(1, 10), 7, release=name, bounty="0x01")
        privacy.ledger.record(charge, Release((1, -(2**70), 5), 30))
    privacy.ledger.show(Shown(name, "0x02", "0x03", "net", 9))
    privacy.tell_bits(dataset, "0x01", 1, 8)
    privacy.memory.use(privacy.ledger)
    privacy.declare(dataset, None, 0, [])
    return privacy, name


def use(privacy: Privacy, dataset: DataSet, name: str) -> None:
    """All that is read of the records."""
    ledger = privacy.ledger
    privacy.memory.check("d", content_of(dataset), privacy.memory.missing(ledger))
    privacy.check(dataset, ASKED)
    ledger.release(name)
    ledger.shown()
    privacy.known_rows(dataset)
    privacy.bits_in(dataset)
    privacy.check_round(dataset, ASKED.price, "0x01", 1, 8)


def changing(privacy: Privacy, dataset: DataSet, name: str, journal: Journal) -> Callable[[Any], object]:
    """A reader of the records, one of which is replaced while it reads."""

    def read(changed: tuple[str, Any]) -> object:
        key, value = changed
        before = journal.get(key)
        try:
            journal.put(key, value)
        except (TypeError, ValueError):  # it takes none of that, so nobody finds it there
            return None
        try:
            privacy.ledger.close()
            use(privacy, dataset, name)
            return value
        finally:
            journal.put(key, before)

    return read


@pytest.mark.parametrize("file", ["privacy.sqlite", "journal.sqlite"])
def test_records(tmp_path: Path, dataset: DataSet, file: str) -> None:
    privacy, name = used(tmp_path, dataset)
    with closing(Journal(tmp_path / file, lasting=False)) as journal:
        good = [(key, value) for key, value in journal.items() if not key.startswith("data/")]
        assert len(good) >= (2 if file == "journal.sqlite" else 7)

        def make(rng: Rng) -> tuple[str, Any]:
            key, value = rng.choice(good)
            if isinstance(value, dict) and rng.random() < 0.4:
                field = rng.choice(list(value))
                if isinstance(value[field], bytes):
                    return key, {**value, field: changed_bytes(rng, value[field])}
                if isinstance(value[field], str):
                    changed = changed_bytes(rng, value[field].encode()).decode(errors="replace")
                    return key, {**value, field: changed}
            return key, changed_value(rng, value)

        taken = fuzz(make, changing(privacy, dataset, name, journal), INPUTS // 3)
    assert taken < INPUTS // 3  # some are noticed
    use(privacy, dataset, name)


def test_files_of_a_ledger(tmp_path: Path, dataset: DataSet) -> None:
    privacy, name = used(tmp_path, dataset)
    source = privacy.ledger.path
    with closing(Journal(source)) as journal:
        journal._db.execute("VACUUM INTO ?", (str(tmp_path / "good.sqlite"),))
    good = (tmp_path / "good.sqlite").read_bytes()
    hostile = tmp_path / "hostile.sqlite"

    def read(data: bytes) -> None:
        for beside in tmp_path.glob("hostile.sqlite*"):
            beside.unlink()
        hostile.write_bytes(data)
        ledger = Ledger(hostile)
        try:
            own = Privacy(ledger, Journal(tmp_path / "j.sqlite", lasting=False), PrivacyPolicy(epsilon=9.0))
            use(own, dataset, name)
        finally:
            ledger.close()

    read(good)
    fuzz(lambda rng: changed_bytes(rng, good), read, OPENED)


def test_tables_of_mine_toml(tmp_path: Path) -> None:
    good = (
        b'[privacy]\nepsilon = 8\ndelta = 1e-5\nledger = "/data/ledger.sqlite"\n[policy]\nmax_bits_all = 7\n'
    )
    decode = from_file(tmp_path / POLICY_FILE, lambda path: Policy.load(path.parent).privacy.budget)
    assert fuzz(lambda rng: changed_text(rng, good), decode) > 0


def test_marks_of_odd_numbers() -> None:
    """The largest, the smallest and those that are hardly any: each row is itself."""
    odd = [1.7e308, -1.7e308, 5e-324, -5e-324, 2.0**53, 0.0, 1 / 3]
    table = np.array([[a, b] for a in odd for b in odd if a <= b])
    marks = marks_of([table], ["a", "b"], bytes(32))
    assert len(marks.rows) == len(table)
