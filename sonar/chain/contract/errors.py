"""The contracts' custom errors: one exception each, with its values as typed attributes.

A user reads what the contract refuses and what to do next, in plain words instead of hex. A test checks the
classes against the ABI, so that an error which the contract gains cannot be forgotten here.
"""

from __future__ import annotations

from sonar.chain.contract.refusal import Refusal
from sonar.protocol.ids import Address
from sonar.protocol.phase import Status


class AssetWithoutCode(Refusal):
    """The terms name an asset that is neither ether nor a contract."""

    asset: Address
    told = "there is no token at {asset}: no contract has that address"
    next_step = "correct the token's address; ether is the zero address"


class WindowTooShort(Refusal):
    """A window is shorter than this deployment allows. In seconds."""

    window: int
    min: int
    told = "a window of {window} s is shorter than the {min} s that this network allows"
    next_step = "give commit_window_s, reveal_window_s and settle_window_s, each at least that long"


class QuietTooShort(Refusal):
    """The quiet time is shorter than this deployment allows, and not 0. In seconds."""

    quiet: int
    min: int
    told = "a quiet time of {quiet} s is shorter than the {min} s that this network allows"
    next_step = "give quiet_s at least that long, or 0 for none"


class QuietTooLong(Refusal):
    """The quiet time is not shorter than the commit window, so it could never end it sooner. In seconds."""

    quiet: int
    commitWindow: int
    told = "a quiet time of {quiet} s is not shorter than the commit window of {commitWindow} s"
    next_step = "give a shorter quiet_s, or 0 for none"


class BadOverdueShare(Refusal):
    """More than the whole unpaid reward would be due when the scientist is overdue. In basis points."""

    bps: int
    max: int
    told = "an overdue share of {bps} basis points is more than {max}"
    next_step = "give an overdue_bps of 0 to 10000"


class BadSettler(Refusal):
    """The settler is the scientist herself, or the contract, which signs nothing."""

    settler: Address
    told = "{settler} cannot be the settler: it is the scientist's own account, or the market"
    next_step = "name another settler, or none"


class BadCohort(Refusal):
    """Not 1 <= minMines <= cohortCap."""

    cohortCap: int
    minMines: int
    told = "min_mines is {minMines}, which is not between 1 and the cohort of {cohortCap}"
    next_step = "choose 1 <= min_mines <= cohort_cap"


class NoRounds(Refusal):
    """The terms allow no round."""

    told = "the terms allow no round"
    next_step = "allow at least one round"


class BadLosses(Refusal):
    """The target is not below the initial loss."""

    initialLoss: int
    targetLoss: int
    told = "the target loss {targetLoss} is not below the initial loss {initialLoss}"
    next_step = "choose a target below the initial loss"


class TermsTooLarge(Refusal):
    """Reward, all fees and all stakes together exceed the largest amount that can be held. In wei."""

    total: int
    max: int
    told = "reward, fees and stakes come to {total}, and the contract holds at most {max}"
    next_step = "lower the reward, the fee or the stake"


class BountyExists(Refusal):
    """The same scientist has posted the same bounty with the same salt before."""

    bounty: bytes
    told = "the bounty {bounty} was posted before, from the same account with the same salt"


class UnknownBounty(Refusal):
    """No such bounty."""

    bounty: bytes
    told = "this network has no bounty {bounty}"
    next_step = (
        "`sonar status` lists the bounties of this network; `mine leave` one that was joined on another"
    )


class WrongRound(Refusal):
    """The bounty is in another round than the call is for."""

    expected: int
    given: int
    told = "the bounty is in round {expected}, and the call was for round {given}"


class WrongStatus(Refusal):
    """The bounty's status does not allow this call."""

    actual: Status
    told = "the bounty does not accept this call now: its status is {actual}"


class NotScientist(Refusal):
    """Only the bounty's scientist may do this."""

    caller: Address
    told = "{caller} did not post the bounty"
    next_step = "use the account that posted the bounty"


class CommitsExist(Refusal):
    """The bounty can only be taken back while nobody has committed."""

    committed: int
    told = "{committed} mines have committed, so the bounty cannot be taken back"


class WrongPayment(Refusal):
    """The ether sent is not the amount that is due. In wei."""

    sent: int
    required: int
    told = "{sent} wei were sent, and {required} wei are due"


class WrongReceipt(Refusal):
    """A token did not deliver the amount asked for. In its smallest units."""

    asset: Address
    held: int
    heldAfter: int
    required: int
    told = (
        "the token {asset} did not deliver the {required} units that are due: the contract held {held} "
        "before and {heldAfter} after"
    )
    next_step = "choose another token: one that takes a fee on each transfer cannot be held in escrow"


class ZeroDigest(Refusal):
    """A digest or seal is zero."""

    told = "a digest or a seal is zero"


class CohortFull(Refusal):
    """The round has as many mines as its terms allow."""

    cap: int
    told = "the round is full: it has {cap} mines, the most that its terms allow"
    next_step = "commit earlier in the next round"


class ProofNotTaken(Refusal):
    """A Merkle proof was given, but the bounty has no allow-list."""

    told = "a proof of a place on an allow-list was given, but the bounty has no allow-list"


