"""What was spent is counted exactly, whatever the order, the file and the name; and never beyond a budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mine.consent import POLICY_FILE, Policy
from mine.data.dataset import DataSet, register_csv
from mine.privacy.accounts import Asked, Privacy
from mine.privacy.ledger import Charge, Ledger, Release, ReleaseLost, Shown, content_of
from mine.privacy.policy import Budget, PrivacyPolicy
from sonar.errors import ConfigError, ConsentError, JournalError
from sonar.home.journal import Journal
from sonar.privacy.accounting import epsilon_of
from sonar.privacy.terms import Price

ASKED = Asked(Price(Fraction(1, 10)), b"sums", False, 0, 2)
PLAIN = Asked(None, b"", False, 0, 2)
NO_LIMIT = PrivacyPolicy()
RELEASE = Release((1, -(2**80), 0), 3)


def write(folder: Path, name: str, rows: Sequence[int], header: str = "a,b") -> DataSet:
    """A file of some of the rows 0, 1, 2, ..."""
    path = folder / f"{name}.csv"
    path.write_text("\n".join([header, *(f"{row},{row**2 % 97 + 0.5}" for row in rows)]) + "\n")
    return register_csv(path, name)


class House:
    """A home's records, opened anew for each question."""

    def __init__(self, folder: Path, policy: PrivacyPolicy = NO_LIMIT, bits: int = 1000) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.policy, self.bits = folder, policy, bits

    @property
    def privacy(self) -> Privacy:
        journal = Journal(self.folder / "journal.sqlite", lasting=False)
        return Privacy(Ledger(self.folder / "privacy.sqlite"), journal, self.policy, self.bits)

    def register(self, name: str, rows: Sequence[int], header: str = "a,b") -> DataSet:
        dataset = write(self.folder, name, rows, header)
        with Journal(self.folder / "journal.sqlite", lasting=False) as journal:
            journal.put(f"data/{name}", dataset.to_record())
        return dataset

    def spend(self, dataset: DataSet, rho: Fraction, sums: bytes) -> bool:
        """Try to release; tell whether it was new."""
        privacy = self.privacy
        asked = replace(ASKED, price=Price(rho), sums=sums)
        name = privacy.ledger.release_name(dataset, sums, 1)
        charge = Charge(content_of(dataset), dataset.name, rho, 7, release=name)
        before = len(privacy.ledger.charges())
        privacy.spend(dataset, asked, charge, RELEASE)
        return len(privacy.ledger.charges()) > before


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


ROWS = st.lists(st.integers(0, 7), min_size=1, max_size=8)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(ROWS, st.fractions(0, 1), st.integers(0, 5)), min_size=1, max_size=8),
    st.fractions("1/100", 2),
)
def test_no_row_ever_spends_more_than_the_budget(
    tmp_path_factory: pytest.TempPathFactory,
    wishes: list[tuple[list[int], Fraction, int]],
    limit: Fraction,
) -> None:
    """Whatever is asked of whatever files in whatever order: counted once more here, row by row."""
    epsilon = epsilon_of(limit, 1e-5)
    house = House(tmp_path_factory.mktemp("house"), PrivacyPolicy(epsilon=max(epsilon, 1e-3)))
    most = house.policy.budget.rho if house.policy.budget else Fraction(0)
    spent, seen = dict.fromkeys(range(8), Fraction(0)), set[tuple[tuple[int, ...], int]]()
    for number, (rows, rho, sums) in enumerate(wishes):
        dataset = house.register(f"d{number}", rows)
        same, after = (tuple(sorted(rows)), sums), [spent[row] + rho for row in set(rows)]
        if same not in seen and rho and max(after) > most:
            with pytest.raises(ConsentError, match="too much"):
                house.spend(dataset, rho, bytes([sums]))
        else:
            assert house.spend(dataset, rho, bytes([sums])) == (same not in seen)
            if same not in seen:
                spent |= {row: spent[row] + rho for row in set(rows)}
            seen.add(same)
        told = house.privacy.account(dataset).spent
        assert told == max(spent[row] for row in set(rows))


def test_a_release_is_found_as_it_was_recorded(house: House) -> None:
    dataset = house.register("d", range(5))
    assert house.spend(dataset, Fraction(1, 3), b"x")
    assert not house.spend(dataset, Fraction(1, 3), b"x")
    ledger = house.privacy.ledger
    (charge,) = ledger.charges()
    assert (charge.rho, charge.sums, charge.rows) == (Fraction(1, 3), RELEASE.digest, 3)
    assert ledger.release(charge.release) == RELEASE
    assert ledger.release("another") is None


