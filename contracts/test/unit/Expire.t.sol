// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Base} from "../Base.t.sol";
import {PlainToken} from "../mocks/Tokens.sol";
import {Errors} from "../../src/Errors.sol";
import {ITrainingMarket} from "../../src/ITrainingMarket.sol";
import {Bounty, CloseReason, Status} from "../../src/Types.sol";

/// @notice Along expire.tree.
contract ExpireTest is Base {
    bytes32 internal bounty;

    function setUp() public override {
        super.setUp();
        terms.reward = 1000;
        terms.fee = 10;
        terms.stake = 100;
        (terms.initialLoss, terms.targetLoss) = (2000, 1000);
        bounty = post(); // escrow: 1000 + 10 * 4 * 3 = 1120
    }

    /*//////////////////////////////////////////////////////////////
                             REFUSALS
    //////////////////////////////////////////////////////////////*/

    function test_RevertGiven_TheBountyIsUnknown() public {
        vm.expectRevert(abi.encodeWithSelector(Errors.UnknownBounty.selector, KEY));
        market.expire(KEY, 1, mines(0));
    }

    function test_RevertWhen_TheRoundIsNotTheCurrentOne() public {
        cohort(bounty, 1, 2, 1);
        market.expire(bounty, 1, mines(1));
        vm.expectRevert(abi.encodeWithSelector(Errors.WrongRound.selector, 2, 1));
        market.expire(bounty, 1, mines(1));
    }

    function test_RevertGiven_TheStatusIsNeitherFailedNorOverdue() public {
        for (uint8 i; i <= uint8(type(State).max); ++i) {
            bytes32 id = bountyIn(State(i));
            Status status = market.statusOf(id);
            if (status == Status.Failed || status == Status.Overdue) continue;
            uint256 revealed = market.getBounty(id).revealed;
            expectWrongStatus(status);
            market.expire(id, 1, mines(revealed));
        }
    }

    function test_RevertWhen_ThereIsNotOneLinePerRevealedMine() public {
        cohort(bounty, 1, 2, 1);
        vm.expectRevert(abi.encodeWithSelector(Errors.WrongCohortSize.selector, 2, 1));
        market.expire(bounty, 1, mines(2));
        vm.expectRevert(abi.encodeWithSelector(Errors.WrongCohortSize.selector, 0, 1));
        market.expire(bounty, 1, mines(0));
    }

    function test_RevertWhen_TheLinesAreNotStrictlyAscending() public {
        cohort(bounty, 1, 2, 2);
        vm.warp(settleEnds(bounty));
        address[] memory list = mines(2);
        list[1] = list[0];
        vm.expectRevert(abi.encodeWithSelector(Errors.CohortNotAscending.selector, 1));
        market.expire(bounty, 1, list);
    }

    function test_RevertWhen_AMineDidNotReveal() public {
        cohort(bounty, 1, 2, 1);
        address[] memory list = new address[](1);
        list[0] = mine(1);
        vm.expectRevert(abi.encodeWithSelector(Errors.NotInCohort.selector, mine(1)));
        market.expire(bounty, 1, list);
    }

    function test_WhenTheAssetIsAToken() public {
        terms.asset = address(new PlainToken());
        bounty = post("in a token");
        cohort(bounty, 1, 4, 3);
        vm.warp(settleEnds(bounty));
        market.expire(bounty, 1, mines(3));
        assertEq(market.balanceOf(terms.asset, mine(0)), 100 + 10 + 333 + 33);
        assertEq(market.balanceOf(terms.asset, scientist), 92);
        assertEq(market.balanceOf(ETHER, mine(0)) + market.balanceOf(ETHER, scientist), 0);
    }

    /*//////////////////////////////////////////////////////////////
                              FAILED
    //////////////////////////////////////////////////////////////*/

    function test_GivenNobodyCommitted() public {
        vm.warp(commitEnds(bounty));
        vm.expectEmit(address(market));
        emit ITrainingMarket.RoundFailed(bounty, 1, 0, 0);
        vm.expectEmit(address(market));
        emit ITrainingMarket.BountyClosed(bounty, 1, CloseReason.NoCommits, 1120);
        vm.prank(stranger);
        market.expire(bounty, 1, mines(0));
        assertEq(balanceOf(scientist), 1120);
        assertEq(balanceOf(stranger), 0);
    }

    function test_GivenNobodyRevealed() public {
        cohort(bounty, 1, 3, 0);
        market.expire(bounty, 1, mines(0));
        Bounty memory now_ = market.getBounty(bounty);
        assertEq(now_.escrow, 1120 + 300);
        assertEq(now_.round, 2);
        assertEq(now_.committed, 0);
        vm.prank(scientist);
        market.close(bounty);
        assertEq(balanceOf(scientist), 1420);
    }

    function test_GivenItIsTheLastRound() public {
        for (uint8 round = 1; round <= 3; ++round) {
            cohort(bounty, round, 2, 1);
            if (round == 3) {
                vm.expectEmit(address(market));
                emit ITrainingMarket.BountyClosed(bounty, 3, CloseReason.LastRoundFailed, 1120);
            }
            market.expire(bounty, round, mines(1));
        }
        assertEq(balanceOf(mine(0)), 600, "three stakes, three forfeits");
        assertEq(balanceOf(scientist), 1120);
    }

    function test_GivenTooFewRevealed() public {
        terms.minMines = 3;
        bounty = post("three");
        cohort(bounty, 1, 3, 2);
        expectPaid(mine(0), 0, 0, 50);
        expectPaid(mine(1), 0, 0, 50);
        vm.expectEmit(address(market));
        emit ITrainingMarket.RoundFailed(bounty, 1, 3, 2);
        vm.expectEmit(address(market));
        emit ITrainingMarket.RoundOpened(bounty, 2, MODEL, uint40(vm.getBlockTimestamp()));
        market.expire(bounty, 1, mines(2));
        assertEq(balanceOf(mine(0)), 150);
        assertEq(balanceOf(mine(1)), 150);
        assertEq(market.getBounty(bounty).escrow, 1120);
    }

    /*//////////////////////////////////////////////////////////////
                             OVERDUE
    //////////////////////////////////////////////////////////////*/

    function test_GivenRewardsWerePaidInEarlierRounds() public {
        cohort(bounty, 1, 2, 2);
        settle(bounty, 1, 1800, equalAwards(2)); // 200 paid
        cohort(bounty, 2, 2, 2);
        settle(bounty, 2, 1900, equalAwards(2)); // worse: 0 paid
        cohort(bounty, 3, 2, 2);
        vm.warp(settleEnds(bounty));
        uint256 before = balanceOf(mine(0));
        market.expire(bounty, 3, mines(2));
        assertEq(balanceOf(mine(0)) - before, 100 + 10 + 400);
        assertEq(balanceOf(scientist), 1120 - 60 - 1000);
    }

    function test_GivenRoundsAreLeft() public {
        cohort(bounty, 1, 4, 3);
        vm.warp(settleEnds(bounty));
        // All of the reward, whatever the rounds left: 1000 over 3 mines is 333; 100 forfeited over 3 mines is 33.
        expectPaid(mine(0), 10, 333, 33);
        expectPaid(mine(1), 10, 333, 33);
        expectPaid(mine(2), 10, 333, 33);
        vm.expectEmit(address(market));
        emit ITrainingMarket.BountyClosed(bounty, 1, CloseReason.Overdue, 1120 + 1 - 3 * (10 + 333));
        vm.prank(stranger);
        market.expire(bounty, 1, mines(3));
        assertEq(balanceOf(mine(2)), 100 + 10 + 333 + 33);
        assertEq(balanceOf(scientist), 92);
        assertStatus(bounty, Status.Closed);
    }

    function test_GivenTheTermsNameAPart() public {
        terms.overdueBps = 3_333;
        bounty = post("a third");
        cohort(bounty, 1, 2, 2);
        settle(bounty, 1, 1900, equalAwards(2)); // 100 paid, 900 unpaid
        cohort(bounty, 2, 2, 2);
        vm.warp(settleEnds(bounty));
        uint256 before = balanceOf(mine(0));
        market.expire(bounty, 2, mines(2));
        // 900 * .3333 is 299, over 2 mines 149.
        assertEq(balanceOf(mine(0)) - before, 100 + 10 + 149);
        assertEq(balanceOf(scientist), 1120 - 100 - 40 - 2 * 149);
    }

    function test_GivenTheTermsNameNone() public {
        terms.overdueBps = 0;
        bounty = post("none");
        cohort(bounty, 1, 2, 2);
        vm.warp(settleEnds(bounty));
        market.expire(bounty, 1, mines(2));
        assertEq(balanceOf(mine(0)), 100 + 10);
        assertEq(balanceOf(scientist), 1120 - 20);
    }

    function expectPaid(address who, uint256 fee, uint256 reward, uint256 forfeit) private {
        vm.expectEmit(address(market));
        emit ITrainingMarket.MinePaid(bounty, 1, who, 0, 100, fee, reward, forfeit);
    }
}
