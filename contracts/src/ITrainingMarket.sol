// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Award, Bounty, CloseReason, Entry, Status, Terms} from "./Types.sol";

/// @title ITrainingMarket
/// @notice Escrow and rounds for any number of training bounties.
///
/// A scientist posts a bounty with its money. Each round, mines commit to an update with a stake, reveal it,
/// and the scientist settles: she names the new model, its loss and each mine's share, and the contract pays.
/// Who misses a deadline loses by it: a mine its stake, the scientist the fees and a default part of the reward.
///
/// - Times are block times in seconds. A phase holds while `block.timestamp < end`.
/// - Amounts are in the smallest unit of the bounty's asset (wei). Payments are credited, then withdrawn.
/// - Digests are raw sha2-256, never zero. Rounds count from 1. Every call names its round, so that a late
///   transaction cannot land in another one.
/// - Calls are checked in this order: bounty, round, status, caller, arguments.
/// - There is no owner, no upgrade and no pause. The contract never asks for its own ether balance, and compares
///   that of a token only with itself, so money that is forced upon it changes nothing.
/// - A token or a receiver is called last, when all effects are done: whatever it reads meanwhile is what the call
///   leaves behind, but for the money that is just on its way. None of the calls below can be made meanwhile.
/// - A token is a stranger's code. Whatever it does harms only bounties in that token; a mine commits to those whose
///   asset its operator has listed.
interface ITrainingMarket {
    /*//////////////////////////////////////////////////////////////
                                 EVENTS
    //////////////////////////////////////////////////////////////*/

    /// @notice A bounty was posted.
    /// @param bounty Its id.
    /// @param scientist Who posted it.
    /// @param terms Its rules.
    /// @param modelDigest The manifest of its first model.
    /// @param keyDigest The manifest of the key of its first round. A later round's model may name another.
    /// @param escrow What was paid in.
    event BountyPosted(
        bytes32 indexed bounty,
        address indexed scientist,
        Terms terms,
        bytes32 modelDigest,
        bytes32 keyDigest,
        uint256 escrow
    );

    /// @notice A mine committed to an update and paid its stake.
    /// @param seal The whole seal; the contract stores its first 29 bytes.
    event Committed(bytes32 indexed bounty, uint8 indexed round, address indexed mine, bytes32 seal);

    /// @notice A mine opened its seal.
    /// @param updateDigest The manifest of its update.
    event Revealed(bytes32 indexed bounty, uint8 indexed round, address indexed mine, bytes32 updateDigest);

    /// @notice A round opened; emitted for the first round too.
    /// @param modelDigest The model to train.
    /// @param opened The time from which its deadlines count.
    event RoundOpened(bytes32 indexed bounty, uint8 indexed round, bytes32 modelDigest, uint40 opened);

    /// @notice A mine that revealed was credited `stake + fee + reward + forfeit`.
    /// @param shareBps Its share; 0 when the round was expired.
    /// @param stake Its stake, given back.
    /// @param fee Its part of the round's fees.
    /// @param reward Its part of the round's reward.
    /// @param forfeit Its part of the stakes that were not revealed.
    event MinePaid(
        bytes32 indexed bounty,
        uint8 indexed round,
        address indexed mine,
        uint16 shareBps,
        uint256 stake,
        uint256 fee,
        uint256 reward,
        uint256 forfeit
    );

    /// @notice The scientist has fixed which updates of a round she opens together.
    /// @param digest What she fixed it to; the contract stores that it is fixed, not this.
    event CohortFixed(bytes32 indexed bounty, uint8 indexed round, bytes32 digest);

    /// @notice A round was settled.
    /// @param newModelDigest The model that the next round trains.
    /// @param newLoss Its loss.
    /// @param bestLoss The lowest loss so far, this one included.
    /// @param paid Fees and rewards that left the escrow.
    /// @param escrow What remains in it, before any refund.
    /// @param evidenceDigest The manifest that explains the settlement.
    event RoundSettled(
        bytes32 indexed bounty,
        uint8 indexed round,
        bytes32 newModelDigest,
        uint64 newLoss,
        uint64 bestLoss,
        uint256 paid,
        uint256 escrow,
        bytes32 evidenceDigest
    );

