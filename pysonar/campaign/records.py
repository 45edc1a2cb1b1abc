"""What a campaign must still know after being killed at any instant, in its home's journal.

Each record is written once, before the effect that depends on it, and never changes: whoever reads it again
comes to the same result. Everything is under `campaign/<name>/`. Blobs are named by their links; their bytes
lie in stores.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import count
from typing import Any

from sonar.errors import JournalError
from sonar.home.journal import Journal
from sonar.manifests.model import KeyManifest
from sonar.protocol.ids import digest_of
from sonar.settling.verdict import Verdict


@dataclass(frozen=True)
class Posting:
    """What the bounty is posted with. The salt makes its id; the weights were encrypted freshly.

    `holdout_salt` opens the commitment to the holdout, for who audits it. `allow_list` is empty if everybody
    may take part. `settle_window_s` is that of the terms; 0 in records of before it was kept, whose terms had
    what they have on a development network now. `settler`: the auditors' committee, empty without auditors.
    """

    digest: str
    salt: bytes
    key_manifest: bytes
    model_manifest: bytes
    holdout_salt: bytes
    allow_list: bytes = b""
    settle_window_s: int = 0
    settler: str = ""

    def manifests(self) -> list[bytes]:
        """Return what mines read of it besides the weights, each before what links to it."""
        return [each for each in (self.allow_list, self.key_manifest, self.model_manifest) if each]


@dataclass(frozen=True)
class Cohort:
    """The mines that revealed, ascending by address, with what they revealed; `commit_order` earliest first.

    `seen_s`: chain time at which the settling began.
    """

    digests: dict[str, bytes]
    commit_order: list[str]
    seen_s: int


@dataclass(frozen=True)
class Update:
    """One revealed update: well-formed, with the links to its ciphertexts' parts, or left
    out for `reason`.
    """

    rows: int = 0
    links: list[str] = field(default_factory=list)
    reason: str = ""


@dataclass(frozen=True)
class Outcome:
    """Where the round led. Without an aggregate (`sums` empty), weights and loss are the round's own.

    `sums` int[d] is the aggregate of `rows` rows; `weights` are the numbers that the next round asks
    about, in fixed point, and `coefficients` what else their point is made of (`sonar.families.base.APoint`).
    """

    sums: list[int]
    aggregate_digest: bytes
    rows: int
    weights: list[int]
    coefficients: list[Any]
    loss: int
    scores: dict[str, int]
    shares_bps: dict[str, int]


@dataclass(frozen=True)
class Publication:
    """What the round is settled with. `model_manifest` is empty if the model stays. `key_manifest` is that of
    its key, empty if this is the one that the bounty was posted with.
    """

    model_digest: bytes
    loss: int
    evidence: bytes
    model_manifest: bytes = b""
    key_manifest: bytes = b""

    def manifests(self) -> list[bytes]:
        """Return what others read of it besides the weights, each before what links to it."""
        return [each for each in (self.key_manifest, self.model_manifest, self.evidence) if each]


@dataclass(frozen=True)
class Finished:
    """How a round ended, from the chain's record: "settled", "failed", "overdue" or "taken back".

    `loss` and `best_loss` are -1 if it was not settled. `payments`: mine -> credited amounts in wei.
    `closed` is the reason why the bounty closed with this round, else empty. `model_digest` is what it was
    settled with, if it was.
    """

    ended: str
    block: int
    committed: int
    loss: int
    best_loss: int
    payments: dict[str, dict[str, int]]
    closed: str
    refund_units: int
    gas: dict[str, int]
    seconds: dict[str, float]
    model_digest: bytes = b""


_KEPT = 16
_KINDS = (Posting, Cohort, Verdict, Outcome, Publication, Finished)


class Records:
    """The records of the campaign `name`. All methods raise JournalError.

    What was read last stays in memory, as many as a round's work looks at; the rest is read again.
    """

    def __init__(self, journal: Journal, name: str) -> None:
        self._journal, self.name = journal, name
        self._prefix = f"campaign/{name}/"
        self._known: OrderedDict[str, Any] = OrderedDict()
        self._bounty: tuple[bytes, int] | None = None
        self._finished = 0
        self._made: set[bytes] = set()
        self._looked_at = 0

    def get(self, kind: type[Any], number: int = 0) -> Any:
        """Return the record of this kind (and round), or None."""
        assert kind in _KINDS
        key = self._key(kind, number)
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        record = self._read(key, kind)
        if record is not None:
            self._keep(key, record)
        return record

    def put(self, record: Any, number: int = 0) -> None:
        """Write a record; it is on the disk when this returns."""
        assert type(record) in _KINDS
        key = self._key(type(record), number)
        self._journal.put(self._prefix + key, asdict(record))
        self._keep(key, record)

    def forget(self, kind: type[Any], number: int) -> None:
        """Remove the record of this kind and round."""
        self._journal.delete(self._prefix + self._key(kind, number))
        self._known.pop(self._key(kind, number), None)
        self._finished = self._looked_at = 0

    def put_verdict(self, verdict: Verdict, number: int, sent: Mapping[str, str]) -> None:
        """Write a verdict, and with it who sent which ciphertexts first: `sent` by the name of `sender`."""
        with self._journal.transaction():
            for name, mine in sent.items():
                self._journal.put(f"{self._prefix}sent/{name}", mine)
            self._journal.put(self._prefix + self._key(Verdict, number), asdict(verdict))
        self._keep(self._key(Verdict, number), verdict)

    def sender(self, name: str) -> str | None:
        """Return the mine that sent the ciphertexts of that name first, in a round with a verdict."""
        return self._journal.get_as(str, f"{self._prefix}sent/{name}")

    def update(self, number: int, mine: str) -> Update | None:
        """Return what is known about a mine's update in a round."""
        found: Update | None = self._read(f"{number:03}/update/{mine}", Update)
        return found

    def put_update(self, number: int, mine: str, update: Update) -> None:
        """Record a mine's update."""
        self._journal.put(f"{self._prefix}{number:03}/update/{mine}", asdict(update))

    def set_bounty(self, bounty: bytes, block: int) -> None:
        """Record that the bounty is posted, in `block`."""
        self._journal.put(f"{self._prefix}posted", {"bounty": bounty, "block": block})

    def bounty(self) -> tuple[bytes, int] | None:
        """Return (bounty id, block of its posting), or None before it is posted."""
        if self._bounty is None:
            read = lambda found: (found["bounty"], found["block"])  # noqa: E731
            self._bounty = self._journal.get_as(read, f"{self._prefix}posted")
        return self._bounty

    def trained_on(self, number: int) -> Posting | Publication:
        """What the model of a round was published with: the settlement of the last round before it that
        changed the model, else the posting.
        """
        published = (self.get(Publication, past) for past in range(number - 1, 0, -1))
        newest = next((each for each in published if each is not None and each.model_manifest), None)
        found: Posting | Publication = newest or self.get(Posting)
        return found

    def key_manifests(self) -> dict[int, bytes]:
        """Return the manifests of the bounty's keys, by the round from which on each counts, ascending."""
        posting: Posting | None = self.get(Posting)
        found = {1: posting.key_manifest} if posting else {}
        for number in range(1, self.finished() + 2):  # the open round's model may be made already
            made: Publication | None = self.get(Publication, number)
            if posting and made is not None and made.model_manifest:
                key = made.key_manifest or posting.key_manifest
                if key != found[max(found)]:
                    found[number + 1] = key
        return found

    def keys(self) -> dict[int, bytes]:
        """Return the fingerprints of the bounty's keys, by the round from which on each counts, ascending."""
        found = self.key_manifests().items()
        return {number: hashlib.sha256(KeyManifest.from_bytes(data).n).digest() for number, data in found}

    def finished(self) -> int:
        """Return the number of the last round that is over, 0 if none is."""
        while self.get(Finished, self._finished + 1) is not None:
            self._finished += 1
        return self._finished

    def is_closed(self) -> bool:
        """Tell whether the bounty is closed, and all of its rounds are here."""
        last: Finished | None = self.get(Finished, max(self.finished(), 1))
        return last is not None and last.closed != ""

    def check_age(self, newest: bytes = b"", open_round: int = 0) -> None:
        """Check that every model that a round was settled with was made here, and `newest`, the contract's.

        It may have been made in any round up to `open_round`: how the last ones ended may not be known yet.
        Raises JournalError: this journal was copied before a settlement, and lacks what came after.
        """
        over = self.finished()
        for number in range(self._looked_at + 1, over + 1):
            self._made |= self._models_of(number)
            ended: Finished = self.get(Finished, number)
            if ended.model_digest not in self._made | self._models_of(0) | {b""}:
                break
            self._looked_at = number
        pending = range(over + 1, max(over + 1, open_round) + 1)
        made = self._made.union(*map(self._models_of, (0, *pending)))
        if self._looked_at == over and newest in made | {b""}:
            return
        first = next(n for n in count(1) if not self._is_known(n))
        raise JournalError(
            f"the journal {self._journal.path} is an older copy: it lacks what the bounty {self.name!r} was "
            f"settled with from round {first} on, its newest model too",
            hint="put back the newest copy of this home. Without one that model is lost, and the bounty "
            f"trains no further: `pysonar resume {self.name}` lets it end as Overdue, which pays the mines, "
            "and withdraws what is left of the escrow",
        )

    def _models_of(self, number: int) -> set[bytes]:
        """The digests of the models that were made here in a round, 0 for the posting."""
        if number == 0:
            posting: Posting | None = self.get(Posting)
            return {digest_of(posting.model_manifest)} if posting else set()
        published: Publication | None = self.get(Publication, number)
        return {published.model_digest} if published else set()

    def _is_known(self, number: int) -> bool:
        """Tell whether this journal knows what a round was settled with, if it was settled."""
        ended: Finished | None = self.get(Finished, number)
        return bool(self._models_of(number)) or (ended is not None and ended.ended != "settled")

    def _key(self, kind: type[Any], number: int) -> str:
        return f"{number:03}/{kind.__name__.lower()}"

    def _read(self, key: str, kind: type[Any]) -> Any:
        return self._journal.get_as(lambda fields: kind(**fields), self._prefix + key)

    def _keep(self, key: str, record: Any) -> None:
        self._known[key] = record
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
