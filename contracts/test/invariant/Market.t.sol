// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";

import {TrainingMarket} from "../../src/TrainingMarket.sol";
import {Bounty, Status, Terms} from "../../src/Types.sol";
import {Handler} from "./Handler.sol";

/// @notice The laws of contracts/README.md, each in a sentence and then in code.
contract MarketInvariantTest is Test {
    address internal constant ETHER = address(0);

    TrainingMarket internal market;
    Handler internal handler;
    bytes4[] private actions;

    function setUp() public {
        vm.warp(1_800_000_000);
        market = new TrainingMarket(10);
        handler = new Handler(market);
        // As often as rounds need them: a random jump in time ends the phases of all bounties at once.
        weigh(Handler.post.selector, 2);
        weigh(Handler.commit.selector, 5);
        weigh(Handler.reveal.selector, 5);
        weigh(Handler.settle.selector, 4);
        weigh(Handler.expire.selector, 1);
        weigh(Handler.close.selector, 1);
        weigh(Handler.withdraw.selector, 1);
        weigh(Handler.jump.selector, 5);
        weigh(Handler.force.selector, 1);
        targetSelector(FuzzSelector(address(handler), actions));
        targetContract(address(handler));
    }

    /// Money in = money out + money held, in all; and the market's ether is that, plus what was forced upon it.
    function invariant_MoneyInIsMoneyOutPlusMoneyHeld() public view {
        uint256 held;
        for (uint256 i; i < handler.bountyCount(); ++i) {
            held += heldBy(handler.bounties(i));
        }
        address[] memory accounts = handler.accounts();
        for (uint256 i; i < accounts.length; ++i) {
            held += market.balanceOf(ETHER, accounts[i]);
        }
        assertEq(handler.totalIn(), handler.totalOut() + held, "books");
        assertEq(address(market).balance, held + handler.forced(), "ether");
    }

    /// The same for each bounty alone: no bounty ever pays with another's money.
    function invariant_EachBountyPaysWithItsOwnMoney() public view {
        for (uint256 i; i < handler.bountyCount(); ++i) {
            bytes32 bounty = handler.bounties(i);
            assertEq(handler.paidIn(bounty), handler.credited(bounty) + heldBy(bounty));
        }
    }

    /// An open bounty's escrow covers the unpaid reward and every fee that can still fall due.
    function invariant_EscrowCoversWhatIsPromised() public view {
        for (uint256 i; i < handler.bountyCount(); ++i) {
            bytes32 bounty = handler.bounties(i);
            Bounty memory state = market.getBounty(bounty);
            if (state.closed) continue;
            uint256 roundsLeft = uint256(state.terms.rounds) - state.round + 1;
            uint256 fees = uint256(state.terms.fee) * state.terms.cohortCap * roundsLeft;
            assertGe(state.escrow, state.terms.reward - handler.rewarded(bounty) + fees);
        }
    }

    /// Rewards never exceed the reward of the terms, and counts never exceed theirs.
    function invariant_NothingExceedsTheTerms() public view {
        for (uint256 i; i < handler.bountyCount(); ++i) {
            bytes32 bounty = handler.bounties(i);
            Bounty memory state = market.getBounty(bounty);
            assertLe(handler.rewarded(bounty), state.terms.reward);
            assertLe(state.round, state.terms.rounds);
            assertLe(state.committed, state.terms.cohortCap);
            assertLe(state.revealed, state.committed);
            assertLe(state.bestLoss, state.terms.initialLoss);
        }
    }

    /// A phase never goes backwards.
    function invariant_PhasesOnlyGoForward() public view {
        assertFalse(handler.wentBackwards());
    }

    /// A revealed stake comes back whole, and a withdrawal sends the whole balance.
    function invariant_NoMineIsCheated() public view {
        assertFalse(handler.cheatedAMine());
    }

    /// From wherever a run ends: once all windows have passed, every wei can be withdrawn by someone entitled
    /// to it, without the help of any scientist.
    function afterInvariant() public {
        emit log_named_uint("bounties", handler.bountyCount());
        emit log_named_uint("rounds settled", handler.settled());
        emit log_named_uint("rounds failed", handler.failed());
        emit log_named_uint("rounds overdue", handler.overdue());
        for (uint256 i; i < handler.bountyCount(); ++i) {
            bytes32 bounty = handler.bounties(i);
            while (market.statusOf(bounty) != Status.Closed) {
                (,, uint40 end) = market.deadlinesOf(bounty);
                if (end > vm.getBlockTimestamp()) vm.warp(end);
                handler.expireNow(bounty);
            }
            assertEq(market.getBounty(bounty).escrow, 0);
            assertEq(handler.credited(bounty), handler.paidIn(bounty), "the bounty is drained");
        }
        address[] memory accounts = handler.accounts();
        for (uint256 i; i < accounts.length; ++i) {
            handler.withdrawOf(accounts[i]);
        }
        assertEq(address(market).balance, handler.forced(), "the market is drained to 0 wei");
        assertEq(handler.totalOut(), handler.totalIn());
        assertFalse(handler.cheatedAMine());
    }

    function weigh(bytes4 action, uint256 weight) private {
        for (uint256 i; i < weight; ++i) {
            actions.push(action);
        }
    }

    function heldBy(bytes32 bounty) private view returns (uint256) {
        Bounty memory state = market.getBounty(bounty);
        return state.closed ? 0 : state.escrow + uint256(state.committed) * state.terms.stake;
    }
}