    /// @notice A round ended with fewer revealed updates than its terms ask for.
    event RoundFailed(bytes32 indexed bounty, uint8 indexed round, uint8 committed, uint8 revealed);

    /// @notice A bounty ended.
    /// @param reason Why.
    /// @param refund What was left in the escrow, credited to the scientist.
    event BountyClosed(bytes32 indexed bounty, uint8 indexed round, CloseReason reason, uint256 refund);

    /// @notice An account took out its whole balance of an asset.
    /// @param to Where it was sent.
    event Withdrawn(address indexed asset, address indexed account, address to, uint256 amount);

    /*//////////////////////////////////////////////////////////////
                                 CALLS
    //////////////////////////////////////////////////////////////*/

    /// @notice Posts a bounty and opens its first round.
    /// @dev Who: anyone; the caller becomes the scientist.
    /// When: always.
    /// Pays: exactly `escrowFor(terms)`, which covers the reward, and a fee for every place in every round. In ether as
    /// the call's value; in a token by an allowance, and no value.
    /// Effects: the escrow is held; round 1 is in its Commit phase from this block on. Nothing of the terms can change.
    /// Emits:
    /// - `BountyPosted`, then `RoundOpened`.
    /// Reverts:
    /// - `AssetWithoutCode(asset)` if the asset is neither ether nor a contract.
    /// - `WindowTooShort(window, min)` if a window is below the floor of this deployment.
    /// - `QuietTooShort(quiet, min)` if `quiet` is below that floor and not 0.
    /// - `QuietTooLong(quiet, commitWindow)` if it is not below the commit window: it could never end that sooner, and
    /// whoever reads the terms would take it that it does.
    /// - `BadCohort(cohortCap, minMines)` unless 1 <= minMines <= cohortCap.
    /// - `NoRounds()` if rounds is 0.
    /// - `BadLosses(initialLoss, targetLoss)` unless the target is below the initial loss.
    /// - `BadOverdueShare(bps, max)` if `overdueBps` is above 10,000.
    /// - `BadSettler(settler)` if the settler is the caller, who would only look like a second opinion, or this
    /// contract, which signs nothing, so that no round could be settled. Any other address is taken unasked: one that
    /// gives no answer makes the rounds overdue, so try it before posting.
    /// - `TermsTooLarge(total, max)` if the escrow and all stakes of all rounds together do not fit 96 bits.
    /// - `ZeroDigest()` if a digest is zero.
    /// - `WrongPayment(sent, required)` if the call's value is not the escrow, or not 0 for a token.
    /// - `BountyExists(bounty)` if the caller posted the very same before, salt included, even if it is closed.
    /// - `WrongReceipt(asset, held, heldAfter, required)` if the token delivered another amount.
    /// - `SafeERC20FailedOperation(token)` if the token answered false, and whatever the token itself reverts with.
    /// @param terms Its rules.
    /// @param modelDigest The manifest of the model to train.
    /// @param keyDigest The manifest of the encryption key. Emitted and bound into the id, not stored.
    /// @param salt Any value; lets the same scientist post the same bounty again.
    /// @return bounty The id, equal to `bountyIdOf(caller, terms, modelDigest, keyDigest, salt)`.
    function postBounty(Terms calldata terms, bytes32 modelDigest, bytes32 keyDigest, bytes32 salt)
        external
        payable
        returns (bytes32 bounty);

