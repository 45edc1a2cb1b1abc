"""The contract, typed: reads, events, and calls as plain data for the outbox to sign."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from sonar.chain.contract import abi
from sonar.chain.contract.calls import Calls
from sonar.chain.contract.errors import UnknownBounty
from sonar.chain.contract.view import call_of, view
from sonar.chain.rpc import Chain, Head, Request, Rpc, data_bytes, fields_of, hash32, quantity, words
from sonar.errors import (
    ChainUnavailable,
    ChainUnusable,
    MarketError,
    RemoteError,
    RpcError,
    UsageError,
    WrongContract,
)
from sonar.protocol.events import BountyPosted, Event
from sonar.protocol.ids import ETHER, Address, BountyId, Digest, abbreviates
from sonar.protocol.keccak import keccak
from sonar.protocol.phase import BountyState, CloseReason, Entry, EntryState, Status, Terms
from sonar.protocol.seal import terms_of, terms_values
from sonar.telling.progress import Progress

if TYPE_CHECKING:
    from sonar.home.settings import NetworkConfig

T = TypeVar("T")
BLOCKS_PER_QUERY = 2_000
"""How many blocks one log query spans at most; public nodes refuse much more, and some refuse less."""
REORG_BLOCKS = 64
"""How many blocks below the one in which something was seen to search for it, since a reorganisation may move
it to an earlier one: two epochs of proof of stake, after which blocks are final.
"""
_QUERIES_PER_TOLD = 50


class Market(Chain, Calls):
    """The TrainingMarket at `address`. Construction checks the chain's id and the contract's code.

    Reads raise ChainUnavailable, RpcError on malformed answers, and the contract's own errors
    (`sonar.chain.contract.errors`). With `at`, a read sees the chain as of that very block, so that several
    agree. Raises ConfigError (another chain), WrongContract, or ChainUnavailable (a node that lags) at
    construction.
    """

    def __init__(
        self,
        rpc: Rpc,
        *,
        chain_id: int,
        address: Address,
        code_hash: bytes,
        deployed_block: int = 0,
        progress: Progress | None = None,
    ) -> None:
        super().__init__(rpc, chain_id)
        self.address, self.place = address, f"{self.chain_id}/{address}"
        self.deployed_block = deployed_block
        self._progress = progress or Progress()
        self._code_hash = code_hash
        self.check_code()

    @classmethod
    def connect(
        cls, network: NetworkConfig, rpc: Rpc | None = None, progress: Progress | None = None
    ) -> Market:
        """Return the market that a network file names. `progress` is told of long reads."""
        return cls(
            rpc or Rpc(network.rpc_url),
            chain_id=network.chain_id,
            address=network.contract,
            code_hash=network.code_hash,
            deployed_block=network.deployed_block,
            progress=progress,
        )

    def check_code(self) -> None:
        """Check that the contract is there. Raises WrongContract, ChainUnavailable (a node that lags)."""
        code, expected, deployed_block = self.code(self.address), self._code_hash.hex(), self.deployed_block
        if not code and self.head().number < deployed_block:
            raise ChainUnavailable(
                f"the chain's node at {self.rpc.shown} has not come to the contract's block {deployed_block}",
                hint="wait if it is still syncing; if not, get the network file of this network again",
            )
        if not code:
            raise WrongContract(self.address, expected, "none (there is no code)")
        if keccak(code) != self._code_hash:
            raise WrongContract(self.address, expected, keccak(code).hex())

    # ---- reads

    def bounty(self, bounty: BountyId, at: Head | None = None) -> BountyState:
        """Return a bounty, all of it as of one block. Raises UnknownBounty."""
        (fields,) = self._read("getBounty", bounty, at=at)
        scientist, opened, number, committed, revealed, closed, fixed, last_commit, *fields = fields
        terms, escrow, best, model = fields
        return _plausible(
            bounty,
            scientist,
            opened,
            number,
            committed,
            revealed,
            closed,
            terms_of(terms),
            escrow,
            best,
            model,
            fixed,
            last_commit,
        )

    def status(self, bounty: BountyId, at: Head | None = None) -> Status:
        """Return a bounty's status from the contract, by its own clock, the block's time.

        Irreversible steps ask for this instead of trusting a header's time alone.
        """
        (status,) = self._read("statusOf", bounty, at=at)
        return _enum(Status, status, "the status of a bounty")

    def entry(self, bounty: BountyId, mine: Address, at: Head | None = None) -> Entry:
        """Return a mine's latest round in a bounty."""
        return _entry(*self._read("entryOf", bounty, mine, at=at))

    def entries(self, bounty: BountyId, mines: Sequence[Address], at: Head) -> list[Entry]:
        """Return several mines' latest rounds in a bounty as `entry` does, in as few exchanges as go."""

        def read(answer: Any, what: str) -> Entry:
            with _nodes_own():
                return _entry(*abi.decode_result("entryOf", data_bytes(answer, what)))

        calls = [abi.encode_call("entryOf", bounty, mine) for mine in mines]
        asked = [Request("eth_call", call_of(self.address, call, at), read) for call in calls]
        found = zip(mines, self.rpc.batch(*asked), strict=True)
        return [self.entry(bounty, mine, at) if isinstance(one, RpcError) else one for mine, one in found]

    def withdrawable(self, account: Address, at: Head | None = None, *, asset: Address = ETHER) -> int:
        """Return what the contract owes the account in an asset, in its smallest units."""
        (amount,) = self._read("balanceOf", asset, account, at=at)
        return int(amount)

    def min_window_s(self) -> int:
        """Return the shortest window, in seconds, that this deployment takes."""
        (seconds,) = self._read("MIN_WINDOW")
        return int(seconds)

    def events(
        self,
        from_block: int,
        to_block: int | None = None,
        bounty: BountyId | None = None,
        names: Collection[str] = (),
    ) -> list[Event]:
        """Return the contract's events from block `from_block` to `to_block`, both included, in order.

        `to_block` defaults to the head, and must not lie beyond it. With `bounty`, only its own; withdrawals
        belong to none. With `names`, only events of those classes. A range of no blocks has no events.
        """
        last = self.head().number if to_block is None else to_block
        found: list[Event] = []
        first, blocks, queries = max(from_block, self.deployed_block), BLOCKS_PER_QUERY, 0
        while first <= last:
            until, queries = min(first + blocks - 1, last), queries + 1
            if queries % _QUERIES_PER_TOLD == 0:
                if self.head().number < last:
                    raise RpcError(f"the chain's node named block {last}, but does not have it")
                self._progress.waiting(f"the contract's record: block {first} of {last} is read")
            try:
                logs = self._logs(first, until, bounty, names)
            except (RpcError, ChainUnavailable) as fault:
                # Nodes limit the blocks or the logs of a query, each in its own words, or take too long.
                if first == until or not self._goes_on(fault):
                    raise
                blocks = (until - first + 1) // 2
                continue
            if not isinstance(logs, list):
                raise RpcError("eth_getLogs: the node's answer is not a list")
            found += [self._checked(log, bounty, names, first, until) for log in logs]
            first = until + 1
        return sorted(found, key=lambda event: (event.block, event.log_index))

    def _goes_on(self, fault: RpcError | ChainUnavailable) -> bool:
        """Tell whether the node still serves us after a fault; then the request was at fault."""
        if isinstance(fault, ChainUnavailable):
            self.rpc.quantity("eth_chainId")
        return not isinstance(fault, ChainUnusable)

    def _logs(self, first: int, until: int, bounty: BountyId | None, names: Collection[str]) -> Any:
        wanted = [topic for topic, item in abi.events().items() if not names or item.name in names]
        topics: list[Any] = [[_hex(topic) for topic in wanted]]
        query = {
            "address": self.address,
            "fromBlock": hex(first),
            "toBlock": hex(until),
            "topics": topics if bounty is None else [*topics, _hex(bounty)],
        }
        return self.rpc.call("eth_getLogs", query)

    def bounties(self, from_block: int = 0, to_block: int | None = None) -> list[BountyPosted]:
        """Return every bounty that was posted from block `from_block` to `to_block`, oldest first."""
        found = self.events(from_block, to_block, names=(BountyPosted.__name__,))
        return [event for event in found if isinstance(event, BountyPosted)]

    def posted(self, text: str) -> BountyPosted:
        """Return the event that posted the bounty whose id `text` abbreviates.

        Raises ConfigError, and UsageError if there is none or more than one.
        """
        is_meant = abbreviates(text)
        found = [event for event in self.bounties() if is_meant(event.bounty)]
        if len(found) != 1:
            many = "no bounty on this network begins" if not found else f"{len(found)} bounties begin"
            hint = "`sonar status` lists them all, `mine bounties` the open ones"
            raise UsageError(f"{many} with {text[:80]!r}", hint=hint)
        return found[0]

    def posting(self, bounty: BountyId) -> BountyPosted | None:
        """Return the event of a bounty's posting, if it is there. The newest blocks are asked for first."""
        last = self.head().number
        while last >= self.deployed_block:
            first = max(self.deployed_block, last - BLOCKS_PER_QUERY + 1)
            for event in self.events(first, last, bounty):
                if isinstance(event, BountyPosted):
                    return event
            last = first - 1
        return None

    def bounty_id(
        self, scientist: Address, terms: Terms, model_digest: Digest, key_digest: Digest, salt: bytes
    ) -> BountyId:
        """Return the id that `post` with these arguments gives, as the contract computes it."""
        (found,) = self._read("bountyIdOf", scientist, terms_values(terms), model_digest, key_digest, salt)
        return BountyId(found)

    # ---- parts

    def _read(self, function: str, *arguments: Any, at: Head | None = None) -> tuple[Any, ...]:
        data = abi.encode_call(function, *arguments)
        try:
            answer = view(self.rpc, self.address, data, function, at)
        except UnknownBounty:
            raise
        except MarketError as refusal:  # no read is refused for another reason
            raise RpcError(f"{function}: the chain's node refused: {refusal}") from refusal
        if not answer:  # every function returns something; without code there is nothing that could refuse
            self.check_code()
            raise RpcError(f"{function}: the chain's node gave no answer")
        with _nodes_own():
            return abi.decode_result(function, answer)

    def _checked(
        self, log: Any, bounty: BountyId | None, names: Collection[str], first: int, until: int
    ) -> Event:
        if not isinstance(log, dict) or str(log.get("address")).lower() != self.address.lower():
            raise RpcError("the node answered with a log of another contract than asked for")
        with _nodes_own():
            event = decode_log(log)
        if bounty is not None and getattr(event, "bounty", None) != bounty:
            raise RpcError("the node answered with a log of another bounty than asked for")
        if names and type(event).__name__ not in names:
            raise RpcError(
                f"the node answered with a log {type(event).__name__} when asked for {' and '.join(names)}"
            )
        if not first <= event.block <= until:
            raise RpcError(f"the node answered a log of block {event.block}, not of {first} to {until}")
        return event


