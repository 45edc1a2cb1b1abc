// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {Errors} from "./Errors.sol";

/// @title Funds
/// @notice Money that comes in and goes out, in ether (the zero address) or in any ERC-20 token.
/// @dev The only code that knows the difference. Calls of a token or a receiver are calls of a stranger: they come
/// last, after all effects, and behind the guard against re-entry.
library Funds {
    using SafeERC20 for IERC20;

    address internal constant ETHER = address(0);

    /// @notice Refuses a token without code: calls of it would seem to succeed.
    function checkAsset(address asset) internal view {
        if (asset != ETHER && asset.code.length == 0) revert Errors.AssetWithoutCode(asset);
    }

    /// @notice Refuses a call whose value `sent` is not what is due in ether: `amount`, or nothing for a token.
    function checkValue(address asset, uint256 amount, uint256 sent) internal pure {
        uint256 required = asset == ETHER ? amount : 0;
        if (sent != required) revert Errors.WrongPayment(sent, required);
    }

    /// @notice Takes `amount` of a token from the caller; ether came with the call.
    /// @dev What arrived is measured, so that a token that takes a fee of its own is refused.
    function collect(address asset, uint256 amount) internal {
        if (asset == ETHER || amount == 0) return;
        IERC20 token = IERC20(asset);
        uint256 before = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        uint256 held = token.balanceOf(address(this));
        // Also where a token took something away: that is no payment either.
        if (held != before + amount) revert Errors.WrongReceipt(asset, before, held, amount);
    }

    /// @notice Sends `amount` to `to`.
    function send(address asset, address to, uint256 amount) internal {
        if (asset != ETHER) return IERC20(asset).safeTransfer(to, amount);
        (bool ok,) = to.call{value: amount}("");
        if (!ok) revert Errors.TransferFailed(to, amount);
    }
}
