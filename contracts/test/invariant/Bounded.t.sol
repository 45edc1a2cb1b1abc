// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Base} from "../Base.t.sol";
import {Award} from "../../src/Types.sol";

/// @notice The law that no play can show: what a call costs.
contract BoundedTest is Base {
    /// No call loops over anything but its own cohort: its gas is the same beside any number of other bounties,
    /// mines and balances.
    function test_Law_ACallCostsTheSameBesideAnyNumberOfOthers() public {
        bytes32 bounty = post("this one");
        uint256 start = vm.snapshotState();
        uint256[6] memory alone = costs(bounty);
        vm.revertToState(start);
        for (uint256 i; i < 20; ++i) {
            bytes32 other = post(bytes32(i));
            address[] memory list = new address[](4);
            for (uint256 k; k < 4; ++k) {
                list[k] = mine(100 + 4 * i + k);
                commit(other, 1, list[k]);
            }
            for (uint256 k; k < 4; ++k) {
                reveal(other, 1, list[k]);
            }
            vm.prank(scientist);
            market.settle(other, 1, MODEL, INITIAL_LOSS, sharesOf(list), EVIDENCE, "");
        }
        uint256[6] memory crowded = costs(bounty);
        for (uint256 i; i < alone.length; ++i) {
            assertEq(crowded[i], alone[i]);
        }
    }

    /// @dev Gas of a commit, a reveal, a settlement, a withdrawal, an empty round's expiry and a posting.
    function costs(bytes32 bounty) private returns (uint256[6] memory gas_) {
        commits(bounty, 1, 2);
        gas_[0] = vm.lastCallGas().gasTotalUsed;
        vm.warp(commitEnds(bounty));
        reveals(bounty, 1, 2);
        gas_[1] = vm.lastCallGas().gasTotalUsed;
        settle(bounty, 1, INITIAL_LOSS, equalAwards(2));
        gas_[2] = vm.lastCallGas().gasTotalUsed;
        withdraw(mine(0));
        gas_[3] = vm.lastCallGas().gasTotalUsed;
        vm.warp(commitEnds(bounty));
        market.expire(bounty, 2, mines(0));
        gas_[4] = vm.lastCallGas().gasTotalUsed;
        post("one more");
        gas_[5] = vm.lastCallGas().gasTotalUsed;
    }

    function sharesOf(address[] memory list) private pure returns (Award[] memory awards) {
        awards = new Award[](list.length);
        for (uint256 i; i < list.length; ++i) {
            awards[i] = Award(list[i], 2_500);
        }
    }
}
