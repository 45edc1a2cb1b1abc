// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @title ISuccession
/// @notice Which account follows which: the record of an account whose key is given up goes on under another.
///
/// - An account names its successor itself, once and for ever; the successor has signed that it takes its place. So
///   nobody names a stranger, and nobody takes a place that was not given.
/// - An account has at most one successor and at most one predecessor, and a successor has no successor of its own
///   when it is named. So accounts form chains, and no chain closes to a ring.
/// - It holds no money, moves none, and has no owner. Nothing in the market depends on it: what an account has
///   begun there, it ends itself, and what it is owed, it withdraws itself.
interface ISuccession {
    /// @notice The account has named its successor.
    event Succeeded(address indexed account, address indexed successor);

    /// @notice The successor is the zero address.
    error ZeroSuccessor();

    /// @notice The successor is the account itself.
    error OwnSuccessor(address account);

    /// @notice The account has named its successor before; it cannot name another.
    error AlreadySucceeded(address account, address successor);

    /// @notice The successor has taken another account's place before.
    error SuccessorTaken(address successor, address predecessor);

    /// @notice The successor has been succeeded itself, by the account `next`. So it comes from before, perhaps from
    /// before this very account: a ring.
    error SuccessorSucceeded(address successor, address next);

    /// @notice The successor has not signed that it follows this account, on this chain and in this contract.
    error NotSignedBySuccessor(address successor);

    /// @notice Name the caller's successor, once and for ever.
    /// @dev Emits: `Succeeded`. Reverts: `ZeroSuccessor`, `OwnSuccessor`, `AlreadySucceeded`, `SuccessorTaken`,
    /// `SuccessorSucceeded`, `NotSignedBySuccessor`.
    /// @param successor The account that takes the caller's place.
    /// @param signature The successor's over `digestOf(caller, successor)`: 65 bytes (r, s, v) with a low s, or
    /// whatever the successor's contract takes (ERC-1271).
    function succeed(address successor, bytes calldata signature) external;

    /// @notice What a successor signs: EIP-712 typed data
    /// `Succession(address account,address successor)` in the domain of this chain and this contract.
    function digestOf(address account, address successor) external view returns (bytes32);

    /// @notice The account that follows `account`, zero if none does.
    function successorOf(address account) external view returns (address);

    /// @notice The account that `account` follows, zero if it follows none.
    function predecessorOf(address account) external view returns (address);

    /// @notice The account at the end of the chain that `account` is in, or where `steps` steps lead from it.
    /// @param steps How many successors to follow at most.
    /// @return latest The account that was reached; `account` itself if it has no successor.
    /// @return ended Whether that is the end: it has no successor.
    function latestOf(address account, uint256 steps) external view returns (address latest, bool ended);

    /// @notice The domain in which successors sign, as ERC-5267 has it.
    function eip712Domain()
        external
        view
        returns (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifyingContract,
            bytes32 salt,
            uint256[] memory extensions
        );
}
