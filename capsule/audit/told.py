"""What capsules have told, as a scientist hands it on: signed, and told alike by all who hold a class.

She cannot change an answer. She can leave one out; a class of which nobody tells then is missing. And where
of two holders one is wrong, both are named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from gmpy2 import mpz

from capsule.audit.refusal import Refusal, expect, refuse
from sonar.chain.signatures import signer_of
from sonar.errors import ManifestError, RemoteError
from sonar.manifests.audit import Heard
from sonar.manifests.capsule import (
    Ask,
    Complaint,
    FunctionalAnswer,
    FunctionalRequest,
    SignedAnswer,
    SumAnswer,
    SumRequest,
)
from sonar.manifests.model import VeilCover
from sonar.paillier.slots import SlotPlan
from sonar.protocol.capsules import answer_digest
from sonar.protocol.ids import Address, BountyId, Digest, digest_of
from sonar.protocol.record import Manifest
from sonar.veil.functionals import read_vector

T = TypeVar("T")
M = TypeVar("M", bound=Manifest)
A = TypeVar("A", FunctionalAnswer, SumAnswer)

Parts = tuple[tuple[int, bytes, tuple[int, ...]], ...]
"""Of a functional: for each answer its round, its update's digest, and the vector that it is asked by."""


Peers = Callable[[Address, bytes], bytes | None]
"""Gives a capsule's `SignedAnswer` to a request, by the digest of its body, from that capsule itself: empty
if it serves and has not told any, None if it cannot be reached.
"""


@dataclass(frozen=True)
class Place:
    """Whose capsules are listened to: those of a bounty on one network.

    `modulus` gives the n of the key that a round's answers are under.
    `own` gives this capsule's own `SignedAnswer` to a request, or None: so nobody can tell it anything else
    of classes that it holds itself. `me` is its account; None where other capsules have signed before what
    follows. `peers` asks another capsule what it has told.
    """

    chain_id: int
    contract: Address
    bounty: BountyId
    cover: VeilCover
    plan: SlotPlan
    modulus: Callable[[int], mpz]
    own: Callable[[bytes], bytes | None] = lambda body: None
    me: Address | None = None
    peers: Peers = lambda account, request: None

    def check(self, request: SumRequest | FunctionalRequest, round: int) -> None:
        """Refuse a request of another bounty or round."""
        found = (request.chain_id, request.contract, request.bounty, request.round)
        expect("answer", "the request's place", found, (self.chain_id, self.contract, self.bounty, round))


@dataclass
class Functionals:
    """What was told of single answers: by mine and bits, for each functional a number of each class."""

    by_mine: dict[tuple[str, int], list[tuple[Parts, dict[int, int]]]] = field(default_factory=dict)

    def hear(self, place: Place, round: int, heard: Heard) -> None:
        """Take in a request of a round and its answers. Raises Refusal."""
        request = _parsed(FunctionalRequest, heard.request)
        place.check(request, round)
        vectors = [_vector(place.plan, data) for data in request.vectors]
        found = [dict[int, int]() for _ in request.asks]
        for member, answer in _answers(place, heard, FunctionalAnswer):
            expect("answer", f"how many functionals {answer.capsule} tells", len(answer.values), len(found))
            for into, values, ask in zip(found, answer.values, request.asks, strict=True):
                if any(value >> ask.bits for value in values):
                    refuse("answer", f"{answer.capsule} tells more than {ask.bits} bits of {ask.mine}")
                _take(place, member, values, into)
        for ask, classes in zip(request.asks, found, strict=True):
            self.by_mine.setdefault((ask.mine, ask.bits), []).append((_parts(ask, vectors), classes))

    def about(self, mine: str) -> bool:
        """Tell whether anything was told of a mine."""
        return any(name == mine for name, _ in self.by_mine)

    def told(
        self, place: Place, mine: str, bits: int, parts: Parts, *, room: int = 0
    ) -> tuple[Parts, list[int]]:
        """Return a functional as it was asked, and what was told of it, a number of each class.

        Vectors that come from floats may differ by their last digits between machines: one that was asked
        counts if no number of it is off by more than `room`. Where several do, the nearest is meant: a test
        of the same mine may have been asked by numbers as small as the room. Raises Refusal.
        """
        asks = self.by_mine.get((mine, bits), [])
        told = [(asked, classes) for asked, classes in asks if len(classes) == place.cover.classes.count]
        # Most were asked about by the very numbers, which is quicker to see than how far each one is off.
        exact = [(0, asked, classes) for asked, classes in told if asked == parts]
        whole = exact or [
            (off, asked, classes)
            for asked, classes in told
            if (off := _off(place.plan, asked, parts)) is not None and off <= room
        ]
        if whole:
            _, asked, classes = min(whole, key=lambda each: each[0])
            return asked, [classes[c] for c in range(len(classes))]
        rounds = ", ".join(str(number) for number, _, _ in parts)
        problem = f"nobody told a functional of {bits} bits of {mine} over round {rounds}"
        raise Refusal("told-missing", problem)


def complained_of(place: Place, round: int, complaints: Sequence[bytes]) -> set[str]:
    """Return the mines whose masks a member says, signed, that it cannot make in a round. Raises Refusal."""
    accounts, found = [member.account for member in place.cover.members], set[str]()
    for data in complaints:
        signed = _parsed(SignedAnswer, data)
        complaint = _parsed(Complaint, signed.body)
        where = complaint.bounty, complaint.round
        expect("answer", "where a complaint belongs", where, (place.bounty, round))
        _check_signer(place, accounts, signed, complaint.capsule)
        found.update(map(str, complaint.mines))
    return found


