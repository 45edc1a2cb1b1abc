// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

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
