"""What a campaign must know again after it was killed at any instant, in its home's journal.

Each record is written once, before the effect that rests on it, and never changes: whoever reads it again
goes on to the same end. Everything is under `campaign/<name>/`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import count
from typing import Any

from sonar.errors import JournalError
from sonar.families.quadratic.step import Coefficients
from sonar.home.journal import Journal
from sonar.protocol.blobs import parts_of
from sonar.protocol.cid import Codec
from sonar.protocol.ids import digest_of

Blob = tuple[bytes, Codec]


@dataclass(frozen=True)
class Posting:
    """What the bounty is posted with. The salt makes its id; the weights were encrypted freshly.

    `holdout_salt` opens the commitment to the holdout, for who audits it.

    `allow_list` is empty if everybody may take part.
    """

    digest: str
    salt: bytes
    key_manifest: bytes
    model_manifest: bytes
    weights_blob: bytes
    holdout_salt: bytes
    allow_list: bytes = b""

    def blobs(self) -> list[Blob]:
        """Return what mines read of it, each before what links to it."""
        manifests: list[Blob] = [(self.allow_list, "dag-cbor"), (self.key_manifest, "dag-cbor")]
        return _there(*manifests, *_parts(self.weights_blob), (self.model_manifest, "dag-cbor"))


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
    """One revealed update: well-formed, with its ciphertexts as one blob, or left out for `reason`."""

    rows: int = 0
    blob: bytes = b""
    reason: str = ""


@dataclass(frozen=True)
class Verdict:
    """Who is aggregated. On disk before the decryption; another set could not be decrypted any more.

    `left_out`: mine -> reason. `for_good`: those of them that are left out of all later rounds as well.
    """

    accepted: list[str]
    left_out: dict[str, str]
    for_good: dict[str, str]


@dataclass(frozen=True)
class Outcome:
    """Where the round led. Without an aggregate (`sums` empty), weights and loss are the round's own.

    `sums` int[d] is the aggregate of `rows` rows; `weights` int[d] are the new ones in fixed point, and
    `coefficients` (round, alpha, own) say how they came about, with `own` as pairs (place, value).
    """

    sums: list[int]
    aggregate_digest: bytes
    rows: int
    weights: list[int]
    coefficients: list[tuple[int, float, list[tuple[int, float]]]]
    loss: int
    scores: dict[str, int]
    shares_bps: dict[str, int]

    def as_coefficients(self) -> Coefficients:
        """Return how `weights` came about."""
        return Coefficients({number: (alpha, dict(own)) for number, alpha, own in self.coefficients})


@dataclass(frozen=True)
class Publication:
    """What the round is settled with. `model_manifest` and `weights_blob` are empty if the model stays."""

    model_digest: bytes
    loss: int
    evidence: bytes
    model_manifest: bytes = b""
    weights_blob: bytes = b""

    def blobs(self) -> list[Blob]:
        """Return what others read of it, each before what links to it."""
        model: list[Blob] = [*_parts(self.weights_blob), (self.model_manifest, "dag-cbor")]
        return _there(*model, (self.evidence, "dag-cbor"))


@dataclass(frozen=True)
class Finished:
    """How a round ended, from the chain's record: "settled", "failed" or "overdue".

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


def _parts(blob: bytes) -> list[Blob]:
    return [(part, "raw") for part in parts_of(blob)]


def _there(*blobs: Blob) -> list[Blob]:
    return [blob for blob in blobs if blob[0]]


_KINDS = (Posting, Cohort, Verdict, Outcome, Publication, Finished)


class Records:
    """The records of the campaign `name`. All methods raise JournalError."""

    def __init__(self, journal: Journal, name: str) -> None:
        self._journal, self.name = journal, name
        self._prefix = f"campaign/{name}/"
        self._known: dict[str, Any] = {}

    def get(self, kind: type[Any], number: int = 0) -> Any:
        """Return the record of this kind (and round), or None."""
        assert kind in _KINDS
        return self._read(self._key(kind, number), kind)

    def put(self, record: Any, number: int = 0) -> None:
        """Write a record; it is on the disk when this returns."""
        assert type(record) in _KINDS
        self._write(self._key(type(record), number), record)

    def forget(self, kind: type[Any], number: int) -> None:
        """Take the record of this kind and round away."""
        self._journal.delete(self._prefix + self._key(kind, number))
        self._known.pop(self._key(kind, number), None)

    def update(self, number: int, mine: str) -> Update | None:
        """Return what is known of a mine's update in a round."""
        found: Update | None = self._read(f"{number:03}/update/{mine}", Update)
        return found

    def put_update(self, number: int, mine: str, update: Update) -> None:
        """Write down a mine's update."""
        self._write(f"{number:03}/update/{mine}", update)

    def set_bounty(self, bounty: bytes, block: int) -> None:
        """Write down that the bounty is posted, in `block`."""
        self._journal.put(f"{self._prefix}posted", {"bounty": bounty, "block": block})

    def bounty(self) -> tuple[bytes, int] | None:
        """Return (bounty id, block of its posting), or None before it is posted."""
        return self._journal.get_as(lambda found: (found["bounty"], found["block"]), f"{self._prefix}posted")

    def finished(self) -> int:
        """Return the number of the last round that is over, 0 if none is."""
        number = 0
        while self.get(Finished, number + 1) is not None:
            number += 1
        return number

    def check_age(self, newest: bytes = b"") -> None:
        """Check that every model that a round was settled with was made here, and `newest`, the contract's.

        Raises JournalError: this journal was copied before a settlement, and does not know what came then.
        """
        posting: Posting | None = self.get(Posting)
        rounds = range(1, self.finished() + 2)
        published: dict[int, Publication] = {n: p for n in rounds if (p := self.get(Publication, n))}
        ended: dict[int, Finished] = {n: f for n in rounds if (f := self.get(Finished, n))}
        made = {b""} | {one.model_digest for one in published.values()}
        made |= {digest_of(posting.model_manifest)} if posting else set()
        if {newest, *(one.model_digest for one in ended.values())} <= made:
            return
        known = {n for n in rounds if n in published or (n in ended and ended[n].ended != "settled")}
        first = next(n for n in count(1) if n not in known)
        raise JournalError(
            f"the journal {self._journal.path} is an older copy: what the bounty {self.name!r} was settled "
            f"with from round {first} on is not in it, and so its newest model is not here",
            hint="put back the newest copy of this home. Without one that model is lost, and the bounty "
            f"trains no further: `pysonar resume {self.name}` lets it end as Overdue, which pays the mines, "
            "and takes out what is left of the escrow",
        )

    def _key(self, kind: type[Any], number: int) -> str:
        return f"{number:03}/{kind.__name__.lower()}"

    def _read(self, key: str, kind: type[Any]) -> Any:
        if key not in self._known:
            record = self._journal.get_as(lambda fields: kind(**fields), self._prefix + key)
            if record is None:
                return None
            self._known[key] = record
        return self._known[key]

    def _write(self, key: str, record: Any) -> None:
        self._journal.put(self._prefix + key, asdict(record))
        self._known[key] = record
