// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Base} from "../Base.t.sol";
import {Errors} from "../../src/Errors.sol";
import {ITrainingMarket} from "../../src/ITrainingMarket.sol";
import {Entry, EntryState} from "../../src/Types.sol";

contract CommitTest is Base {
    bytes32 internal bounty;

    function setUp() public override {
        super.setUp();
        bounty = post();
        deal(mine(0), 10 ether);
    }

    function test_StoresTheSealAndTakesTheStake() public {
        uint256 before = address(market).balance;
        bytes32 seal = sealOf(bounty, 1, mine(0));
        vm.expectEmit(address(market));
        emit ITrainingMarket.Committed(bounty, 1, mine(0), seal);
        commit(bounty, 1, mine(0));
        Entry memory entry = market.entryOf(bounty, mine(0));
        assertEq(entry.round, 1);
        assertEq(uint8(entry.state), uint8(EntryState.Committed));
        assertEq(bytes32(entry.seal), bytes32(bytes29(seal)));
        assertEq(market.getBounty(bounty).committed, 1);
        assertEq(address(market).balance, before + STAKE);
    }

    function test_AMineThatForfeitedMayCommitInTheNextRound() public {
        cohort(bounty, 1, 3, 2);
        settle(bounty, 1, INITIAL_LOSS, equalAwards(2));
        commit(bounty, 2, mine(2));
        Entry memory entry = market.entryOf(bounty, mine(2));
        assertEq(entry.round, 2);
        assertEq(uint8(entry.state), uint8(EntryState.Committed));
    }

    function test_TheEntryOfAnotherBountyIsAnother() public {
        bytes32 other = post("another salt");
        commit(bounty, 1, mine(0));
        commit(other, 1, mine(0));
        assertEq(market.getBounty(bounty).committed, 1);
        assertEq(market.getBounty(other).committed, 1);
    }

    function test_Revert_UnknownBounty() public {
        refused(
            "nothing", 1, "seal", STAKE, abi.encodeWithSelector(Errors.UnknownBounty.selector, bytes32("nothing"))
        );
    }

    function test_Revert_WrongRound() public {
        refused(bounty, 0, "seal", STAKE, abi.encodeWithSelector(Errors.WrongRound.selector, 1, 0));
        refused(bounty, 2, "seal", STAKE, abi.encodeWithSelector(Errors.WrongRound.selector, 1, 2));
    }

    function test_Revert_CohortFull() public {
        commits(bounty, 1, 4);
        vm.prank(mine(4));
        deal(mine(4), STAKE);
        vm.expectRevert(abi.encodeWithSelector(Errors.CohortFull.selector, 4));
        market.commit{value: STAKE}(bounty, 1, "seal", noProof());
    }

    function test_Revert_ProofNotTaken() public {
        vm.prank(mine(0));
        vm.expectRevert(Errors.ProofNotTaken.selector);
        market.commit{value: STAKE}(bounty, 1, "seal", new bytes32[](1));
    }

    function test_Revert_WrongPayment() public {
        for (uint256 sent = STAKE - 1; sent <= STAKE + 1; sent += 2) {
            refused(bounty, 1, "seal", sent, abi.encodeWithSelector(Errors.WrongPayment.selector, sent, STAKE));
        }
        refused(bounty, 1, "seal", 0, abi.encodeWithSelector(Errors.WrongPayment.selector, 0, STAKE));
    }

    function test_Revert_ZeroDigest() public {
        refused(bounty, 1, 0, STAKE, abi.encodeWithSelector(Errors.ZeroDigest.selector));
        // Only the last three bytes, which are not stored, are set.
        refused(bounty, 1, bytes32(uint256(0xffffff)), STAKE, abi.encodeWithSelector(Errors.ZeroDigest.selector));
    }

    function test_Revert_AlreadyCommitted() public {
        commit(bounty, 1, mine(0));
        refused(bounty, 1, "seal", STAKE, abi.encodeWithSelector(Errors.AlreadyCommitted.selector, mine(0)));
    }

    function refused(bytes32 id, uint8 round, bytes32 seal, uint256 sent, bytes memory refusal) private {
        vm.prank(mine(0));
        vm.expectRevert(refusal);
        market.commit{value: sent}(id, round, seal, noProof());
    }
}

contract RevealTest is Base {
    bytes32 internal bounty;

    function setUp() public override {
        super.setUp();
        bounty = post();
        commits(bounty, 1, 3);
        vm.warp(commitEnds(bounty));
    }

    function test_MarksTheEntryAndCounts() public {
        vm.expectEmit(address(market));
        emit ITrainingMarket.Revealed(bounty, 1, mine(1), updateOf(1, mine(1)));
        reveal(bounty, 1, mine(1));
        assertEq(uint8(market.entryOf(bounty, mine(1)).state), uint8(EntryState.Revealed));
        assertEq(uint8(market.entryOf(bounty, mine(0)).state), uint8(EntryState.Committed));
        assertEq(market.getBounty(bounty).revealed, 1);
    }

    function test_SealIsTheHashOfSevenWords() public view {
        bytes memory words = abi.encode(
            block.chainid, address(market), bounty, uint256(1), mine(0), updateOf(1, mine(0)), saltOf(mine(0))
        );
        assertEq(words.length, 7 * 32);
        assertEq(sealOf(bounty, 1, mine(0)), keccak256(words));
    }

    function test_Revert_UnknownBounty() public {
        refused("nothing", 1, mine(0), abi.encodeWithSelector(Errors.UnknownBounty.selector, bytes32("nothing")));
    }

    function test_Revert_WrongRound() public {
        refused(bounty, 2, mine(0), abi.encodeWithSelector(Errors.WrongRound.selector, 1, 2));
    }

    function test_Revert_NotCommitted() public {
        refused(bounty, 1, mine(3), abi.encodeWithSelector(Errors.NotCommitted.selector, mine(3)));
    }

    function test_Revert_NotCommitted_WithTheEntryOfAnEarlierRound() public {
        reveals(bounty, 1, 3);
        settle(bounty, 1, INITIAL_LOSS, equalAwards(3));
        commit(bounty, 2, mine(0));
        vm.warp(commitEnds(bounty));
        refused(bounty, 2, mine(1), abi.encodeWithSelector(Errors.NotCommitted.selector, mine(1)));
    }

    function test_Revert_AlreadyRevealed() public {
        reveal(bounty, 1, mine(0));
        refused(bounty, 1, mine(0), abi.encodeWithSelector(Errors.AlreadyRevealed.selector, mine(0)));
    }

    function test_Revert_ZeroDigest() public {
        vm.prank(mine(0));
        vm.expectRevert(Errors.ZeroDigest.selector);
        market.reveal(bounty, 1, 0, saltOf(mine(0)));
    }

    function test_Revert_SealMismatch() public {
        mismatch(mine(0), updateOf(1, mine(1)), saltOf(mine(0)));
        mismatch(mine(0), updateOf(1, mine(0)), saltOf(mine(1)));
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
