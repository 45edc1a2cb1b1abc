// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Base} from "../Base.t.sol";
import {MerkleTree} from "../mocks/MerkleTree.sol";
import {Errors} from "../../src/Errors.sol";
import {ITrainingMarket} from "../../src/ITrainingMarket.sol";
import {Bounty, Status} from "../../src/Types.sol";

/// @notice Along fixCohort.tree.
contract FixCohortTest is Base {
    bytes32 internal constant SET = keccak256("set");

    bytes32 internal bounty;

    function setUp() public override {
        super.setUp();
        bounty = post();
        cohort(bounty, 1, 3, 2);
    }

    function test_RevertGiven_TheBountyIsUnknown() public {
        refused("nothing", 1, SET, abi.encodeWithSelector(Errors.UnknownBounty.selector, bytes32("nothing")));
    }

    function test_RevertWhen_TheRoundIsNotTheCurrentOne() public {
        refused(bounty, 2, SET, abi.encodeWithSelector(Errors.WrongRound.selector, 1, 2));
    }

    function test_RevertGiven_TheStatusIsNotSettle() public {
        for (uint8 i; i <= uint8(type(State).max); ++i) {
            bytes32 id = bountyIn(State(i));
            Status status = market.statusOf(id);
            if (status == Status.Settle) continue;
            refused(id, 1, SET, abi.encodeWithSelector(Errors.WrongStatus.selector, status));
        }
    }

    function test_RevertWhen_TheCallerIsNotTheScientist() public {
        vm.prank(mine(0));
        vm.expectRevert(abi.encodeWithSelector(Errors.NotScientist.selector, mine(0)));
        market.fixCohort(bounty, 1, SET);
    }

    function test_RevertWhen_TheDigestIsZero() public {
        refused(bounty, 1, 0, abi.encodeWithSelector(Errors.ZeroDigest.selector));
    }

    function test_RevertGiven_TheCohortOfThisRoundIsFixed() public {
        fixCohort(bounty, 1, SET);
        refused(bounty, 1, "another", abi.encodeWithSelector(Errors.CohortAlreadyFixed.selector, 1));
        refused(bounty, 1, SET, abi.encodeWithSelector(Errors.CohortAlreadyFixed.selector, 1));
    }

    function test_GivenTheCohortOfAnEarlierRoundWasFixed() public {
        fixCohort(bounty, 1, SET);
        settle(bounty, 1, INITIAL_LOSS, equalAwards(2));
        assertFalse(market.getBounty(bounty).cohortFixed, "settled");
        cohort(bounty, 2, 2, 1);
        market.expire(bounty, 2, mines(1));
        cohort(bounty, 3, 2, 2);
        fixCohort(bounty, 3, SET);
        assertTrue(market.getBounty(bounty).cohortFixed);
    }

    function test_GivenNothingIsFixed() public {
        settle(bounty, 1, INITIAL_LOSS, equalAwards(2));
        assertEq(market.getBounty(bounty).round, 2);
    }

    function test_GivenItIsFixedAndTheBountyCloses() public {
        fixCohort(bounty, 1, SET);
        settle(bounty, 1, TARGET_LOSS, equalAwards(2));
        assertStatus(bounty, Status.Closed);
        assertTrue(market.getBounty(bounty).cohortFixed);
    }

    /// All flags share one byte: with each of the others set, fixing and the next round leave them as they are.
    function test_WhenAllTermsHaveFlagsOfTheirOwn() public {
        bytes32[] memory leaves = new bytes32[](1);
        leaves[0] = MerkleTree.leafOf(mine(0));
        (terms.minMines, terms.quiet, terms.allowRoot) = (1, 20, MerkleTree.root(leaves));
        terms.settler = settler();
        bytes32 id = post();
        for (uint8 round = 1; round <= 2; ++round) {
            commit(id, round, mine(0));
            vm.warp(vm.getBlockTimestamp() + 20);
            assertStatus(id, Status.Reveal);
            reveal(id, round, mine(0));
            fixCohort(id, round, SET);
            Bounty memory now_ = market.getBounty(id);
            assertTrue(now_.cohortFixed && !now_.closed);
            vm.prank(scientist);
            vm.expectRevert(abi.encodeWithSelector(Errors.SettlementNotSigned.selector, settler()));
            market.settle(id, round, "model", INITIAL_LOSS, equalAwards(1), EVIDENCE, "");
            settleSigned(id, round, INITIAL_LOSS, equalAwards(1));
            deal(mine(1), STAKE);
            vm.prank(mine(1));
            vm.expectRevert(abi.encodeWithSelector(Errors.NotAllowed.selector, mine(1), terms.allowRoot));
            market.commit{value: STAKE}(id, round + 1, "seal", noProof());
        }
    }

    function test_WhenTheScientistFixesIt() public {
        Bounty memory expected = market.getBounty(bounty);
        assertFalse(expected.cohortFixed);
        expected.cohortFixed = true;
        vm.expectEmit(address(market));
        emit ITrainingMarket.CohortFixed(bounty, 1, SET);
        fixCohort(bounty, 1, SET);
        assertEq(abi.encode(market.getBounty(bounty)), abi.encode(expected));
        assertStatus(bounty, Status.Settle);
        settle(bounty, 1, TARGET_LOSS, equalAwards(2));
    }

    function refused(bytes32 id, uint8 round, bytes32 digest, bytes memory refusal) private {
        vm.prank(scientist);
        vm.expectRevert(refusal);
        market.fixCohort(id, round, digest);
    }
}
