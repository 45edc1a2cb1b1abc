// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

import {Award} from "./Types.sol";

/// @title SettlementHash
/// @notice What a settler signs: a settlement as EIP-712 typed data.
/// @dev The domain is hashed anew each time. OpenZeppelin's `EIP712` keeps it in seven immutables, so that no two
/// deployments would have the same code; and only a bounty with a settler pays for the hash.
library SettlementHash {
    string internal constant NAME = "Sonar TrainingMarket";
    string internal constant VERSION = "2";
    /// @dev Which fields the domain has, as in ERC-5267: name, version, chain id and contract.
    bytes1 internal constant FIELDS = 0x0f;

    bytes32 private constant DOMAIN_TYPE =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");
    bytes32 private constant NAME_HASH = keccak256(bytes(NAME));
    bytes32 private constant VERSION_HASH = keccak256(bytes(VERSION));
    bytes32 private constant SETTLEMENT_TYPE = keccak256(
        "Settlement(bytes32 bounty,uint8 round,bytes32 newModelDigest,uint64 newLoss,Award[] awards,bytes32 evidenceDigest)"
        "Award(address mine,uint16 shareBps)"
    );
    bytes32 private constant AWARD_TYPE = keccak256("Award(address mine,uint16 shareBps)");

    /// @notice The digest of a settlement in the contract that asks.
    function digestOf(
        bytes32 bounty,
        uint8 round,
        bytes32 newModelDigest,
        uint64 newLoss,
        Award[] calldata awards,
        bytes32 evidenceDigest
    ) internal view returns (bytes32) {
        bytes32 settlement = keccak256(
            abi.encode(SETTLEMENT_TYPE, bounty, round, newModelDigest, newLoss, _hashOf(awards), evidenceDigest)
        );
        return MessageHashUtils.toTypedDataHash(_domain(), settlement);
    }

    function _domain() private view returns (bytes32) {
        return keccak256(abi.encode(DOMAIN_TYPE, NAME_HASH, VERSION_HASH, block.chainid, address(this)));
    }

    function _hashOf(Award[] calldata awards) private pure returns (bytes32) {
        bytes32[] memory hashes = new bytes32[](awards.length);
        for (uint256 i; i < awards.length; ++i) {
            hashes[i] = keccak256(abi.encode(AWARD_TYPE, awards[i].mine, awards[i].shareBps));
        }
        return keccak256(abi.encodePacked(hashes));
    }
}
