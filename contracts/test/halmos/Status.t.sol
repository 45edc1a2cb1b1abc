// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {AnyMarket} from "./AnyMarket.sol";
import {Bounty, Status} from "../../src/Types.sol";

/// @notice Proofs about the status of a bounty, for all terms, counts and times.
contract StatusProof is AnyMarket {
    /// As time goes on and nobody calls, the status stays or goes forward.
    function check_TimeAloneNeverTurnsAStatusBack(bytes32 id, uint40 now_, uint40 later) public {
        etherBounty(id);
        vm.assume(now_ <= later);
        warpTo(now_);
        Status before = statusOf(id);
        warpTo(later);
        assert(uint8(before) <= uint8(statusOf(id)));
    }

    /// Each window holds up to its last second and not one longer.
    function check_WindowsAreHalfOpen(bytes32 id, uint40 time) public {
        Bounty memory bounty = etherBounty(id);
        vm.assume(!bounty.closed);
        warpTo(time);
        Status status = statusOf(id);
        (uint40 commitEnds, uint40 revealEnds, uint40 settleEnds) = market.deadlinesOf(id);
        bool full = bounty.committed >= bounty.terms.cohortCap;
        bool allRevealed = bounty.revealed >= bounty.committed;
        bool enough = bounty.revealed >= bounty.terms.minMines;
        assert((status == Status.Commit) == (time < commitEnds && !full));
        if (status == Status.Commit) return;
        assert((status == Status.Reveal) == (time < revealEnds && !allRevealed));
        if (status == Status.Reveal) return;
        assert((status == Status.Settle) == (enough && time < settleEnds));
        assert((status == Status.Overdue) == (enough && time >= settleEnds));
        assert((status == Status.Failed) == !enough);
    }

    /// The deadlines are the opening plus the windows, in this order; a quiet end alone is before its window's.
    function check_DeadlinesAreInOrder(bytes32 id) public view {
        Bounty memory bounty = etherBounty(id);
        vm.assume(bounty.opened != 0);
        (uint40 commitEnds, uint40 revealEnds, uint40 settleEnds) = market.deadlinesOf(id);
        uint40 window = bounty.opened + bounty.terms.commitWindow;
        assert(revealEnds - window == bounty.terms.revealWindow);
        assert(settleEnds - revealEnds == bounty.terms.settleWindow);
        bool quiet = bounty.lastCommit != 0 && bounty.committed >= bounty.terms.minMines;
        uint256 end = uint256(bounty.lastCommit) + bounty.terms.quiet;
        if (quiet && end < window) assert(commitEnds == end);
        else if (bounty.lastCommit != 0 || bounty.committed != 0) assert(commitEnds == window);
    }

    /// A commit keeps the phase or opens Reveal, also where it is the one from which a quiet end counts.
    function check_ACommitNeverTurnsThePhaseBackOrSkipsOne(bytes32 id, uint8 round, address caller, bytes32 seal)
        public
    {
        Bounty memory bounty = etherBounty(id);
        vm.assume(bounty.revealed <= bounty.committed && bounty.terms.quiet >= 10);
        bytes memory call = abi.encodeCall(market.commit, (id, round, seal, new bytes32[](0)));
        if (!callAs(caller, bounty.terms.stake, call)) return;
        Status status = statusOf(id);
        assert(status == (market.getBounty(id).committed < bounty.terms.cohortCap ? Status.Commit : Status.Reveal));
    }

    /// A closed bounty is closed at any time, and no call of any account moves it.
    function check_ClosedIsForEver(bytes32 id, uint40 time, uint8 round, address caller, bytes32 word) public {
        vm.assume(etherBounty(id).closed);
        vm.assume(caller != address(market));
        warpTo(time);
        assert(statusOf(id) == Status.Closed);
        assert(!callAs(caller, 0, abi.encodeCall(market.commit, (id, round, word, new bytes32[](0)))));
        assert(!callAs(caller, 0, abi.encodeCall(market.reveal, (id, round, word, word))));
        assert(!callAs(caller, 0, abi.encodeCall(market.fixCohort, (id, round, word))));
        assert(!callAs(caller, 0, abi.encodeCall(market.expire, (id, round, new address[](0)))));
        assert(!callAs(caller, 0, abi.encodeCall(market.close, (id))));
        assert(statusOf(id) == Status.Closed);
    }
}
