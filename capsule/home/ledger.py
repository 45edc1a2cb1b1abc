"""What a capsule told, and to whom: on the disk before the answer leaves.

One SQLite file (write-ahead log, synchronous=FULL). Everything that limits what may be told is read and
written in one transaction, so that two requests at once, or a kill between two writes, tell no more than one
after the other. It holds no secret: seeds are opened again from their envelopes, and answers went out.

A ledger that was restored from a backup has forgotten something: see `capsule.home.witness`. For sums that
does no harm, since which sets were opened follows from the chain. Functionals of a round are refused if they
might have been told before: if the round had begun by time `blind_until_s`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence

from capsule.home.database import LedgerFile
from capsule.home.entries import Answered, Ask, BountyFacts
from capsule.problems import Refused
from sonar.manifests.model import CapsuleKey
from sonar.protocol.ids import Address, BountyId, Digest

HOUR_S = 3600


class Ledger(LedgerFile):
    """The ledger of one capsule. Safe to use from several threads; a file that is not there is made.

    Raises JournalError for a file that is damaged or not ours, JournalBlocked for one that cannot be used.
    """

    # ---- requests

    def admit(self, nonce: bytes, bounty: BountyId, at_s: int, expires_s: int, per_hour: int) -> None:
        """Take a request's nonce, once. Times are the chain's. Raises Refused: replayed, questions."""
        with self.transaction():
            self._run("DELETE FROM nonce WHERE expires_s < ? AND at_s < ?", at_s, at_s - HOUR_S)
            if self._one("SELECT 1 FROM nonce WHERE nonce = ?", nonce):
                raise Refused(
                    "replayed", "a request with this nonce was answered before", hint="draw a fresh nonce"
                )
            query = "SELECT count(*) FROM nonce WHERE bounty = ? AND at_s > ?"
            asked = self._need(query, bounty, at_s - HOUR_S)[0]
            if asked >= per_hour:
                raise Refused(
                    "questions",
                    f"{asked} questions in an hour about this bounty; this capsule takes {per_hour}",
                    hint="ask again later, with more asks in each request",
                )
            self._run("INSERT INTO nonce VALUES (?, ?, ?, ?)", nonce, bounty, at_s, expires_s)

    def answered(self, request: bytes) -> bytes | None:
        """Return the signed answer to a request, by its body's digest, if it was answered before."""
        row = self._one("SELECT signed FROM answer WHERE request = ?", request)
        return bytes(row[0]) if row else None

    # ---- bounties and seeds

    def serve(self, bounty: BountyId, scientist: Address, epoch: int) -> None:
        """Record that a bounty is served, with the key of an epoch."""
        if self._one("SELECT 1 FROM bounty WHERE bounty = ?", bounty) is None:
            self._run("INSERT OR IGNORE INTO bounty VALUES (?, ?, ?, NULL)", bounty, scientist, epoch)

    def scientist(self, bounty: BountyId) -> Address | None:
        """Return whose a bounty is, if it was served; that never changes."""
        row = self._one("SELECT scientist FROM bounty WHERE bounty = ?", bounty)
        return Address(row[0]) if row else None

    def close_bounty(self, bounty: BountyId, at_s: int) -> None:
        """Record that a bounty was seen closed, the first time."""
        self._run("UPDATE bounty SET closed_s = ? WHERE bounty = ? AND closed_s IS NULL", at_s, bounty)

    def bounties(self) -> list[BountyFacts]:
        """Every bounty that was served."""
        rows = self._all("SELECT bounty, scientist, epoch, closed_s FROM bounty ORDER BY bounty")
        return [BountyFacts(BountyId(row[0]), Address(row[1]), row[2], row[3]) for row in rows]

    def note_epoch(self, key: CapsuleKey) -> None:
        """Record a key for envelopes, the first time: the ledger's marks change as by an answer."""
        with self.transaction():
            hpke = hashlib.sha256(key.hpke).digest()
            if self._run("INSERT OR IGNORE INTO epoch VALUES (?, ?)", key.epoch, hpke):
                self._move(b"epoch" + hpke)

    def freeze_seeds(self, bounty: BountyId, mine: Address, hashes: bytes) -> bool:
        """Record a mine's seeds in a bounty, by a digest of their hashes; tell whether they are the first."""
        query = "SELECT hashes FROM seeds WHERE bounty = ? AND mine = ?"
        found = self._one(query, bounty, mine)
        if found is None:
            self._run("INSERT OR IGNORE INTO seeds VALUES (?, ?, ?)", bounty, mine, hashes)
            found = self._need(query, bounty, mine)
        return bool(found[0] == hashes)

    # ---- functionals

    def told(self, bounty: BountyId, number: int) -> dict[tuple[Address, bytes], tuple[int, ...]]:
        """What was told in a round, by mine and ask."""
        rows = self._all("SELECT mine, ask, told FROM ask WHERE bounty = ? AND round = ?", bounty, number)
        return {(Address(mine), bytes(ask)): tuple(json.loads(told)) for mine, ask, told in rows}

    def record_asks(self, answer: Answered, asks: Sequence[Ask], *, bits: int, bits_per_mine: int) -> int:
        """Record what an answer tells, all or nothing, and return how many bits of it are new.

        At most `bits` of a mine in a round, `bits_per_mine` over all. What was recorded first stands: an ask
        that another request told meanwhile must have the same values. Raises Refused (budget).
        """
        new = 0
        with self.transaction():
            for ask in asks:
                entry = [answer.bounty, answer.round, ask.mine, ask.digest, ask.bits, json.dumps(ask.told)]
                new += ask.bits * self._run("INSERT OR IGNORE INTO ask VALUES (?, ?, ?, ?, ?, ?)", *entry)
            for mine in {ask.mine for ask in asks} if new else ():
                self._check_budget(answer.bounty, answer.round, mine, bits, bits_per_mine)
            self._keep(answer)
        return new

    def check_room(
        self,
        bounty: BountyId,
        number: int,
        wanted: Sequence[tuple[Address, int]],
        *,
        bits: int,
        bits_per_mine: int,
    ) -> None:
        """Check whether so many more bits of each mine may be told. Raises Refused (budget)."""
        total = Counter[Address]()
        for mine, each in wanted:
            total[mine] += each
        for mine, more in sorted(total.items()):
            self._check_budget(bounty, number, mine, bits - more, bits_per_mine - more, more)

    def _check_budget(
        self, bounty: BountyId, number: int, mine: Address, bits: int, bits_per_mine: int, more: int = 0
    ) -> None:
        """Check that what was told, and `more`, is within the limits less `more`."""
        query = "SELECT total(bits) FROM ask WHERE bounty = ? AND round = ? AND mine = ?"
        told = int(self._need(query, bounty, number, mine)[0])
        if told > bits:
            raise Refused(
                "budget",
                f"{told + more} bits of {mine}'s answer in round {number}, and {bits + more} may be told",
                hint="what was asked before is told again for nothing; ask for no more",
                mine=mine,
            )
        told = int(self._need("SELECT total(bits) FROM ask WHERE mine = ?", mine)[0])
        if told > bits_per_mine:
            raise Refused(
                "budget",
                f"{told + more} bits of {mine} over all bounties; this capsule tells {bits_per_mine + more}",
                hint="ask the other capsules",
                mine=mine,
            )

    def bits_of(self, bounty: BountyId) -> dict[Address, int]:
        """How many bits were told in a bounty, by mine."""
        rows = self._all("SELECT mine, sum(bits) FROM ask WHERE bounty = ? GROUP BY mine", bounty)
        return {Address(mine): int(bits) for mine, bits in rows}

    # ---- sums

    def keep_cohort(self, bounty: BountyId, number: int, digest: Digest, manifest: bytes) -> None:
        """Keep the manifest of a set that the chain has fixed: the store need not have it for ever."""
        if self.cohort(bounty, number, digest) is None:
            statement = "INSERT OR IGNORE INTO cohort VALUES (?, ?, ?, ?, 0)"
            self._run(statement, bounty, number, digest, manifest)

    def cohort(self, bounty: BountyId, number: int, digest: Digest) -> bytes | None:
        """Return the manifest of a fixed set, if it is kept."""
        query = "SELECT manifest FROM cohort WHERE bounty = ? AND round = ? AND digest = ?"
        row = self._one(query, bounty, number, digest)
        return bytes(row[0]) if row else None

    def opened(self, bounty: BountyId) -> list[tuple[int, Digest, bytes]]:
        """The sets whose sums were told: round, digest and manifest."""
        query = "SELECT round, digest, manifest FROM cohort WHERE bounty = ? AND opened = 1 ORDER BY round"
        return [(row[0], Digest(row[1]), bytes(row[2])) for row in self._all(query, bounty)]

    def record_sum(self, answer: Answered, digest: Digest) -> None:
        """Record that a set's sum is told; it must be kept already. Raises Refused: another set was."""
        with self.transaction():
            query = "SELECT digest FROM cohort WHERE bounty = ? AND round = ? AND opened = 1"
            for (opened,) in self._all(query, answer.bounty, answer.round):
                if opened != digest:
                    raise Refused(
                        "cohort",
                        f"another set was opened in round {answer.round}: {bytes(opened).hex()}",
                        hint="a round has one sum; ask for that one",
                    )
            statement = "UPDATE cohort SET opened = 1 WHERE bounty = ? AND round = ? AND digest = ?"
            self._run(statement, answer.bounty, answer.round, digest)
            self._keep(answer)

    # ---- answers, and what is shown of them

    def record_other(self, answer: Answered) -> None:
        """Record an answer that tells nothing of a mine, such as an audit's."""
        with self.transaction():
            self._keep(answer)

    def _keep(self, answer: Answered) -> None:
        fields = [answer.request, answer.bounty, answer.round, answer.kind, answer.at_s, answer.signed]
        if self._run("INSERT OR IGNORE INTO answer VALUES (NULL, ?, ?, ?, ?, ?, ?)", *fields):
            self._run("UPDATE owner SET entries = entries + 1")
            self._move(answer.request)

    def _move(self, entry: bytes) -> None:
        """Move the marks on by an entry: the newest is a hash of all."""
        head = hashlib.sha256(self.marks[0] + entry).digest()
        self._run("UPDATE owner SET before = head, head = ?", head)

    def answers(self, bounty: BountyId) -> list[Answered]:
        """Every answer about a bounty, in the order of telling."""
        query = "SELECT * FROM answer WHERE bounty = ? ORDER BY number"
        return [Answered(row[1], BountyId(row[2]), *row[3:]) for row in self._all(query, bounty)]

    def count_refusal(self, code: str) -> None:
        """Count a refusal; the count is for people, and may be lost."""
        self._run("INSERT INTO refusal VALUES (?, 1) ON CONFLICT DO UPDATE SET count = count + 1", code)

    def refusals(self) -> Mapping[str, int]:
        """How often requests were refused, by code."""
        return dict(self._all("SELECT code, count FROM refusal ORDER BY code"))

    def totals(self) -> tuple[int, int]:
        """How many bits were told, and how many sums opened, ever."""
        bits = self._need("SELECT total(bits) FROM ask")[0]
        return int(bits), int(self._need("SELECT count(*) FROM cohort WHERE opened = 1")[0])
