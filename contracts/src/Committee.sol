// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

import {ICommittee} from "./ICommittee.sol";

/// @title Committee
/// @notice See {ICommittee}, which is the specification.
/// @dev OpenZeppelin's `MultiSignerERC7913` reads its signers from storage, which costs a settlement 43,000 gas more.
contract Committee is ICommittee {
    uint256 private constant MAX_MEMBERS = 7;
    uint256 private constant SIGNATURE_BYTES = 65;
    bytes4 private constant YES = IERC1271.isValidSignature.selector;
    bytes4 private constant NO = 0xffffffff;

    /// @dev Zero for a place that nobody has; zero signs nothing.
    address private immutable MEMBER_0;
    address private immutable MEMBER_1;
    address private immutable MEMBER_2;
    address private immutable MEMBER_3;
    address private immutable MEMBER_4;
    address private immutable MEMBER_5;
    address private immutable MEMBER_6;
    uint256 private immutable THRESHOLD;

    /// @param members_ Who may sign: 1 to 7 accounts, strictly ascending, none of them zero.
    /// @param threshold_ How many of them must sign.
    constructor(address[] memory members_, uint256 threshold_) {
        uint256 count = members_.length;
        if (count == 0 || count > MAX_MEMBERS) revert BadMemberCount(count, MAX_MEMBERS);
        if (threshold_ == 0 || threshold_ > count) revert BadThreshold(threshold_, count);
        address previous = address(0);
        for (uint256 i; i < count; ++i) {
            if (members_[i] <= previous) revert MembersNotAscending(i, members_[i]);
            previous = members_[i];
        }
        MEMBER_0 = members_[0];
        MEMBER_1 = _at(members_, 1);
        MEMBER_2 = _at(members_, 2);
        MEMBER_3 = _at(members_, 3);
        MEMBER_4 = _at(members_, 4);
        MEMBER_5 = _at(members_, 5);
        MEMBER_6 = _at(members_, 6);
        THRESHOLD = threshold_;
    }

    /// @inheritdoc ICommittee
    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        if (signature.length != THRESHOLD * SIGNATURE_BYTES) return NO;
        address previous = address(0);
        for (uint256 start; start < signature.length; start += SIGNATURE_BYTES) {
            bytes calldata one = signature[start:start + SIGNATURE_BYTES];
            // What is nobody's signature, or has a high s, comes back as zero, which is not above the last.
            (address signer,,) = ECDSA.tryRecoverCalldata(digest, one);
            if (signer <= previous || !_isMember(signer)) return NO;
            previous = signer;
        }
        return YES;
    }

    /// @inheritdoc ICommittee
    function members() external view returns (address[] memory list) {
        address[7] memory all = [MEMBER_0, MEMBER_1, MEMBER_2, MEMBER_3, MEMBER_4, MEMBER_5, MEMBER_6];
        uint256 count;
        while (count < MAX_MEMBERS && all[count] != address(0)) ++count;
        list = new address[](count);
        for (uint256 i; i < count; ++i) {
            list[i] = all[i];
        }
    }

    /// @inheritdoc ICommittee
    function threshold() external view returns (uint256) {
        return THRESHOLD;
    }

    function _isMember(address account) private view returns (bool) {
        return account == MEMBER_0 || account == MEMBER_1 || account == MEMBER_2 || account == MEMBER_3
            || account == MEMBER_4 || account == MEMBER_5 || account == MEMBER_6;
    }

    function _at(address[] memory list, uint256 index) private pure returns (address) {
        return index < list.length ? list[index] : address(0);
    }
}
