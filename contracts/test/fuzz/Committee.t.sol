// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {Test} from "forge-std/Test.sol";

import {Signers} from "../mocks/Signers.sol";
import {Committee} from "../../src/Committee.sol";

/// @notice The committee's answer against a second, plainer rule, over any committee and any signers.
contract CommitteeFuzzTest is Test {
    /// @dev Ten accounts in ascending order. A committee takes some of them, so signers lie outside and between.
    uint256[] internal keys;

    function setUp() public {
        keys = Signers.keys(10);
    }

    /// It says yes if and only if exactly so many have signed as must, each a member, each above the one before.
    function testFuzz_AgreesIfAndOnlyIfEnoughMembersSignedInOrder(
        uint16 chosen,
        uint8 needed,
        bytes32 digest,
        uint8[8] memory picks,
        uint8 signers
    ) public {
        bool[10] memory member = membersOf(chosen);
        Committee committee = deployed(member, needed);
        signers = uint8(bound(signers, 0, 8));
        bytes memory signature;
        bool expected = signers == committee.threshold();
        for (uint256 i; i < signers; ++i) {
            uint256 pick = picks[i] % 10;
            signature = bytes.concat(signature, Signers.sign(keys[pick], digest));
            expected = expected && member[pick] && (i == 0 || picks[i - 1] % 10 < pick);
        }
        assertAnswer(committee, digest, signature, expected);
    }

    /// The same, from sets that are mostly good: one that says yes is met in many runs, not in few.
    function testFuzz_AgreesToEverySetOfSoManyMembers(uint16 chosen, uint8 needed, bytes32 digest, uint256 seed)
        public
    {
        bool[10] memory member = membersOf(chosen);
        Committee committee = deployed(member, needed);
        uint256 left = committee.threshold();
        uint256 rest = committee.members().length;
        bytes memory signature;
        for (uint256 i; i < 10; ++i) {
            if (!member[i]) continue;
            // Each of the rest is taken with the chance that makes all sets alike likely.
            if (uint256(keccak256(abi.encode(seed, i))) % rest < left) {
                signature = bytes.concat(signature, Signers.sign(keys[i], digest));
                --left;
            }
            --rest;
        }
        assertAnswer(committee, digest, signature, true);
        // And another digest was not signed by it.
        assertAnswer(committee, keccak256(abi.encode(digest)), signature, false);
    }

    /// No signature bends: whatever bit is turned, it is a no, and no revert.
    function testFuzz_RefusesEveryTurnedBit(uint16 chosen, uint8 needed, bytes32 digest, uint256 bit) public {
        bool[10] memory member = membersOf(chosen);
        Committee committee = deployed(member, needed);
        uint256 left = committee.threshold();
        bytes memory signature;
        for (uint256 i; left != 0; ++i) {
            if (!member[i]) continue;
            signature = bytes.concat(signature, Signers.sign(keys[i], digest));
            --left;
        }
        bit = bound(bit, 0, signature.length * 8 - 1);
        signature[bit / 8] ^= bytes1(uint8(1 << bit % 8));
        assertAnswer(committee, digest, signature, false);
    }

    /// Whatever is sent in place of a signature, it answers, and says no.
    function testFuzz_SaysNoToJunk(uint16 chosen, uint8 needed, bytes32 digest, bytes memory junk, bool fits)
        public
    {
        Committee committee = deployed(membersOf(chosen), needed);
        if (fits) {
            uint256 size = committee.threshold() * 65;
            bytes memory cut = new bytes(size);
            for (uint256 i; i < size && junk.length != 0; ++i) {
                cut[i] = junk[i % junk.length];
            }
            junk = cut;
        }
        assertAnswer(committee, digest, junk, false);
    }

    /// @dev One to seven of the ten.
    function membersOf(uint16 chosen) private pure returns (bool[10] memory member) {
        uint256 count;
        for (uint256 i; i < 10 && count < 7; ++i) {
            if (chosen >> i & 1 == 1) (member[i], count) = (true, count + 1);
        }
        if (count == 0) member[chosen % 10] = true;
    }

    function deployed(bool[10] memory member, uint8 needed) private returns (Committee) {
        uint256 count;
        for (uint256 i; i < 10; ++i) {
            if (member[i]) ++count;
        }
        address[] memory list = new address[](count);
        for (uint256 i = 10; i > 0; --i) {
            if (member[i - 1]) list[--count] = vm.addr(keys[i - 1]);
        }
        return new Committee(list, bound(needed, 1, list.length));
    }

    function assertAnswer(Committee committee, bytes32 digest, bytes memory signature, bool yes) private view {
        bytes4 expected = yes ? IERC1271.isValidSignature.selector : bytes4(0xffffffff);
        assertEq(committee.isValidSignature(digest, signature), expected);
    }
}
