"""Why the contract refused: one exception per custom error, with its values as typed attributes.

A user reads `CohortFull(cap=10)` and what to do next, not a hex string. A test checks the classes against the
ABI, so that an error which the contract gains cannot be forgotten here. What a token refused comes through
with the token's own error: `sonar.chain.contract.tokenerrors`.
"""

from __future__ import annotations

from functools import cache
from inspect import get_annotations
from typing import Any

from eth_abi.abi import encode

from sonar.chain.contract import abi, tokenerrors
from sonar.chain.contract.refusal import Refusal
from sonar.errors import MarketError, RemoteError, RpcError
from sonar.protocol.ids import Address
from sonar.protocol.phase import Status

_REASON = bytes.fromhex("08c379a0")  # Error(string)
_PANIC = bytes.fromhex("4e487b71")  # Panic(uint256)
_PANICS = {
    0x01: "assertion",
    0x11: "arithmetic overflow",
    0x12: "division by zero",
    0x21: "invalid enum value",
    0x22: "damaged storage",
    0x31: "pop from an empty array",
    0x32: "index out of range",
    0x41: "out of memory",
    0x51: "call of an empty function",
}


class AssetWithoutCode(Refusal):
    """The terms name an asset that is neither ether nor a contract."""

    asset: Address
    next_step = "correct the token's address; ether is the zero address"


class WindowTooShort(Refusal):
    """A window is shorter than this deployment allows. In seconds."""

    window: int
    min: int
    next_step = "give commit_window_s, reveal_window_s and settle_window_s, each at least that long"


class BadCohort(Refusal):
    """Not 1 <= minMines <= cohortCap."""

    cohortCap: int
    minMines: int
    next_step = "choose 1 <= min_mines <= cohort_cap"


class NoRounds(Refusal):
    """The terms allow no round."""

    next_step = "allow at least one round"


class BadLosses(Refusal):
    """The target is not below the initial loss."""

    initialLoss: int
    targetLoss: int
    next_step = "choose a target below the initial loss"


class TermsTooLarge(Refusal):
    """Reward, all fees and all stakes together exceed the largest amount that can be held. In wei."""

    total: int
    max: int
    next_step = "lower the reward, the fee or the stake"


class BountyExists(Refusal):
    """The same scientist has posted the same bounty with the same salt before."""

    bounty: bytes


class UnknownBounty(Refusal):
    """No such bounty."""

    bounty: bytes
    next_step = (
        "`sonar status` lists the bounties of this network; `mine leave` one that was joined on another"
    )


class WrongRound(Refusal):
    """The bounty is in another round than the call is for."""

    expected: int
    given: int


class WrongStatus(Refusal):
    """The bounty's status does not allow this call."""

    actual: Status


class NotScientist(Refusal):
    """Only the bounty's scientist may do this."""

    caller: Address
    next_step = "use the account that posted the bounty"


class CommitsExist(Refusal):
    """The bounty can only be taken back while nobody has committed."""

    committed: int


class WrongPayment(Refusal):
    """The ether sent is not the amount that is due. In wei."""

    sent: int
    required: int


class WrongReceipt(Refusal):
    """A token delivered another amount than it was asked for. In its smallest units."""

    asset: Address
    held: int
    heldAfter: int
    required: int
    next_step = "choose another token: one that takes a fee on each transfer cannot be held in escrow"


class ZeroDigest(Refusal):
    """A digest or seal is zero."""


class CohortFull(Refusal):
    """The round has as many mines as its terms allow."""

    cap: int
    next_step = "commit earlier in the next round"


class ProofNotTaken(Refusal):
    """A Merkle proof was given, but the bounty has no allow-list."""


class NotAllowed(Refusal):
    """The mine is not on the bounty's allow-list, or the proof is not of this list."""

    mine: Address
    allowRoot: bytes
    next_step = "ask the bounty's scientist for a place on the list of her next one"


class AlreadyCommitted(Refusal):
    """The mine has already committed in this round."""

    mine: Address


class NotCommitted(Refusal):
    """The mine has not committed in this round."""

    mine: Address


class AlreadyRevealed(Refusal):
    """The mine has already revealed in this round."""

    mine: Address


class SealMismatch(Refusal):
    """Digest and salt do not open the seal. Both cut to the 29 bytes that are stored."""

    expected: bytes
    given: bytes


class WrongCohortSize(Refusal):
    """The list does not have exactly one line per revealed mine."""

    given: int
    expected: int


class CohortNotAscending(Refusal):
    """The list is not strictly ascending by address at this index."""

    index: int


