"""What capsules are asked, and what they told: recorded in the key's ledger before any of it is used.

A capsule counts what it tells, so its answers are kept for as long as the key: after a restart they are read
here and not asked for again, and an auditor gets them as they were signed. So are the sets that were fixed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gmpy2 import mpz

from pysonar.keys.archive import Page
from pysonar.keys.job import Job
from pysonar.keys.ledger import Ledger
from sonar.families.veiled import Asked
from sonar.manifests.capsule import MAX_REQUEST_BYTES, Ask, FunctionalRequest, Part, SignedAnswer
from sonar.manifests.cohort import CohortManifest, read_cohort
from sonar.protocol.ids import Address, Digest, digest_of
from sonar.veil.functionals import Measured, measured, places, write_vector

_ROOM = MAX_REQUEST_BYTES - (1 << 16)
_MOST = 4096
COMPLAINT = "complaint"
"""The purpose of a question that was answered by complaints: it was asked again without these mines."""
_NOBODY = Address("0x" + "0" * 39 + "1")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS fixed (
    bounty BLOB, round INTEGER, manifest BLOB NOT NULL, PRIMARY KEY (bounty, round)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS asked (
    bounty BLOB, round INTEGER, purpose TEXT, body BLOB, PRIMARY KEY (bounty, round, purpose, body));
CREATE TABLE IF NOT EXISTS told (
    request BLOB, capsule TEXT, answer BLOB NOT NULL, PRIMARY KEY (request, capsule)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS opened (
    bounty BLOB, round INTEGER, weight INTEGER NOT NULL, sums TEXT NOT NULL,
    PRIMARY KEY (bounty, round)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS told_bits (
    bounty BLOB, round INTEGER, mine TEXT, request BLOB, bits INTEGER NOT NULL,
    PRIMARY KEY (bounty, round, mine, request)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spoilt (
    bounty BLOB, round INTEGER, word INTEGER NOT NULL, masked TEXT NOT NULL,
    PRIMARY KEY (bounty, round)) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Question:
    """What capsules were asked: the body of a request, and their signed answers to it."""

    purpose: str
    body: bytes
    answers: Mapping[Address, SignedAnswer]


class Told:
    """The part of a ledger that is about capsules. All methods raise JournalError."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        with ledger.writing() as db:
            for statement in filter(str.strip, _SCHEMA.split(";")):
                db.execute(statement)

    def fix(self, bounty: bytes, manifest: CohortManifest) -> CohortManifest:
        """Record the set that a round opens, and return the one on record: the first stands."""
        with self._ledger.writing() as db:
            entry = [bounty, manifest.round, manifest.encoded]
            db.execute("INSERT OR IGNORE INTO fixed VALUES (?, ?, ?)", entry)
        return self.fixed(bounty)[manifest.round]

    def fixed(self, bounty: bytes) -> dict[int, CohortManifest]:
        """The sets on record, by round, ascending."""
        query = "SELECT round, manifest FROM fixed WHERE bounty = ? ORDER BY round"
        with self._ledger.reading() as db:
            rows = db.execute(query, [bounty]).fetchall()
        return {round: read_cohort(data) for round, data in rows}

    def known(self, body: bytes) -> dict[Address, SignedAnswer]:
        """The answers to a request that are on record."""
        with self._ledger.reading() as db:
            query = "SELECT capsule, answer FROM told WHERE request = ?"
            rows = db.execute(query, [digest_of(body)]).fetchall()
        return {Address(capsule): SignedAnswer.from_bytes(data) for capsule, data in rows}

    def keep(
        self,
        bounty: bytes,
        round: int,
        purpose: str,
        body: bytes,
        answers: Mapping[Address, SignedAnswer],
        bits: Mapping[str, int],
    ) -> None:
        """Record answers to a request, and how many bits they tell of each mine."""
        name = digest_of(body)
        told = [(name, capsule, answer.encoded) for capsule, answer in answers.items()]
        counted = [(bounty, round, mine, name, count) for mine, count in bits.items()]
        with self._ledger.writing() as db:
            db.execute("INSERT OR IGNORE INTO asked VALUES (?, ?, ?, ?)", [bounty, round, purpose, body])
            db.executemany("INSERT OR IGNORE INTO told VALUES (?, ?, ?)", told)
            db.executemany("INSERT OR IGNORE INTO told_bits VALUES (?, ?, ?, ?, ?)", counted)

    def forget(self, body: bytes) -> None:
        """Forget the answers to a request, which do not fit together: all are asked again."""
        with self._ledger.writing() as db:
            db.execute("DELETE FROM told WHERE request = ?", [digest_of(body)])

    def questions(self, bounty: bytes, round: int) -> list[Question]:
        """All that was asked about a round, with the answers, in the order of their bodies."""
        query = "SELECT purpose, body FROM asked WHERE bounty = ? AND round = ? ORDER BY purpose, body"
        with self._ledger.reading() as db:
            rows = db.execute(query, [bounty, round]).fetchall()
        return [Question(purpose, body, self.known(body)) for purpose, body in rows]

    def bits(self, bounty: bytes) -> dict[str, int]:
        """How many bits were told of each mine."""
        query = "SELECT mine, SUM(bits) FROM told_bits WHERE bounty = ? GROUP BY mine"
        with self._ledger.reading() as db:
            return dict(db.execute(query, [bounty]).fetchall())

    def opened(self, bounty: bytes, round: int, sums: Sequence[int], weight: int) -> None:
        """Record a sum that was opened, of row weights that add up to `weight`."""
        entry = [bounty, round, weight, json.dumps([str(each) for each in sums])]
        with self._ledger.writing() as db:
            db.execute("INSERT OR IGNORE INTO opened VALUES (?, ?, ?, ?)", entry)

    def spoil(self, bounty: bytes, round: int, word: int, masked: Mapping[str, int]) -> None:
        """Record which word of a sum is out of range, and what it is, masked, in each answer."""
        entry = [bounty, round, word, json.dumps({mine: str(each) for mine, each in masked.items()})]
        with self._ledger.writing() as db:
            db.execute("INSERT OR REPLACE INTO spoilt VALUES (?, ?, ?, ?)", entry)

    def spoilt(self, bounty: bytes, round: int) -> tuple[int, dict[str, int]] | None:
        """The word of a round's sum that is out of range, and by mine what it is in the answer, masked."""
        query = "SELECT word, masked FROM spoilt WHERE bounty = ? AND round = ?"
        with self._ledger.reading() as db:
            found = db.execute(query, [bounty, round]).fetchone()
        return found and (found[0], {mine: int(each) for mine, each in json.loads(found[1]).items()})

    def sums(self, bounty: bytes) -> dict[int, tuple[list[int], int]]:
        """The sums that were opened, by round, with their weights."""
        with self._ledger.reading() as db:
            query = "SELECT round, weight, sums FROM opened WHERE bounty = ?"
            rows = db.execute(query, [bounty]).fetchall()
        return {round: ([int(each) for each in json.loads(sums)], weight) for round, weight, sums in rows}


