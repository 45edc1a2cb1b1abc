// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Base} from "../Base.t.sol";
import {Status} from "../../src/Types.sol";

/// @notice Along status.tree: which phase a bounty is in. What each call does there, and that it is refused
/// everywhere else, is in the call's own tree.
contract StatusTest is Base {
    bytes32 internal bounty;

    function setUp() public override {
        super.setUp();
        bounty = post();
    }

    function test_GivenTheBountyIsUnknown() public view {
        assertStatus(keccak256("unknown"), Status.None);
    }

    function test_GivenTheBountyIsClosed() public {
        vm.prank(scientist);
        market.close(bounty);
        assertStatus(bounty, Status.Closed);
        vm.warp(vm.getBlockTimestamp() + 3650 days);
        assertStatus(bounty, Status.Closed);
    }

    function test_GivenAPlaceIsFree() public {
        assertStatus(bounty, Status.Commit);
        commits(bounty, 1, 3);
        vm.warp(commitEnds(bounty) - 1);
        assertStatus(bounty, Status.Commit);
        commit(bounty, 1, mine(3));
    }

    function test_GivenTheCohortIsFull() public {
        commits(bounty, 1, 4);
        assertStatus(bounty, Status.Reveal);
        assertEq(revealEnds(bounty), vm.getBlockTimestamp() + 2 * WINDOW, "an early end moves no deadline");
    }

    function test_GivenFewerThanMinMinesAreThere() public {
        quiet(20);
        commits(bounty, 1, 1);
        assertEq(commitEnds(bounty), opened() + WINDOW);
        vm.warp(opened() + WINDOW - 1);
        assertStatus(bounty, Status.Commit);
        vm.warp(opened() + WINDOW);
        assertStatus(bounty, Status.Reveal);
    }

    function test_GivenMinMinesAreThere() public {
        quiet(20);
        vm.warp(opened() + 5);
        commit(bounty, 1, mine(0));
        vm.warp(opened() + 7);
        commit(bounty, 1, mine(1));
        assertEq(commitEnds(bounty), opened() + 27);
        assertEq(revealEnds(bounty), opened() + 2 * WINDOW);
        assertEq(settleEnds(bounty), opened() + 3 * WINDOW);
        vm.warp(opened() + 26);
        assertStatus(bounty, Status.Commit);
        vm.warp(opened() + 27);
        assertStatus(bounty, Status.Reveal);
        reveals(bounty, 1, 1);
        vm.warp(opened() + 2 * WINDOW - 1);
        assertStatus(bounty, Status.Reveal);
        reveal(bounty, 1, mine(1));
        assertStatus(bounty, Status.Settle);
        vm.warp(opened() + 3 * WINDOW - 1);
        assertStatus(bounty, Status.Settle);
        vm.warp(opened() + 3 * WINDOW);
        assertStatus(bounty, Status.Overdue);
    }

    function test_GivenAnotherCommitFollows() public {
        quiet(20);
        commits(bounty, 1, 2);
        vm.warp(opened() + 19);
        commit(bounty, 1, mine(2));
        assertEq(commitEnds(bounty), opened() + 39);
        vm.warp(opened() + 38);
        assertStatus(bounty, Status.Commit);
        commit(bounty, 1, mine(3));
        assertStatus(bounty, Status.Reveal);
        assertEq(commitEnds(bounty), opened() + 58, "an early end moves no deadline");
    }

    function test_GivenTheWindowEndsBeforeTheQuietTime() public {
        quiet(20);
        vm.warp(opened() + WINDOW - 1);
        commits(bounty, 1, 3);
        assertEq(commitEnds(bounty), opened() + WINDOW);
        assertStatus(bounty, Status.Commit);
        vm.warp(opened() + WINDOW);
        assertStatus(bounty, Status.Reveal);
    }

    function test_GivenTheLastCommitIsInTheSecondOfTheOpening() public {
        quiet(20);
        commits(bounty, 1, 2);
        assertEq(commitEnds(bounty), opened() + 20);
        assertEq(market.getBounty(bounty).lastCommit, opened());
    }

    function test_GivenItIsTheNextRound() public {
        quiet(20);
        vm.warp(opened() + 9);
        commits(bounty, 1, 2);
        vm.warp(opened() + 29);
        reveals(bounty, 1, 2);
        settle(bounty, 1, INITIAL_LOSS, equalAwards(2));
        assertEq(opened(), vm.getBlockTimestamp());
        assertEq(commitEnds(bounty), opened() + WINDOW);
        commit(bounty, 2, mine(0));
        assertEq(commitEnds(bounty), opened() + WINDOW);
        vm.warp(opened() + 2);
        commit(bounty, 2, mine(1));
        assertEq(commitEnds(bounty), opened() + 22);
    }

    function test_GivenNobodyHasCommitted() public {
        vm.warp(commitEnds(bounty) - 1);
        assertStatus(bounty, Status.Commit);
        vm.warp(commitEnds(bounty));
        assertStatus(bounty, Status.Failed);
    }

    function test_GivenSomebodyHasCommitted() public {
        commits(bounty, 1, 2);
        vm.warp(commitEnds(bounty));
        assertStatus(bounty, Status.Reveal);
        reveal(bounty, 1, mine(0));
    }

    function test_GivenFewerThanMinMinesHaveCommitted() public {
        commits(bounty, 1, 1);
        vm.warp(commitEnds(bounty));
        assertStatus(bounty, Status.Reveal);
        reveal(bounty, 1, mine(0));
        assertStatus(bounty, Status.Failed);
    }

    function test_GivenAllHaveRevealed() public {
        commits(bounty, 1, 4);
        reveals(bounty, 1, 4);
        assertStatus(bounty, Status.Settle);
        assertEq(settleEnds(bounty), vm.getBlockTimestamp() + 3 * WINDOW, "an early end moves no deadline");
    }

    function test_GivenSomeHaveNotRevealed() public {
        commits(bounty, 1, 3);
        vm.warp(commitEnds(bounty));
        reveals(bounty, 1, 2);
        vm.warp(revealEnds(bounty) - 1);
        assertStatus(bounty, Status.Reveal);
        reveal(bounty, 1, mine(2));
        assertStatus(bounty, Status.Settle);
    }

    function test_GivenFewerThanMinMinesHaveRevealed() public {
        cohort(bounty, 1, 2, 1);
        assertEq(vm.getBlockTimestamp(), revealEnds(bounty));
        assertStatus(bounty, Status.Failed);
        vm.warp(settleEnds(bounty) + 365 days);
        assertStatus(bounty, Status.Failed);
    }

    function test_GivenMinMinesHaveRevealed() public {
        cohort(bounty, 1, 3, 2);
        assertEq(vm.getBlockTimestamp(), revealEnds(bounty));
        assertStatus(bounty, Status.Settle);
        vm.warp(settleEnds(bounty) - 1);
        assertStatus(bounty, Status.Settle);
        settle(bounty, 1, INITIAL_LOSS, equalAwards(2));
        assertStatus(bounty, Status.Commit);
    }

    function test_GivenTheSettleWindowIsOverToo() public {
        cohort(bounty, 1, 2, 2);
        vm.warp(settleEnds(bounty));
        assertStatus(bounty, Status.Overdue);
    }

    function test_GivenEveryStateThatATestCanAskFor() public {
        Status[8] memory expected = [
            Status.Commit,
            Status.Commit,
            Status.Reveal,
            Status.Settle,
            Status.Failed,
            Status.Failed,
            Status.Overdue,
            Status.Closed
        ];
        for (uint8 i; i < expected.length; ++i) {
            assertStatus(bountyIn(State(i)), expected[i]);
        }
        assertEq(uint8(type(State).max) + 1, expected.length);
    }

    function quiet(uint16 seconds_) private {
        terms.quiet = seconds_;
        bounty = post("with a quiet time");
    }

    function opened() private view returns (uint256) {
        return market.getBounty(bounty).opened;
    }
}
