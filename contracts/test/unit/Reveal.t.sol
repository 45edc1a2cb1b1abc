// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Base} from "../Base.t.sol";
import {Errors} from "../../src/Errors.sol";
import {ITrainingMarket} from "../../src/ITrainingMarket.sol";
import {EntryState, Status} from "../../src/Types.sol";

/// @notice Along reveal.tree.
contract RevealTest is Base {
    bytes32 internal bounty;

    function setUp() public override {
        super.setUp();
        bounty = post();
        commits(bounty, 1, 3);
        vm.warp(commitEnds(bounty));
    }

    function test_RevertGiven_TheBountyIsUnknown() public {
        refused("nothing", 1, mine(0), abi.encodeWithSelector(Errors.UnknownBounty.selector, bytes32("nothing")));
    }

    function test_RevertWhen_TheRoundIsNotTheCurrentOne() public {
        refused(bounty, 2, mine(0), abi.encodeWithSelector(Errors.WrongRound.selector, 1, 2));
    }

    function test_RevertGiven_TheStatusIsNotReveal() public {
        for (uint8 i; i <= uint8(type(State).max); ++i) {
            bytes32 id = bountyIn(State(i));
            Status status = market.statusOf(id);
            if (status == Status.Reveal) continue;
            refused(id, 1, mine(2), abi.encodeWithSelector(Errors.WrongStatus.selector, status));
        }
    }

    function test_RevertGiven_TheMineHasNotCommitted() public {
        refused(bounty, 1, mine(3), abi.encodeWithSelector(Errors.NotCommitted.selector, mine(3)));
    }

    function test_RevertGiven_TheMineCommittedInAnEarlierRoundAlone() public {
        reveals(bounty, 1, 3);
        settle(bounty, 1, INITIAL_LOSS, equalAwards(3));
        commit(bounty, 2, mine(0));
        vm.warp(commitEnds(bounty));
        refused(bounty, 2, mine(1), abi.encodeWithSelector(Errors.NotCommitted.selector, mine(1)));
    }

    function test_RevertGiven_TheMineHasRevealed() public {
        reveal(bounty, 1, mine(0));
        refused(bounty, 1, mine(0), abi.encodeWithSelector(Errors.AlreadyRevealed.selector, mine(0)));
    }

    function test_RevertWhen_TheDigestIsZero() public {
        vm.prank(mine(0));
        vm.expectRevert(Errors.ZeroDigest.selector);
        market.reveal(bounty, 1, 0, saltOf(mine(0)));
    }

    function test_RevertWhen_DigestOrSaltAreNotThoseOfTheSeal() public {
        mismatch(mine(0), updateOf(1, mine(1)), saltOf(mine(0)));
        mismatch(mine(0), updateOf(1, mine(0)), saltOf(mine(1)));
    }

    function test_GivenFewerThanMinMinesHaveCommitted() public {
        bytes32 lonely = post("lonely");
        commit(lonely, 1, mine(0));
        vm.warp(commitEnds(lonely));
        reveal(lonely, 1, mine(0));
        assertEq(market.getBounty(lonely).revealed, 1);
    }

    function test_WhenItIsTheLastReveal() public {
        reveals(bounty, 1, 2);
        assertStatus(bounty, Status.Reveal);
        reveal(bounty, 1, mine(2));
        assertStatus(bounty, Status.Settle);
    }

    function test_WhenDigestAndSaltOpenTheSeal() public {
        vm.expectEmit(address(market));
        emit ITrainingMarket.Revealed(bounty, 1, mine(1), updateOf(1, mine(1)));
        reveal(bounty, 1, mine(1));
        assertEq(uint8(market.entryOf(bounty, mine(1)).state), uint8(EntryState.Revealed));
        assertEq(uint8(market.entryOf(bounty, mine(0)).state), uint8(EntryState.Committed));
        assertEq(market.getBounty(bounty).revealed, 1);
    }

    function mismatch(address who, bytes32 update, bytes32 salt) private {
        bytes32 expected = bytes29(sealOf(bounty, 1, who));
        bytes32 given = bytes29(market.sealOf(bounty, 1, who, update, salt));
        vm.prank(who);
        vm.expectRevert(abi.encodeWithSelector(Errors.SealMismatch.selector, expected, given));
        market.reveal(bounty, 1, update, salt);
    }

    function refused(bytes32 id, uint8 round, address who, bytes memory refusal) private {
        vm.prank(who);
        vm.expectRevert(refusal);
        market.reveal(id, round, updateOf(1, who), saltOf(who));
    }
}