def test_a_ledger_is_made_when_something_is_counted(house: House) -> None:
    dataset = house.register("d", range(5))
    house.privacy.check(dataset, PLAIN)
    assert house.privacy.account(dataset).spent == 0
    assert not (house.folder / "privacy.sqlite").exists()


def test_bounties_that_are_told_of_a_release_are_recorded_once(house: House) -> None:
    ledger = house.privacy.ledger
    for at_s in (1, 2):
        ledger.show(Shown("r", "0x01", "her", "net", at_s))
    ledger.show(Shown("r", "0x02", "her", "net", 3))
    assert [(one.bounty, one.at_s) for one in ledger.shown()] == [("0x01", 1), ("0x02", 3)]


def test_bits_are_counted_by_rows_and_once_a_round(house: House) -> None:
    one, renamed, other = (
        house.register("d", range(30)),
        house.register("e", range(29, -1, -1)),
        house.register("f", range(100, 130)),
    )
    for _ in range(2):
        house.privacy.tell_bits(one, "0x01", 1, 300)
    house.privacy.tell_bits(one, "0x01", 2, 300)
    house.privacy.tell_bits(renamed, "0x02", 1, 300)
    assert [house.privacy.bits(each) for each in (one, renamed, other)] == [900, 900, 0]
    with pytest.raises(ConsentError, match="200 above your limit of 1,000"):
        house.privacy.tell_bits(one, "0x01", 3, 300)
    house.privacy.tell_bits(other, "0x01", 3, 300)
    assert house.privacy.bits_in(renamed) == [("0x01", 600), ("0x02", 300)]
    house.privacy.check_round(one, None, "0x01", 2, 300)  # this round is counted
    with pytest.raises(ConsentError):
        house.privacy.check_round(one, None, "0x01", 3, 300)


def test_rows_whose_marks_are_lost_count_for_all_data(house: House) -> None:
    one, other = house.register("d", range(5)), house.register("e", range(100, 105))
    house.spend(one, Fraction(1, 2), b"x")
    assert house.privacy.account(other).spent == 0
    with Journal(house.folder / "privacy.sqlite") as journal:
        journal.delete(f"rows/{content_of(one)}")
    assert house.privacy.account(other).spent == Fraction(1, 2)


@pytest.mark.parametrize(
    ("key", "change", "problem"),
    [
        ("charge/00000001", None, "has lost or damaged a charge"),
        ("charge/00000002", None, "has lost or damaged a charge"),
        ("charge/00000001", {"rho": "1/10"}, "has lost or damaged a charge"),
        ("charge/00000001", {"rho": "-1/2"}, "does not read"),
        ("charge/00000001", {"rho": "1/0"}, "does not read"),
        ("charge/00000001", {"parts": 0}, "does not read"),
        ("charge/00000001", {"at_s": "1"}, "does not read"),
        ("charge/00000001", {"more": 1}, "does not read"),
        ("key", b"short", "damaged key"),
        ("key", None, "has lost its key"),
    ],
)
def test_a_ledger_that_was_changed_is_refused(house: House, key: str, change: object, problem: str) -> None:
    dataset = house.register("d", range(5))
    for number in range(3):
        house.spend(dataset, Fraction(1, 2), bytes([number]))
    with Journal(house.folder / "privacy.sqlite") as journal:
        if change is None:
            journal.delete(key)
        else:
            journal.put(key, {**journal.get(key), **change} if isinstance(change, dict) else change)
    privacy = house.privacy
    with pytest.raises(JournalError, match=problem) as caught:
        _ = privacy.ledger.key and privacy.account(dataset)
    assert caught.value.hint


def test_noisy_sums_that_were_changed_are_lost(house: House) -> None:
    dataset = house.register("d", range(5))
    house.spend(dataset, Fraction(1, 2), b"x")
    name = house.privacy.ledger.charges()[0].release
    with Journal(house.folder / "privacy.sqlite") as journal:
        journal.put(f"release/{name}", {"values": "1,2,3", "rows": 3})
    with pytest.raises(ReleaseLost, match="are damaged") as caught:
        house.privacy.ledger.release(name)
    assert "--spent" in caught.value.hint
    assert [error.name for error in house.privacy.ledger.lost()] == [name]


# ---- budgets


