// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Base} from "../Base.t.sol";
import {ITrainingMarket} from "../../src/ITrainingMarket.sol";

/// @notice Every call in every state, by whom it is for, with arguments that would be right in its own phase.
/// `scripts/contract_tables.py` makes the table "status x call" of the README from what comes of it.
contract CallsTest is Base {
    string[9] internal states = [
        "None",
        "Commit, nobody committed",
        "Commit",
        "Reveal",
        "Settle",
        "Failed, nobody committed",
        "Failed",
        "Overdue",
        "Closed"
    ];
    string[8] internal calls =
        ["postBounty", "commit", "reveal", "fixCohort", "settle", "expire", "close", "withdraw"];
    address[8] internal callers;

    function setUp() public override {
        super.setUp();
        terms.cohortCap = 5;
        address newcomer = mine(3);
        callers = [scientist, newcomer, mine(2), scientist, scientist, stranger, scientist, mine(0)];
        // Something to withdraw, whatever becomes of the bounty.
        bytes32 earlier = post("earlier");
        cohort(earlier, 1, 2, 2);
        settle(earlier, 1, TARGET_LOSS, equalAwards(2));
    }

    function test_EveryCallInEveryState() public {
        uint256 refusals;
        for (uint256 i; i < states.length; ++i) {
            uint256 start = vm.snapshotState();
            bytes32 salt = keccak256(abi.encode(i == 0 ? State(0) : State(i - 1)));
            bytes32 bounty = i == 0 ? bytes32("unknown") : bountyIn(State(i - 1));
            for (uint256 j; j < calls.length; ++j) {
                if (!outcome(bounty, salt, i, j)) ++refusals;
            }
            vm.revertToState(start);
        }
        // What is taken: withdrawals everywhere, one post, and one call where there is a phase for it; close and
        // fixCohort besides.
        assertEq(refusals, 9 * 8 - 9 - 1 - 7 - 2);
    }

    /// @dev Records the new status plus one, or the error's selector, and undoes the call.
    function outcome(bytes32 bounty, bytes32 salt, uint256 state, uint256 call) private returns (bool ok) {
        uint256 start = vm.snapshotState();
        uint256 value = call == 0 ? market.escrowFor(terms) : call == 1 ? STAKE : 0;
        bytes memory data = dataOf(bounty, salt, call);
        deal(callers[call], value);
        vm.prank(callers[call]);
        bytes memory answer;
        (ok, answer) = address(market).call{value: value}(data);
        bytes32 id = call == 0 && ok ? abi.decode(answer, (bytes32)) : bounty;
        // forge-lint: disable-next-line(unsafe-typecast)
        uint256 result = ok ? uint256(uint8(market.statusOf(id))) + 1 : uint32(bytes4(answer));
        vm.revertToState(start);
        vm.snapshotValue("calls", string.concat(states[state], " / ", calls[call]), result);
    }

    function dataOf(bytes32 bounty, bytes32 salt, uint256 call) private view returns (bytes memory) {
        uint8 revealed = bounty == "unknown" ? 0 : market.getBounty(bounty).revealed;
        if (call == 0) return abi.encodeCall(ITrainingMarket.postBounty, (terms, MODEL, KEY, salt));
        if (call == 1) return abi.encodeCall(ITrainingMarket.commit, (bounty, 1, "seal", noProof()));
        if (call == 2) {
            bytes32 update = updateOf(1, callers[call]);
            return abi.encodeCall(ITrainingMarket.reveal, (bounty, 1, update, saltOf(callers[call])));
        }
        if (call == 3) return abi.encodeCall(ITrainingMarket.fixCohort, (bounty, 1, "set"));
        if (call == 4) {
            return abi.encodeCall(
                ITrainingMarket.settle, (bounty, 1, MODEL, INITIAL_LOSS, noAwards(revealed), EVIDENCE, "")
            );
        }
        if (call == 5) return abi.encodeCall(ITrainingMarket.expire, (bounty, 1, mines(revealed)));
        if (call == 6) return abi.encodeCall(ITrainingMarket.close, (bounty));
        return abi.encodeCall(ITrainingMarket.withdraw, (ETHER, stranger));
    }
}
