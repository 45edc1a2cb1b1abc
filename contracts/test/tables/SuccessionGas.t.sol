// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";

import {WalletSettler} from "../mocks/Settlers.sol";
import {Signers} from "../mocks/Signers.sol";
import {Succession} from "../../src/Succession.sol";

/// @notice What it costs to name a successor, as a transaction of its own; for the README, as `Gas.t.sol`.
contract SuccessionGasTest is Test {
    Succession private succession;
    uint256[] private keys;
    address[] private who;

    function setUp() public {
        succession = new Succession();
        keys = Signers.keys(12);
        who = Signers.accounts(keys);
    }

    function test_Succeed() public {
        succeed(0, who[1], 1);
        costs("succeed", 80_000);
    }

    function test_Succeed_ByAContract() public {
        succeed(0, address(new WalletSettler(who[1])), 1);
        costs("succeed, the successor is a contract", 85_000);
    }

    /// @dev The same at the end of any chain.
    function test_Succeed_AtTheEndOfAChain() public {
        for (uint256 i; i < 10; ++i) {
            succeed(i, who[i + 1], i + 1);
        }
        succeed(10, who[11], 11);
        costs("succeed, at the end of a chain of eleven", 80_000);
    }

    function succeed(uint256 account, address successor, uint256 signer) private {
        bytes memory signature = Signers.sign(keys[signer], succession.digestOf(who[account], successor));
        vm.prank(who[account]);
        succession.succeed(successor, signature);
    }

    /// @dev Of the last call.
    function costs(string memory what, uint256 limit) private {
        uint256 gas = vm.lastCallGas().gasTotalUsed;
        vm.snapshotValue("gas-succession", what, gas);
        assertGt(gas, 21_000, "not measured as a transaction");
        assertLe(gas, limit, what);
    }
}