class NotAllowed(Refusal):
    """The mine is not on the bounty's allow-list, or the proof is not of this list."""

    mine: Address
    allowRoot: bytes
    told = "{mine} is not on the bounty's allow-list"
    next_step = "ask the bounty's scientist for a place on the list of her next one"


class AlreadyCommitted(Refusal):
    """The mine has already committed in this round."""

    mine: Address
    told = "{mine} has committed in this round already"


class NotCommitted(Refusal):
    """The mine has not committed in this round."""

    mine: Address
    told = "{mine} has not committed in this round"


class AlreadyRevealed(Refusal):
    """The mine has already revealed in this round."""

    mine: Address
    told = "{mine} has revealed in this round already"


class SealMismatch(Refusal):
    """Digest and salt do not open the seal. Both cut to the 29 bytes that are stored."""

    expected: bytes
    given: bytes
    told = "what is revealed is not what was committed to: the seal is {expected}, and this gives {given}"


class CohortAlreadyFixed(Refusal):
    """This round's cohort was fixed before."""

    round: int
    told = "the cohort of round {round} was fixed before"


class SignatureNotTaken(Refusal):
    """A signature was given, but the bounty has no settler."""

    told = "a settler's signature was given, but the bounty has no settler"


class SettlementNotSigned(Refusal):
    """The settler has not signed this very settlement, or gives no answer."""

    settler: Address
    told = "the settler {settler} has not signed this settlement"
    next_step = "get the settler's signature over this settlement before the settle window ends"


class WrongCohortSize(Refusal):
    """The list does not have exactly one line per revealed mine."""

    given: int
    expected: int
    told = "{given} mines are listed, but {expected} have revealed"


class CohortNotAscending(Refusal):
    """The list is not strictly ascending by address at this index."""

    index: int
    told = "the list of mines is not in ascending order at place {index}"


class NotInCohort(Refusal):
    """This mine did not reveal in this round."""

    mine: Address
    told = "{mine} has not revealed in this round"


class WrongShares(Refusal):
    """The shares add up to neither 10,000 nor 0 basis points."""

    sumBps: int
    told = "the shares come to {sumBps} basis points, but must add up to 10000 or 0"


class ModelChanged(Refusal):
    """Nobody has a share, yet the model would change."""

    current: bytes
    given: bytes
    told = "nobody has a share, but the model would change from {current} to {given}"


class LossChanged(Refusal):
    """Nobody has a share, yet the loss would change."""

    best: int
    given: int
    told = "nobody has a share, but the loss would change from {best} to {given}"


class InvalidReceiver(Refusal):
    """The receiver is the zero address, the contract itself, or the contract of the very asset."""

    to: Address
    told = "money sent to {to} would be lost: it is the zero address, the contract, or the token itself"
    next_step = "name an account of yours as the receiver"


class NothingToWithdraw(Refusal):
    """The account has no balance in this asset."""

    asset: Address
    account: Address
    told = "nothing to withdraw: the market owes {account} nothing in {asset}"
    next_step = "it may have been withdrawn before; `mine earnings` shows what was"


class TransferFailed(Refusal):
    """The receiver refused the transfer. In wei."""

    to: Address
    amount: int
    told = "{to} refused the {amount} wei that were sent to it"
    next_step = "withdraw to an address that takes ether"


class ReentrancyGuardReentrantCall(Refusal):
    """The contract was called again from within its own call."""

    told = "the market was called again from within its own call"


class SafeERC20FailedOperation(Refusal):
    """A token answered a transfer with no, or with nothing that can be read."""

    token: Address
    told = "the token {token} does not answer as an ERC-20 token does"
    next_step = "check the balance in this token, and that the address is that of an ERC-20 token"


class SafeCastOverflowedUintDowncast(Refusal):
    """A value does not fit the contract's field."""

    bits: int
    value: int
    told = "the value {value} does not fit into {bits} bits"


class ZeroSuccessor(Refusal):
    """The successor is the zero address."""

    told = "the zero address cannot take an account's place"
    next_step = "name an account whose key you have"


class OwnSuccessor(Refusal):
    """The successor is the account itself."""

    account: Address
    told = "{account} cannot take its own place"
    next_step = "name another account: the old key would stay the only one"


class AlreadySucceeded(Refusal):
    """The account has named its successor before."""

    account: Address
    successor: Address
    told = "{account} has named {successor} as its successor, once and for ever"
    next_step = "give that account's key file by --to; if it is not yours, somebody else has your old key"


class SuccessorTaken(Refusal):
    """The successor has taken another account's place."""

    successor: Address
    predecessor: Address
    told = "{successor} has taken the place of {predecessor} already, and an account follows one only"
    next_step = "name an account that follows none"


class SuccessorSucceeded(Refusal):
    """The successor has been succeeded itself."""

    successor: Address
    next: Address
    told = "{successor} was followed by {next} itself, so it can follow nobody: no chain may become a ring"
    next_step = "name an account that is new"


class NotSignedBySuccessor(Refusal):
    """The successor did not sign that it follows this account."""

    successor: Address
    told = "{successor} has not signed that it takes this account's place, on this chain"
    next_step = "name the key file of the successor, so that it can sign"
