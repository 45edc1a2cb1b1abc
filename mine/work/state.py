"""What a mine remembers, and what it does next: records of bounties and rounds, and the table of decisions.

The chain is the truth about what was committed, revealed and paid; the journal holds what the chain cannot
tell again: salts, what updates consist of, and which data a bounty was promised. `decide` is pure: a round's
state and the bounty's status. `sonar.protocol.round` says which changes of state exist at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, field, replace
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from mine.data.dataset import DataSet
from sonar.chain.rpc import Head
from sonar.errors import ManifestError
from sonar.frozen import frozen
from sonar.home.journal import Journal
from sonar.protocol.ids import ETHER, Address, BountyId, Cid, Digest, hex32
from sonar.protocol.phase import BountyState, Deadlines, Status, deadlines_of, status_of
from sonar.protocol.round import RoundEvent, RoundState, advance, has_stake_at_risk, is_final
from sonar.telling.progress import Progress

if TYPE_CHECKING:
    from sonar.manifests.model import VeilCover


class Command(Enum):
    """What to do next in a round."""

    TRAIN = "train"
    COMMIT = "commit"
    REVEAL = "reveal"
    EXPIRE = "expire"
    MISS = "miss"  # too late, by this head: nothing is given up before the round is over
    WAIT = "wait"


_R, _S, _C = RoundState, Status, Command
_AFTER_COMMIT = (_S.REVEAL, _S.SETTLE, _S.FAILED, _S.OVERDUE)
_AFTER_REVEAL = (_S.SETTLE, _S.FAILED, _S.OVERDUE)

DECISIONS: dict[tuple[RoundState, Status], Command] = {
    (_R.IDLE, _S.COMMIT): _C.TRAIN,
    (_R.TRAINED, _S.COMMIT): _C.COMMIT,
    (_R.COMMITTING, _S.COMMIT): _C.COMMIT,
    **{(state, late): _C.MISS for state in (_R.IDLE, _R.TRAINED, _R.COMMITTING) for late in _AFTER_COMMIT},
    (_R.COMMITTED, _S.REVEAL): _C.REVEAL,
    (_R.REVEALING, _S.REVEAL): _C.REVEAL,
    **{(state, late): _C.MISS for state in (_R.COMMITTED, _R.REVEALING) for late in _AFTER_REVEAL},
    (_R.REVEALED, _S.FAILED): _C.EXPIRE,
    (_R.REVEALED, _S.OVERDUE): _C.EXPIRE,
}
"""Anything not in the table waits."""


def decide(state: RoundState, status: Status) -> Command:
    """Return what to do next in the current round."""
    return DECISIONS.get((state, status), Command.WAIT)


@frozen
class Veiled:
    """The veil of a bounty, as long as it lasts: any `threshold` of `capsules` can open a sum.

    Each of them tells at most `bits` of an answer in a round. `audited`: they recompute the settlements.
    """

    threshold: int
    capsules: tuple[Address, ...]
    bits: int
    audited: bool

    @property
    def bits_in_all(self) -> int:
        """The most that is told of an answer in a round: each holder of a class could be asked otherwise."""
        return self.bits * (len(self.capsules) - self.threshold + 1)

    @classmethod
    def of(cls, cover: VeilCover) -> Veiled:
        """Return what of a cover is recorded."""
        accounts = tuple(member.account for member in cover.members)
        return cls(cover.threshold, accounts, cover.bits, cover.audit is not None)

    @classmethod
    def read(cls, record: dict[str, Any]) -> Veiled:
        """Return what the journal holds."""
        return cls(**{**record, "capsules": tuple(record["capsules"])})


@frozen
class Seeds:
    """A mine's seeds in a bounty, one for each class of its capsules, and what it publishes of them.

    `veil` is what they were drawn for. `hashes` are theirs, `envelopes` those for the capsules, in the order
    of the cover's members.
    """

    bounty: BountyId
    veil: Veiled
    seeds: tuple[bytes, ...] = field(repr=False)
    hashes: tuple[bytes, ...]
    envelopes: tuple[bytes, ...]


@frozen
class Joined:
    """A bounty that the operator joined, with what may not change while it lasts.

    `model_digest` and `key_digest` name the first round's manifests, `map_digest` is of (A, b), `block` is
    where the bounty was posted. `over`: nothing is left to do. `veil`: the capsules', if the bounty has some.
    """

    bounty: BountyId
    dataset: DataSet
    model_digest: Digest
    key_digest: Digest
    map_digest: str
    block: int
    over: bool = False
    veil: Veiled | None = None


@frozen
class Turn:
    """What one pass sees of a joined bounty: all of it is of the block `head`."""

    joined: Joined
    bounty: BountyState
    head: Head
    status: Status
    ends: Deadlines

    @classmethod
    def at(cls, head: Head, joined: Joined, bounty: BountyState) -> Turn:
        """Return what there is to see."""
        return cls(joined, bounty, head, status_of(bounty, head.timestamp_s), deadlines_of(bounty))


@frozen
class Part:
    """A mine's part in one round. Until it has trained, the fields below `state` are empty.

    `update` is the digest of the update's manifest, and `links` are to the parts of its blob. The bytes of
    both are drafts (`mine.work.publisher`) while the part is open.
    `model` is the digest of the model that it was trained on. `since_block` is the head when it trained: what
    comes of this part is mined later, unless that head was a lie. `proof` shows the contract that the mine is
    on the bounty's allow-list. `urgent_s` to `reveal_s`, in chain seconds: its reveal goes before everything
    else, until it is too late for it. `why` it was skipped, is forfeit or has no share; of a part that is
    open, why it would be. `paid` is what the chain recorded at the end: share_bps and amounts. Amounts are in
    the smallest unit of `asset`.
    """

    bounty: BountyId
    round: int
    state: RoundState = RoundState.IDLE
    salt: bytes = b""
    seal: bytes = b""
    update: bytes = b""
    links: tuple[Cid, ...] = ()
    stake_units: int = 0
    asset: Address = ETHER
    proof: list[bytes] = field(default_factory=list)
    since_block: int = 0
    urgent_s: int = 0
    reveal_s: int = 0
    why: str = ""
    paid: dict[str, int] = field(default_factory=dict)
    model: bytes = b""

    @cached_property
    def cids(self) -> tuple[Cid, ...]:
        """What the update consists of: the parts of its blob, and then its manifest, which names them."""
        return (*self.links, Cid("dag-cbor", Digest(self.update))) if self.update else ()

    def after(self, event: RoundEvent, why: str = "") -> Part:
        """Return the part after `event`. Raises LocalProtocolError if it cannot happen."""
        return replace(self, state=advance(self.state, event), why=why)


@frozen
class Refusal:
    """Why a bounty was refused, as it was last told."""

    bounty: BountyId
    error: str
    hint: str


class Book:
    """The typed view of a mine's journal. Raises JournalError, also for records that it cannot read."""

    def __init__(self, journal: Journal, on_state: Callable[[Part], None] = lambda part: None) -> None:
        self.journal = journal
        self._on_state = on_state
        self.ended = 0
        """How many parts and bounties came to their end in this process."""

    # Data sets

    def datasets(self) -> list[DataSet]:
        """All registered data sets, by name."""
        return self.journal.items_as(DataSet.from_record, "data/")

    def register(self, dataset: DataSet) -> None:
        """Register a data set; the same name again replaces it for bounties joined from now on."""
        self.journal.put(f"data/{dataset.name}", dataset.to_record())

    def uses(self, digest: str) -> int:
        """In how many rounds, over all bounties, the content with this digest was trained on."""
        return len(self.journal.items(f"use/{digest}/"))

    # Bounties

    def join(self, joined: Joined) -> None:
        """Record a joined bounty, or its new state, and forget its refusal, and its seeds once it is over."""
        record = {**asdict(joined), "dataset": joined.dataset.to_record()}
        with self.journal.transaction():
            self.journal.put(f"joined/{joined.bounty.hex()}", record)
            self.journal.delete(f"refusal/{joined.bounty.hex()}")
            if joined.over:  # they are in the capsules' envelopes yet, and of no more use here
                self.journal.delete(f"seeds/{joined.bounty.hex()}")
        self.ended += joined.over

    def leave(self, bounty: BountyId) -> None:
        """Take no part in further rounds; the records of past ones stay."""
        with self.journal.transaction():
            self.journal.delete(f"joined/{bounty.hex()}")
            self.journal.delete(f"refusal/{bounty.hex()}")

    def joined(self) -> list[Joined]:
        """All joined bounties, those that are over included."""
        return self.journal.items_as(_joined, "joined/")

    def seeds(self, bounty: BountyId) -> Seeds | None:
        """The mine's seeds in a bounty; None if none were drawn yet."""
        return self.journal.get_as(_seeds, f"seeds/{bounty.hex()}")

    def keep_seeds(self, seeds: Seeds) -> Seeds:
        """Record seeds, on the disk when this returns. They stay when the bounty is left: it may be joined
        again.
        """
        self.journal.put(f"seeds/{seeds.bounty.hex()}", asdict(seeds))
        return seeds

    def epochs(self, site: str) -> dict[str, int]:
        """The newest epoch of each capsule's key that bounties of a contract were joined with, by account.

        `site`: chain and contract.
        """
        prefix = f"epoch/{site}/"
        return {key.removeprefix(prefix): int(epoch) for key, epoch in self.journal.items(prefix)}

    def see_epochs(self, site: str, epochs: Mapping[str, int]) -> None:
        """Record the epochs in a bounty that is joined."""
        known = self.epochs(site)
        for account, epoch in epochs.items():
            if epoch > known.get(account, 0):
                self.journal.put(f"epoch/{site}/{account}", epoch)

    def refuse(self, refusal: Refusal) -> bool:
        """Record a refusal; tells whether it is news."""
        key, record = f"refusal/{refusal.bounty.hex()}", asdict(refusal)
        if self.journal.get(key) == record:
            return False
        with self.journal.transaction():
            self.journal.put(key, record)
            self.journal.log("refusal", **record)
        return True

    def refusals(self) -> list[Refusal]:
        """The refusals that still hold."""
        return self.journal.items_as(lambda record: Refusal(**record), "refusal/")

    def refusal(self, bounty: BountyId) -> str:
        """Why a bounty is refused now; empty if it works."""
        return next((one.error for one in self.refusals() if one.bounty == bounty), "")

    def why(self, part: Part, ended: str) -> str:
        """Why nothing came of a part: what hindered it until it was too late, if that is known."""
        return ": ".join(filter(None, (ended, self.refusal(part.bounty))))

    def forget_refusal(self, bounty: BountyId) -> None:
        """The bounty works again."""
        self.journal.delete(f"refusal/{bounty.hex()}")

    def assets(self) -> set[Address]:
        """Every asset that was staked in."""
        return {part.asset for part in self.parts()}

    # Rounds

    def part(self, bounty: BountyId, round_number: int) -> Part:
        """The mine's part in a round; an idle one if there is no record."""
        part = self.journal.get_as(_part, _round_key(bounty, round_number))
        return part or Part(bounty, round_number)

    def parts(self, bounty: BountyId | None = None) -> list[Part]:
        """Every recorded part in a bounty, oldest first; or in all of them, those that were left included."""
        return self.journal.items_as(_part, f"round/{bounty.hex()}/" if bounty else "round/")

    def open_parts(self, bounty: BountyId | None = None) -> list[Part]:
        """The recorded parts that are not over, in a bounty or in all of them."""
        return [part for part in self.parts(bounty) if not is_final(part.state)]

    def drafts_of(self) -> set[Cid]:
        """What the updates consist of that may be asked for yet: of open parts, and each bounty's newest."""
        parts = [part for one in self.joined() if not one.over for part in self.parts(one.bounty)[-1:]]
        return {cid for part in (*self.open_parts(), *parts) for cid in part.cids}

    def at_risk(self) -> list[Part]:
        """The parts of joined bounties whose stakes can be lost by doing nothing."""
        going_on = [one.bounty for one in self.joined() if not one.over]
        parts = [part for bounty in going_on for part in self.open_parts(bounty)]
        return [part for part in parts if has_stake_at_risk(part.state)]

    def save(self, part: Part, *, uses: str | None = None) -> Part:
        """Record a part in its new state, and which data (by digest) it was trained on; all or nothing."""
        record = {**asdict(part), "state": part.state.value, "links": [str(link) for link in part.links]}
        with self.journal.transaction():
            self.journal.put(_round_key(part.bounty, part.round), record)
            if uses is not None:
                self.journal.put(f"use/{uses}/{part.bounty.hex()}/{part.round:03d}", True)
        self.ended += is_final(part.state)
        self._on_state(part)
        return part


def tell(progress: Progress) -> Callable[[Part], None]:
    """Return what a Book calls with every new state of a round."""
    return lambda part: progress.state(hex32(part.bounty), part.round, part.state.value)


def _round_key(bounty: BountyId, round_number: int) -> str:
    return f"round/{bounty.hex()}/{round_number:03d}"


def _seeds(record: dict[str, Any]) -> Seeds:
    lists = (tuple(record[name]) for name in ("seeds", "hashes", "envelopes"))
    return Seeds(record["bounty"], Veiled.read(record["veil"]), *lists)


def _joined(record: dict[str, Any]) -> Joined:
    veil = record.get("veil")  # a home that joined before there were capsules has none
    dataset = DataSet.from_record(record["dataset"])
    return Joined(**{**record, "dataset": dataset, "veil": Veiled.read(veil) if veil else None})


def _part(record: dict[str, Any]) -> Part:
    try:
        links = tuple(Cid.parse(link) for link in record["links"])
    except ManifestError as error:
        raise ValueError(str(error)) from error
    return Part(**{**record, "state": RoundState(record["state"]), "links": links})
