// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Base} from "../Base.t.sol";
import {PlainToken} from "../mocks/Tokens.sol";
import {Errors} from "../../src/Errors.sol";
import {ITrainingMarket} from "../../src/ITrainingMarket.sol";
import {CloseReason, Status} from "../../src/Types.sol";

/// @notice Along close.tree.
contract CloseTest is Base {
    uint256 internal constant ESCROW = REWARD + FEE * 4 * 3;

    bytes32 internal bounty;

    function setUp() public override {
        super.setUp();
        bounty = post();
    }

    function test_RevertGiven_TheBountyIsUnknown() public {
        vm.expectRevert(abi.encodeWithSelector(Errors.UnknownBounty.selector, KEY));
        market.close(KEY);
    }

    function test_RevertGiven_TheStatusIsNotCommit() public {
        for (uint8 i; i <= uint8(type(State).max); ++i) {
            bytes32 id = bountyIn(State(i));
            Status status = market.statusOf(id);
            if (status == Status.Commit) continue;
            vm.prank(scientist);
            expectWrongStatus(status);
            market.close(id);
        }
    }

    function test_RevertWhen_TheCallerIsNotTheScientist() public {
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(Errors.NotScientist.selector, stranger));
        market.close(bounty);
    }

    function test_RevertGiven_SomebodyHasCommitted() public {
        commits(bounty, 1, 2);
        vm.prank(scientist);
        vm.expectRevert(abi.encodeWithSelector(Errors.CommitsExist.selector, 2));
        market.close(bounty);
    }

    function test_GivenItIsALaterRound() public {
        cohort(bounty, 1, 2, 2);
        settle(bounty, 1, INITIAL_LOSS, equalAwards(2));
        vm.prank(scientist);
        market.close(bounty);
        assertEq(balanceOf(scientist), ESCROW - 2 * FEE);
    }

    function test_WhenTheAssetIsAToken() public {
        terms.asset = address(new PlainToken());
        bounty = post("in a token");
        vm.prank(scientist);
        market.close(bounty);
        assertEq(market.balanceOf(terms.asset, scientist), ESCROW);
        assertEq(market.balanceOf(ETHER, scientist), 0);
    }

    function test_WhenTheCallerIsTheScientist() public {
        vm.expectEmit(address(market));
        emit ITrainingMarket.BountyClosed(bounty, 1, CloseReason.ByScientist, ESCROW);
        vm.prank(scientist);
        market.close(bounty);
        assertEq(balanceOf(scientist), ESCROW);
        assertEq(market.getBounty(bounty).escrow, 0);
        assertTrue(market.getBounty(bounty).closed);
        assertStatus(bounty, Status.Closed);
    }
}
