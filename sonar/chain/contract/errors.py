"""The contract's custom errors: one exception each, with its values as typed attributes.

A user reads `CohortFull(cap=10)` and what to do next, not a hex string. A test checks the classes against the
ABI, so that an error which the contract gains cannot be forgotten here.
"""

from __future__ import annotations

from sonar.chain.contract.refusal import Refusal
from sonar.protocol.ids import Address
from sonar.protocol.phase import Status


class AssetWithoutCode(Refusal):
    """The terms name an asset that is neither ether nor a contract."""

    asset: Address
    next_step = "correct the token's address; ether is the zero address"


class WindowTooShort(Refusal):
    """A window is shorter than this deployment allows. In seconds."""

    window: int
    min: int
    next_step = "give commit_window_s, reveal_window_s and settle_window_s, each at least that long"


class QuietTooShort(Refusal):
    """The quiet time is shorter than this deployment allows, and not 0. In seconds."""

    quiet: int
    min: int
    next_step = "give quiet_s at least that long, or 0 for none"


class QuietTooLong(Refusal):
    """The quiet time is not shorter than the commit window, so it could never end it sooner. In seconds."""

    quiet: int
    commitWindow: int
    next_step = "give a shorter quiet_s, or 0 for none"


class BadOverdueShare(Refusal):
    """More than the whole unpaid reward would be due when the scientist is overdue. In basis points."""

    bps: int
    max: int
    next_step = "give an overdue_bps of 0 to 10000"


class BadSettler(Refusal):
    """The settler is the scientist herself, or the contract, which signs nothing."""

    settler: Address
    next_step = "name another settler, or none"


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


class CohortAlreadyFixed(Refusal):
    """This round's cohort was fixed before."""

    round: int


class SignatureNotTaken(Refusal):
    """A signature was given, but the bounty has no settler."""


class SettlementNotSigned(Refusal):
    """The settler has not signed this very settlement, or gives no answer."""

    settler: Address
    next_step = "get the settler's signature over this settlement before the settle window ends"


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
    """The receiver is the zero address, the contract itself, or the contract of the very asset."""

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