def class_sums(place: Place, round: int, heard: Heard, cohort: Digest) -> list[list[mpz]]:
    """Return the sums of masks that capsules told for the set fixed in a round: for each class, for each
    ciphertext. Raises Refusal.
    """
    request = _parsed(SumRequest, heard.request)
    place.check(request, round)
    expect("answer", "the set that was asked for", request.cohort, cohort)
    found = dict[int, bytes]()
    for member, answer in _answers(place, heard, SumAnswer):
        _take(place, member, answer.sums, found)
    if missing := set(range(place.cover.classes.count)) - found.keys():
        refuse("told-missing", f"nobody told the sum of class {min(missing)} in round {round}")
    width, count = (place.plan.key_bits + 7) // 8, place.plan.ciphertexts
    for data in found.values():
        expect("answer", "the length of a sum", len(data), width * count)
    rows = (found[c] for c in sorted(found))
    return [
        [mpz(int.from_bytes(row[i : i + width], "big")) for i in range(0, len(row), width)] for row in rows
    ]


def check_witnessed(place: Place, heard: Heard) -> None:
    """Refuse a class of which only members told who may all lie.

    This capsule's own word must be among theirs, or the word of enough others. Otherwise any one capsule
    could make a sum that is out of range.
    """
    members = [member.account for member in place.cover.members]
    spoke = {member for member, _ in _answers(place, heard, SumAnswer)}
    me = [members.index(place.me)] if place.me in members else []
    if few := place.cover.classes.unwitnessed(spoke, me):
        refuse(
            "told-missing",
            f"the sum is out of range, and too few capsules told class {few[0]} of it: one of them may lie",
        )


def _take(place: Place, member: int, values: Sequence[T], into: dict[int, T]) -> None:
    """Note what a member tells of its classes; refuse where another told something else."""
    classes = place.cover.classes
    held = classes.held_by(member)
    account = place.cover.members[member].account
    expect("answer", f"how many classes {account} tells", len(values), len(held))
    for number, value in zip(held, values, strict=True):
        if into.setdefault(number, value) != value:
            others = [place.cover.members[m].account for m in classes.holders(number) if m != member]
            refuse("capsules-differ", f"{account} tells something else of class {number} than {others[0]}")


def _answers(place: Place, heard: Heard, kind: type[A]) -> Iterator[tuple[int, A]]:
    """Give each answer with the place of its member, whose signature it has. Raises Refusal."""
    accounts = [member.account for member in place.cover.members]
    request, own, spoke = digest_of(heard.request), place.own(heard.request), set[int]()
    handed = heard.answers if own is None else (*heard.answers, own)
    for member, answer in (_answer(place, accounts, request, kind, data) for data in handed):
        spoke.add(member)
        yield member, answer
    for account in [accounts[member] for member in _silent(place, spoke)]:
        data = place.peers(account, request)
        if data == b"":
            refuse("told-missing", f"{account} serves, and has not told what another tells in its place")
        if data is not None:
            yield _answer(place, accounts, request, kind, data)


def _answer(
    place: Place, accounts: Sequence[Address], request: Digest, kind: type[A], data: bytes
) -> tuple[int, A]:
    signed = _parsed(SignedAnswer, data)
    answer = _parsed(kind, signed.body)
    _check_signer(place, accounts, signed, answer.capsule)
    expect("answer", f"the request that {answer.capsule} answered", answer.request, request)
    return accounts.index(answer.capsule), answer


def _check_signer(place: Place, accounts: Sequence[Address], signed: SignedAnswer, capsule: Address) -> None:
    signer = signer_of(answer_digest(place.chain_id, place.contract, signed.body), signed.signature)
    expect("answer", "who signed an answer", signer, capsule)
    if capsule not in accounts:
        refuse("answer", f"{signer} is not one of the bounty's capsules")


def _silent(place: Place, spoke: set[int]) -> list[int]:
    """Return the members to ask: those of classes that fewer than `threshold` members told of.

    Among `threshold` members at least one is not the scientist's. A class that this capsule told of itself
    is not asked about; one that it holds and was not asked about is refused.
    """
    cover, silent = place.cover, set[int]()
    me = next((m for m, member in enumerate(cover.members) if member.account == place.me), None)
    if me is None:
        return []
    for number in range(cover.classes.count):
        holders = set(cover.classes.holders(number))
        if len(holders & spoke) >= min(cover.threshold, len(holders)) or me in holders & spoke:
            continue
        if me in holders:
            refuse("told-missing", f"this capsule holds class {number}, and was not asked about it")
        silent |= holders - spoke
    return sorted(silent)


def _parsed(kind: type[M], data: bytes) -> M:
    try:
        return kind.from_bytes(data)
    except RemoteError as error:
        refuse("answer", f"{kind.__name__}: {error}")


def _vector(plan: SlotPlan, data: bytes) -> tuple[int, ...]:
    try:
        return tuple(read_vector(plan, data))
    except ManifestError as error:
        refuse("answer", str(error))


def _parts(ask: Ask, vectors: Sequence[tuple[int, ...]]) -> Parts:
    for part in ask.parts:
        if part.vector >= len(vectors):
            refuse("answer", f"an ask names vector {part.vector} of {len(vectors)}")
    return tuple((part.round, part.update, vectors[part.vector]) for part in ask.parts)


def _off(plan: SlotPlan, asked: Parts, wanted: Parts) -> int | None:
    """By how much the numbers of two functionals differ at most; None if they are of other answers."""
    if [part[:2] for part in asked] != [part[:2] for part in wanted]:
        return None
    whole, pairs = 1 << plan.slot_bits, list(zip(asked, wanted, strict=True))
    if any(len(a) != len(b) for (*_, a), (*_, b) in pairs):
        return None
    found = ((x - y) % whole for (*_, a), (*_, b) in pairs for x, y in zip(a, b, strict=True))
    return max((min(off, whole - off) for off in found), default=0)
