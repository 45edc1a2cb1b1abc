// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";

import {Committee} from "../../src/Committee.sol";

/// @notice Proofs of what a committee says yes to, for all digests, signatures and members.
/// @custom:halmos --loop 4
contract CommitteeProof is Test {
    bytes4 private constant YES = 0x1626ba7e;
    bytes4 private constant NO = 0xffffffff;

    /// A yes of 2 of 3 means: two different members, ascending, have signed this digest, by a low s.
    function check_AYesIsOfTwoMembers(
        address[3] memory who,
        bytes32 digest,
        bytes32[2] memory r,
        bytes32[2] memory s,
        uint8[2] memory v
    ) public {
        Committee committee = deployed(who, 2);
        bytes memory signature = abi.encodePacked(r[0], s[0], v[0], r[1], s[1], v[1]);
        if (committee.isValidSignature(digest, signature) == NO) return;
        address first = ecrecover(digest, v[0], r[0], s[0]);
        address second = ecrecover(digest, v[1], r[1], s[1]);
        assert(first == who[0] || first == who[1]);
        assert(second == who[1] || second == who[2]);
        assert(first < second);
        assert(uint256(s[0]) <= 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0);
        assert(uint256(s[1]) <= 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0);
    }

    /// It answers whatever it is asked, and with nothing but the two words; one signature is never enough for two.
    function check_AnswersAndOneSignatureIsNotTwo(address[3] memory who, bytes32 digest, bytes memory signature)
        public
    {
        Committee committee = deployed(who, 2);
        bytes memory call = abi.encodeCall(committee.isValidSignature, (digest, signature));
        (bool ok, bytes memory answer) = address(committee).staticcall(call);
        assert(ok && answer.length == 32);
        bytes4 word = abi.decode(answer, (bytes4));
        assert(word == NO || (word == YES && signature.length == 130));
    }

    /// Deployed means: ascending, none zero, and a threshold that they can reach.
    function check_DeployedIsSound(address[3] memory who, uint256 threshold) public {
        address[] memory list = listOf(who);
        try new Committee(list, threshold) returns (Committee committee) {
            assert(who[0] != address(0) && who[0] < who[1] && who[1] < who[2]);
            assert(threshold >= 1 && threshold <= 3 && committee.threshold() == threshold);
        } catch {
            assert(who[0] == address(0) || who[1] <= who[0] || who[2] <= who[1] || threshold == 0 || threshold > 3);
        }
    }

    function deployed(address[3] memory who, uint256 threshold) private returns (Committee) {
        vm.assume(who[0] != address(0) && who[0] < who[1] && who[1] < who[2]);
        return new Committee(listOf(who), threshold);
    }

    function listOf(address[3] memory who) private pure returns (address[] memory list) {
        list = new address[](3);
        (list[0], list[1], list[2]) = (who[0], who[1], who[2]);
    }
}
