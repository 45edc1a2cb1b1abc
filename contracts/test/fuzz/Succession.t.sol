// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";

import {Signers} from "../mocks/Signers.sol";
import {Succession} from "../../src/Succession.sol";

/// @notice Any sequence of calls against a second, plainer rule: nobody follows two, is followed by two, or comes
/// before itself.
contract SuccessionFuzzTest is Test {
    uint256 private constant ACCOUNTS = 5;

    Succession private succession;
    uint256[] private keys;
    address[] private who;
    /// @dev By the second rule: the place of each account's successor plus one.
    uint256[ACCOUNTS] private follower;

    function setUp() public {
        succession = new Succession();
        keys = Signers.keys(ACCOUNTS);
        who = Signers.accounts(keys);
    }

    function testFuzz_TakesACallIfAndOnlyIfItMakesAChainLonger(
        uint8[8] memory from,
        uint8[8] memory to,
        uint16 wrong
    ) public {
        for (uint256 i; i < 8; ++i) {
            (uint256 account, uint256 successor) = (from[i] % ACCOUNTS, to[i] % ACCOUNTS);
            uint256 signer = wrong >> i & 3 == 3 ? (successor + 1) % ACCOUNTS : successor;
            bytes memory signature = Signers.sign(keys[signer], succession.digestOf(who[account], who[successor]));
            bool expected = signer == successor && mayFollow(account, successor);
            vm.prank(who[account]);
            try succession.succeed(who[successor], signature) {
                assertTrue(expected);
                follower[account] = successor + 1;
            } catch {
                assertFalse(expected);
            }
            assertSame();
        }
    }

    /// A signature that was made for one pair, chain and contract serves no other caller and no other successor.
    function testFuzz_ASignatureIsForOnePair(address caller, address successor, bytes32 key) public {
        uint256 signer = bound(uint256(key), 1, 1 << 250);
        bytes memory signature = Signers.sign(signer, succession.digestOf(who[0], vm.addr(signer)));
        vm.assume(caller != who[0]);
        vm.prank(caller);
        try succession.succeed(vm.addr(signer), signature) {
            assertTrue(false);
        } catch {}
        vm.assume(successor != vm.addr(signer));
        vm.prank(who[0]);
        try succession.succeed(successor, signature) {
            assertTrue(false);
        } catch {}
    }

    /// @dev No account has been followed or follows at the ends that are joined, and they are not one chain.
    function mayFollow(uint256 account, uint256 successor) private view returns (bool) {
        if (follower[account] != 0 || follower[successor] != 0) return false;
        for (uint256 i; i < ACCOUNTS; ++i) {
            if (follower[i] == successor + 1) return false;
        }
        return account != successor;
    }

    function assertSame() private view {
        for (uint256 i; i < ACCOUNTS; ++i) {
            address next = follower[i] == 0 ? address(0) : who[follower[i] - 1];
            assertEq(succession.successorOf(who[i]), next);
            if (next != address(0)) assertEq(succession.predecessorOf(next), who[i]);
        }
    }
}
