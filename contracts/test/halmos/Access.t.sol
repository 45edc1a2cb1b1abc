// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {AnyMarket} from "./AnyMarket.sol";
import {Award, Bounty, Entry, EntryState, Status} from "../../src/Types.sol";

/// @notice Proofs of who may call what and when, for all terms, counts, times and callers.
contract AccessProof is AnyMarket {
    function check_OnlyTheScientistSettles(
        bytes32 id,
        uint8 round,
        address caller,
        uint40 time,
        bytes32 model,
        uint64 loss,
        Award[] memory awards
    ) public {
        vm.assume(caller != etherBounty(id).scientist);
        warpTo(time);
        assert(!callAs(caller, 0, abi.encodeCall(market.settle, (id, round, model, loss, awards, model, ""))));
    }

    function check_SettlesInSettleAlone(
        bytes32 id,
        uint8 round,
        uint40 time,
        bytes32 model,
        uint64 loss,
        Award[] memory awards
    ) public {
        Bounty memory bounty = etherBounty(id);
        warpTo(time);
        vm.assume(statusOf(id) != Status.Settle || round != bounty.round);
        bytes memory call = abi.encodeCall(market.settle, (id, round, model, loss, awards, model, ""));
        assert(!callAs(bounty.scientist, 0, call));
    }

    /// A cohort is fixed by the scientist, in Settle, in its round, to something, and once.
    function check_OnlyTheScientistFixesACohortAndOnce(
        bytes32 id,
        uint8 round,
        address caller,
        uint40 time,
        bytes32 digest
    ) public {
        Bounty memory bounty = etherBounty(id);
        warpTo(time);
        Status status = statusOf(id);
        if (!callAs(caller, 0, abi.encodeCall(market.fixCohort, (id, round, digest)))) return;
        assert(caller == bounty.scientist && status == Status.Settle && round == bounty.round);
        assert(!bounty.cohortFixed && digest != 0);
        assert(!callAs(caller, 0, abi.encodeCall(market.fixCohort, (id, round, digest))));
    }

    function check_ExpiresWhenFailedOrOverdueAlone(
        bytes32 id,
        uint8 round,
        address caller,
        uint40 time,
        address[] memory mines
    ) public {
        Bounty memory bounty = etherBounty(id);
        warpTo(time);
        Status status = statusOf(id);
        vm.assume((status != Status.Failed && status != Status.Overdue) || round != bounty.round);
        assert(!callAs(caller, 0, abi.encodeCall(market.expire, (id, round, mines))));
    }

    function check_OnlyTheScientistClosesAndOnlyAnEmptyRound(bytes32 id, address caller, uint40 time) public {
        Bounty memory bounty = etherBounty(id);
        warpTo(time);
        Status status = statusOf(id);
        if (!callAs(caller, 0, abi.encodeCall(market.close, (id)))) return;
        assert(caller == bounty.scientist && status == Status.Commit && bounty.committed == 0);
    }

    /// A reveal needs a commit in this round that was not opened yet, and its very seal.
    function check_OnlyACommittedMineReveals(
        bytes32 id,
        uint8 round,
        address caller,
        uint40 time,
        bytes32 update,
        bytes32 salt
    ) public {
        Bounty memory bounty = etherBounty(id);
        Entry memory entry = market.entryOf(id, caller);
        warpTo(time);
        Status status = statusOf(id);
        if (!callAs(caller, 0, abi.encodeCall(market.reveal, (id, round, update, salt)))) return;
        assert(status == Status.Reveal && round == bounty.round && entry.round == round);
        assert(entry.state != EntryState.Revealed && update != 0);
        assert(entry.seal == bytes29(market.sealOf(id, round, caller, update, salt)));
    }

    /// A commit is taken in Commit alone, once a round, with the exact stake and no zero seal.
    function check_CommitsOnceWithTheExactStake(
        bytes32 id,
        uint8 round,
        address caller,
        uint40 time,
        uint96 value,
        bytes32 seal
    ) public {
        Bounty memory bounty = etherBounty(id);
        Entry memory entry = market.entryOf(id, caller);
        warpTo(time);
        Status status = statusOf(id);
        bytes memory call = abi.encodeCall(market.commit, (id, round, seal, new bytes32[](0)));
        if (!callAs(caller, value, call)) return;
        assert(status == Status.Commit && round == bounty.round && entry.round != round);
        assert(value == bounty.terms.stake && bytes29(seal) != 0);
    }
}
