"""A home's accounts in its journal, sections of a journal, and what a successor signs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from sonar.chain.signatures import sign_digest, signer_of
from sonar.errors import JournalError
from sonar.home.accounts import AccountBook, Accounts, accounts_in, current_in
from sonar.home.journal import Journal, Section
from sonar.home.keystore import save
from sonar.protocol.ids import Address
from sonar.protocol.keccak import checksummed
from sonar.protocol.seal import succession_digest

A, B, C = (Address(checksummed(bytes([n]) * 20)) for n in (1, 2, 3))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal.sqlite") as journal:
        yield journal


def test_what_was_begun_stays_with_the_account_that_began_it(journal: Journal) -> None:
    book = AccountBook(journal, Accounts((A,)))
    assert book.of("one") == A
    book.name(B)
    assert (book.of("one"), book.accounts) == (A, Accounts((A,), B))
    book.switch(["one", "two"])
    assert [book.of(each) for each in ("one", "two", "three")] == [A, A, B]
    book.name(C)
    book.switch(["one", "three"])
    assert [book.of(each) for each in ("one", "two", "three", "four")] == [A, A, B, C]
    assert book.accounts == Accounts((A, B, C))
    assert (book.accounts.current, book.accounts.former) == (C, (A, B))


def test_nothing_is_used_that_was_not_named(journal: Journal) -> None:
    book = AccountBook(journal, Accounts((A,)))
    with pytest.raises(JournalError, match="no successor was named"):
        book.switch([])
    book.name(B)
    book.name(None)
    with pytest.raises(JournalError, match="no successor was named"):
        book.switch([])


def test_a_switch_is_all_or_nothing(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    book = AccountBook(journal, Accounts((A,)))
    book.name(B)
    put = Journal.put

    def full(self: Journal, key: str, value: object) -> None:
        if key == "accounts":
            raise JournalError("the disk is full")
        put(self, key, value)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "put", full)
        with pytest.raises(JournalError, match="full"):
            book.switch(["one"])
    assert journal.items("account-of/") == []
    assert book.accounts == Accounts((A,), B)


def test_each_account_has_its_own_transactions_and_the_first_has_those_of_before(journal: Journal) -> None:
    journal.put("outbox/x", 1)
    book = AccountBook(journal, Accounts((A, B)))
    assert book.journal(A).get("outbox/x") == 1
    second = book.journal(B)
    assert "outbox/x" not in second
    second.put("outbox/x", 2)
    assert (journal.get("outbox/x"), second.get("outbox/x")) == (1, 2)
    assert second.items("outbox/") == [("outbox/x", 2)]
    assert [key for key, _ in journal.items("outbox/")] == ["outbox/x"]


KEYS = st.text("ab/", min_size=1, max_size=4)


@given(st.lists(st.tuples(KEYS, st.integers() | st.none()), max_size=12))
def test_a_section_is_a_journal_of_its_own(steps: list[tuple[str, int | None]]) -> None:
    """None deletes. Beside it lies another section, and the whole's own keys, which nothing touches."""
    with TemporaryDirectory() as folder, Journal(Path(folder) / "j", lasting=False) as whole:
        whole.put("a", "whole")
        section, beside = Section(whole, "s/"), Section(whole, "t/")
        beside.put("a", "beside")
        model: dict[str, int] = {}
        for key, value in steps:
            if value is None:
                section.delete(key)
                model.pop(key, None)
            else:
                section.put(key, value)
                model[key] = value
        assert dict(section.items()) == model
        assert all((key in section, section.get(key)) == (True, value) for key, value in model.items())
        assert section.get("none", 7) == 7
        assert section.items_as(int, "a") == [model[key] for key in sorted(model) if key.startswith("a")]
        assert (whole.get("a"), beside.items()) == ("whole", [("a", "beside")])


def test_a_section_shares_transactions_and_the_log(journal: Journal) -> None:
    section = Section(journal, "s/")

    def cut_off() -> None:
        with section.transaction():
            section.put("a", 1)
            journal.put("b", 1)
            section.log("x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cut_off()
    assert journal.items() == []
    section.log("x", of="section")
    assert [line.data for line in section.events("x")] == [{"of": "section"}]
    section.close()
    assert journal.get("a") is None  # it is still open


def test_the_account_of_a_home_without_a_journal_is_its_one_key(tmp_path: Path) -> None:
    account = Account.create()
    save(tmp_path / "keystore", account, "secret", dev=True)
    file = tmp_path / "journal.sqlite"
    assert current_in(tmp_path / "keystore", file) == account.address
    assert not file.exists()
    with Journal(file) as journal:
        assert accounts_in(tmp_path / "keystore", journal).used == (account.address,)
    assert current_in(tmp_path / "keystore", file) == account.address


@pytest.mark.parametrize(
    "record",
    [
        {"used": [A, A], "successor": ""},
        {"used": [A], "successor": A},
        {"used": [], "successor": B},
        {"used": [A, "0x" + "zz" * 20], "successor": ""},
    ],
)
def test_a_record_that_cannot_be_is_refused(record: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"twice|not an address"):
        Accounts.read(record)


@given(st.integers(1, 2**64), st.binary(min_size=20, max_size=20), st.binary(min_size=20, max_size=20))
def test_a_successor_signs_what_the_library_makes_of_the_types(chain: int, old: bytes, place: bytes) -> None:
    new = Account.from_key(b"\7" * 32)
    account, contract = Address(checksummed(old)), Address(checksummed(place))
    message = encode_typed_data(
        {"name": "Sonar Succession", "version": "1", "chainId": chain, "verifyingContract": contract},
        {"Succession": [{"name": "account", "type": "address"}, {"name": "successor", "type": "address"}]},
        {"account": account, "successor": new.address},
    )
    digest = succession_digest(chain, contract, account, Address(new.address))
    signature = sign_digest(new, digest)
    assert bytes(new.sign_message(message).signature) == signature
    assert signer_of(digest, signature) == new.address