class NotInCohort(Refusal):
    """This mine did not reveal in this round."""

    mine: Address


class WrongShares(Refusal):
    """The shares add up to neither 10,000 nor 0 basis points."""

    sumBps: int


class ModelChanged(Refusal):
    """Nobody has a share, yet the model would change."""

    current: bytes
    given: bytes


class LossChanged(Refusal):
    """Nobody has a share, yet the loss would change."""

    best: int
    given: int


class InvalidReceiver(Refusal):
    """The receiver is the zero address or the contract itself."""

    to: Address
    next_step = "name another receiver"


class NothingToWithdraw(Refusal):
    """The account has no balance in this asset."""

    asset: Address
    account: Address
    next_step = "nothing is owed to this account, or it was withdrawn before"


class TransferFailed(Refusal):
    """The receiver refused the transfer. In wei."""

    to: Address
    amount: int
    next_step = "withdraw to an address that takes ether"


class ReentrancyGuardReentrantCall(Refusal):
    """The contract was called again from within its own call."""


class SafeERC20FailedOperation(Refusal):
    """A token answered a transfer with no, or with nothing that can be read."""

    token: Address
    next_step = "check the balance in this token, and that the address is that of an ERC-20 token"


class SafeCastOverflowedUintDowncast(Refusal):
    """A value does not fit the contract's field."""

    bits: int
    value: int


class Panic(Refusal):
    """The contract stopped on a fault of its own; `reason` names the code that Solidity gives."""

    code: int
    reason: str
    next_step = "please report this: it is a fault of the contract"


class Reverted(Refusal):
    """The call was reverted with a text, or with nothing that can be read."""

    reason: str


@cache
def classes() -> dict[bytes, type[Refusal]]:
    """Return the exception of each custom error of the ABI, by selector."""
    by_name = {each.__name__: each for each in Refusal.__subclasses__()}
    return {selector: by_name[item.name] for selector, item in abi.errors().items()}


@cache
def _known() -> dict[bytes, tuple[type[Refusal], tuple[str, ...]]]:
    """The exception and the types of the fields of each error, of the contract's and of tokens'."""
    ours = {selector: (kind, abi.errors()[selector].inputs) for selector, kind in classes().items()}
    return tokenerrors.by_selector() | ours


def from_data(data: bytes) -> MarketError:
    """Return the exception for the bytes that a call was reverted with. Never raises, whatever they are."""
    refusal = _decode(data)
    refusal.data = data
    return refusal


def _decode(data: bytes) -> MarketError:
    selector, body = data[:4], data[4:]
    try:
        if selector == _REASON:
            return Reverted(str(abi.decode_exactly(("string",), body, "a revert reason")[0])[:500])
        if selector == _PANIC:
            (code,) = abi.decode_exactly(("uint256",), body, "a panic")
            return Panic(code, _PANICS.get(code, "unknown"))
        if (known := _known().get(selector)) is not None:
            kind, types = known
            values = abi.decode_exactly(types, body, kind.__name__)
            wanted = get_annotations(kind, eval_str=True).values()
            return kind(*(_typed(want, value) for want, value in zip(wanted, values, strict=True)))
    except (RemoteError, ValueError):
        pass
    return Reverted(f"unreadable data 0x{data[:64].hex()}" if data else "")


def from_rpc_error(error: RpcError) -> MarketError | None:
    """Return why a call was reverted, or None if the node's error is not a revert.

    Clients put the bytes in different places: in `data`, inside objects there, or after "Reverted ".
    """
    data = find_data(error.data)
    if data is not None:
        return from_data(data)
    message = str(error)
    if error.code == 3 or "revert" in message.lower():
        return Reverted(message.partition("reverted: ")[2][:500])
    return None


def reason_data(text: str) -> bytes:
    """Return the bytes of a revert with a text, as Solidity's `revert(text)` gives them."""
    return _REASON + encode(["string"], [text])


def find_data(value: object, depth: int = 0) -> bytes | None:
    """Return the revert's bytes from the `data` of a node's error, or None if there are none."""
    if isinstance(value, str):
        text = value.removeprefix("Reverted ")
        try:
            return bytes.fromhex(text[2:]) if text.startswith("0x") else None
        except ValueError:
            return None
    if isinstance(value, dict) and depth < 4:
        # The names under which clients nest it first, then whatever else is there.
        keys = [key for key in ("data", "return", "result", "originalError") if key in value]
        for key in keys or list(value)[:8]:
            if (found := find_data(value[key], depth + 1)) is not None:
                return found
    return None


def _typed(want: object, value: Any) -> Any:
    return Status(value) if want is Status else value
