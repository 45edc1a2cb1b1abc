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

    /// @notice What the first mines of a round get of `pot` together, if their shares add up to `sumBps`.
    /// @dev A mine gets the difference to the mines before it. So the parts of a whole add up to `pot` exactly,
    /// each is off by less than one unit, and no share means not one unit.
    function upTo(uint256 pot, uint256 sumBps) internal pure returns (uint256) {
        unchecked {
            return pot * sumBps / WHOLE_BPS;
        }
    }

    /// @notice One of `parts` equal parts of `pot`; 0 if there is nobody to share with.
    /// @dev What the division leaves over stays with the caller.
    function equalPart(uint256 pot, uint256 parts) internal pure returns (uint256) {
        return parts == 0 ? 0 : pot / parts;
    }
}
