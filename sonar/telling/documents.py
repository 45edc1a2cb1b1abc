"""What travels between processes as JSON: progress lines' summaries, and the answers of every `--json`.

A document is a frozen dataclass marked by `document`. `in_json` writes it and `read` reads it: the same type
on both sides, and hostile text becomes a RemoteError that names the field. An amount is a decimal string in
JSON, and so is every other integer that a program with 64-bit floats would round.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import field, fields, is_dataclass
from enum import Enum, IntEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, cast, dataclass_transform

from pydantic import BeforeValidator, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import from_json

from sonar.errors import RemoteError
from sonar.frozen import frozen
from sonar.protocol.ids import Address
from sonar.protocol.wording import first_fault
from sonar.telling.amounts import Unit

MAX_SAFE = 2**53 - 1
"""The largest integer that every reader of JSON keeps (RFC 8259 section 6)."""
AMOUNTS = ("_units", "_wei")
"""How the name of an amount ends."""
MAX_BYTES = 64 * 1024 * 1024
_SURROGATES = re.compile("[\ud800-\udfff]")
STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

T = TypeVar("T")


def _integer(value: object) -> object:
    """Take a decimal string for the integer that it writes, in the one way that it is written."""
    if isinstance(value, str) and len(value) <= 90 and value.removeprefix("-").isdecimal():
        number = int(value)
        return number if str(number) == value else value
    return value


Integer = Annotated[int, BeforeValidator(_integer)]
"""An integer of any size."""
Amount = Annotated[int, BeforeValidator(_integer)]
"""An amount in the smallest unit of its asset."""


@dataclass_transform(frozen_default=True)
def document(kind: type[T]) -> type[T]:
    """Make a class a document."""
    kind.__pydantic_config__ = STRICT  # type: ignore[attr-defined]
    return frozen(kind)


def in_json(value: Any, name: str = "") -> Any:
    """Return a document, or lists and maps of JSON's own values, as `json.dumps` takes it.

    Bytes become hex with 0x, an IntEnum its name in small letters, any other enum its value. What is not in
    Unicode, as a file's name may be, is replaced: readers of JSON refuse it.
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: in_json(getattr(value, one.name), one.name) for one in fields(value)}
    if isinstance(value, Mapping):
        return {_unicode(key): in_json(item, key) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [in_json(item, name) for item in value]
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, Enum):
        return value.name.lower() if isinstance(value, IntEnum) else value.value
    if isinstance(value, str | Path):
        return _unicode(str(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if name.endswith(AMOUNTS) or abs(value) > MAX_SAFE else value
    return value


def _unicode(text: str) -> str:
    return text if text.isascii() else _SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text)


def write(value: Any) -> str:
    """Return the JSON of a document, on one line."""
    return json.dumps(in_json(value), allow_nan=False)


def read(kind: Callable[..., T], text: str | bytes) -> T:
    """Return the document of this kind that `write` wrote. Raises RemoteError naming the first field."""
    if len(text) > MAX_BYTES:
        raise RemoteError(f"a document has {len(text)} bytes; the limit is {MAX_BYTES}")
    return cast("T", validated(kind, parsed(text), getattr(kind, "__name__", "document")))


def validated(kind: Any, value: Any, name: str) -> Any:
    """Return the document that JSON's own values stand for. Raises RemoteError naming the first field."""
    try:
        # As JSON again: only there does strict mode take an object for a dataclass, and a list for a tuple.
        return _adapter(kind).validate_json(json.dumps(value, allow_nan=False))
    except ValidationError as error:
        where, problem = first_fault(error, name)
        raise RemoteError(f"{where} of a {name}: {problem}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise RemoteError(f"not a {name}: {str(error)[:200]}") from error


def parsed(text: str | bytes) -> Any:
    """Return the values of JSON. Raises RemoteError."""
    try:
        return from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise RemoteError(f"not JSON ({error}): {text[:200]!r}") from error


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


# ---- rounds and bounties, as those tell them who take part


@document
class MineRound:
    """How a round ended for a mine; `why` it has no share, or was missed. Amounts are in `asset`."""

    result: str
    asset: Address
    share_bps: int = 0
    fee_units: Amount = 0
    reward_units: Amount = 0
    stake_units: Amount = 0
    forfeit_units: Amount = 0
    why: str = ""


@document
class CampaignRound:
    """How a round ended for its scientist: "settled", "failed", "overdue" or "taken back".

    Losses are those of the chain, None where there is none; `figures` say the model's in people's units, and
    `best` the least so far. `told`: what the round of a statistic has brought. By mine: `left_out` with the
    reason, shares and scores.
    """

    round: int
    ended: str
    loss: Integer | None
    best_loss: Integer | None
    cohort: list[str]
    accepted: list[str]
    left_out: dict[str, str]
    shares_bps: dict[str, int]
    scores: dict[str, int]
    asset: Unit
    paid_units: Amount
    gas: dict[str, int]
    seconds: dict[str, float]
    figures: dict[str, float] = field(default_factory=dict)
    best: dict[str, float] = field(default_factory=dict)
    told: str = ""


@document
class Payout:
    """What a mine was credited in all."""

    stake_units: Amount
    fee_units: Amount
    reward_units: Amount
    forfeit_units: Amount


@document
class CampaignSummary:
    """What became of a bounty so far. Losses as in `CampaignRound`; `metric` names what they measure, empty
    for a study. `result`: all numbers of its statistic, once the last sum is opened.
    """

    name: str
    bounty: str | None
    status: str
    closed: str
    key_bits: int
    initial_loss: Integer
    final_loss: Integer
    target_loss: Integer
    asset: Unit
    escrow_units: Amount
    paid_units: Amount
    refunded_units: Amount
    rounds: list[CampaignRound]
    payouts: dict[str, Payout]
    metric: str = ""
    initial: dict[str, float] = field(default_factory=dict)
    final: dict[str, float] = field(default_factory=dict)
    target: dict[str, float] = field(default_factory=dict)
    result: dict[str, Any] | None = None


@document
class MineSummary:
    """What a mine has worked in when it ends by itself."""

    address: Address
    bounties: int


RoundSummary = MineRound | CampaignRound
Summary = CampaignSummary | MineSummary | None


# ---- answers of `sonar`


@document
class PartyReady:
    """A party's home is made: what `init` answers, as far as it is the same for all."""

    address: Address
    home: str
    network: str
    next: str
    data: dict[str, Any] | None = None


@document
class CapsuleFound:
    """A capsule of a network's file: which `account` is listed at `url`, which `answers` there, and what is
    wrong. One that answers without a problem is the listed one, or has taken its place, signed by both.
    """

    url: str
    account: Address
    answers: str
    problem: str


@document
class CapsulesFound:
    """What `sonar capsules` answers: files that were `written`, and those that are `behind`."""

    capsules: list[CapsuleFound]
    written: list[str]
    behind: list[str]


@document
class PasswordChanged:
    """A home has another password; `files`: those that had the old one, none if it had the new already."""

    address: Address
    home: str
    files: list[str]


@document
class CapsuleReady:
    """A capsule serves at `url`; `listed` tells whether the network's file names it there."""

    address: Address
    url: str
    network: str
    listed: bool
    ready: Literal[True] = True


@document
class ChainReady:
    """A development chain serves."""

    client: str
    chain_id: int
    rpc_url: str
    contract: Address
    network: str
    bootstrap: list[str]
    pid: int | None
    ready: Literal[True] = True


@document
class Deployed:
    """The contract is on a chain. `new`: it was not there before; `sources`: the compiler's input."""

    contract: Address
    code_hash: str
    network: str
    new: bool
    sources: str


@document
class Verified:
    """Whose code lies at a network's address."""

    contract: Address
    chain_id: int
    code_hash: str
    shipped: bool
    min_window_s: int
    same_on_every_chain: bool
    solc: str
    sources: str


@document
class Gift:
    """Ether from a development network's faucet."""

    address: Address
    amount_wei: Amount
    tx_hash: str


@document
class Funded:
    """All gifts of one call."""

    funded: list[Gift]


@document
class Signed:
    """A settler's signature over a settlement, in a file; it counts on this chain, for this contract."""

    settler: Address
    digest: str
    file: str
    chain_id: Integer
    contract: Address


@document
class PeerReady:
    """A peer of the store's swarm serves."""

    bootstrap: list[str]
    swarm_key_file: str
    ready: Literal[True] = True


@document
class SwarmKey:
    """A swarm's key file, by its fingerprint."""

    file: str
    fingerprint: str


@document
class SwarmKeyRotated:
    """A node's swarm key is another one than `before`, or was already; both by their fingerprints."""

    file: str
    before: str
    fingerprint: str
