"""What was learned of rows, and the noisy sums that it was learned from: one file, in a home or shared.

Theory of operation. A release is recorded with its charge and its noisy sums in one transaction, before
anything is made of them. So a kill before that loses nothing that anybody saw, and a kill after it finds the
same noise again. Two processes that draw noise for the same sums at once: the first to record it wins, and
the other's draw is forgotten unseen.

Each charge names the one before by its hash. A home remembers the newest that it used
(`mine.privacy.memory`): so a ledger that lost some is noticed, whatever was added since.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mine.data.dataset import DataSet
from sonar.data.names import plain_names
from sonar.errors import JournalError
from sonar.frozen import frozen
from sonar.home.journal import Journal

if TYPE_CHECKING:
    from mine.privacy.rows import RowMarks

RESTORE = (
    "restore this file from its newest copy; or delete it, and count for each data set what may have been "
    "spent: `mine data budget NAME --spent EPSILON`"
)
DECLARED = "declared"


@frozen
class Charge:
    """What one release has cost the rows that it was made of, or what their owner counts for them.

    `of` is the content of the data set `name` then (`content_of`). `release` is empty for what was declared;
    else `sums` is the digest of its noisy sums. `at_s` is the chain's time. `bounty`, `scientist` and
    `network` say what it was made for; `before` is the hash of the charge before.
    """

    of: str
    name: str
    rho: Fraction
    at_s: int
    parts: int = 1
    release: str = ""
    sums: str = ""
    rows: int = 0
    clipped: int = 0
    bounty: str = ""
    scientist: str = ""
    network: str = ""
    why: str = ""
    before: str = ""

    @cached_property
    def hash(self) -> str:
        """What it is known by."""
        told = json.dumps(self.to_record(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(told.encode(errors="backslashreplace")).hexdigest()

    def to_record(self) -> dict[str, Any]:
        """As the journal takes it."""
        record = {name: getattr(self, name) for name in _FIELDS}
        return {**record, "rho": f"{self.rho.numerator:x}/{self.rho.denominator:x}"}

    @classmethod
    def read(cls, record: dict[str, Any]) -> Charge:
        """Read what `to_record` wrote. Raises TypeError, ValueError, KeyError."""
        over, under = (int(part, 16) for part in record["rho"].split("/"))
        if over < 0 or under < 1:
            raise ValueError("rho is negative, or none")
        charge = cls(**{**record, "rho": Fraction(over, under)})
        for name, value in record.items():
            if type(value) is not (int if name in _NUMBERS else str):
                raise TypeError(f"{name} has another type")
        if min(charge.at_s, charge.parts - 1, charge.rows, charge.clipped) < 0:
            raise ValueError("a number is negative")
        return charge


_FIELDS = tuple(one.name for one in fields(Charge))
_NUMBERS = frozenset(["at_s", "parts", "rows", "clipped"])


@frozen
class Release:
    """Noisy sums, and how many rows they are of."""

    values: tuple[int, ...]
    rows: int

    @cached_property
    def text(self) -> str:
        """The values as they are kept: hexadecimal, with commas."""
        return ",".join(f"{value:x}" for value in self.values)

    @property
    def digest(self) -> str:
        """The sha2-256 digest of rows and values, in hex."""
        return hashlib.sha256(f"{self.rows}:{self.text}".encode()).hexdigest()


@frozen
class Shown:
    """A bounty that was told of a release, and when by the chain's clock."""

    release: str
    bounty: str
    scientist: str
    network: str
    at_s: int


