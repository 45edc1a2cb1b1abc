// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Base} from "../Base.t.sol";
import {Errors} from "../../src/Errors.sol";
import {Award, Status} from "../../src/Types.sol";

/// @notice Whole rounds with any terms, any cohort and any settlement, against a second reckoning.
contract RoundFuzzTest is Base {
    struct Input {
        uint96 stake;
        uint96 fee;
        uint96 reward;
        uint64 initialLoss;
        uint64 targetLoss;
        uint64 newLoss;
        uint16 overdueBps;
        uint8 cap;
        uint8 minMines;
        uint8 rounds;
        uint8 committed;
        uint8 revealed;
        uint256 seed;
    }

    uint256 internal escrow;
    bytes32 internal bounty;

    /// A settled round pays each mine its stake, its forfeits, its fee and its share, and the rest is still there.
    function testFuzz_Settle(Input memory x) public {
        setTerms(x);
        x.committed = uint8(bound(x.committed, terms.minMines, terms.cohortCap));
        x.revealed = uint8(bound(x.revealed, terms.minMines, x.committed));
        start(x);
        (Award[] memory awards, uint256 earners) = randomAwards(x.revealed, x.seed);
        bytes32 model = earners == 0 ? MODEL : bytes32("new");
        uint64 newLoss = earners == 0 ? terms.initialLoss : x.newLoss;
        vm.prank(scientist);
        market.settle(bounty, 1, model, newLoss, awards, EVIDENCE, "");

        // In this order of operations on purpose: not the contract's.
        uint256 gained = newLoss >= terms.initialLoss
            ? 0
            : terms.initialLoss - (newLoss < terms.targetLoss ? terms.targetLoss : newLoss);
        uint256 pot = gained * terms.reward / (terms.initialLoss - terms.targetLoss);
        uint256 forfeit = uint256(terms.stake) * (x.committed - x.revealed) / x.revealed;
        uint256 fee = earners == 0 ? 0 : uint256(terms.fee) * x.revealed / earners;
        uint256 rewards;
        for (uint256 i; i < awards.length; ++i) {
            uint256 fixed_ = terms.stake + forfeit + (awards[i].shareBps == 0 ? 0 : fee);
            uint256 credited = balanceOf(mine(i));
            assertGe(credited, fixed_, "stake, forfeit and fee");
            uint256 reward = credited - fixed_;
            rewards += reward;
            assertApproxEqAbs(reward, pot * awards[i].shareBps / 10_000, 1, "reward");
            if (awards[i].shareBps == 0) assertEq(reward, 0, "no share, no reward");
        }
        assertEq(rewards, pot, "the round's reward is paid to the last wei");
        uint256 kept = escrow + uint256(terms.stake) * x.committed - pot - fee * earners - (terms.stake + forfeit)
            * x.revealed;
        bool ends = newLoss <= terms.targetLoss || terms.rounds == 1;
        assertEq(market.getBounty(bounty).escrow, ends ? 0 : kept, "escrow");
        assertEq(balanceOf(scientist), ends ? kept : 0, "refund");
        assertStatus(bounty, ends ? Status.Closed : Status.Commit);
    }

    /// A failed round gives every revealed stake back and costs the escrow nothing.
    function testFuzz_ExpireFailed(Input memory x) public {
        setTerms(x);
        x.committed = uint8(bound(x.committed, 0, terms.cohortCap));
        x.revealed = uint8(bound(x.revealed, 0, x.committed < terms.minMines ? x.committed : terms.minMines - 1));
        start(x);
        market.expire(bounty, 1, mines(x.revealed));

        uint256 forfeits = uint256(terms.stake) * (x.committed - x.revealed);
        uint256 each = x.revealed == 0 ? 0 : forfeits / x.revealed;
        for (uint256 i; i < x.revealed; ++i) {
            assertEq(balanceOf(mine(i)), terms.stake + each);
        }
        bool ends = x.committed == 0 || terms.rounds == 1;
        uint256 kept = escrow + forfeits - each * x.revealed;
        assertEq(market.getBounty(bounty).escrow + balanceOf(scientist), kept);
        assertEq(balanceOf(scientist), ends ? kept : 0);
        assertStatus(bounty, ends ? Status.Closed : Status.Commit);
    }

    /// An overdue round pays all mines the same, and never more than the escrow holds.
    function testFuzz_ExpireOverdue(Input memory x) public {
        setTerms(x);
        x.committed = uint8(bound(x.committed, terms.minMines, terms.cohortCap));
        x.revealed = uint8(bound(x.revealed, terms.minMines, x.committed));
        start(x);
        warpTo(settleEnds(bounty));
        market.expire(bounty, 1, mines(x.revealed));

        uint256 each = uint256(terms.stake) + terms.fee + uint256(terms.reward) * terms.overdueBps / 10_000
            / x.revealed + uint256(terms.stake) * (x.committed - x.revealed) / x.revealed;
        for (uint256 i; i < x.revealed; ++i) {
            assertEq(balanceOf(mine(i)), each);
        }
        assertEq(balanceOf(scientist), escrow + uint256(terms.stake) * x.committed - each * x.revealed);
        assertStatus(bounty, Status.Closed);
    }

    /// The status is what the table says at any second, for any cohort.
    function testFuzz_Status(Input memory x, uint24 later) public {
        setTerms(x);
        x.committed = uint8(bound(x.committed, 0, terms.cohortCap));
        x.revealed = uint8(bound(x.revealed, 0, x.committed));
        bounty = post();
        uint256 opened = vm.getBlockTimestamp();
        commits(bounty, 1, x.committed);
        if (x.committed < terms.cohortCap) vm.warp(opened + WINDOW);
        reveals(bounty, 1, x.revealed);
        uint256 elapsed = bound(later, vm.getBlockTimestamp() - opened, 4 * uint256(WINDOW));
        vm.warp(opened + elapsed);

        Status expected;
        if (x.committed == 0) expected = Status.Failed;
        else if (x.revealed < x.committed && elapsed < 2 * WINDOW) expected = Status.Reveal;
        else if (x.revealed < terms.minMines) expected = Status.Failed;
        else if (elapsed < 3 * WINDOW) expected = Status.Settle;
        else expected = Status.Overdue;
        assertStatus(bounty, expected);
    }

    /// However the commits are spread, the phase ends when the window is over, or when with `minMines` nobody has come
    /// for the quiet time. Each commit comes some seconds after the one before; one that is too late is refused.
    function testFuzz_Quiet(uint16 quiet, uint8 minMines, uint8[8] memory gaps, uint24 later) public {
        (terms.cohortCap, terms.minMines) = (8, uint8(bound(minMines, 1, 8)));
        terms.quiet = uint16(bound(quiet, MIN_WINDOW, WINDOW - 1));
        bounty = post();
        uint256 opened = vm.getBlockTimestamp();
        uint256 end = opened + WINDOW;
        uint256 time = opened;
        uint256 committed;
        for (; committed < gaps.length; ++committed) {
            time += gaps[committed] % 40;
            vm.warp(time);
            if (time >= end) break;
            commit(bounty, 1, mine(committed));
            bool counts = committed + 1 >= terms.minMines && time + terms.quiet < opened + WINDOW;
            end = counts ? time + terms.quiet : opened + WINDOW;
            assertEq(commitEnds(bounty), end, "commit's end");
        }
        vm.warp(time > opened + later % (2 * WINDOW) ? time : opened + later % (2 * WINDOW));
        if (vm.getBlockTimestamp() < end && committed < 8) assertStatus(bounty, Status.Commit);
        else if (committed == 0) assertStatus(bounty, Status.Failed);
        else if (vm.getBlockTimestamp() < opened + 2 * WINDOW) assertStatus(bounty, Status.Reveal);
        assertEq(revealEnds(bounty), opened + 2 * WINDOW);
        assertEq(settleEnds(bounty), opened + 3 * WINDOW);
    }

    /// No bytes but the settler's own signature settle, and that one settles nothing else.
    function testFuzz_Signature(bytes memory junk, uint256 key, uint64 newLoss, uint64 otherLoss) public {
        vm.assume(newLoss != otherLoss);
        terms.settler = settler();
        bounty = post();
        cohort(bounty, 1, 2, 2);
        key = bound(key, 1, SECP256K1_ORDER - 1);
        vm.assume(key != SETTLER_KEY);
        Award[] memory awards = equalAwards(2);
        bytes32 digest = market.settlementDigestOf(bounty, 1, MODEL, newLoss, awards, EVIDENCE);
        bytes memory right = sign(SETTLER_KEY, digest);
        vm.assume(keccak256(junk) != keccak256(right));
        bytes[2] memory wrong = [junk, sign(key, digest)];
        vm.startPrank(scientist);
        for (uint256 i; i < wrong.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(Errors.SettlementNotSigned.selector, terms.settler));
            market.settle(bounty, 1, MODEL, newLoss, awards, EVIDENCE, wrong[i]);
        }
        vm.expectRevert(abi.encodeWithSelector(Errors.SettlementNotSigned.selector, terms.settler));
        market.settle(bounty, 1, MODEL, otherLoss, awards, EVIDENCE, right);
        market.settle(bounty, 1, MODEL, newLoss, awards, EVIDENCE, right);
    }

    /// A seal opens with its own digest and salt alone.
    function testFuzz_Reveal(bytes32 update, bytes32 salt, bytes32 otherUpdate, bytes32 otherSalt) public {
        vm.assume(update != 0 && otherUpdate != 0 && (update != otherUpdate || salt != otherSalt));
        bounty = post();
        bytes32 seal = market.sealOf(bounty, 1, stranger, update, salt);
        deal(stranger, STAKE);
        vm.startPrank(stranger);
        market.commit{value: STAKE}(bounty, 1, seal, noProof());
        vm.warp(commitEnds(bounty));
        vm.expectPartialRevert(Errors.SealMismatch.selector);
        market.reveal(bounty, 1, otherUpdate, otherSalt);
        market.reveal(bounty, 1, update, salt);
        assertEq(market.getBounty(bounty).revealed, 1);
    }

    /*//////////////////////////////////////////////////////////////
                                HELPERS
    //////////////////////////////////////////////////////////////*/

    function setTerms(Input memory x) private {
        terms.cohortCap = uint8(bound(x.cap, 1, 12));
        terms.minMines = uint8(bound(x.minMines, 1, terms.cohortCap));
        terms.rounds = uint8(bound(x.rounds, 1, 255));
        uint256 places = uint256(terms.cohortCap) * terms.rounds;
        terms.reward = uint96(bound(x.reward, 0, type(uint96).max));
        terms.fee = uint96(bound(x.fee, 0, (type(uint96).max - terms.reward) / places));
        terms.stake = uint96(bound(x.stake, 0, (type(uint96).max - terms.reward) / places - terms.fee));
        terms.overdueBps = uint16(bound(x.overdueBps, 0, 10_000));
        terms.initialLoss = uint64(bound(x.initialLoss, 1, type(uint64).max));
        terms.targetLoss = uint64(bound(x.targetLoss, 0, terms.initialLoss - 1));
    }

    function start(Input memory x) private {
        bounty = post();
        escrow = market.escrowFor(terms);
        cohort(bounty, 1, x.committed, x.revealed);
    }

    /// @dev One time in four nobody has a share; else each mine may have none.
    function randomAwards(uint256 count, uint256 seed)
        private
        pure
        returns (Award[] memory awards, uint256 earners)
    {
        awards = noAwards(count);
        if (seed % 4 == 0) return (awards, 0);
        uint256 left = 10_000;
        for (uint256 i; i < count; ++i) {
            uint256 random = uint256(keccak256(abi.encode(seed, i)));
            uint256 share = i == count - 1 ? left : random % 3 == 0 ? 0 : random % (left + 1);
            awards[i].shareBps = uint16(share);
            left -= share;
            if (share != 0) ++earners;
        }
    }
}