@dataclass
class Lot:
    """Some mines' functionals, as many as one request takes. `moduli`: n of each round's key."""

    job: Job
    round: int
    pages: Mapping[int, Page]
    moduli: Mapping[int, mpz]
    asks: dict[str, Sequence[Asked]] = field(default_factory=dict)
    vectors: dict[tuple[int, ...], int] = field(default_factory=dict)
    size: int = 0

    def add(self, mine: str, asks: Sequence[Asked]) -> bool:
        """Add a mine's; False if they do not fit any more."""
        new = {vector for ask in asks for _, vector in ask.parts} - self.vectors.keys()
        width = (self.job.plan.slot_bits + 7) // 8
        size = sum(width * len(vector) + 8 for vector in new) + sum(64 + 60 * len(ask.parts) for ask in asks)
        count = sum(map(len, self.asks.values())) + len(asks)
        full = self.size + size > _ROOM or count > _MOST or len(self.vectors) + len(new) > _MOST
        if full and self.asks:
            return False
        for ask in asks:
            for _, vector in ask.parts:
                self.vectors.setdefault(vector, len(self.vectors))
        self.asks[mine], self.size = asks, self.size + size
        return True

    def without(self, mines: set[str]) -> Lot:
        """The same for fewer mines."""
        lot = Lot(self.job, self.round, self.pages, self.moduli)
        for mine, asks in self.asks.items():
            if mine not in mines:
                lot.add(mine, asks)
        return lot

    def lines(self) -> Iterator[tuple[str, Asked]]:
        """All asks, in the request's order."""
        return ((mine, ask) for mine, asks in self.asks.items() for ask in asks)

    def body(self) -> bytes:
        """The request."""
        job = self.job
        return FunctionalRequest(
            chain_id=job.chain_id,
            contract=job.contract,
            bounty=job.bounty,
            round=self.round,
            vectors=tuple(write_vector(job.plan, vector) for vector in self.vectors),
            asks=tuple(
                Ask(
                    mine=Address(mine),
                    bits=ask.bits,
                    parts=tuple(self._part(mine, number, vector) for number, vector in ask.parts),
                )
                for mine, ask in self.lines()
            ),
        ).to_bytes()

    def _part(self, mine: str, number: int, vector: tuple[int, ...]) -> Part:
        update = Digest(self.pages[number].names[mine])
        return Part(round=number, update=update, vector=self.vectors[vector])

    def values(self, classes: Sequence[Sequence[int]]) -> dict[str, tuple[Measured, ...]]:
        """What the functionals are, with what was told of each class."""
        found: dict[str, list[Measured]] = {mine: [] for mine in self.asks}
        step = self.job.plan.ciphertexts
        for (mine, ask), told in zip(self.lines(), zip(*classes, strict=True), strict=True):
            rows = [self.pages[number].row(mine) for number, _ in ask.parts]
            opened = [[mpz(int(x)) for x in row[:step]] for row in rows if row is not None]
            wraps = [[int(k) for k in row[step:]] for row in rows if row is not None]
            vectors = [vector for _, vector in ask.parts]
            under = [self.moduli[number] for number, _ in ask.parts]
            found[mine].append(measured(self.job.plan, under, vectors, opened, wraps, told, ask.bits))
        return {mine: tuple(values) for mine, values in found.items()}


def looking(job: Job, round: int) -> bytes:
    """Return a request about nobody, for one bit: it is refused, but not before auditors have looked at what
    the store has of the round.
    """
    part = Part(round=round, update=Digest(bytes(32)), vector=0)
    return FunctionalRequest(
        chain_id=job.chain_id,
        contract=job.contract,
        bounty=job.bounty,
        round=round,
        vectors=(write_vector(job.plan, [0] * places(job.plan)),),
        asks=(Ask(mine=_NOBODY, bits=1, parts=(part,)),),
    ).to_bytes()
