// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Vm} from "forge-std/Vm.sol";

import {Committee} from "../../src/Committee.sol";

/// @notice Keys whose accounts ascend, and what several of them sign together.
library Signers {
    Vm private constant VM = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    /// @dev `count` keys, in ascending order of their accounts.
    function keys(uint256 count) internal pure returns (uint256[] memory found) {
        found = new uint256[](count);
        for (uint256 i; i < count; ++i) {
            uint256 key = uint256(keccak256(abi.encode("signer", i)));
            uint256 place = i;
            for (; place > 0 && VM.addr(found[place - 1]) > VM.addr(key); --place) {
                found[place] = found[place - 1];
            }
            found[place] = key;
        }
    }

    function accounts(uint256[] memory keys_) internal pure returns (address[] memory found) {
        found = new address[](keys_.length);
        for (uint256 i; i < keys_.length; ++i) {
            found[i] = VM.addr(keys_[i]);
        }
    }

    function committee(uint256 count, uint256 threshold) internal returns (Committee) {
        return new Committee(accounts(keys(count)), threshold);
    }

    function sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = VM.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    /// @dev By the keys whose bits are set in `who`, in their order.
    function signedBy(uint256[] memory keys_, uint256 who, bytes32 digest)
        internal
        pure
        returns (bytes memory all)
    {
        for (uint256 i; i < keys_.length; ++i) {
            if (who >> i & 1 == 1) all = bytes.concat(all, sign(keys_[i], digest));
        }
    }
}
