// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";

import {Base} from "../Base.t.sol";
import {Signers} from "../mocks/Signers.sol";
import {Committee} from "../../src/Committee.sol";
import {Errors} from "../../src/Errors.sol";
import {ICommittee} from "../../src/ICommittee.sol";
import {Award, Status} from "../../src/Types.sol";

/// @notice Along committee.tree.
contract CommitteeTest is Base {
    bytes32 internal constant DIGEST = keccak256("a settlement");
    uint256 internal constant ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    Committee internal committee;
    uint256[] internal keys;

    function setUp() public override {
        super.setUp();
        keys = Signers.keys(3);
        committee = Signers.committee(3, 2);
    }

    /*//////////////////////////////////////////////////////////////
                                DEPLOYED
    //////////////////////////////////////////////////////////////*/

    function test_RevertWhen_ItIsDeployedWithoutMembers() public {
        vm.expectRevert(abi.encodeWithSelector(ICommittee.BadMemberCount.selector, 0, 7));
        new Committee(new address[](0), 0);
    }

    function test_RevertWhen_ItIsDeployedWithEightMembers() public {
        address[] memory eight = Signers.accounts(Signers.keys(8));
        vm.expectRevert(abi.encodeWithSelector(ICommittee.BadMemberCount.selector, 8, 7));
        new Committee(eight, 2);
    }

    function test_RevertWhen_TheThresholdIsZero() public {
        refusesThreshold(1, 0);
        refusesThreshold(7, 0);
    }

    function test_RevertWhen_TheThresholdIsMoreThanThereAreMembers() public {
        refusesThreshold(1, 2);
        refusesThreshold(3, 4);
        refusesThreshold(7, 8);
        refusesThreshold(7, type(uint256).max);
    }

    function test_RevertWhen_TheFirstMemberIsTheZeroAddress() public {
        address[] memory list = new address[](2);
        list[1] = mine(1);
        refusesMember(list, 0);
    }

    function test_RevertWhen_TheMembersAreNotAscending() public {
        address[] memory list = Signers.accounts(Signers.keys(7));
        (list[5], list[6]) = (list[6], list[5]);
        refusesMember(list, 6);
        (list[0], list[1]) = (list[1], list[0]);
        refusesMember(list, 1);
        list[1] = address(0);
        refusesMember(list, 1);
    }

    function test_RevertWhen_AMemberIsNamedTwice() public {
        address[] memory list = Signers.accounts(Signers.keys(4));
        list[3] = list[2];
        refusesMember(list, 3);
    }

    function test_WhenItIsDeployedWithAnyNumberOfMembersAndAnyThreshold() public {
        for (uint256 count = 1; count <= 7; ++count) {
            address[] memory list = Signers.accounts(Signers.keys(count));
            for (uint256 needed = 1; needed <= count; ++needed) {
                Committee found = new Committee(list, needed);
                assertEq(found.members(), list);
                assertEq(found.threshold(), needed);
            }
        }
        address[] memory least = new address[](1); // nobody's key, but above zero
        least[0] = address(1);
        assertEq(new Committee(least, 1).members(), least);
    }

    function test_RevertWhen_ItIsSentEtherOrAnotherCall() public {
        (bool ok,) = address(committee).call{value: 1}("");
        assertFalse(ok);
        (ok,) = address(committee).call(abi.encodeWithSignature("owner()"));
        assertFalse(ok);
    }

    /*//////////////////////////////////////////////////////////////
                                  YES
    //////////////////////////////////////////////////////////////*/

    function test_WhenAnyTwoOfThreeSign() public view {
        assertTrue(agrees(signedBy(3)));
        assertTrue(agrees(signedBy(5)));
        assertTrue(agrees(signedBy(6)));
    }

    function test_WhenEveryNumberOfMembersHasAThresholdAndSoManySign() public {
        for (uint256 count = 1; count <= 7; ++count) {
            keys = Signers.keys(count);
            for (uint256 needed = 1; needed <= count; ++needed) {
                committee = Signers.committee(count, needed);
                // The first, the last, and those in the middle: between them every place signs.
                for (uint256 shift; shift <= count - needed; ++shift) {
                    assertTrue(agrees(signedBy(((1 << needed) - 1) << shift)));
                }
            }
        }
    }

    /*//////////////////////////////////////////////////////////////
                                   NO
    //////////////////////////////////////////////////////////////*/

    function test_WhenTooFewSign() public view {
        assertFalse(agrees(signedBy(1)));
        assertFalse(agrees(signedBy(2)));
        assertFalse(agrees(signedBy(4)));
    }

    function test_WhenMoreSignThanAreNeeded() public view {
        assertFalse(agrees(signedBy(7)));
    }

    function test_WhenOneSignsTwice() public view {
        for (uint256 i; i < 3; ++i) {
            assertFalse(agrees(bytes.concat(signedBy(1 << i), signedBy(1 << i))));
        }
    }

    function test_WhenTheSignersAreNotAscending() public view {
        assertFalse(agrees(bytes.concat(signedBy(2), signedBy(1))));
        assertFalse(agrees(bytes.concat(signedBy(4), signedBy(1))));
        assertFalse(agrees(bytes.concat(signedBy(4), signedBy(2))));
    }

    function test_WhenSomebodyElseIsAmongThem() public view {
        uint256[] memory more = Signers.keys(12);
        for (uint256 i; i < 12; ++i) {
            if (isMember(vm.addr(more[i]))) continue;
            bytes memory other = Signers.sign(more[i], DIGEST);
            for (uint256 j; j < 3; ++j) {
                assertFalse(agrees(bytes.concat(other, signedBy(1 << j))));
                assertFalse(agrees(bytes.concat(signedBy(1 << j), other)));
            }
        }
    }

    function test_WhenTheySignedAnotherDigest() public view {
        bytes memory other = Signers.signedBy(keys, 3, keccak256("another"));
        assertFalse(agrees(other));
        assertFalse(agrees(bytes.concat(signedBy(1), Signers.sign(keys[1], keccak256("another")))));
        assertFalse(agrees(bytes.concat(Signers.sign(keys[0], keccak256("another")), signedBy(2))));
    }

    function test_WhenTheSignatureIsEmpty() public {
        assertFalse(agrees(""));
        committee = Signers.committee(1, 1);
        assertFalse(agrees(""));
    }

    function test_WhenTheSignatureIsAByteTooShortOrTooLong() public view {
        bytes memory whole = signedBy(3);
        bytes memory short = new bytes(129);
        for (uint256 i; i < 129; ++i) {
            short[i] = whole[i];
        }
        assertFalse(agrees(short));
        assertFalse(agrees(bytes.concat(whole, hex"00")));
        assertFalse(agrees(bytes.concat(hex"00", whole)));
    }

    function test_WhenASignatureHasItsSAboveHalfOfTheOrder() public view {
        for (uint256 i; i < 2; ++i) {
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(keys[i], DIGEST);
            bytes memory high = abi.encodePacked(r, bytes32(ORDER - uint256(s)), v == 27 ? 28 : 27);
            // The chain itself takes it for the same signer's.
            assertEq(ecrecover(DIGEST, v == 27 ? 28 : 27, r, bytes32(ORDER - uint256(s))), vm.addr(keys[i]));
            assertFalse(agrees(i == 0 ? bytes.concat(high, signedBy(2)) : bytes.concat(signedBy(1), high)));
        }
    }

    function test_WhenASignatureHasAnotherV() public view {
        bytes memory whole = signedBy(3);
        for (uint256 v; v < 256; ++v) {
            if (bytes1(uint8(v)) == whole[129]) continue;
            bytes memory altered = bytes.concat(whole);
            altered[129] = bytes1(uint8(v));
            assertFalse(agrees(altered));
        }
    }

    function test_WhenASignatureIsOfNobody() public view {
        assertFalse(agrees(new bytes(130)));
        assertFalse(agrees(bytes.concat(new bytes(65), signedBy(1))));
        assertFalse(agrees(bytes.concat(signedBy(4), new bytes(65))));
    }

    /*//////////////////////////////////////////////////////////////
                               AS SETTLER
    //////////////////////////////////////////////////////////////*/

    function test_RevertWhen_TooFewSign() public {
        bytes32 bounty = readyToSettle();
        bytes32 digest = settlement(bounty, TARGET_LOSS);
        vm.expectRevert(abi.encodeWithSelector(Errors.SettlementNotSigned.selector, address(committee)));
        settleBy(bounty, TARGET_LOSS, Signers.signedBy(keys, 2, digest));
        assertStatus(bounty, Status.Settle);
    }

    function test_GivenItIsTheSettlerAndEnoughMembersSigned() public {
        bytes32 bounty = readyToSettle();
        bytes memory signature = Signers.signedBy(keys, 6, settlement(bounty, TARGET_LOSS));
        vm.expectRevert(abi.encodeWithSelector(Errors.SettlementNotSigned.selector, address(committee)));
        settleBy(bounty, TARGET_LOSS + 1, signature);
        settleBy(bounty, TARGET_LOSS, signature);
        assertStatus(bounty, Status.Closed);
    }

    /*//////////////////////////////////////////////////////////////
                                 PARTS
    //////////////////////////////////////////////////////////////*/

    function refusesThreshold(uint256 count, uint256 needed) private {
        address[] memory list = Signers.accounts(Signers.keys(count));
        vm.expectRevert(abi.encodeWithSelector(ICommittee.BadThreshold.selector, needed, count));
        new Committee(list, needed);
    }

    function refusesMember(address[] memory list, uint256 index) private {
        vm.expectRevert(abi.encodeWithSelector(ICommittee.MembersNotAscending.selector, index, list[index]));
        new Committee(list, 1);
    }

    function readyToSettle() private returns (bytes32 bounty) {
        terms.settler = address(committee);
        bounty = post();
        cohort(bounty, 1, 2, 2);
    }

    function settleBy(bytes32 bounty, uint64 loss, bytes memory signature) private {
        Award[] memory awards = equalAwards(2);
        vm.prank(scientist);
        market.settle(bounty, 1, modelAfter(1), loss, awards, EVIDENCE, signature);
    }

    function settlement(bytes32 bounty, uint64 loss) private view returns (bytes32) {
        return market.settlementDigestOf(bounty, 1, modelAfter(1), loss, equalAwards(2), EVIDENCE);
    }

    function signedBy(uint256 who) private view returns (bytes memory) {
        return Signers.signedBy(keys, who, DIGEST);
    }

    /// @dev Every no is the same no.
    function agrees(bytes memory signature) private view returns (bool) {
        bytes4 answer = committee.isValidSignature(DIGEST, signature);
        if (answer != IERC1271.isValidSignature.selector) assertEq(answer, bytes4(0xffffffff));
        return answer == IERC1271.isValidSignature.selector;
    }

    function isMember(address account) private view returns (bool) {
        address[] memory list = committee.members();
        for (uint256 i; i < list.length; ++i) {
            if (list[i] == account) return true;
        }
        return false;
    }
}