def _plausible(*fields: Any) -> BountyState:
    """The state of a bounty, whose counts fit its terms. Raises RpcError."""
    state = BountyState(*fields)
    terms, counts = state.terms, (state.revealed, state.committed, state.terms.cohort_cap)
    if not 1 <= state.round <= terms.rounds or sorted(counts) != list(counts):
        raise RpcError(
            f"the chain's node reports round {state.round} of {terms.rounds}, in which {state.committed} of "
            f"at most {terms.cohort_cap} mines have committed and {state.revealed} revealed"
        )
    return state


@contextmanager
def _nodes_own() -> Iterator[None]:
    """The contract's code is known: an answer that does not decode is its node's fault, and may pass."""
    try:
        yield
    except RpcError:
        raise
    except RemoteError as error:
        raise RpcError(str(error)) from error


def _entry(found: tuple[int, int, bytes]) -> Entry:
    number, state, seal = found
    return Entry(number, _enum(EntryState, state, "the state of an entry"), seal)


def _enum(kind: Callable[[int], T], value: int, what: str) -> T:
    try:
        return kind(value)
    except ValueError as error:
        raise RpcError(f"{what} is {value}, which this version does not know") from error


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


CLASSES: dict[str, type[Event]] = {kind.__name__: kind for kind in get_args(Event)}
_CONVERTED: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("BountyPosted", "terms"): terms_of,
    ("BountyClosed", "reason"): CloseReason,
}


