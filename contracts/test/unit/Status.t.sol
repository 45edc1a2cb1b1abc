// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Base} from "../Base.t.sol";
import {CloseReason, Status} from "../../src/Types.sol";

/// @notice The status table, line by line, and that nothing else moves a bounty.
contract StatusTest is Base {
    bytes32 internal bounty;

    function setUp() public override {
        super.setUp();
        bounty = post();
    }

    /*//////////////////////////////////////////////////////////////
                             LINE BY LINE
    //////////////////////////////////////////////////////////////*/

    function test_None_IsEveryUnknownBounty() public view {
        assertStatus(keccak256("unknown"), Status.None);
    }

    function test_Commit_FromOpeningToTheSecondBeforeItsEnd() public {
        assertStatus(bounty, Status.Commit);
        commits(bounty, 1, 3);
        vm.warp(commitEnds(bounty) - 1);
        assertStatus(bounty, Status.Commit);
        commit(bounty, 1, mine(3));
    }

    function test_Commit_FullOpensRevealAtOnce() public {
        commits(bounty, 1, 4);
        assertStatus(bounty, Status.Reveal);
        assertEq(revealEnds(bounty), vm.getBlockTimestamp() + 2 * WINDOW, "an early end moves no deadline");
    }

    function test_Commit_ClosedByScientist() public {
        vm.prank(scientist);
        market.close(bounty);
        assertStatus(bounty, Status.Closed);
    }

    function test_Reveal_FromTheExactSecondOfTheCommitEnd() public {
        commits(bounty, 1, 2);
        vm.warp(commitEnds(bounty));
        assertStatus(bounty, Status.Reveal);
        reveal(bounty, 1, mine(0));
    }

    function test_Reveal_UntilTheSecondBeforeItsEnd() public {
        commits(bounty, 1, 3);
        vm.warp(commitEnds(bounty));
        reveals(bounty, 1, 2);
        vm.warp(revealEnds(bounty) - 1);
        assertStatus(bounty, Status.Reveal);
        reveal(bounty, 1, mine(2));
        assertStatus(bounty, Status.Settle);
    }

    function test_Reveal_StaysOpenBelowMinMines() public {
        commits(bounty, 1, 1);
        vm.warp(commitEnds(bounty));
        assertStatus(bounty, Status.Reveal);
        reveal(bounty, 1, mine(0));
        assertStatus(bounty, Status.Failed);
    }

    function test_Reveal_AllRevealedOpensSettleAtOnce() public {
        commits(bounty, 1, 4);
        reveals(bounty, 1, 4);
        assertStatus(bounty, Status.Settle);
        assertEq(settleEnds(bounty), vm.getBlockTimestamp() + 3 * WINDOW);
    }

    function test_Settle_FromTheExactSecondOfTheRevealEnd() public {
        cohort(bounty, 1, 3, 2);
        assertEq(vm.getBlockTimestamp(), revealEnds(bounty));
        assertStatus(bounty, Status.Settle);
    }

    function test_Settle_UntilTheSecondBeforeItsEnd() public {
        cohort(bounty, 1, 2, 2);
        vm.warp(settleEnds(bounty) - 1);
        assertStatus(bounty, Status.Settle);
        settle(bounty, 1, INITIAL_LOSS, equalAwards(2));
        assertStatus(bounty, Status.Commit);
        assertEq(market.getBounty(bounty).round, 2);
    }

    function test_Settle_LastRoundCloses() public {
        for (uint8 round = 1; round <= 3; ++round) {
            cohort(bounty, round, 2, 2);
            settle(bounty, round, INITIAL_LOSS, equalAwards(2));
        }
        assertStatus(bounty, Status.Closed);
        assertEq(market.getBounty(bounty).round, 3);
    }

    function test_Settle_TargetReachedCloses() public {
        cohort(bounty, 1, 2, 2);
        settle(bounty, 1, TARGET_LOSS, equalAwards(2));
        assertStatus(bounty, Status.Closed);
    }

    function test_Failed_WithoutCommitsCloses() public {
        vm.warp(commitEnds(bounty));
        assertStatus(bounty, Status.Failed);
        market.expire(bounty, 1, mines(0));
        assertStatus(bounty, Status.Closed);
    }

    function test_Failed_TooFewRevealedOpensTheNextRound() public {
        cohort(bounty, 1, 4, 1);
        assertStatus(bounty, Status.Failed);
        market.expire(bounty, 1, mines(1));
        assertStatus(bounty, Status.Commit);
        assertEq(market.getBounty(bounty).round, 2);
    }

    function test_Failed_NobodyRevealedOpensTheNextRound() public {
        cohort(bounty, 1, 3, 0);
        assertStatus(bounty, Status.Failed);
        market.expire(bounty, 1, mines(0));
        assertStatus(bounty, Status.Commit);
    }

    function test_Failed_LastRoundCloses() public {
        for (uint8 round = 1; round <= 3; ++round) {
            cohort(bounty, round, 2, 1);
            market.expire(bounty, round, mines(1));
        }
        assertStatus(bounty, Status.Closed);
    }

    function test_Failed_NeverBecomesOverdue() public {
        cohort(bounty, 1, 2, 1);
        vm.warp(settleEnds(bounty) + 365 days);
        assertStatus(bounty, Status.Failed);
    }

    function test_Overdue_FromTheExactSecondOfTheSettleEnd() public {
        cohort(bounty, 1, 2, 2);
        vm.warp(settleEnds(bounty));
        assertStatus(bounty, Status.Overdue);
        market.expire(bounty, 1, mines(2));
        assertStatus(bounty, Status.Closed);
    }

    function test_Closed_ForEver() public {
        vm.prank(scientist);
        market.close(bounty);
        vm.warp(vm.getBlockTimestamp() + 3650 days);
        assertStatus(bounty, Status.Closed);
    }

    /*//////////////////////////////////////////////////////////////
                      ANYTHING ELSE: WRONG STATUS
    //////////////////////////////////////////////////////////////*/

    function test_WrongStatus_InCommit() public {
        commits(bounty, 1, 3);
        refusesAllBut(Status.Commit, this.tryCommit.selector, this.tryClose.selector);
    }

    function test_WrongStatus_InReveal() public {
        commits(bounty, 1, 3);
        vm.warp(commitEnds(bounty));
        refusesAllBut(Status.Reveal, this.tryReveal.selector, 0);
    }

    function test_WrongStatus_InSettle() public {
        cohort(bounty, 1, 3, 2);
        refusesAllBut(Status.Settle, this.trySettle.selector, 0);
    }

    function test_WrongStatus_InFailedWithoutCommits() public {
        vm.warp(commitEnds(bounty));
        refusesAllBut(Status.Failed, this.tryExpire.selector, 0);
    }

    function test_WrongStatus_InFailed() public {
        cohort(bounty, 1, 3, 1);
        refusesAllBut(Status.Failed, this.tryExpire.selector, 0);
    }

    function test_WrongStatus_InOverdue() public {
        cohort(bounty, 1, 3, 3);
        vm.warp(settleEnds(bounty));
        refusesAllBut(Status.Overdue, this.tryExpire.selector, 0);
    }

    function test_WrongStatus_InClosed() public {
        cohort(bounty, 1, 2, 2);
        settle(bounty, 1, TARGET_LOSS, equalAwards(2));
        refusesAllBut(Status.Closed, 0, 0);
        assertEq(withdraw(mine(0)), STAKE + FEE + REWARD / 2, "withdrawing is always possible");
    }

    /// @dev Tries every call in the state at hand and expects `WrongStatus(status)` from all but two.
    function refusesAllBut(Status status, bytes4 taken, bytes4 alsoTaken) private {
        bytes4[5] memory calls = [
            this.tryCommit.selector,
            this.tryReveal.selector,
            this.trySettle.selector,
            this.tryExpire.selector,
            this.tryClose.selector
        ];
        assertStatus(bounty, status);
        for (uint256 i; i < calls.length; ++i) {
            if (calls[i] == taken || calls[i] == alsoTaken) continue;
            (bool ok,) = address(this).call(abi.encodeWithSelector(calls[i], status));
            assertTrue(ok, "the call was not refused as it should be");
        }
        assertStatus(bounty, status);
    }

    function tryCommit(Status status) external {
        deal(mine(3), STAKE);
        vm.prank(mine(3));
        expectWrongStatus(status);
        market.commit{value: STAKE}(bounty, 1, "seal", noProof());
    }

    function tryReveal(Status status) external {
        vm.prank(mine(0));
        expectWrongStatus(status);
        market.reveal(bounty, 1, updateOf(1, mine(0)), saltOf(mine(0)));
    }

    function trySettle(Status status) external {
        uint256 revealed = market.getBounty(bounty).revealed;
        vm.prank(scientist);
        expectWrongStatus(status);
        market.settle(bounty, 1, MODEL, INITIAL_LOSS, noAwards(revealed), EVIDENCE);
    }

    function tryExpire(Status status) external {
        uint256 revealed = market.getBounty(bounty).revealed;
        expectWrongStatus(status);
        market.expire(bounty, 1, mines(revealed));
    }

    function tryClose(Status status) external {
        vm.prank(scientist);
        expectWrongStatus(status);
        market.close(bounty);
    }
}