    /// @notice Commits the caller to an update that nobody can see yet.
    /// @dev Who: any mine, or any on the allow-list if there is one; once a round.
    /// When: Commit.
    /// Pays: exactly the stake. In ether as the call's value; in a token by an allowance, and no value.
    /// Effects: the stake is held; the mine has an entry in this round. The last place taken ends the phase at once. With
    /// `quiet` in the terms, the phase ends that many seconds later if `minMines` have committed and nobody follows.
    /// Emits:
    /// - `Committed`.
    /// Reverts:
    /// - `UnknownBounty(bounty)` if there is no such bounty.
    /// - `WrongRound(expected, given)` if the bounty is in another round.
    /// - `CohortFull(cap)` if the last place has been taken and the reveal goes on.
    /// - `WrongStatus(actual)` in any other phase but Commit.
    /// - `ProofNotTaken()` if a proof is given and there is no allow-list.
    /// - `NotAllowed(mine, allowRoot)` if the proof does not lead from the caller to the allow-list's root.
    /// - `WrongPayment(sent, required)` if the call's value is not the stake, or not 0 for a token.
    /// - `ZeroDigest()` if the first 29 bytes of the seal are zero.
    /// - `AlreadyCommitted(mine)` if the caller has an entry in this round.
    /// - `WrongReceipt(asset, held, heldAfter, required)` if the token delivered another amount.
    /// - `SafeERC20FailedOperation(token)` if the token answered false, and whatever the token itself reverts with.
    /// @param bounty The bounty.
    /// @param round Its current round.
    /// @param seal `sealOf(bounty, round, caller, updateDigest, salt)`, made off chain with a secret salt.
    /// @param proof Merkle proof of the caller against `allowRoot`, from the leaf upwards. Empty if there is no
    /// allow-list, or if the caller is the only one on it.
    function commit(bytes32 bounty, uint8 round, bytes32 seal, bytes32[] calldata proof) external payable;

    /// @notice Opens the caller's seal.
    /// @dev Who: a mine that committed in this round.
    /// When: Reveal, which stays open below `minMines` commits too, so that every mine can save its stake.
    /// Effects: the stake can no longer be lost, and comes back when the round ends. The last reveal ends the phase
    /// at once.
    /// Emits:
    /// - `Revealed`.
    /// Reverts:
    /// - `UnknownBounty(bounty)` if there is no such bounty.
    /// - `WrongRound(expected, given)` if the bounty is in another round.
    /// - `WrongStatus(actual)` in any phase but Reveal.
    /// - `NotCommitted(mine)` if the caller has no entry in this round.
    /// - `AlreadyRevealed(mine)` if it has revealed.
    /// - `ZeroDigest()` if the digest is zero.
    /// - `SealMismatch(expected, given)` if digest and salt do not open the seal.
    /// @param bounty The bounty.
    /// @param round Its current round.
    /// @param updateDigest The manifest of the update.
    /// @param salt The salt of the seal.
    function reveal(bytes32 bounty, uint8 round, bytes32 updateDigest, bytes32 salt) external;

    /// @notice Says for good which updates of this round the scientist opens together.
    /// @dev Whoever holds a part of what opens a sum reads the event, waits until it cannot be undone, and opens that set
    /// and no other. The contract neither knows nor checks what the digest is over, and settles without it.
    /// Who: the scientist; once a round.
    /// When: Settle.
    /// Emits:
    /// - `CohortFixed`.
    /// Reverts:
    /// - `UnknownBounty(bounty)` if there is no such bounty.
    /// - `WrongRound(expected, given)` if the bounty is in another round.
    /// - `WrongStatus(actual)` in any phase but Settle.
    /// - `NotScientist(caller)` if somebody else calls.
    /// - `ZeroDigest()` if the digest is zero.
    /// - `CohortAlreadyFixed(round)` if it has been called in this round, with whatever digest.
    /// @param bounty The bounty.
    /// @param round Its current round.
    /// @param digest A digest over the set.
    function fixCohort(bytes32 bounty, uint8 round, bytes32 digest) external;

