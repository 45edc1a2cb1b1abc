// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";

import {TrainingMarket} from "../../src/TrainingMarket.sol";
import {Bounty, Status} from "../../src/Types.sol";

/// @dev The one cheat code of Halmos that is needed here.
interface SVM {
    function enableSymbolicStorage(address account) external;
}

/// @notice A market with any storage whatever: what is proved of it holds for every bounty in every state, also for
/// states that no sequence of calls can reach.
/// @dev Halmos runs every `check_` function for all values of its arguments. Arrays have up to two entries; the
/// checks on them hold whatever the length, as they refuse before the first entry is read.
abstract contract AnyMarket is Test {
    address internal constant ETHER = address(0);
    SVM private constant HALMOS = SVM(0xF3993A62377BCd56AE39D773740A5390411E8BC9);

    TrainingMarket internal market;

    function setUp() public {
        market = new TrainingMarket(10);
        HALMOS.enableSymbolicStorage(address(market));
    }

    /// @dev A known bounty in ether, opened at some time of this age, as all times are.
    function etherBounty(bytes32 id) internal view returns (Bounty memory bounty) {
        bounty = market.getBounty(id);
        vm.assume(bounty.terms.asset == ETHER);
        vm.assume(bounty.opened < 1 << 39);
    }

    function warpTo(uint40 time) internal {
        vm.assume(time < 1 << 39);
        vm.warp(time);
    }

    function callAs(address caller, uint256 value, bytes memory data) internal returns (bool ok) {
        vm.deal(caller, value);
        vm.prank(caller);
        (ok,) = address(market).call{value: value}(data);
    }

    function statusOf(bytes32 id) internal view returns (Status) {
        return market.statusOf(id);
    }
}
