"""What the commands print with `--json`, each as its type, for programs that read it."""

from __future__ import annotations

from sonar.protocol.ids import Address
from sonar.telling.documents import Integer, document


@document
class Served:
    """A bounty that the capsule serves, or served: bits told of its mines' answers, and sums opened."""

    bounty: str
    scientist: Address
    epoch: int
    open: bool
    bits: int
    mines: int
    sums: int


@document
class CapsuleStatus:
    """What a capsule told so far. `former`: accounts that it had before. `epochs`: those whose keys it has;
    refusals by code, since it was made.

    `blind_until_s`: of rounds that began by then, nothing new is told but sums; 0 if nothing is forgotten.
    """

    address: Address
    former: list[Address]
    running: bool
    network: str
    url: str
    listed: bool
    epochs: list[int]
    bits: int
    sums: int
    blind_until_s: int
    bounties: list[Served]
    refusals: dict[str, int]


@document
class Rotated:
    """The epoch that new bounties name; `kept` are the old ones that running bounties may still name.

    `running`: a capsule serves in the home, and takes that up with its next request.
    """

    address: Address
    epoch: int
    kept: list[int]
    deleted: list[int]
    running: bool


@document
class Succeeded:
    """Another account takes the capsule's place in new bounties, from `epoch` on.

    `lines`: what stands of it in the network's file from now on; empty if the capsule has no address.
    """

    former: Address
    address: Address
    epoch: int
    lines: str


@document
class SignedLine:
    """An answer that the capsule signed, by the digest of its body's bytes; `at_s`: chain time."""

    round: int
    kind: str
    at_s: int
    request: str
    answer: str
    bytes: int


@document
class AuditedLine:
    """A settlement that the capsule recomputed and signed: its digest, the new loss in millionths, how many
    openings were checked, shares in basis points, and who was left out and why.

    `fault`: why it does not follow when it is recomputed now; None if it was not, empty if it does.
    """

    round: int
    settlement: str
    loss: Integer
    openings: int
    shares_bps: dict[str, int]
    left_out: dict[str, str]
    fault: str | None = None


@document
class SignedList:
    """All that the capsule signed about a bounty, and the bits that it told of each mine."""

    bounty: str
    answers: list[SignedLine]
    bits: dict[str, int]
    settlements: list[AuditedLine]
