// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @title Flags
/// @notice What is yes or no about a bounty, in one byte of its first storage slot.
/// @dev Those about the terms spare the others the read of another slot.
library Flags {
    /// @dev The bounty has ended.
    uint8 internal constant CLOSED = 1;
    /// @dev There is an allow-list.
    uint8 internal constant GATED = 2;
    /// @dev The commit phase may have a quiet end.
    uint8 internal constant QUIET = 4;
    /// @dev A settler must have signed each settlement.
    uint8 internal constant SIGNED = 8;
    /// @dev The cohort of this round is fixed. Of the round, unlike the others: the next one opens without it.
    uint8 internal constant COHORT_FIXED = 16;

    function has(uint8 flags, uint8 flag) internal pure returns (bool) {
        return flags & flag != 0;
    }
}
