// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {ITrainingMarket} from "../../src/ITrainingMarket.sol";
import {TrainingMarket} from "../../src/TrainingMarket.sol";
import {Award, Bounty, Status} from "../../src/Types.sol";
import {Handler} from "./Handler.sol";
import {IMintable} from "./Books.sol";

/// @notice The dishonest part of the play: calls that must be refused, each one wrong in one place alone.
contract Misbehaviour is Handler {
    address internal constant STRANGER = address(0xBAD);

    constructor(TrainingMarket market) Handler(market) {}

    /// @dev Too little, too late, twice, by another, or for another round.
    function misbehave(uint256 pick, uint256 seed) external counted {
        if (bounties.length == 0) return;
        touched = bounties[pick % bounties.length];
        Status status = MARKET.statusOf(touched);
        Bounty memory state = MARKET.getBounty(touched);
        address[] memory list = cohort(touched, state.round);
        if (status == Status.Settle) {
            settleWrongly(state, list, seed);
            fixWrongly(state, seed);
        }
        if (status == Status.Failed || status == Status.Overdue) expireWrongly(state.round, list, seed);
        if (status == Status.Commit) commitWrongly(state, seed);
        if (status == Status.Reveal) revealWrongly(state.round, seed);
        actOutOfPhase(state, status, list, seed);
    }

    function settleWrongly(Bounty memory state, address[] memory list, uint256 seed) private {
        Award[] memory awards = awardsFor(list, seed);
        (address caller, uint8 round, bytes32 model, uint64 loss) = (state.scientist, state.round, "new", 0);
        uint256 last = list.length - 1;
        uint256 kind = seed / 4 % 9;
        // Nobody has a share one time in four; then the new model is what is wrong.
        if (seed % 4 == 0) kind = 7;
        if (kind == 0) awards[last].shareBps += 1;
        if (kind == 1) awards[last].mine = address(uint160(awards[last].mine) + 1);
        if (kind == 2) awards = awardsFor(shorter(list), seed);
        if (kind == 3) awards = awardsFor(longer(list), seed);
        if (kind == 4) caller = STRANGER;
        if (kind == 5) ++round;
        if (kind == 6) model = 0;
        if (kind == 7) {
            for (uint256 i; i <= last; ++i) {
                awards[i].shareBps = 0;
            }
            if (seed & 32 == 0) (model, loss) = (state.modelDigest, state.bestLoss - 1);
        }
        bytes memory signature = signatureFor(state, model, loss, awards, SETTLER_KEY);
        if (kind == 8) signature = wrongSignature(state, model, loss, awards, seed);
        refuse(
            caller,
            0,
            abi.encodeCall(ITrainingMarket.settle, (touched, round, model, loss, awards, "evidence", signature))
        );
    }

    /// @dev One where none is taken; else none, another's, or of a settlement that differs in one place.
    function wrongSignature(Bounty memory state, bytes32 model, uint64 loss, Award[] memory awards, uint256 seed)
        private
        view
        returns (bytes memory)
    {
        if (state.terms.settler == address(0)) return new bytes(1 + seed / 64 % 65);
        uint256 kind = seed / 64 % 4;
        if (kind == 0) return "";
        if (kind == 1) return signatureFor(state, model, loss, awards, SETTLER_KEY + 1);
        if (kind == 2) return signatureFor(state, model, loss + 1, awards, SETTLER_KEY);
        ++state.round;
        return signatureFor(state, model, loss, awards, SETTLER_KEY);
    }

    function fixWrongly(Bounty memory state, uint256 seed) private {
        (address caller, uint8 round, bytes32 digest) = (state.scientist, state.round, "set");
        uint256 kind = state.cohortFixed ? seed % 4 : 1 + seed % 3; // 0: once more
        if (kind == 1) caller = STRANGER;
        if (kind == 2) ++round;
        if (kind == 3) digest = 0;
        refuse(caller, 0, abi.encodeCall(ITrainingMarket.fixCohort, (touched, round, digest)));
    }

    function expireWrongly(uint8 round, address[] memory list, uint256 seed) private {
        uint256 kind = seed % 3;
        if (kind == 0) ++round;
        else list = kind == 1 && list.length != 0 ? shorter(list) : longer(list);
        refuse(STRANGER, 0, abi.encodeCall(ITrainingMarket.expire, (touched, round, list)));
    }

    function commitWrongly(Bounty memory state, uint256 seed) private {
        uint256 kind = seed % 4;
        address mine = mines[seed / 4 % MINES];
        bool second = MARKET.entryOf(touched, mine).round == state.round;
        bool stranger = state.terms.allowRoot != 0;
        (uint256 value, uint8 round, bytes32 seal) = (0, state.round, "seal");
        if (state.terms.asset == ETHER) value = state.terms.stake;
        else IMintable(state.terms.asset).mint(mine, state.terms.stake);
        if (kind == 0) value += 1;
        if (kind == 1) ++round;
        if (kind == 2) seal = 0;
        // Without a proof nobody is on a list, and whoever has committed has done so.
        if (kind == 3 && !second && !stranger) return;
        refuse(mine, value, abi.encodeCall(ITrainingMarket.commit, (touched, round, seal, new bytes32[](0))));
        if (state.committed == 0) refuse(STRANGER, 0, abi.encodeCall(ITrainingMarket.close, (touched)));
        else refuse(state.scientist, 0, abi.encodeCall(ITrainingMarket.close, (touched)));
    }

    function revealWrongly(uint8 round, uint256 seed) private {
        address caller = seed % 4 == 3 ? STRANGER : mines[seed / 4 % MINES];
        bytes32 update = seed % 4 == 0 ? bytes32("other") : bytes32("update");
        bytes32 salt = seed % 4 == 1 ? bytes32("other") : bytes32("salt");
        if (seed % 4 == 2) ++round;
        refuse(caller, 0, abi.encodeCall(ITrainingMarket.reveal, (touched, round, update, salt)));
    }

    /// @dev Every call that the status does not know, as whoever may make it in another.
    function actOutOfPhase(Bounty memory state, Status status, address[] memory list, uint256 seed) private {
        uint256 value = state.terms.asset == ETHER ? state.terms.stake : 0;
        address mine = mines[seed % MINES];
        if (status != Status.Commit) {
            bytes32 seal = MARKET.sealOf(touched, state.round, mine, "update", "salt");
            refuse(
                mine, value, abi.encodeCall(ITrainingMarket.commit, (touched, state.round, seal, new bytes32[](0)))
            );
            refuse(state.scientist, 0, abi.encodeCall(ITrainingMarket.close, (touched)));
        }
        if (status != Status.Reveal) {
            refuse(mine, 0, abi.encodeCall(ITrainingMarket.reveal, (touched, state.round, "update", "salt")));
        }
        if (status != Status.Settle) {
            Award[] memory awards = awardsFor(list, seed);
            bytes memory signature = signatureFor(state, "new", 0, awards, SETTLER_KEY);
            bytes memory call = abi.encodeCall(
                ITrainingMarket.settle, (touched, state.round, "new", 0, awards, "evidence", signature)
            );
            refuse(state.scientist, 0, abi.encodeCall(ITrainingMarket.fixCohort, (touched, state.round, "set")));
            refuse(state.scientist, 0, call);
        }
        if (status != Status.Failed && status != Status.Overdue) {
            refuse(mine, 0, abi.encodeCall(ITrainingMarket.expire, (touched, state.round, list)));
        }
    }

    function refuse(address caller, uint256 value, bytes memory call) private {
        if (value != 0) deal(caller, caller.balance + value);
        vm.prank(caller);
        (bool ok,) = address(MARKET).call{value: value}(call);
        if (ok) ++forbiddenDone;
        else ++refused;
    }

    function shorter(address[] memory list) private pure returns (address[] memory result) {
        result = new address[](list.length - 1);
        for (uint256 i; i < result.length; ++i) {
            result[i] = list[i];
        }
    }

    function longer(address[] memory list) private pure returns (address[] memory result) {
        result = new address[](list.length + 1);
        for (uint256 i; i < list.length; ++i) {
            result[i] = list[i];
        }
        result[list.length] = address(type(uint160).max);
    }
}
