// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

import {Base} from "../Base.t.sol";
import {Bomb, Onlooker, Reenterer} from "../mocks/Actors.sol";
import {PlainToken} from "../mocks/Tokens.sol";
import {Errors} from "../../src/Errors.sol";
import {Status} from "../../src/Types.sol";

/// @notice What somebody who has no part in a bounty would try, and what it does to those who have.
contract OutsiderAttacksTest is Base {
    bytes32 internal bounty;

    function setUp() public override {
        super.setUp();
        bounty = post();
    }

    function test_ACommitInFrontOfACloseKeepsTheBountyOpen() public {
        commit(bounty, 1, mine(0));
        vm.prank(scientist);
        vm.expectRevert(abi.encodeWithSelector(Errors.CommitsExist.selector, 1));
        market.close(bounty);
    }

    function test_ACloseInFrontOfACommitTakesNoStake() public {
        vm.prank(scientist);
        market.close(bounty);
        deal(mine(0), STAKE);
        vm.prank(mine(0));
        expectWrongStatus(Status.Closed);
        market.commit{value: STAKE}(bounty, 1, "seal", noProof());
        assertEq(mine(0).balance, STAKE);
    }

    /// A commit that was held back until the next round takes no stake, nor does it count there.
    function test_ALateCommitDoesNotLandInTheNextRound() public {
        cohort(bounty, 1, 2, 2);
        settle(bounty, 1, INITIAL_LOSS, equalAwards(2));
        bytes32 seal = sealOf(bounty, 1, mine(2));
        deal(mine(2), STAKE);
        vm.prank(mine(2));
        vm.expectRevert(abi.encodeWithSelector(Errors.WrongRound.selector, 2, 1));
        market.commit{value: STAKE}(bounty, 1, seal, noProof());
        assertEq(mine(2).balance, STAKE);
    }

    function test_SomebodyElseCannotTakeAnIdInAdvance() public {
        uint256 escrow = market.escrowFor(terms);
        bytes32 wanted = market.bountyIdOf(scientist, terms, MODEL, KEY, "later");
        deal(stranger, escrow);
        vm.prank(stranger);
        assertNotEq(market.postBounty{value: escrow}(terms, MODEL, KEY, "later"), wanted);
        assertEq(post("later"), wanted);
    }

    function test_ForcedEtherChangesNothing() public {
        cohort(bounty, 1, 3, 2);
        new Bomb{value: 7 ether}(payable(address(market)));
        settle(bounty, 1, TARGET_LOSS, equalAwards(2));
        withdraw(mine(0));
        withdraw(mine(1));
        withdraw(scientist);
        assertEq(address(market).balance, 7 ether);
    }

    /// Tokens that are sent to the market before a payment are not counted as part of it, nor do they stop it.
    function test_DonatedTokensChangeNothing() public {
        terms.asset = address(new PlainToken());
        PlainToken(terms.asset).mint(address(market), 7);
        bounty = post();
        cohort(bounty, 1, 3, 2);
        PlainToken(terms.asset).mint(address(market), 8);
        settle(bounty, 1, TARGET_LOSS, equalAwards(2));
        withdraw(mine(0));
        withdraw(mine(1));
        withdraw(scientist);
        assertEq(PlainToken(terms.asset).balanceOf(address(market)), 15);
    }

    /// Tokens that lie in the market already, donated or others' own, cannot be posted with.
    function test_DonatedTokensPayForNothing() public {
        PlainToken token = new PlainToken();
        terms.asset = address(token);
        token.mint(address(market), market.escrowFor(terms));
        uint256 escrow = market.escrowFor(terms);
        vm.prank(stranger);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(market), 0, escrow)
        );
        market.postBounty(terms, MODEL, KEY, "donated");
        assertEq(token.balanceOf(address(market)), escrow);
    }

    function test_PlainEtherIsRefused() public {
        (bool ok,) = address(market).call{value: 1}("");
        assertFalse(ok);
    }

    /// Anyone may expire, and gets nothing for it.
    function test_WhoExpiresGetsNothing() public {
        cohort(bounty, 1, 2, 2);
        vm.warp(settleEnds(bounty));
        vm.prank(stranger);
        market.expire(bounty, 1, mines(2));
        assertEq(balanceOf(stranger), 0);
        assertEq(balanceOf(mine(0)), STAKE + FEE + uint256(REWARD) / 2);
    }

    function test_NobodyWithdrawsAnothersBalance() public {
        cohort(bounty, 1, 2, 2);
        settle(bounty, 1, TARGET_LOSS, equalAwards(2));
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(Errors.NothingToWithdraw.selector, ETHER, stranger));
        market.withdraw(ETHER, stranger);
    }

    /// A mine that re-enters from its `receive` is paid once, and gets into no call.
    function test_AReceiverThatReentersIsPaidOnce() public {
        Reenterer thief = new Reenterer(market);
        commit(bounty, 1, address(thief));
        commits(bounty, 1, 1);
        vm.warp(commitEnds(bounty));
        reveal(bounty, 1, address(thief));
        vm.warp(revealEnds(bounty));
        address[] memory list = new address[](1);
        list[0] = address(thief);
        market.expire(bounty, 1, list);
        assertEq(balanceOf(address(thief)), 2 * STAKE);

        thief.aim(bounty, ETHER);
        vm.prank(address(thief));
        market.withdraw(ETHER, address(thief));
        assertEq(thief.calls(), 1);
        assertEq(thief.entries(), 0);
        assertEq(address(thief).balance, 2 * STAKE);
        assertEq(address(market).balance, market.escrowFor(terms));
    }

    /// Whoever asks the market in the middle of a withdrawal is told what will be true after it.
    function test_AViewInTheMiddleOfAWithdrawalIsNotStale() public {
        Onlooker onlooker = new Onlooker(market);
        vm.prank(scientist);
        market.close(bounty);
        vm.prank(scientist);
        market.withdraw(ETHER, address(onlooker));
        assertEq(onlooker.looks(), 1);

        commit(post("again"), 1, address(onlooker));
        bytes32 id = market.bountyIdOf(scientist, terms, MODEL, KEY, "again");
        vm.warp(commitEnds(id));
        reveal(id, 1, address(onlooker));
        address[] memory list = new address[](1);
        list[0] = address(onlooker);
        market.expire(id, 1, list);
        vm.prank(address(onlooker));
        market.withdraw(ETHER, address(onlooker));
        assertEq(onlooker.looks(), 2);
        assertEq(onlooker.mostSeen(), 0, "its balance was 0 before the money came");
    }

    function test_AmountsAtTheTopOfTheirRangeAreNotCut() public {
        (terms.cohortCap, terms.minMines, terms.rounds) = (2, 1, 1);
        (terms.stake, terms.fee) = (1 << 93, 1 << 93);
        terms.reward = uint96(type(uint96).max - 4 * (1 << 93));
        (terms.initialLoss, terms.targetLoss) = (type(uint64).max, 0);
        bounty = post("top");
        cohort(bounty, 1, 2, 1);
        settle(bounty, 1, 0, equalAwards(1));
        assertEq(balanceOf(mine(0)), uint256(terms.reward) + 3 * (1 << 93), "reward, stake, forfeit, fee");
        assertEq(balanceOf(scientist), 1 << 93, "the fee of the empty place");

        bounty = post("top, nobody reveals");
        cohort(bounty, 1, 2, 0);
        market.expire(bounty, 1, mines(0));
        assertEq(balanceOf(scientist), (1 << 93) + uint256(type(uint96).max));
    }
}
