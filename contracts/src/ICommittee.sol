// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";

/// @title ICommittee
/// @notice Accounts of which so many must sign: the settler of a bounty whose settlements are audited.
///
/// - Members and threshold are fixed when it is deployed. They stand in its code, so that its code says who they are,
///   and asking it reads no storage. There is no owner and no call that changes anything.
/// - A signature of the committee is as many signatures as the threshold says, 65 bytes each (r, s, v), one after
///   another, in ascending order of their signers. More are not accepted, so nobody can lengthen one.
/// - It signs digests and knows nothing of what they stand for. What a digest is bound to (chain, contract, bounty,
///   round) is the business of who makes it.
interface ICommittee is IERC1271 {
    /// @notice There are too few or too many members.
    error BadMemberCount(uint256 members, uint256 max);

    /// @notice Not `1 <= threshold <= members`.
    error BadThreshold(uint256 threshold, uint256 members);

    /// @notice The members are not strictly ascending by address, from above zero, at this index.
    error MembersNotAscending(uint256 index, address member);

    /// @notice Who may sign, ascending.
    function members() external view returns (address[] memory);

    /// @notice How many of them must sign.
    function threshold() external view returns (uint256);

    /// @notice Whether enough members have signed.
    /// @dev Never reverts, whatever the signature is: every fault of it is a no.
    /// @param digest What was signed.
    /// @param signature `threshold` signatures of 65 bytes, by different members in ascending order.
    /// @return yes `0x1626ba7e` if they have, `0xffffffff` if not.
    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4 yes);
}
