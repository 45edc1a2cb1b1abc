// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {ITrainingMarket} from "../../src/ITrainingMarket.sol";
import {Award, Terms} from "../../src/Types.sol";

/// @notice Forces ether upon an address that has no way to receive it.
contract Bomb {
    constructor(address payable target) payable {
        selfdestruct(target);
    }
}

/// @notice An account that takes no ether.
contract Refuser {
    error NoEther();

    receive() external payable {
        revert NoEther();
    }
}

/// @notice An account that looks up its balance in the market whenever ether comes.
contract Onlooker {
    ITrainingMarket private immutable MARKET;

    uint256 public looks;
    uint256 public mostSeen;

    constructor(ITrainingMarket market) {
        MARKET = market;
    }

    receive() external payable {
        ++looks;
        uint256 seen = MARKET.balanceOf(address(0), address(this));
        if (seen > mostSeen) mostSeen = seen;
    }
}

/// @notice An account that tries every call of the market whenever it is called: by ether, or by a token's hook.
contract Reenterer {
    ITrainingMarket private immutable MARKET;

    bytes32 private bounty;
    address private asset;
    /// @notice Times that it was called.
    uint256 public calls;
    /// @notice Calls of the market that were not refused by the guard against re-entry.
    uint256 public entries;

    constructor(ITrainingMarket market) {
        MARKET = market;
    }

    /// @notice What to try its calls on.
    function aim(bytes32 bounty_, address asset_) external {
        (bounty, asset) = (bounty_, asset_);
    }

    receive() external payable {
        attack();
    }

    function attack() public {
        ++calls;
        Terms memory terms;
        attempt(abi.encodeCall(ITrainingMarket.postBounty, (terms, "model", "key", "salt")));
        attempt(abi.encodeCall(ITrainingMarket.commit, (bounty, 1, "seal", new bytes32[](0))));
        attempt(abi.encodeCall(ITrainingMarket.reveal, (bounty, 1, "update", "salt")));
        attempt(abi.encodeCall(ITrainingMarket.fixCohort, (bounty, 1, "set")));
        attempt(abi.encodeCall(ITrainingMarket.settle, (bounty, 1, "model", 0, new Award[](0), "evidence", "")));
        attempt(abi.encodeCall(ITrainingMarket.expire, (bounty, 1, new address[](0))));
        attempt(abi.encodeCall(ITrainingMarket.close, (bounty)));
        attempt(abi.encodeCall(ITrainingMarket.withdraw, (asset, address(this))));
    }

    function attempt(bytes memory call) private {
        (bool ok, bytes memory answer) = address(MARKET).call(call);
        bool guarded = !ok && bytes4(answer) == ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector;
        if (!guarded) ++entries;
    }
}
