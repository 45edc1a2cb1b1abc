// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Base} from "../Base.t.sol";

/// @notice What each call costs, as a transaction of its own (foundry.toml: isolate), with its intrinsic gas.
/// @dev `scripts/forge test --match-contract Gas -vv` prints the figures of contracts/README.md.
contract GasTest is Base {
    bytes32 internal bounty;

    function setUp() public override {
        super.setUp();
        terms.cohortCap = 10;
        bounty = post();
    }

    function test_PostBounty() public {
        post("another");
        costs("post", 180_000);
    }

    function test_Commit_First() public {
        commit(bounty, 1, mine(0));
        commit(bounty, 1, mine(1));
        costs("commit, first of a mine", 64_000);
    }

    function test_Commit_Later() public {
        settledByTen(1);
        commit(bounty, 2, mine(0));
        commit(bounty, 2, mine(1));
        costs("commit, later", 46_000);
    }

    function test_Reveal() public {
        commits(bounty, 1, 10);
        reveals(bounty, 1, 2);
        costs("reveal", 43_000);
    }

    function test_SettleTen_EmptyBalances() public {
        settledByTen(1);
        costs("settle ten, balances empty", 375_000);
    }

    function test_SettleTen_WithBalances() public {
        settledByTen(1);
        settledByTen(2);
        costs("settle ten, balances not empty", 195_000);
    }

    function test_ExpireTen_EmptyBalances() public {
        commits(bounty, 1, 10);
        reveals(bounty, 1, 10);
        vm.warp(settleEnds(bounty));
        market.expire(bounty, 1, mines(10));
        costs("expire ten, balances empty", 375_000);
    }

    function test_Close() public {
        vm.prank(scientist);
        market.close(bounty);
        costs("close", 65_000);
    }

    function test_Withdraw() public {
        settledByTen(1);
        deal(mine(0), 1); // an account that exists, as a mine's does
        withdraw(mine(0));
        costs("withdraw", 36_000);
    }

    /// @dev A transaction may take 2^24 gas (EIP-7825). A round that cannot end would lock all its money.
    function test_TheLargestCohortFitsOneTransaction() public {
        (terms.cohortCap, terms.minMines, terms.rounds) = (255, 1, 1);
        bounty = post("large");
        commits(bounty, 1, 255);
        reveals(bounty, 1, 255);
        uint256 start = vm.snapshotState();
        settle(bounty, 1, TARGET_LOSS, equalAwards(255));
        costs("settle 255, balances empty", 1 << 24);
        assertGt(balanceOf(mine(254)), STAKE + FEE);

        vm.revertToState(start);
        vm.warp(settleEnds(bounty));
        market.expire(bounty, 1, mines(255));
        costs("expire 255, balances empty", 1 << 24);
        assertGt(balanceOf(mine(254)), STAKE + FEE);
    }

    function settledByTen(uint8 round) private {
        commits(bounty, round, 10);
        reveals(bounty, round, 10);
        settle(bounty, round, INITIAL_LOSS - 1_000_000 * round, equalAwards(10));
    }

    /// @dev Of the last call.
    function costs(string memory what, uint256 limit) private {
        uint256 gas = vm.lastCallGas().gasTotalUsed;
        emit log_named_uint(what, gas);
        assertGt(gas, 21_000, "not measured as a transaction");
        assertLe(gas, limit, what);
    }
}
