// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Test} from "forge-std/Test.sol";

import {Payout} from "../../src/Payout.sol";

/// @notice The laws of the payment formula, over the whole range of its arguments.
contract PayoutFuzzTest is Test {
    uint256 internal constant MAX_AMOUNT = type(uint96).max;

    /// Nothing is earned at the initial loss, all of it at the target and below.
    function testFuzz_Earned_FromNothingToAll(uint96 reward, uint64 initial, uint64 target, uint64 below)
        public
        pure
    {
        (initial, target) = losses(initial, target);
        below = uint64(bound(below, 0, target));
        assertEq(Payout.earned(reward, initial, target, initial), 0);
        assertEq(Payout.earned(reward, initial, target, target), reward);
        assertEq(Payout.earned(reward, initial, target, below), reward);
    }

    /// A lower loss never earns less.
    function testFuzz_Earned_NeverFallsWithTheLoss(
        uint96 reward,
        uint64 initial,
        uint64 target,
        uint64 a,
        uint64 b
    ) public pure {
        (initial, target) = losses(initial, target);
        a = uint64(bound(a, 0, initial));
        b = uint64(bound(b, 0, a));
        assertLe(Payout.earned(reward, initial, target, a), Payout.earned(reward, initial, target, b));
    }

    /// It is the exact fraction, rounded down: `earned * range <= reward * gained < (earned + 1) * range`.
    function testFuzz_Earned_IsTheFractionRoundedDown(uint96 reward, uint64 initial, uint64 target, uint64 loss)
        public
        pure
    {
        (initial, target) = losses(initial, target);
        loss = uint64(bound(loss, target, initial));
        uint256 earned = Payout.earned(reward, initial, target, loss);
        uint256 range = initial - target;
        uint256 whole = uint256(reward) * (initial - loss);
        assertLe(earned * range, whole);
        assertLt(whole, (earned + 1) * range);
    }

    /// However a way down is cut into rounds, they earn the same together.
    function testFuzz_Earned_RoundsAddUp(uint96 reward, uint64[8] memory steps) public pure {
        uint64 initial = type(uint64).max;
        uint64 best = initial;
        uint256 sum;
        for (uint256 i; i < steps.length; ++i) {
            uint64 next = steps[i] < best ? steps[i] : best;
            sum += Payout.earned(reward, initial, 0, next) - Payout.earned(reward, initial, 0, best);
            best = next;
        }
        assertEq(sum, Payout.earned(reward, initial, 0, best));
        assertLe(sum, reward);
    }

    /// Parts add up to the pot exactly; each is its exact share to less than one wei; no share, no wei.
    function testFuzz_UpTo_SplitsExactly(uint96 pot, uint16[6] memory raw) public pure {
        uint256 sumBps;
        uint256 sum;
        for (uint256 i; i < raw.length; ++i) {
            uint256 bps = i == raw.length - 1 ? 10_000 - sumBps : bound(raw[i], 0, 10_000 - sumBps);
            uint256 part = Payout.upTo(pot, sumBps + bps) - Payout.upTo(pot, sumBps);
            sumBps += bps;
            sum += part;
            if (bps == 0) assertEq(part, 0);
            assertLt(part * 10_000, uint256(pot) * bps + 10_000);
            assertGt(part * 10_000 + 10_000, uint256(pot) * bps);
        }
        assertEq(sum, pot);
    }

    /// Its product is unchecked, and never wraps: the same in 512-bit arithmetic.
    function testFuzz_UpTo_NeverWraps(uint96 pot, uint16 sumBps) public pure {
        assertEq(Payout.upTo(pot, sumBps), Math.mulDiv(pot, sumBps, 10_000));
    }

    /// Fees that are shared by those with a share never exceed a fee for each that revealed.
    function testFuzz_Fees_NeverExceedOneEach(uint96 fee, uint8 revealed, uint8 earners) public pure {
        earners = uint8(bound(earners, 0, revealed));
        assertLe(Payout.equalPart(uint256(fee) * revealed, earners) * earners, uint256(fee) * revealed);
    }

    /// What an overdue round pays as reward fits in what is unpaid; if all of it is due, the rest is dust.
    function testFuzz_DefaultReward_FitsInWhatIsUnpaid(uint96 unpaid, uint16 overdueBps, uint8 revealed)
        public
        pure
    {
        overdueBps = uint16(bound(overdueBps, 0, 10_000));
        revealed = uint8(bound(revealed, 1, 255));
        uint256 paid = Payout.upTo(unpaid, overdueBps) / revealed * revealed;
        assertLe(paid * 10_000, uint256(unpaid) * overdueBps);
        assertLt(uint256(unpaid) * overdueBps, (paid + revealed) * 10_000);
        if (overdueBps == 10_000) assertLt(unpaid - paid, revealed);
    }

    /// However many rounds a bounty has, and however they end, its escrow suffices and fits 96 bits.
    /// Each outcome is a round: the new loss, how many revealed and committed, and how many have a share.
    function testFuzz_Escrow_AlwaysSuffices(uint88 reward, uint72 fee, uint72 stake, uint64[5] memory outcomes)
        public
        pure
    {
        uint256 best = type(uint64).max;
        uint256 escrow = reward + uint256(fee) * 255 * outcomes.length;
        for (uint256 i; i < outcomes.length; ++i) {
            (uint256 loss, uint256 added, uint256 paid) = roundOf(fee, stake, best, outcomes[i]);
            uint256 unpaid = unpaidAt(reward, best);
            best = loss;
            escrow = escrow + added - paid - (unpaid - unpaidAt(reward, best));
            assertGe(escrow, unpaidAt(reward, best) + uint256(fee) * 255 * (outcomes.length - 1 - i));
            assertLe(escrow, MAX_AMOUNT);
        }
    }

    /// @dev Of a round: the best loss after it, what its forfeits add to the escrow, and what it pays in fees.
    function roundOf(uint256 fee, uint256 stake, uint256 best, uint64 outcome)
        private
        pure
        returns (uint256 loss, uint256 added, uint256 paid)
    {
        uint256 committed = outcome & 255;
        uint256 revealed = (outcome >> 8) % (committed + 1);
        uint256 earners = (outcome >> 16) % (revealed + 1);
        uint256 forfeits = (committed - revealed) * stake;
        loss = earners == 0 || outcome > best ? best : outcome;
        added = forfeits - Payout.equalPart(forfeits, revealed) * revealed;
        paid = Payout.equalPart(fee * revealed, earners) * earners;
    }

    function unpaidAt(uint256 reward, uint256 best) private pure returns (uint256) {
        return reward - Payout.earned(reward, type(uint64).max, 0, best);
    }

    /// Nothing overflows at the top of the range.
    function test_UpTo_AtTheTop() public pure {
        assertEq(Payout.upTo(MAX_AMOUNT, 10_000), MAX_AMOUNT);
        assertEq(Payout.earned(MAX_AMOUNT, type(uint64).max, 0, 0), MAX_AMOUNT);
    }

    /// Equal parts never exceed the pot, and leave over less than one unit for each.
    function testFuzz_EqualPart(uint96 pot, uint8 parts) public pure {
        uint256 part = Payout.equalPart(pot, parts);
        assertLe(part * parts, pot);
        if (parts == 0) assertEq(part, 0);
        else assertLt(pot - part * parts, parts);
    }

    function losses(uint64 initial, uint64 target) private pure returns (uint64, uint64) {
        initial = uint64(bound(initial, 1, type(uint64).max));
        return (initial, uint64(bound(target, 0, initial - 1)));
    }
}