def decode_log(log: Any) -> Event:
    """Return the event of one log as JSON-RPC gives it. Raises RemoteError on anything malformed."""
    if isinstance(log, dict) and log.get("removed"):
        raise RemoteError("the node answered with a log that a reorganisation has removed")
    topics = log.get("topics") if isinstance(log, dict) else None
    if isinstance(topics, list) and all(type(one) is str for one in (*topics, *map(log.get, _TEXTS))):
        return _decoded_once(tuple(topics), *map(log.get, _TEXTS))
    return _decoded(log)


# A node at work reads the newest blocks again and again, in case that a reorganisation changed them.
@lru_cache(maxsize=4096)
def _decoded_once(topics: tuple[str, ...], *texts: str) -> Event:
    return _decoded({"topics": list(topics), **dict(zip(_TEXTS, texts, strict=True))})


def _decoded(log: Any) -> Event:
    topics, data, *place = fields_of(log, "a log", topics=words, data=data_bytes, **_PLACE)
    item, values = abi.decode_log(topics, data)
    try:
        converted = [
            _CONVERTED.get((item.name, name), lambda value: value)(value)
            for name, value in zip(item.names, values, strict=True)
        ]
    except (ValueError, TypeError) as error:
        raise RemoteError(f"a log {item.name} has a value out of range: {error}") from error
    block, tx_hash, log_index = place
    return CLASSES[item.name](*converted, block=block, tx_hash=tx_hash, log_index=log_index)


_PLACE = {"blockNumber": quantity, "transactionHash": hash32, "logIndex": quantity}
_TEXTS = ("data", *_PLACE)
