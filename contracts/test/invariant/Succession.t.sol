// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";

import {Signers} from "../mocks/Signers.sol";
import {Succession} from "../../src/Succession.sol";

/// @notice Twelve accounts that name each other at random, signed rightly.
contract SuccessionHandler is Test {
    Succession public immutable SUCCESSION = new Succession();
    uint256[] private keys = Signers.keys(12);
    address[] private all;
    uint256 public taken;

    constructor() {
        all = Signers.accounts(keys);
    }

    function accounts() external view returns (address[] memory) {
        return all;
    }

    function succeed(uint8 from, uint8 to) external {
        (address account, uint256 place) = (all[from % all.length], to % all.length);
        bytes memory signature = Signers.sign(keys[place], SUCCESSION.digestOf(account, all[place]));
        address before = SUCCESSION.successorOf(account);
        vm.prank(account);
        try SUCCESSION.succeed(all[place], signature) {
            assertEq(before, address(0), "a successor was replaced");
            ++taken;
        } catch {
            assertEq(SUCCESSION.successorOf(account), before, "a refusal changed something");
        }
    }
}

/// @notice Whatever is called in whatever order, accounts form chains.
contract SuccessionInvariantTest is Test {
    SuccessionHandler private handler;
    Succession private succession;

    function setUp() public {
        handler = new SuccessionHandler();
        succession = handler.SUCCESSION();
        targetContract(address(handler));
    }

    /// forge-config: default.invariant.depth = 60
    /// Successor and predecessor are each other's inverse: nobody has two of either.
    function invariant_EachIsTheInverseOfTheOther() public view {
        address[] memory all = handler.accounts();
        uint256 followed;
        for (uint256 i; i < all.length; ++i) {
            address next = succession.successorOf(all[i]);
            address before = succession.predecessorOf(all[i]);
            if (next != address(0)) {
                ++followed;
                assertEq(succession.predecessorOf(next), all[i]);
            }
            if (before != address(0)) assertEq(succession.successorOf(before), all[i]);
        }
        assertEq(followed, handler.taken());
    }

    /// forge-config: default.invariant.depth = 60
    /// Every chain ends within as many steps as there are accounts: there is no ring.
    function invariant_EveryChainEnds() public view {
        address[] memory all = handler.accounts();
        for (uint256 i; i < all.length; ++i) {
            (address latest, bool ended) = succession.latestOf(all[i], all.length);
            assertTrue(ended);
            assertEq(succession.successorOf(latest), address(0));
        }
    }
}
