"""What capsules told, and which sets were fixed for them: in the key's ledger, before any of it is used.

A capsule counts what it tells, so its answers are kept for as long as the key: after a restart they are read
here and not asked for again, and an auditor gets them as they were signed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pysonar.keys.ledger import Ledger
from sonar.manifests.capsule import SignedAnswer
from sonar.manifests.cohort import CohortManifest
from sonar.protocol.ids import Address, digest_of

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
        return {round: CohortManifest.from_bytes(data) for round, data in rows}

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

    def sums(self, bounty: bytes) -> dict[int, tuple[list[int], int]]:
        """The sums that were opened, by round, with their weights."""
        with self._ledger.reading() as db:
            query = "SELECT round, weight, sums FROM opened WHERE bounty = ?"
            rows = db.execute(query, [bounty]).fetchall()
        return {round: ([int(each) for each in json.loads(sums)], weight) for round, weight, sums in rows}
