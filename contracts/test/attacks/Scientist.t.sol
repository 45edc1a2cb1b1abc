// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Base} from "../Base.t.sol";
import {Errors} from "../../src/Errors.sol";
import {Award, Status} from "../../src/Types.sol";

/// @notice What a scientist who wants more for less would try, and who pays what.
/// @dev The tests named `Allowed` show what the contract cannot prevent, and what it costs her.
contract ScientistAttacksTest is Base {
    bytes32 internal bounty;

    function setUp() public override {
        super.setUp();
        (terms.reward, terms.fee, terms.stake) = (1200, 10, 100);
        (terms.initialLoss, terms.targetLoss) = (2000, 1000);
        bounty = post(); // escrow: 1200 + 10 * 4 * 3 = 1320
    }

    /*//////////////////////////////////////////////////////////////
                                REFUSED
    //////////////////////////////////////////////////////////////*/

    function test_SheCannotLeaveAMineOutOfASettlement() public {
        cohort(bounty, 1, 3, 3);
        vm.prank(scientist);
        vm.expectRevert(abi.encodeWithSelector(Errors.WrongCohortSize.selector, 2, 3));
        market.settle(bounty, 1, "model", 1000, equalAwards(2), EVIDENCE, "");
    }

    function test_SheCannotLeaveAMineOutOfAnExpiry() public {
        cohort(bounty, 1, 3, 3);
        vm.warp(settleEnds(bounty));
        vm.prank(scientist);
        vm.expectRevert(abi.encodeWithSelector(Errors.WrongCohortSize.selector, 2, 3));
        market.expire(bounty, 1, mines(2));
    }

    function test_SheCannotPutAFriendInTheCohort() public {
        cohort(bounty, 1, 3, 3);
        Award[] memory awards = equalAwards(3);
        awards[2].mine = address(uint160(mine(2)) + 1);
        vm.prank(scientist);
        vm.expectRevert(abi.encodeWithSelector(Errors.NotInCohort.selector, awards[2].mine));
        market.settle(bounty, 1, "model", 1000, awards, EVIDENCE, "");
    }

    function test_SheCannotTakeTheMoneyBackOnceSomebodyHasCommitted() public {
        commit(bounty, 1, mine(0));
        vm.prank(scientist);
        vm.expectRevert(abi.encodeWithSelector(Errors.CommitsExist.selector, 1));
        market.close(bounty);
    }

    function test_SheCannotSettleInFrontOfAReveal() public {
        commits(bounty, 1, 3);
        vm.warp(commitEnds(bounty));
        reveals(bounty, 1, 2);
        vm.prank(scientist);
        expectWrongStatus(Status.Reveal);
        market.settle(bounty, 1, "model", 1000, equalAwards(2), EVIDENCE, "");
    }

    function test_SheCannotExpireARoundThatSheShouldSettle() public {
        cohort(bounty, 1, 2, 2);
        vm.prank(scientist);
        expectWrongStatus(Status.Settle);
        market.expire(bounty, 1, mines(2));
    }

    function test_SheCannotSettleARoundTwice() public {
        cohort(bounty, 1, 2, 2);
        settle(bounty, 1, 1500, equalAwards(2));
        vm.prank(scientist);
        vm.expectRevert(abi.encodeWithSelector(Errors.WrongRound.selector, 2, 1));
        market.settle(bounty, 1, "model", 1000, equalAwards(2), EVIDENCE, "");
    }

    function test_SheCannotKeepAModelThatNobodyIsPaidFor() public {
        cohort(bounty, 1, 2, 2);
        vm.startPrank(scientist);
        vm.expectRevert(abi.encodeWithSelector(Errors.ModelChanged.selector, MODEL, bytes32("better")));
        market.settle(bounty, 1, "better", 2000, noAwards(2), EVIDENCE, "");
        vm.expectRevert(abi.encodeWithSelector(Errors.LossChanged.selector, 2000, 1000));
        market.settle(bounty, 1, MODEL, 1000, noAwards(2), EVIDENCE, "");
    }

    /// A bad round in between delays what is earned, and makes none of it cheaper.
    function test_ABadLossInBetweenSavesHerNothing() public {
        cohort(bounty, 1, 2, 2);
        settle(bounty, 1, 1500, equalAwards(2));
        cohort(bounty, 2, 2, 2);
        settle(bounty, 2, 1900, equalAwards(2));
        cohort(bounty, 3, 2, 2);
        settle(bounty, 3, 1000, equalAwards(2));
        assertEq(balanceOf(mine(0)), 3 * (100 + 10) + 600);
        assertEq(balanceOf(mine(1)), 3 * (100 + 10) + 600);
        assertEq(balanceOf(scientist), 1320 - 1200 - 60);
    }

    /// Posting with the same arguments again cannot overwrite a bounty and its debts.
    function test_SheCannotPostOverABounty() public {
        cohort(bounty, 1, 2, 2);
        uint256 value = fund(scientist, 1320);
        vm.prank(scientist);
        vm.expectRevert(abi.encodeWithSelector(Errors.BountyExists.selector, bounty));
        market.postBounty{value: value}(terms, MODEL, KEY, SALT);
    }

    /// Leaving an honest mine without a share moves its fee to the others, not to her.
    function test_AMineWithoutAShareSavesHerNoFee() public {
        cohort(bounty, 1, 3, 3);
        Award[] memory awards = noAwards(3);
        (awards[0].shareBps, awards[1].shareBps) = (5000, 5000);
        settle(bounty, 1, 2000, awards);
        assertEq(market.getBounty(bounty).escrow, 1320 - 3 * 10);
        assertEq(balanceOf(mine(0)), 100 + 15);
        assertEq(balanceOf(mine(1)), 100 + 15);
        assertEq(balanceOf(mine(2)), 100, "its stake comes back all the same");
    }

    /*//////////////////////////////////////////////////////////////
                       ALLOWED, AND WHAT IT COSTS
    //////////////////////////////////////////////////////////////*/

    /// Giving nobody a share after seeing all updates: she pays nothing, and can publish no model.
    function test_Allowed_NobodyHasAShare() public {
        cohort(bounty, 1, 2, 2);
        vm.prank(scientist);
        market.settle(bounty, 1, MODEL, 2000, noAwards(2), EVIDENCE, "");
        assertEq(balanceOf(mine(0)), 100);
        assertEq(balanceOf(mine(1)), 100);
        assertEq(market.getBounty(bounty).escrow, 1320);
    }

    /// A mine of her own in the cohort, with all shares: fee and reward come back to her; the honest keep stakes.
    function test_Allowed_AllSharesForAMineOfHerOwn() public {
        cohort(bounty, 1, 3, 3);
        Award[] memory awards = noAwards(3);
        awards[2].shareBps = 10_000;
        settle(bounty, 1, 1000, awards);
        assertEq(balanceOf(mine(0)), 100);
        assertEq(balanceOf(mine(1)), 100);
        assertEq(balanceOf(mine(2)), 100 + 30 + 1200);
        assertEq(balanceOf(scientist), 1320 - 1230);
    }

    /// A loss that is reported too high: the rest of the reward stays hers once the rounds are over.
    function test_Allowed_ALossReportedTooHigh() public {
        terms.rounds = 1;
        bounty = post("one round"); // escrow: 1200 + 40
        cohort(bounty, 1, 2, 2);
        settle(bounty, 1, 1999, equalAwards(2));
        assertEq(balanceOf(mine(0)), 100 + 10, "1 unit of 1,000, split in two, rounds down");
        assertEq(balanceOf(mine(1)), 100 + 10 + 1);
        assertEq(balanceOf(scientist), 1240 - 20 - 1);
    }

    /// Letting a round go overdue costs her what `overdueBps` says. With half of it: 20 + 600 instead of 20 + 1200 for a
    /// round that reached the target, and it is over. With all of it, which is the default, it saves her nothing.
    function test_Allowed_LettingAGoodRoundGoOverdue() public {
        terms.overdueBps = 5_000;
        bounty = post("half");
        cohort(bounty, 1, 2, 2);
        vm.warp(settleEnds(bounty));
        market.expire(bounty, 1, mines(2));
        assertEq(balanceOf(mine(0)), 100 + 10 + 300);
        assertEq(balanceOf(mine(1)), 100 + 10 + 300);
        assertEq(balanceOf(scientist), 1320 - 620);
        assertStatus(bounty, Status.Closed);
    }

    /// Her own mines commit and do not reveal, so that the round fails after the others have revealed: she has
    /// seen their updates for no fee, and her stakes are theirs.
    function test_Allowed_FailingARoundWithMinesOfHerOwn() public {
        terms.minMines = 3;
        bounty = post("three");
        cohort(bounty, 1, 4, 2); // the last two are hers
        market.expire(bounty, 1, mines(2));
        assertEq(balanceOf(mine(0)), 100 + 100);
        assertEq(balanceOf(mine(1)), 100 + 100);
        assertEq(balanceOf(mine(2)) + balanceOf(mine(3)), 0);
        assertEq(market.getBounty(bounty).escrow, 1320);
    }

    /// The same without honest mines: stakes that nobody shares end in her own escrow, so this costs nobody.
    function test_Allowed_FailingARoundWithMinesOfHerOwnAlone() public {
        cohort(bounty, 1, 4, 0);
        market.expire(bounty, 1, mines(0));
        assertEq(market.getBounty(bounty).escrow, 1320 + 400);
    }
}
