// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @title Payout
/// @notice The arithmetic of payments: pure, rounded down, so that no sum of parts exceeds its whole.
/// @dev Amounts are below 2^96 and losses below 2^64, so no product here reaches 2^256.
library Payout {
    /// @dev A whole, in basis points.
    uint256 internal constant WHOLE_BPS = 10_000;

    /// @notice The part of the reward that is earned once the best loss is `loss`.
    /// @dev 0 at `initialLoss`, `reward` at `targetLoss` and below, linear between.
    /// Never falls while the loss falls, so what the rounds of a bounty earn adds up to `reward` at most.
    /// @param reward The bounty's whole reward.
    /// @param initialLoss The loss it started from; above `targetLoss`.
    /// @param targetLoss The loss at which all of it is earned.
    /// @param loss The best loss so far; at most `initialLoss`.
    function earned(uint256 reward, uint256 initialLoss, uint256 targetLoss, uint256 loss)
        internal
        pure
        returns (uint256)
    {
        uint256 reached = loss > targetLoss ? loss : targetLoss;
        return reward * (initialLoss - reached) / (initialLoss - targetLoss);
    }

    /// @notice One mine's slice of `pot`, when the mines before it hold `fromBps` and with it `toBps`.
    /// @dev Differences of a running sum: the slices of a whole add up to `pot` exactly, and no share, no wei.
    function slice(uint256 pot, uint256 fromBps, uint256 toBps) internal pure returns (uint256) {
        return pot * toBps / WHOLE_BPS - pot * fromBps / WHOLE_BPS;
    }

    /// @notice One of `parts` equal parts of `pot`; 0 if there is nobody to share with.
    /// @dev What the division leaves over stays with the caller.
    function equalPart(uint256 pot, uint256 parts) internal pure returns (uint256) {
        return parts == 0 ? 0 : pot / parts;
    }
}