    /// @notice Names the new model, its loss and the shares, and pays the round's cohort.
    /// @dev Who: the scientist.
    /// When: Settle.
    /// Effects: every mine that revealed is credited
    /// - its stake;
    /// - an equal part of the stakes that were not revealed;
    /// - with a share: an equal part of `fee * revealed`;
    /// - its share of what the best loss newly earned, `R(new best) - R(old best)`, where
    ///   `R(loss) = reward * (initialLoss - max(loss, targetLoss)) / (initialLoss - targetLoss)`.
    /// What divisions leave over stays in the escrow, but a reward is paid to the last unit. Without a share for
    /// anybody, fees stay in the escrow too. Then the next round opens; or, at the target or after the last round, the
    /// bounty closes and the escrow is credited to the scientist.
    /// A settler is asked after all other checks and before any effect, in a static call: it sees what was before, and
    /// can change nothing. If it has code, that answers (EIP-1271), also where an account has delegated to it
    /// (EIP-7702); else the signature must be an ECDSA one of 65 bytes, `r`, `s`, `v`, with `s` in the
    /// lower half and `v` 27 or 28: of one settlement, one account has no second spelling of its signature.
    /// Emits:
    /// - `MinePaid` for each line, in order; `RoundSettled`; then `RoundOpened` or `BountyClosed`.
    /// Reverts:
    /// - `UnknownBounty(bounty)` if there is no such bounty.
    /// - `WrongRound(expected, given)` if the bounty is in another round.
    /// - `WrongStatus(actual)` in any phase but Settle.
    /// - `NotScientist(caller)` if somebody else calls.
    /// - `ZeroDigest()` if a digest is zero.
    /// - `WrongCohortSize(given, expected)` if there are not as many lines as reveals.
    /// - `CohortNotAscending(index)` at the first line whose address is not above the one before.
    /// - `NotInCohort(mine)` at the first line of a mine that did not reveal in this round.
    /// - `WrongShares(sumBps)` if the shares add up to neither 10,000 nor 0.
    /// - `ModelChanged(current, given)` or `LossChanged(best, given)` if they do, and nobody has a share.
    /// - `SignatureNotTaken()` if a signature is given and there is no settler.
    /// - `SettlementNotSigned(settler)` if there is one, and the signature is not its own over `settlementDigestOf` of
    /// the arguments, or it answers anything but yes, reverts or runs out of gas.
    /// @param bounty The bounty.
    /// @param round Its current round.
    /// @param newModelDigest The manifest of the next model.
    /// @param newLoss Its loss, in the scale of the terms. May be above the best; such a round pays fees alone.
    /// @param awards One line for every mine that revealed, strictly ascending by address; the shares add up to
    /// 10,000, or all are 0.
    /// @param evidenceDigest The manifest that explains the settlement.
    /// @param signature The settler's, over `settlementDigestOf` of all arguments above; empty without a settler.
    function settle(
        bytes32 bounty,
        uint8 round,
        bytes32 newModelDigest,
        uint64 newLoss,
        Award[] calldata awards,
        bytes32 evidenceDigest,
        bytes calldata signature
    ) external;

    /// @notice Ends a round that failed, or a bounty whose scientist is overdue.
    /// @dev Who: anyone.
    /// When: Failed or Overdue.
    /// Effects: every mine that revealed is credited its stake and an equal part of the stakes that were not revealed;
    /// if none revealed, those go to the escrow.
    /// - Failed: then the next round opens with the same model; or, after the last round or if nobody had committed,
    ///   the bounty closes.
    /// - Overdue: each is credited besides the fee, and an equal part of what is due of the unpaid reward:
    ///   `overdueBps * (reward - R(best)) / 10,000`, rounded down. Then the bounty closes.
    /// A bounty that closes credits its escrow to the scientist.
    /// Emits:
    /// - `MinePaid` for each line, in order; `RoundFailed` if it failed; then `RoundOpened` or `BountyClosed`.
    /// Reverts:
    /// - `UnknownBounty(bounty)` if there is no such bounty.
    /// - `WrongRound(expected, given)` if the bounty is in another round.
    /// - `WrongStatus(actual)` in any phase but Failed and Overdue.
    /// - `WrongCohortSize(given, expected)` if there are not as many lines as reveals.
    /// - `CohortNotAscending(index)` at the first line whose address is not above the one before.
    /// - `NotInCohort(mine)` at the first line of a mine that did not reveal in this round.
    /// @param bounty The bounty.
    /// @param round Its current round.
    /// @param mines Every mine that revealed, strictly ascending by address; empty if none did.
    function expire(bytes32 bounty, uint8 round, address[] calldata mines) external;

    /// @notice Takes a bounty back.
    /// @dev Who: the scientist.
    /// When: Commit, in any round, while nobody has committed in it.
    /// Effects: the bounty closes and its escrow is credited to the scientist.
    /// Emits:
    /// - `BountyClosed`.
    /// Reverts:
    /// - `UnknownBounty(bounty)` if there is no such bounty.
    /// - `WrongStatus(actual)` in any phase but Commit.
    /// - `NotScientist(caller)` if somebody else calls.
    /// - `CommitsExist(committed)` if anybody has committed in this round.
    /// @param bounty The bounty.
    function close(bytes32 bounty) external;