class Ledger:
    """What was spent on rows. Methods raise JournalError, also for records that they cannot read.

    The file is made when something is recorded first. Several homes, and several processes, may use one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._marks: dict[str, RowMarks] = {}

    @cached_property
    def _journal(self) -> Journal:
        return Journal(self.path)

    @property
    def is_there(self) -> bool:
        """Whether anything was ever recorded."""
        return "_journal" in self.__dict__ or self.path.exists()

    def close(self) -> None:
        """Close the file, if it is open; it is opened again when it is needed."""
        if (journal := self.__dict__.pop("_journal", None)) is not None:
            journal.close()
        self._marks.clear()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all changes inside, or none, with nobody else's between."""
        with self._journal.transaction():
            yield

    # Rows

    @property
    def key(self) -> bytes:
        """The key of all hashes, drawn when it is needed first."""
        from mine.privacy.rows import KEY_BYTES

        with self.transaction():
            key = self._journal.get("key")
            if key is None:
                if self.charges():
                    self._refuse("has lost its key")
                self._journal.put("key", key := secrets.token_bytes(KEY_BYTES))
        if type(key) is not bytes or len(key) != KEY_BYTES:
            self._refuse("has a damaged key")
        return key

    def marks(self, dataset: DataSet) -> RowMarks:
        """What the rows of a data set are recognised by. They are read once. Raises DataError."""
        from mine.privacy.rows import marks_of

        content = content_of(dataset)
        found = self.known(content)
        if found is None:
            found = marks_of(dataset.batches(dataset.columns), dataset.columns, self.key)
            self._journal.put(f"rows/{content}", found.to_record())
            self._marks[content] = found
        return found

    def known(self, content: str) -> RowMarks | None:
        """The marks of a content that was looked at before; None if it was not."""
        from mine.privacy.rows import RowMarks

        if content not in self._marks and self.is_there:
            found = self._journal.get_as(RowMarks.read, f"rows/{content}")
            if found is None:
                return None
            self._marks[content] = found
        return self._marks.get(content)

    def release_name(self, dataset: DataSet, sums: bytes, parts: int) -> str:
        """What a release is known by: the data set, what determines the sums, and who adds noise to them."""
        told = hashlib.blake2b(sums, key=self.key, digest_size=16, person=b"release")
        told.update(f"/{parts}/{self.marks(dataset).digest}".encode())
        return told.hexdigest()

    # Charges and releases

    def charges(self) -> list[Charge]:
        """All charges, oldest first."""
        found = self._journal.pairs_as(Charge.read, "charge/") if self.is_there else []
        before = ""
        for place, (key, charge) in enumerate(found, 1):
            if key != _charge_key(place) or charge.before != before:
                self._refuse(f"has lost or damaged a charge before {key!r}")
            before = charge.hash
        return [charge for _, charge in found]

    def charge(self, charge: Charge) -> Charge:
        """Record a charge, and return it as it was recorded."""
        with self.transaction():
            charges = self.charges()
            charge = replace(charge, before=charges[-1].hash if charges else "")
            self._journal.put(_charge_key(len(charges) + 1), charge.to_record())
        return charge

    def release(self, name: str) -> Release | None:
        """The noisy sums of a release; None if it was not made. Raises ReleaseLost."""
        made = [one for one in self.charges() if one.release == name]
        return self._kept(made[-1]) if made else None

    def _kept(self, charge: Charge) -> Release:
        """The noisy sums that a charge was for. Raises ReleaseLost."""
        record = self._journal.get(f"release/{charge.release}")
        try:
            found = None if record is None else _release(record)
        except (TypeError, ValueError, KeyError):
            found = None
        if found is None or found.digest != charge.sums:
            told = "lost" if record is None else "damaged"
            raise ReleaseLost(
                f"the noisy sums of data set {charge.name!r} in the ledger {self.path} are {told}",
                charge.release,
            )
        return found

    def lost(self) -> list[ReleaseLost]:
        """Which releases were charged, and their noisy sums are not there any more."""
        found = []
        for charge in {one.release: one for one in self.charges() if one.release}.values():
            try:
                self._kept(charge)
            except ReleaseLost as error:
                found.append(error)
        return found

    def record(self, charge: Charge, release: Release) -> None:
        """Record a release with what it costs."""
        with self.transaction():
            self.charge(replace(charge, sums=release.digest, rows=release.rows))
            self._journal.put(f"release/{charge.release}", {"values": release.text, "rows": release.rows})

    def show(self, shown: Shown) -> None:
        """Record that a bounty is told of a release; again is no error."""
        key = f"shown/{shown.release}/{shown.bounty}"
        if key not in self._journal:
            self._journal.put(key, asdict(shown))

    def shown(self) -> list[Shown]:
        """Which bounties were told of which releases."""
        return self._journal.items_as(_shown, "shown/") if self.is_there else []

    # Bits of functionals

    def tell_bits(self, content: str, bounty: str, round_number: int, bits: int) -> None:
        """Record how many bits of an answer may be told in a round; again is no error."""
        self._journal.put(f"bits/{content}/{bounty}/{round_number:03d}", bits)

    def has_told(self, content: str, bounty: str, round_number: int) -> bool:
        """Whether the bits of a round were recorded."""
        return f"bits/{content}/{bounty}/{round_number:03d}" in self._journal

    def bits(self) -> dict[str, dict[str, int]]:
        """How many bits may have been told in all, by content and bounty."""
        found: dict[str, dict[str, int]] = {}
        for key, bits in self._journal.pairs_as(_bits, "bits/") if self.is_there else ():
            content, bounty = [*key.split("/"), "", ""][1:3]
            told = found.setdefault(content, {})
            told[bounty] = told.get(bounty, 0) + bits
        return found

    def most(self, marks: RowMarks, totals: Iterable[tuple[str, Fraction]]) -> Fraction:
        """The most that one of these rows has had, of totals by content.

        A content whose marks are lost counts for every row.
        """
        from mine.privacy.rows import most_of

        sums: dict[str, Fraction] = {}
        for content, amount in totals:
            sums[content] = sums.get(content, Fraction(0)) + amount
        return most_of(marks, [(self.known(content), amount) for content, amount in sums.items()])

    def _refuse(self, problem: str) -> NoReturn:
        raise JournalError(f"the ledger {self.path} {problem}", hint=RESTORE)


class ReleaseLost(JournalError):
    """The release `name` was made, and its noisy sums are gone or damaged."""

    def __init__(self, message: str, name: str) -> None:
        super().__init__(message, hint=RESTORE)
        self.name = name


def content_of(dataset: DataSet) -> str:
    """Return what a data set's content is known by: its source's digest, and which columns of it count."""
    told = "\0".join([dataset.digest, *sorted(plain_names(dataset.columns))])
    return hashlib.sha256(told.encode(errors="backslashreplace")).hexdigest()[:32]


def _charge_key(place: int) -> str:
    return f"charge/{place:08d}"


def _release(record: dict[str, Any]) -> Release:
    rows, text = record["rows"], record["values"]
    if type(rows) is not int or type(text) is not str:
        raise TypeError("a release's values or rows have another type")
    return Release(tuple(int(value, 16) for value in text.split(",")), rows)


def _shown(record: dict[str, Any]) -> Shown:
    shown = Shown(**record)
    if any(type(value) is not (int if name == "at_s" else str) for name, value in asdict(shown).items()):
        raise TypeError("a field has another type")
    return shown


def _bits(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise TypeError("bits are no number")
    return value
