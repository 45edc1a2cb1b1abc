// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Test} from "forge-std/Test.sol";

import {TrainingMarket} from "../../src/TrainingMarket.sol";
import {Award} from "../../src/Types.sol";

/// @notice What a settler signs is what eth-account makes of the types, for each settlement of
/// `tests/vectors/settlements.json`.
contract SettlementVectorsTest is Test {
    string internal json;

    function test_EveryDigestAndSignature() public {
        json = vm.readFile("tests/vectors/settlements.json");
        bytes memory code = address(new TrainingMarket(1)).code;
        address settler = vm.parseJsonAddress(json, ".settler");
        uint256 count;
        for (; vm.keyExistsJson(json, path(count, "")); ++count) {
            address market = vm.parseJsonAddress(json, path(count, ".contract"));
            vm.etch(market, code);
            vm.chainId(vm.parseJsonUint(json, path(count, ".chain_id")));
            bytes32 digest = digestOf(TrainingMarket(market), count);
            assertEq(digest, word(count, ".digest"));
            bytes memory signature = hexOf(count, ".signature");
            assertEq(signature.length, 65);
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(vm.parseUint(keyText()), digest);
            assertEq(signature, abi.encodePacked(r, s, v));
            assertEq(ecrecover(digest, v, r, s), settler);
        }
        assertEq(count, 11);
    }

    function digestOf(TrainingMarket market, uint256 i) private view returns (bytes32) {
        return market.settlementDigestOf(
            word(i, ".bounty"),
            uint8(vm.parseJsonUint(json, path(i, ".round"))),
            word(i, ".new_model_digest"),
            uint64(vm.parseUint(vm.parseJsonString(json, path(i, ".new_loss")))),
            awardsOf(i),
            word(i, ".evidence_digest")
        );
    }

    function awardsOf(uint256 i) private view returns (Award[] memory awards) {
        uint256 size;
        while (vm.keyExistsJson(json, line(i, size, ""))) {
            ++size;
        }
        awards = new Award[](size);
        for (uint256 k; k < size; ++k) {
            awards[k].mine = vm.parseJsonAddress(json, line(i, k, ".mine"));
            awards[k].shareBps = uint16(vm.parseJsonUint(json, line(i, k, ".share_bps")));
        }
    }

    function word(uint256 i, string memory key) private view returns (bytes32) {
        return bytes32(hexOf(i, key));
    }

    function hexOf(uint256 i, string memory key) private view returns (bytes memory) {
        return vm.parseBytes(string.concat("0x", vm.parseJsonString(json, path(i, key))));
    }

    function keyText() private view returns (string memory) {
        return string.concat("0x", vm.parseJsonString(json, ".settler_key"));
    }

    function path(uint256 i, string memory key) private pure returns (string memory) {
        return string.concat(".settlements[", vm.toString(i), "]", key);
    }

    function line(uint256 i, uint256 k, string memory key) private pure returns (string memory) {
        return string.concat(path(i, ".awards["), vm.toString(k), "]", key);
    }
}
