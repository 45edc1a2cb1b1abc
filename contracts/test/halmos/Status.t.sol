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

    /// The deadlines are the opening plus the windows, in this order.
    function check_DeadlinesAreInOrder(bytes32 id) public view {
        Bounty memory bounty = etherBounty(id);
        (uint40 commitEnds, uint40 revealEnds, uint40 settleEnds) = market.deadlinesOf(id);
        assert(commitEnds - bounty.opened == bounty.terms.commitWindow);
        assert(revealEnds - commitEnds == bounty.terms.revealWindow);
        assert(settleEnds - revealEnds == bounty.terms.settleWindow);
    }

    /// A closed bounty is closed at any time, and no call of any account moves it.
    function check_ClosedIsForEver(bytes32 id, uint40 time, uint8 round, address caller, bytes32 word) public {
        vm.assume(etherBounty(id).closed);
        vm.assume(caller != address(market));
        warpTo(time);
        assert(statusOf(id) == Status.Closed);
        assert(!callAs(caller, 0, abi.encodeCall(market.commit, (id, round, word, new bytes32[](0)))));
        assert(!callAs(caller, 0, abi.encodeCall(market.reveal, (id, round, word, word))));
        assert(!callAs(caller, 0, abi.encodeCall(market.expire, (id, round, new address[](0)))));
        assert(!callAs(caller, 0, abi.encodeCall(market.close, (id))));
        assert(statusOf(id) == Status.Closed);
    }
}
