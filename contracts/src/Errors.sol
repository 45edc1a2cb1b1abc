// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Status} from "./Types.sol";

/// @notice Every error of `TrainingMarket`. Each carries the numbers that its reader needs to act.
library Errors {
    /*//////////////////////////////////////////////////////////////
                                 TERMS
    //////////////////////////////////////////////////////////////*/

    /// @notice The terms name an asset that is neither ether nor a contract.
    error AssetWithoutCode(address asset);

    /// @notice A window is shorter than this deployment allows. In seconds.
    error WindowTooShort(uint24 window, uint24 min);

    /// @notice The quiet time is shorter than a window may be in this deployment, and not 0. In seconds.
    error QuietTooShort(uint16 quiet, uint24 min);

    /// @notice The quiet time is not shorter than the commit window, so it could never end the phase sooner. In seconds.
    error QuietTooLong(uint16 quiet, uint24 commitWindow);

    /// @notice More than the whole unpaid reward would be due when the scientist is overdue. In basis points.
    error BadOverdueShare(uint16 bps, uint16 max);

    /// @notice The settler is the scientist herself, or this contract, which signs nothing.
    error BadSettler(address settler);

    /// @notice Not `1 <= minMines <= cohortCap`.
    error BadCohort(uint8 cohortCap, uint8 minMines);

    /// @notice The terms allow no round.
    error NoRounds();

    /// @notice The target is not below the initial loss.
    error BadLosses(uint64 initialLoss, uint64 targetLoss);

    /// @notice Reward, all fees and all stakes together exceed the largest amount that can be held.
    error TermsTooLarge(uint256 total, uint256 max);

    /*//////////////////////////////////////////////////////////////
                           BOUNTY, ROUND, CALLER
    //////////////////////////////////////////////////////////////*/

    /// @notice The same scientist has posted the same bounty with the same salt before.
    error BountyExists(bytes32 bounty);

    /// @notice No such bounty.
    error UnknownBounty(bytes32 bounty);

    /// @notice The bounty is in another round than the call is for.
    error WrongRound(uint8 expected, uint8 given);

    /// @notice The bounty's status does not allow this call.
    error WrongStatus(Status actual);

    /// @notice Only the bounty's scientist may do this.
    error NotScientist(address caller);

    /// @notice The bounty can only be taken back while nobody has committed.
    error CommitsExist(uint8 committed);

    /// @notice The ether sent is not the amount that is due; nothing is due in ether where the asset is a token.
    /// In wei.
    error WrongPayment(uint256 sent, uint256 required);

    /// @notice Another amount of the token arrived than was due, as with tokens that take a fee of their own.
    /// Balances of this contract before and after, in the token's smallest unit.
    error WrongReceipt(address asset, uint256 held, uint256 heldAfter, uint256 required);

    /// @notice A digest or seal is zero.
    error ZeroDigest();

    /*//////////////////////////////////////////////////////////////
                            COMMIT AND REVEAL
    //////////////////////////////////////////////////////////////*/

    /// @notice The round has as many mines as its terms allow.
    error CohortFull(uint8 cap);

    /// @notice A Merkle proof was given, but the bounty has no allow-list.
    error ProofNotTaken();

    /// @notice The proof does not show that the mine is on the bounty's allow-list.
    error NotAllowed(address mine, bytes32 allowRoot);

    /// @notice The mine has already committed in this round.
    error AlreadyCommitted(address mine);

    /// @notice The mine has not committed in this round.
    error NotCommitted(address mine);

    /// @notice The mine has already revealed in this round.
    error AlreadyRevealed(address mine);

    /// @notice Digest and salt do not open the seal. Both cut to the 29 bytes that are stored.
    error SealMismatch(bytes32 expected, bytes32 given);

    /*//////////////////////////////////////////////////////////////
                       FIX, SETTLE AND EXPIRE
    //////////////////////////////////////////////////////////////*/

    /// @notice This round's cohort has been fixed before; it cannot be fixed to something else.
    error CohortAlreadyFixed(uint8 round);

    /// @notice A signature was given, but the bounty has no settler.
    error SignatureNotTaken();

    /// @notice The settler has not signed this very settlement, or gives no answer.
    error SettlementNotSigned(address settler);

    /// @notice The list does not have exactly one line per revealed mine.
    error WrongCohortSize(uint256 given, uint256 expected);

    /// @notice The list is not strictly ascending by address at this index.
    error CohortNotAscending(uint256 index);

    /// @notice This mine did not reveal in this round.
    error NotInCohort(address mine);

    /// @notice The shares add up to neither 10,000 nor 0 basis points.
    error WrongShares(uint256 sumBps);

    /// @notice Nobody has a share, yet the model would change.
    error ModelChanged(bytes32 current, bytes32 given);

    /// @notice Nobody has a share, yet the loss would change.
    error LossChanged(uint64 best, uint64 given);

    /*//////////////////////////////////////////////////////////////
                                WITHDRAW
    //////////////////////////////////////////////////////////////*/

    /// @notice Nothing can be sent to the zero address, to this contract, nor to the contract of the very asset.
    error InvalidReceiver(address to);

    /// @notice The account has no balance in this asset.
    error NothingToWithdraw(address asset, address account);

    /// @notice The receiver refused the ether. A token's refusal comes with the token's own error, or with
    /// OpenZeppelin's `SafeERC20FailedOperation(token)`.
    error TransferFailed(address to, uint256 amount);
}
