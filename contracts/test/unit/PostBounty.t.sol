// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Base} from "../Base.t.sol";
import {Errors} from "../../src/Errors.sol";
import {ITrainingMarket} from "../../src/ITrainingMarket.sol";
import {TrainingMarket} from "../../src/TrainingMarket.sol";
import {Bounty} from "../../src/Types.sol";

contract PostBountyTest is Base {
    function test_StoresEverything() public {
        bytes32 id = post();
        Bounty memory bounty = market.getBounty(id);
        assertEq(bounty.scientist, scientist);
        assertEq(bounty.opened, vm.getBlockTimestamp());
        assertEq(bounty.round, 1);
        assertEq(bounty.committed, 0);
        assertEq(bounty.revealed, 0);
        assertFalse(bounty.closed);
        assertEq(abi.encode(bounty.terms), abi.encode(terms));
        assertEq(bounty.escrow, REWARD + FEE * 4 * 3);
        assertEq(bounty.bestLoss, INITIAL_LOSS);
        assertEq(bounty.modelDigest, MODEL);
        assertEq(address(market).balance, bounty.escrow);
    }

    function test_StoresTermsThatAreAllDifferent() public {
        (terms.commitWindow, terms.revealWindow, terms.settleWindow) = (11, 12, 13);
        (terms.cohortCap, terms.minMines, terms.rounds) = (14, 5, 6);
        (terms.stake, terms.fee, terms.reward) = (21, 22, 23);
        (terms.initialLoss, terms.targetLoss) = (32, 31);
        assertEq(abi.encode(market.getBounty(post()).terms), abi.encode(terms));
    }

    function test_EmitsBountyPostedAndRoundOpened() public {
        bytes32 id = market.bountyIdOf(scientist, terms, MODEL, KEY, SALT);
        uint256 escrow = market.escrowFor(terms);
        vm.expectEmit(address(market));
        emit ITrainingMarket.BountyPosted(id, scientist, terms, MODEL, KEY, escrow);
        vm.expectEmit(address(market));
        emit ITrainingMarket.RoundOpened(id, 1, MODEL, uint40(vm.getBlockTimestamp()));
        assertEq(post(), id, "the id can be known before");
    }

    function test_IdBindsEverything() public {
        bytes32 termsHash = keccak256(abi.encode(terms));
        bytes32 expected =
            keccak256(abi.encode(block.chainid, address(market), scientist, termsHash, MODEL, KEY, SALT));
        assertEq(market.bountyIdOf(scientist, terms, MODEL, KEY, SALT), expected);
        assertNotEq(market.bountyIdOf(stranger, terms, MODEL, KEY, SALT), expected);
        assertNotEq(market.bountyIdOf(scientist, terms, KEY, KEY, SALT), expected);
        assertNotEq(market.bountyIdOf(scientist, terms, MODEL, MODEL, SALT), expected);
        assertNotEq(market.bountyIdOf(scientist, terms, MODEL, KEY, 0), expected);
        terms.fee += 1;
        assertNotEq(market.bountyIdOf(scientist, terms, MODEL, KEY, SALT), expected);
        terms.fee -= 1;
        vm.chainId(block.chainid + 1);
        assertNotEq(market.bountyIdOf(scientist, terms, MODEL, KEY, SALT), expected);
    }

    function test_AnotherSaltPostsAgain() public {
        assertNotEq(post(), post("another salt"));
    }

    function test_TakesTheSmallestTerms() public {
        (terms.cohortCap, terms.minMines, terms.rounds) = (1, 1, 1);
        (terms.stake, terms.fee, terms.reward) = (0, 0, 0);
        (terms.initialLoss, terms.targetLoss) = (1, 0);
        (terms.commitWindow, terms.revealWindow, terms.settleWindow) = (MIN_WINDOW, MIN_WINDOW, MIN_WINDOW);
        assertEq(market.getBounty(post()).escrow, 0);
    }

    function test_TakesTheLargestTerms() public {
        (terms.cohortCap, terms.minMines, terms.rounds) = (255, 255, 255);
        (terms.stake, terms.fee) = (1, 1);
        terms.reward = type(uint96).max - 2 * 255 * 255;
        (terms.initialLoss, terms.targetLoss) = (type(uint64).max, 0);
        assertEq(market.getBounty(post()).escrow, type(uint96).max - 255 * 255);
    }

    function test_Revert_BountyExists() public {
        bytes32 id = post();
        refused(abi.encodeWithSelector(Errors.BountyExists.selector, id));
    }

    function test_Revert_BountyExists_AfterItClosed() public {
        bytes32 id = post();
        vm.prank(scientist);
        market.close(id);
        refused(abi.encodeWithSelector(Errors.BountyExists.selector, id));
    }

    function test_Revert_AssetWithoutCode() public {
        terms.asset = stranger;
        refused(abi.encodeWithSelector(Errors.AssetWithoutCode.selector, stranger));
    }

    function test_Revert_WindowTooShort() public {
        bytes memory refusal = abi.encodeWithSelector(Errors.WindowTooShort.selector, 9, 10);
        terms.commitWindow = 9;
        refused(refusal);
        (terms.commitWindow, terms.revealWindow) = (10, 9);
        refused(refusal);
        (terms.revealWindow, terms.settleWindow) = (10, 9);
        refused(refusal);
    }

    function test_Revert_BadCohort() public {
        terms.minMines = 0;
        refused(abi.encodeWithSelector(Errors.BadCohort.selector, 4, 0));
        terms.minMines = 5;
        refused(abi.encodeWithSelector(Errors.BadCohort.selector, 4, 5));
        (terms.cohortCap, terms.minMines) = (0, 0);
        refused(abi.encodeWithSelector(Errors.BadCohort.selector, 0, 0));
    }

    function test_Revert_NoRounds() public {
        terms.rounds = 0;
        refused(abi.encodeWithSelector(Errors.NoRounds.selector));
    }

    function test_Revert_BadLosses() public {
        terms.targetLoss = INITIAL_LOSS;
        refused(abi.encodeWithSelector(Errors.BadLosses.selector, INITIAL_LOSS, INITIAL_LOSS));
        terms.targetLoss = INITIAL_LOSS + 1;
        refused(abi.encodeWithSelector(Errors.BadLosses.selector, INITIAL_LOSS, INITIAL_LOSS + 1));
    }

    function test_Revert_TermsTooLarge() public {
        uint256 max = type(uint96).max;
        (terms.cohortCap, terms.minMines, terms.rounds) = (255, 1, 255);
        (terms.stake, terms.fee) = (1, 1);
        terms.reward = uint96(max - 2 * 255 * 255 + 1);
        refused(abi.encodeWithSelector(Errors.TermsTooLarge.selector, max + 1, max));
        (terms.stake, terms.fee, terms.reward) = (uint96(max), uint96(max), uint96(max));
        refused(abi.encodeWithSelector(Errors.TermsTooLarge.selector, max * (1 + 2 * 255 * 255), max));
    }

    function test_Revert_ZeroDigest() public {
        uint256 escrow = market.escrowFor(terms);
        vm.expectRevert(Errors.ZeroDigest.selector);
        market.postBounty{value: escrow}(terms, 0, KEY, SALT);
        vm.expectRevert(Errors.ZeroDigest.selector);
        market.postBounty{value: escrow}(terms, MODEL, 0, SALT);
    }

    function test_Revert_WrongPayment() public {
        uint256 escrow = market.escrowFor(terms);
        for (uint256 sent = escrow - 1; sent <= escrow + 1; sent += 2) {
            vm.expectRevert(abi.encodeWithSelector(Errors.WrongPayment.selector, sent, escrow));
            market.postBounty{value: sent}(terms, MODEL, KEY, SALT);
        }
    }

    function test_Revert_DeploymentWithoutMinWindow() public {
        vm.expectRevert(abi.encodeWithSelector(Errors.WindowTooShort.selector, 0, 1));
        new TrainingMarket(0);
    }

    function test_MinWindowIsFixed() public view {
        assertEq(market.MIN_WINDOW(), MIN_WINDOW);
    }

    function test_Revert_ViewsOfAnUnknownBounty() public {
        vm.expectRevert(abi.encodeWithSelector(Errors.UnknownBounty.selector, KEY));
        market.getBounty(KEY);
        vm.expectRevert(abi.encodeWithSelector(Errors.UnknownBounty.selector, KEY));
        market.deadlinesOf(KEY);
    }

    function refused(bytes memory refusal) private {
        deal(scientist, type(uint128).max);
        uint256 escrow = market.escrowFor(terms);
        vm.prank(scientist);
        vm.expectRevert(refusal);
        market.postBounty{value: escrow}(terms, MODEL, KEY, SALT);
    }
}