    /// @notice Sends the caller's whole balance of an asset.
    /// @dev Who: anyone with a balance.
    /// When: always; no bounty and no status can hold it up.
    /// Effects: the balance is 0, and the receiver is sent what it was. The receiver of ether is called with all gas
    /// that is left.
    /// Emits:
    /// - `Withdrawn`.
    /// Reverts:
    /// - `InvalidReceiver(to)` if that is the zero address, this contract, or the contract of the asset: what a token's
    /// contract is sent of its own is lost.
    /// - `NothingToWithdraw(asset, account)` if the balance is 0.
    /// - `TransferFailed(to, amount)` if the receiver refused the ether.
    /// - `SafeERC20FailedOperation(token)` if the token answered false, and whatever the token itself reverts with.
    /// @param asset The asset; the zero address is ether.
    /// @param to Where to send it.
    /// @return amount What was sent, in the asset's smallest unit.
    function withdraw(address asset, address to) external returns (uint256 amount);

    /*//////////////////////////////////////////////////////////////
                                 VIEWS
    //////////////////////////////////////////////////////////////*/

    /// @notice Seconds that every window must have at least; fixed when the contract is deployed.
    // forge-lint: disable-next-line(mixed-case-function)
    function MIN_WINDOW() external view returns (uint24);

    /// @notice A bounty's terms and state.
    /// @dev Reverts: `UnknownBounty`.
    function getBounty(bytes32 bounty) external view returns (Bounty memory);

    /// @notice What a bounty is waiting for at this block's time; `None` if it is unknown.
    function statusOf(bytes32 bounty) external view returns (Status);

    /// @notice When the phases of the current round end if nothing more is called. Each end is the first second that is
    /// too late. A full cohort, or the last reveal, moves none of them. With `quiet` in the terms and `minMines`
    /// committed, `commitEnds` is `quiet` seconds after the last commit, if that is before the window's end: another
    /// commit moves it on. The other two are where the windows put them, whatever happens.
    /// @dev Reverts: `UnknownBounty`.
    function deadlinesOf(bytes32 bounty)
        external
        view
        returns (uint40 commitEnds, uint40 revealEnds, uint40 settleEnds);

    /// @notice A mine's latest round in a bounty; all zero if it has never committed.
    function entryOf(bytes32 bounty, address mine) external view returns (Entry memory);

    /// @notice What an account can withdraw.
    function balanceOf(address asset, address account) external view returns (uint256);

    /// @notice The id that a bounty would have:
    /// `keccak256(abi.encode(chainid, this, scientist, keccak256(abi.encode(terms)), modelDigest, keyDigest, salt))`.
    function bountyIdOf(
        address scientist,
        Terms calldata terms,
        bytes32 modelDigest,
        bytes32 keyDigest,
        bytes32 salt
    ) external view returns (bytes32);

    /// @notice The seal of an update:
    /// `keccak256(abi.encode(chainid, this, bounty, round, mine, updateDigest, salt))`.
    /// @dev Make it off chain: asking a node for it tells the node digest and salt.
    function sealOf(bytes32 bounty, uint8 round, address mine, bytes32 updateDigest, bytes32 salt)
        external
        view
        returns (bytes32);

    /// @notice What a settler signs: the EIP-712 digest of
    /// `Settlement(bytes32 bounty,uint8 round,bytes32 newModelDigest,uint64 newLoss,Award[] awards,bytes32 evidenceDigest)`
    /// with `Award(address mine,uint16 shareBps)`, in the domain that `eip712Domain` (ERC-5267) tells: name "Sonar
    /// TrainingMarket", version "2", this chain, this contract.
    /// @dev Nothing is checked: neither that there is such a bounty, nor that it could be settled so.
    function settlementDigestOf(
        bytes32 bounty,
        uint8 round,
        bytes32 newModelDigest,
        uint64 newLoss,
        Award[] calldata awards,
        bytes32 evidenceDigest
    ) external view returns (bytes32);

    /// @notice What must be paid to post a bounty: `reward + fee * cohortCap * rounds`.
    function escrowFor(Terms calldata terms) external pure returns (uint256);
}
