// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";

import {TrainingMarket} from "../../src/TrainingMarket.sol";
import {Bounty, Status} from "../../src/Types.sol";
import {Handler} from "./Handler.sol";
import {Misbehaviour} from "./Misbehaviour.sol";

/// @notice The laws of README.md beside this file, each in a sentence and then in code.
/// @dev One play for all laws, asked after every so many steps (`check_interval`) and at the end.
contract MarketInvariantTest is Test {
    TrainingMarket internal market;
    Misbehaviour internal play;
    bytes4[] private actions;

    function setUp() public {
        vm.warp(1_800_000_000);
        market = new TrainingMarket(10);
        play = new Misbehaviour(market);
        // As often as rounds need them: a random jump in time ends the phases of all bounties at once.
        weigh(Handler.post.selector, 2);
        weigh(Handler.commit.selector, 9);
        weigh(Handler.reveal.selector, 9);
        weigh(Handler.settle.selector, 7);
        weigh(Handler.fixCohort.selector, 2);
        weigh(Handler.expire.selector, 1);
        weigh(Handler.close.selector, 1);
        weigh(Handler.withdraw.selector, 2);
        weigh(Handler.jump.selector, 5);
        weigh(Handler.donate.selector, 1);
        weigh(Misbehaviour.misbehave.selector, 2);
        targetSelector(FuzzSelector(address(play), actions));
        targetContract(address(play));
    }

    function invariant_Laws() public view {
        laws();
    }

    /// From wherever a play ends: the laws once more, and then the last one.
    function afterInvariant() public {
        laws();
        emit log_named_uint("bounties", play.bountyCount());
        emit log_named_uint("rounds settled", play.settled());
        emit log_named_uint("rounds settled with a signature", play.signed());
        emit log_named_uint("jumps to a quiet end", play.quietEnds());
        emit log_named_uint("rounds failed", play.failed());
        emit log_named_uint("rounds overdue", play.overdue());
        emit log_named_uint("calls refused", play.refused());
        emit log_named_uint("attempts to re-enter", play.REENTERER().calls());
        law_EveryWeiComesOutInTheEnd();
        laws();
    }

    function laws() private view {
        for (uint256 i; i < 4; ++i) {
            law_MoneyInIsMoneyOutPlusMoneyOwed(play.assets(i));
        }
        for (uint256 i; i < play.bountyCount(); ++i) {
            bytes32 bounty = play.bounties(i);
            Bounty memory state = market.getBounty(bounty);
            law_EachBountyPaysWithItsOwnMoney(bounty, state);
            law_EscrowCoversWhatIsPromised(bounty, state);
            law_NothingExceedsTheTerms(bounty, state);
            law_OnlyTheCommitEndMoves(bounty, state);
            law_ACohortIsFixedByACallInItsRound(bounty, state);
            law_NothingIsSettledAgainstTheSettler(bounty, state);
        }
        law_AnOverdueRoundPaysWhatItsTermsSay();
        law_BestLossNeverRises();
        law_PhasesOnlyGoForward();
        law_ASealOpensOnlyWhereItWasMadeFor();
        law_ARevealedStakeComesBackWhole();
        law_AWithdrawalSendsTheWholeBalance();
        law_OnlyWithdrawSendsMoney();
        law_WhatIsForbiddenIsRefused();
        law_NobodyComesInTwice();
    }

    /*//////////////////////////////////////////////////////////////
                               THE LAWS
    //////////////////////////////////////////////////////////////*/

    /// Of each asset, money in = money out + money owed; and what is held is what is owed, plus what was donated.
    function law_MoneyInIsMoneyOutPlusMoneyOwed(address asset) private view {
        uint256 owed = play.owedToAccounts(asset);
        for (uint256 i; i < play.bountyCount(); ++i) {
            Bounty memory state = market.getBounty(play.bounties(i));
            if (state.terms.asset == asset) owed += heldBy(state);
        }
        assertEq(play.totalIn(asset), play.totalOut(asset) + owed, "books");
        assertEq(play.holds(asset, address(market)), owed + play.donated(asset), "held");
    }

    /// The same for each bounty alone: no bounty ever pays with another's money.
    function law_EachBountyPaysWithItsOwnMoney(bytes32 bounty, Bounty memory state) private view {
        assertEq(play.paidIn(bounty), play.credited(bounty) + heldBy(state), "a bounty's own money");
    }

    /// An open bounty's escrow covers the unpaid reward and every fee that can still fall due.
    function law_EscrowCoversWhatIsPromised(bytes32 bounty, Bounty memory state) private view {
        if (state.closed) return;
        uint256 roundsLeft = uint256(state.terms.rounds) - state.round + 1;
        uint256 fees = uint256(state.terms.fee) * state.terms.cohortCap * roundsLeft;
        assertGe(state.escrow, state.terms.reward - play.rewarded(bounty) + fees, "promised");
    }

    /// Rewards, rounds, commits and reveals never exceed what the terms allow.
    function law_NothingExceedsTheTerms(bytes32 bounty, Bounty memory state) private view {
        assertLe(play.rewarded(bounty), state.terms.reward);
        assertLe(state.round, state.terms.rounds);
        assertLe(state.committed, state.terms.cohortCap);
        assertLe(state.revealed, state.committed);
    }

    /// Deadlines count from the round's opening. With a quiet time and `minMines` committed, the commit phase ends so
    /// long after the last commit, if that is before its window's end; the other ends never move.
    function law_OnlyTheCommitEndMoves(bytes32 bounty, Bounty memory state) private view {
        (uint40 commitEnds, uint40 revealEnds, uint40 settleEnds) = market.deadlinesOf(bounty);
        uint256 end = uint256(state.opened) + state.terms.commitWindow;
        assertEq(revealEnds, end + state.terms.revealWindow, "reveal's end");
        assertEq(settleEnds, uint256(revealEnds) + state.terms.settleWindow, "settle's end");
        bool known = state.terms.quiet != 0 && state.committed != 0;
        assertEq(state.lastCommit, known ? play.lastCommit(bounty) : 0, "last commit");
        if (known && state.committed >= state.terms.minMines) {
            uint256 quietEnd = play.lastCommit(bounty) + state.terms.quiet;
            if (quietEnd < end) end = quietEnd;
        }
        assertEq(commitEnds, end, "commit's end");
    }

    /// A round's cohort is fixed if its scientist fixed it in that round, and not otherwise.
    function law_ACohortIsFixedByACallInItsRound(bytes32 bounty, Bounty memory state) private view {
        assertEq(state.cohortFixed, play.fixedIn(bounty) == state.round, "fixed");
    }

    /// No round is settled against its settler's will.
    function law_NothingIsSettledAgainstTheSettler(bytes32 bounty, Bounty memory state) private view {
        if (state.terms.settler == play.refusing()) assertEq(play.settledRounds(bounty), 0, "settler");
    }

    /// An overdue round pays the part of the unpaid reward that its terms say, in equal parts.
    function law_AnOverdueRoundPaysWhatItsTermsSay() private view {
        assertEq(play.overdueWrong(), 0, "overdue");
    }

    /// A best loss never rises.
    function law_BestLossNeverRises() private view {
        assertEq(play.risen(), 0, "best loss");
    }

    /// A round, and a phase within it, never goes backwards.
    function law_PhasesOnlyGoForward() private view {
        assertEq(play.backwards(), 0, "phase");
    }

    /// A seal of another mine, bounty, round or chain is never opened.
    function law_ASealOpensOnlyWhereItWasMadeFor() private view {
        assertEq(play.wrongSealsOpened(), 0, "seal");
    }

    /// Every mine that revealed is credited its whole stake, whatever the scientist says.
    function law_ARevealedStakeComesBackWhole() private view {
        assertEq(play.stakesCut(), 0, "stake");
    }

    /// A withdrawal sends the whole balance, to the last unit.
    function law_AWithdrawalSendsTheWholeBalance() private view {
        assertEq(play.withdrawalsCut(), 0, "withdrawal");
    }

    /// Settling, expiring and closing move no money, so that nobody's money depends on another's `receive`.
    function law_OnlyWithdrawSendsMoney() private view {
        assertEq(play.pushed(), 0, "pushed");
    }

    /// A call by another, for another round, out of its phase, twice, or with wrong shares, mines or money is refused.
    function law_WhatIsForbiddenIsRefused() private view {
        assertEq(play.forbiddenDone(), 0, "forbidden");
    }

    /// Whoever is called by the market, as a receiver or by a token's hook, can call nothing of it before it ends.
    function law_NobodyComesInTwice() private view {
        assertEq(play.REENTERER().entries(), 0, "re-entry");
    }

    /// Once all windows have passed, every wei can be withdrawn by someone entitled to it, without any scientist.
    function law_EveryWeiComesOutInTheEnd() private {
        for (uint256 i; i < play.bountyCount(); ++i) {
            bytes32 bounty = play.bounties(i);
            while (market.statusOf(bounty) != Status.Closed) {
                (,, uint40 end) = market.deadlinesOf(bounty);
                if (end > vm.getBlockTimestamp()) vm.warp(end);
                play.expireNow(bounty);
            }
            assertEq(market.getBounty(bounty).escrow, 0);
            assertEq(play.credited(bounty), play.paidIn(bounty), "the bounty is drained");
        }
        for (uint256 a; a < 4; ++a) {
            address asset = play.assets(a);
            for (uint256 i; i < play.MINES() + 3; ++i) {
                play.withdrawOf(asset, play.account(i));
            }
            assertEq(play.holds(asset, address(market)), play.donated(asset), "the market is drained to 0 wei");
            assertEq(play.totalOut(asset), play.totalIn(asset));
        }
    }

    /*//////////////////////////////////////////////////////////////
                                HELPERS
    //////////////////////////////////////////////////////////////*/

    function weigh(bytes4 action, uint256 weight) private {
        for (uint256 i; i < weight; ++i) {
            actions.push(action);
        }
    }

    function heldBy(Bounty memory state) private pure returns (uint256) {
        return state.closed ? 0 : state.escrow + uint256(state.committed) * state.terms.stake;
    }
}
