// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Hashes} from "@openzeppelin/contracts/utils/cryptography/Hashes.sol";

/// @notice Allow-lists for tests: root and proofs over leaves in the given order, each level's last odd node carried up.
library MerkleTree {
    function leafOf(address mine) internal pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(mine))));
    }

    function root(bytes32[] memory level) internal pure returns (bytes32) {
        while (level.length > 1) {
            level = up(level);
        }
        return level[0];
    }

    function proof(bytes32[] memory level, uint256 index) internal pure returns (bytes32[] memory path) {
        path = new bytes32[](32);
        uint256 size;
        for (; level.length > 1; index /= 2) {
            uint256 sibling = index ^ 1;
            if (sibling < level.length) path[size++] = level[sibling];
            level = up(level);
        }
        assembly {
            mstore(path, size)
        }
    }

    function up(bytes32[] memory level) private pure returns (bytes32[] memory next) {
        next = new bytes32[]((level.length + 1) / 2);
        for (uint256 i; i < next.length; ++i) {
            bool pair = 2 * i + 1 < level.length;
            next[i] = pair ? Hashes.commutativeKeccak256(level[2 * i], level[2 * i + 1]) : level[2 * i];
        }
    }
}
