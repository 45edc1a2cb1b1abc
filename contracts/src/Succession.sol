// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

import {ISuccession} from "./ISuccession.sol";

/// @title Succession
/// @notice See {ISuccession}, which is the specification.
/// @dev It has no immutables, so that its code is the same wherever it lies.
contract Succession is ISuccession {
    string private constant NAME = "Sonar Succession";
    string private constant VERSION = "1";
    /// @dev Which fields the domain has, as in ERC-5267: name, version, chain id and contract.
    bytes1 private constant FIELDS = 0x0f;

    bytes32 private constant DOMAIN_TYPE =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant NAME_HASH = keccak256(bytes(NAME));
    bytes32 private constant VERSION_HASH = keccak256(bytes(VERSION));
    bytes32 private constant SUCCESSION_TYPE = keccak256("Succession(address account,address successor)");

    /// @inheritdoc ISuccession
    mapping(address account => address) public successorOf;

    /// @inheritdoc ISuccession
    mapping(address account => address) public predecessorOf;

    /// @inheritdoc ISuccession
    function succeed(address successor, bytes calldata signature) external {
        if (successor == address(0)) revert ZeroSuccessor();
        if (successor == msg.sender) revert OwnSuccessor(msg.sender);
        address named = successorOf[msg.sender];
        if (named != address(0)) revert AlreadySucceeded(msg.sender, named);
        address followed = predecessorOf[successor];
        if (followed != address(0)) revert SuccessorTaken(successor, followed);
        // The successor begins and ends its chain, so it is in none with the caller.
        address next = successorOf[successor];
        if (next != address(0)) revert SuccessorSucceeded(successor, next);
        if (!SignatureChecker.isValidSignatureNowCalldata(successor, digestOf(msg.sender, successor), signature)) {
            revert NotSignedBySuccessor(successor);
        }
        successorOf[msg.sender] = successor;
        predecessorOf[successor] = msg.sender;
        emit Succeeded(msg.sender, successor);
    }

    /// @inheritdoc ISuccession
    function digestOf(address account, address successor) public view returns (bytes32) {
        bytes32 domain = keccak256(abi.encode(DOMAIN_TYPE, NAME_HASH, VERSION_HASH, block.chainid, address(this)));
        return MessageHashUtils.toTypedDataHash(domain, keccak256(abi.encode(SUCCESSION_TYPE, account, successor)));
    }

    /// @inheritdoc ISuccession
    function latestOf(address account, uint256 steps) external view returns (address latest, bool ended) {
        latest = account;
        address next = successorOf[account];
        for (; next != address(0) && steps > 0; --steps) {
            latest = next;
            next = successorOf[latest];
        }
        ended = next == address(0);
    }

    /// @inheritdoc ISuccession
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
        )
    {
        (name, version) = (NAME, VERSION);
        return (FIELDS, name, version, block.chainid, address(this), salt, extensions);
    }
}
