// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Base} from "../Base.t.sol";
import {Errors} from "../../src/Errors.sol";
import {Award, Status} from "../../src/Types.sol";

/// @notice What a mine that wants pay without work would try, and who pays what.
/// @dev The tests named `Allowed` show what the contract cannot prevent, and what it costs.
contract MineAttacksTest is Base {
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

    function test_ACopiedSealOpensForNobodyElse() public {
        commit(bounty, 1, mine(0));
        bytes32 copied = sealOf(bounty, 1, mine(0));
        commitSeal(stranger, copied);
        vm.warp(commitEnds(bounty));

        bytes32 given = bytes29(market.sealOf(bounty, 1, stranger, updateOf(1, mine(0)), saltOf(mine(0))));
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(Errors.SealMismatch.selector, bytes32(bytes29(copied)), given));
        market.reveal(bounty, 1, updateOf(1, mine(0)), saltOf(mine(0)));
        reveal(bounty, 1, mine(0));
    }

    /// In front of its owner too: a copied seal takes nothing away from the first.
    function test_ASealThatIsCopiedInFrontOfItsOwnerHarmsNobody() public {
        bytes32 copied = sealOf(bounty, 1, mine(0));
        commitSeal(stranger, copied);
        commits(bounty, 1, 2);
        vm.warp(commitEnds(bounty));
        reveals(bounty, 1, 2);
        vm.warp(revealEnds(bounty));
        settle(bounty, 1, 2000, equalAwards(2));
        assertEq(balanceOf(mine(0)), 100 + 10 + 50, "the copier's stake is shared");
        assertEq(balanceOf(mine(1)), 100 + 10 + 50);
        assertEq(balanceOf(stranger), 0);
    }

    function test_ARevealThatIsSeenInTheMempoolIsOfNoUseToOthers() public {
        commits(bounty, 1, 2);
        vm.warp(commitEnds(bounty));
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(Errors.NotCommitted.selector, stranger));
        market.reveal(bounty, 1, updateOf(1, mine(0)), saltOf(mine(0)));
    }

    function test_ASealOfAnotherBountyRoundOrChainDoesNotOpen() public {
        bytes32 other = post("other");
        bytes32[3] memory seals = [sealOf(other, 1, mine(0)), sealOf(bounty, 2, mine(0)), bytes32(0)];
        uint256 chain = block.chainid;
        vm.chainId(chain + 1);
        seals[2] = sealOf(bounty, 1, mine(0));
        vm.chainId(chain);
        uint256 start = vm.snapshotState();
        for (uint256 i; i < seals.length; ++i) {
            commitSeal(mine(0), seals[i]);
            vm.warp(commitEnds(bounty));
            bytes32 right = bytes29(sealOf(bounty, 1, mine(0)));
            vm.prank(mine(0));
            vm.expectRevert(
                abi.encodeWithSelector(Errors.SealMismatch.selector, bytes32(bytes29(seals[i])), right)
            );
            market.reveal(bounty, 1, updateOf(1, mine(0)), saltOf(mine(0)));
            vm.revertToState(start);
        }
    }

    function test_OneMineCannotTakeTwoPlaces() public {
        commit(bounty, 1, mine(0));
        bytes32 seal = sealOf(bounty, 1, mine(0));
        uint256 value = fund(mine(0), 100);
        vm.prank(mine(0));
        vm.expectRevert(abi.encodeWithSelector(Errors.AlreadyCommitted.selector, mine(0)));
        market.commit{value: value}(bounty, 1, seal, noProof());
    }

    function test_OneMineCannotCountAsTwoReveals() public {
        commits(bounty, 1, 2);
        vm.warp(commitEnds(bounty));
        reveal(bounty, 1, mine(0));
        vm.prank(mine(0));
        vm.expectRevert(abi.encodeWithSelector(Errors.AlreadyRevealed.selector, mine(0)));
        market.reveal(bounty, 1, updateOf(1, mine(0)), saltOf(mine(0)));
        assertEq(market.getBounty(bounty).revealed, 1);
    }

    function test_AnUpdateOfTheLastRoundIsNotOneOfThis() public {
        cohort(bounty, 1, 2, 2);
        settle(bounty, 1, 2000, equalAwards(2));
        commits(bounty, 2, 1);
        vm.warp(commitEnds(bounty));
        vm.prank(mine(1));
        vm.expectRevert(abi.encodeWithSelector(Errors.NotCommitted.selector, mine(1)));
        market.reveal(bounty, 2, updateOf(1, mine(1)), saltOf(mine(1)));
    }

    /// Waiting for the others' updates before revealing one's own, or not: the stake is theirs.
    function test_WithholdingAnUpdateCostsTheStake() public {
        cohort(bounty, 1, 3, 2);
        settle(bounty, 1, 2000, equalAwards(2));
        assertEq(balanceOf(mine(0)), 100 + 10 + 50);
        assertEq(balanceOf(mine(1)), 100 + 10 + 50);
        assertEq(balanceOf(mine(2)), 0);
        vm.prank(mine(2));
        vm.expectRevert(abi.encodeWithSelector(Errors.NothingToWithdraw.selector, ETHER, mine(2)));
        market.withdraw(ETHER, mine(2));
    }

    function test_RevealingASecondTooLateCostsTheStake() public {
        commits(bounty, 1, 3);
        vm.warp(commitEnds(bounty));
        reveals(bounty, 1, 2);
        vm.warp(revealEnds(bounty));
        vm.prank(mine(2));
        expectWrongStatus(Status.Settle);
        market.reveal(bounty, 1, updateOf(1, mine(2)), saltOf(mine(2)));
    }

    /// Garbage without a share earns nothing, and its fee goes to those who worked.
    function test_GarbageEarnsNothing() public {
        cohort(bounty, 1, 3, 3);
        Award[] memory awards = noAwards(3);
        (awards[0].shareBps, awards[1].shareBps) = (7500, 2500);
        settle(bounty, 1, 1000, awards);
        assertEq(balanceOf(mine(0)), 100 + 15 + 900);
        assertEq(balanceOf(mine(1)), 100 + 15 + 300);
        assertEq(balanceOf(mine(2)), 100);
    }

    function test_AMineCannotSettleForItself() public {
        cohort(bounty, 1, 2, 2);
        vm.prank(mine(0));
        vm.expectRevert(abi.encodeWithSelector(Errors.NotScientist.selector, mine(0)));
        market.settle(bounty, 1, "model", 1000, equalAwards(2), EVIDENCE, "");
    }

    function test_AMineCannotExpireInFrontOfASettlement() public {
        cohort(bounty, 1, 2, 2);
        vm.warp(settleEnds(bounty) - 1);
        vm.prank(mine(0));
        expectWrongStatus(Status.Settle);
        market.expire(bounty, 1, mines(2));
    }

    function test_WithdrawingTwicePaysOnce() public {
        cohort(bounty, 1, 2, 2);
        settle(bounty, 1, 2000, equalAwards(2));
        assertEq(withdraw(mine(0)), 110);
        vm.prank(mine(0));
        vm.expectRevert(abi.encodeWithSelector(Errors.NothingToWithdraw.selector, ETHER, mine(0)));
        market.withdraw(ETHER, mine(0));
        assertEq(mine(0).balance, 110);
    }

    /*//////////////////////////////////////////////////////////////
                       ALLOWED, AND WHAT IT COSTS
    //////////////////////////////////////////////////////////////*/

    /// Two addresses of one operator: two stakes, and two of three equal parts of the fees if both have a share.
    function test_Allowed_OneOperatorWithTwoMines() public {
        cohort(bounty, 1, 3, 3); // the first two are one operator's
        settle(bounty, 1, 2000, equalAwards(3));
        assertEq(balanceOf(mine(0)) + balanceOf(mine(1)), 2 * (100 + 10));
        assertEq(balanceOf(mine(2)), 100 + 10);
    }

    /// Filling the cohort without revealing: every place costs a stake, which ends in the escrow.
    function test_Allowed_FillingACohortWithoutRevealing() public {
        cohort(bounty, 1, 4, 0);
        market.expire(bounty, 1, mines(0));
        assertEq(market.getBounty(bounty).escrow, 1320 + 4 * 100);
        assertEq(market.getBounty(bounty).round, 2, "and one round");
    }

    /// With a stake of 0 it costs the gas alone: terms without a stake invite it.
    function test_Allowed_FillingACohortForFreeWhereThereIsNoStake() public {
        terms.stake = 0;
        bounty = post("no stake");
        cohort(bounty, 1, 4, 0);
        market.expire(bounty, 1, mines(0));
        assertEq(market.getBounty(bounty).escrow, 1320);
        assertEq(market.getBounty(bounty).round, 2);
    }

    /// Taking the last place in front of another mine: that one keeps its stake.
    function test_Allowed_TakingTheLastPlaceInFrontOfAnother() public {
        commits(bounty, 1, 4);
        bytes32 seal = sealOf(bounty, 1, stranger);
        uint256 value = fund(stranger, 100);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(Errors.CohortFull.selector, 4));
        market.commit{value: value}(bounty, 1, seal, noProof());
        assertEq(stranger.balance, 100);
    }

    function commitSeal(address who, bytes32 seal) private {
        uint256 value = fund(who, 100);
        vm.prank(who);
        market.commit{value: value}(bounty, 1, seal, noProof());
    }
}