@pytest.mark.parametrize("rho", [Fraction(1, 10**9), Fraction(1, 7), Fraction(3731, 10**4), Fraction(29)])
def test_the_budget_that_is_proposed_is_enough(house: House, rho: Fraction) -> None:
    dataset = house.register("d", range(30))
    house.privacy.give("d", Budget(1e-6))
    with pytest.raises(ConsentError, match="too much") as caught:
        house.spend(dataset, rho, b"x")
    proposed = float(caught.value.hint.split("--epsilon ")[1].rstrip("`"))
    assert proposed <= epsilon_of(rho, 1e-5) * 1.002
    house.privacy.give("d", Budget(proposed))
    assert house.spend(dataset, rho, b"x")


def test_what_budget_holds(house: House) -> None:
    one = house.register("one", range(30))
    more = house.register("more", range(25, 60))
    other = house.register("other", range(100, 130))
    assert house.privacy.budget(one) is None
    house.privacy.give("one", Budget(4.0))
    assert house.privacy.budget(one) == Budget(4.0)
    assert house.privacy.budget(more) == Budget(4.0)  # it has rows of it
    assert house.privacy.budget(other) is None
    house.policy = PrivacyPolicy(epsilon=2.0)
    assert [house.privacy.budget(each) for each in (one, more, other)] == [
        Budget(4.0),
        Budget(2.0),
        Budget(2.0),
    ]
    house.privacy.give("more", None)
    assert house.privacy.budget(more) is None


@pytest.mark.parametrize("record", [{"budget": {"epsilon": 1, "delta": 1e-5}}, {"budget": 3}, {}, 7])
def test_a_damaged_budget_is_refused(house: House, record: object) -> None:
    dataset = house.register("d", range(5))
    with Journal(house.folder / "journal.sqlite") as journal:
        journal.put("budget/d", record)
    with pytest.raises(JournalError):
        house.privacy.budget(dataset)


GOOD = [
    ("", None),
    ("[privacy]\n", None),
    ("[privacy]\nepsilon = 8\n", Budget(8.0)),
    ("[privacy]\nepsilon = 0.5\ndelta = 1e-9\n", Budget(0.5, 1e-9)),
]


@pytest.mark.parametrize(("text", "budget"), GOOD)
def test_the_default_budget_is_read(tmp_path: Path, text: str, budget: Budget | None) -> None:
    (tmp_path / POLICY_FILE).write_text(text)
    assert Policy.load(tmp_path).privacy.budget == budget


BAD = [
    ("epsilon = 0", "privacy.epsilon", "is not a"),
    ("epsilon = -1", "privacy.epsilon", "is not a"),
    ("epsilon = inf", "privacy.epsilon", "inf is not a number from 1e-09 to 10000"),
    ("epsilon = nan", "privacy.epsilon", "is not a"),
    ("epsilon = 1e300", "privacy.epsilon", "is not a number from 1e-09 to 10000"),
    ("epsilon = true", "privacy.epsilon", "must be a number"),
    ('epsilon = "8"', "privacy.epsilon", "must be a number"),
    ("epsilon = 8\ndelta = 1", "privacy.delta", "is not "),
    ("epsilon = 8\ndelta = 0", "privacy.delta", "is not "),
    ("epsilon = 8\ndelta = nan", "privacy.delta", "is not "),
    ("delta = 1e-5", "privacy.epsilon", "is missing beside delta"),
    ("epsylon = 8", "privacy.epsylon", "no such field"),
    ('ledger = "ledger.sqlite"', "privacy.ledger", "full path"),
    ("ledger = 7", "privacy.ledger", "full path"),
]


@pytest.mark.parametrize(("line", "field", "problem"), BAD)
def test_a_bad_budget_is_refused(tmp_path: Path, line: str, field: str, problem: str) -> None:
    (tmp_path / POLICY_FILE).write_text(f"[privacy]\n{line}\n")
    with pytest.raises(ConfigError, match=problem) as caught:
        Policy.load(tmp_path)
    assert caught.value.field.endswith(field)
    assert caught.value.hint


def test_a_shared_ledger_is_where_the_file_says(tmp_path: Path) -> None:
    (tmp_path / POLICY_FILE).write_text(f'[privacy]\nledger = "{tmp_path}/shared.sqlite"\n')
    assert (
        Policy.load(tmp_path).privacy.ledger_at(tmp_path / "home") == (tmp_path / "shared.sqlite").resolve()
    )
    assert PrivacyPolicy().ledger_at(tmp_path) == tmp_path / "privacy.sqlite"
