// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {Test} from "forge-std/Test.sol";

import {AnsweringSettler, BombSettler, EndlessSettler, WalletSettler} from "../mocks/Settlers.sol";
import {Signers} from "../mocks/Signers.sol";
import {ISuccession} from "../../src/ISuccession.sol";
import {Succession} from "../../src/Succession.sol";

/// @notice Along succession.tree.
contract SuccessionTest is Test {
    uint256 internal constant ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;

    Succession internal succession;
    uint256[] internal keys;
    address[] internal who;

    function setUp() public {
        succession = new Succession();
        keys = Signers.keys(6);
        who = Signers.accounts(keys);
    }

    /*//////////////////////////////////////////////////////////////
                                REFUSED
    //////////////////////////////////////////////////////////////*/

    function test_RevertWhen_TheSuccessorIsTheZeroAddress() public {
        vm.expectRevert(ISuccession.ZeroSuccessor.selector);
        vm.prank(who[0]);
        succession.succeed(address(0), new bytes(65));
    }

    function test_RevertWhen_TheSuccessorIsTheAccountItself() public {
        bytes memory signature = signed(0, 0);
        vm.expectRevert(abi.encodeWithSelector(ISuccession.OwnSuccessor.selector, who[0]));
        vm.prank(who[0]);
        succession.succeed(who[0], signature);
    }

    function test_RevertWhen_TheAccountHasNamedItsSuccessorBefore() public {
        succeed(0, 1);
        for (uint256 i = 1; i < 3; ++i) {
            refuses(0, i, abi.encodeWithSelector(ISuccession.AlreadySucceeded.selector, who[0], who[1]));
        }
        assertEq(succession.successorOf(who[0]), who[1]);
    }

    function test_RevertWhen_TheSuccessorHasTakenAnotherPlace() public {
        succeed(0, 1);
        refuses(2, 1, abi.encodeWithSelector(ISuccession.SuccessorTaken.selector, who[1], who[0]));
        succeed(1, 3);
        refuses(2, 1, abi.encodeWithSelector(ISuccession.SuccessorTaken.selector, who[1], who[0]));
    }

    function test_RevertWhen_TheSuccessorWasSucceededByTheAccount() public {
        succeed(0, 1);
        refuses(1, 0, abi.encodeWithSelector(ISuccession.SuccessorSucceeded.selector, who[0], who[1]));
    }

    function test_RevertWhen_TheSuccessorWasSucceededByAnotherAccount() public {
        succeed(0, 1);
        refuses(2, 0, abi.encodeWithSelector(ISuccession.SuccessorSucceeded.selector, who[0], who[1]));
    }

    function test_RevertWhen_TheChainWouldCloseToARing() public {
        for (uint256 i; i < 5; ++i) {
            succeed(i, i + 1);
        }
        refuses(5, 0, abi.encodeWithSelector(ISuccession.SuccessorSucceeded.selector, who[0], who[1]));
    }

    function test_RevertWhen_SomebodyElseHasSigned() public {
        refusesSignature(0, 1, Signers.sign(keys[0], succession.digestOf(who[0], who[1])));
        refusesSignature(0, 1, Signers.sign(keys[2], succession.digestOf(who[0], who[1])));
    }

    function test_RevertWhen_TheSuccessorHasSignedSomethingElse() public {
        refusesSignature(0, 1, signed(2, 1));
        refusesSignature(0, 1, Signers.sign(keys[1], succession.digestOf(who[0], who[2])));
        refusesSignature(0, 1, Signers.sign(keys[1], succession.digestOf(who[1], who[0])));
        refusesSignature(0, 1, Signers.sign(keys[1], new Succession().digestOf(who[0], who[1])));
        bytes memory here = signed(0, 1);
        vm.chainId(block.chainid + 1);
        refusesSignature(0, 1, here);
    }

    function test_RevertWhen_TheSignatureIsAByteTooShortOrTooLong() public {
        bytes memory whole = signed(0, 1);
        bytes memory short = new bytes(64);
        for (uint256 i; i < 64; ++i) {
            short[i] = whole[i];
        }
        refusesSignature(0, 1, short);
        refusesSignature(0, 1, bytes.concat(whole, hex"00"));
        refusesSignature(0, 1, bytes(""));
        refusesSignature(0, 1, new bytes(65));
    }

    function test_RevertWhen_TheSignatureHasItsSAboveHalfOfTheOrder() public {
        bytes32 digest = succession.digestOf(who[0], who[1]);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keys[1], digest);
        (v, s) = (v == 27 ? 28 : 27, bytes32(ORDER - uint256(s)));
        assertEq(ecrecover(digest, v, r, s), who[1]); // the chain itself takes it for the same signer's
        refusesSignature(0, 1, abi.encodePacked(r, s, v));
    }

    function test_RevertWhen_TheSignatureHasAnotherV() public {
        bytes memory whole = signed(0, 1);
        for (uint256 v; v < 256; ++v) {
            if (bytes1(uint8(v)) == whole[64]) continue;
            bytes memory altered = bytes.concat(whole);
            altered[64] = bytes1(uint8(v));
            refusesSignature(0, 1, altered);
        }
    }

    function test_RevertWhen_TheContractOfTheSuccessorSaysNo() public {
        bytes memory yes = abi.encode(bytes32(bytes4(0x1626ba7e)));
        address[5] memory others = [
            address(new WalletSettler(who[2])),
            address(new AnsweringSettler(abi.encode(bytes32(bytes4(0xffffffff))), false)),
            address(new AnsweringSettler(yes, true)),
            address(new EndlessSettler()),
            address(new BombSettler())
        ];
        for (uint256 i; i < others.length; ++i) {
            bytes memory signature = Signers.sign(keys[1], succession.digestOf(who[0], others[i]));
            vm.expectRevert(abi.encodeWithSelector(ISuccession.NotSignedBySuccessor.selector, others[i]));
            vm.prank(who[0]);
            succession.succeed{gas: 1_000_000}(others[i], signature);
        }
    }

    function test_RevertWhen_EtherIsSentOrAnotherCallIsMade() public {
        (bool ok,) = address(succession).call{value: 1}("");
        assertFalse(ok);
        bytes memory signature = signed(0, 1);
        deal(who[0], 1);
        vm.prank(who[0]);
        (ok,) = address(succession).call{value: 1}(abi.encodeCall(succession.succeed, (who[1], signature)));
        assertFalse(ok);
        (ok,) = address(succession).call(abi.encodeWithSignature("owner()"));
        assertFalse(ok);
    }

    /*//////////////////////////////////////////////////////////////
                                 TAKEN
    //////////////////////////////////////////////////////////////*/

    function test_WhenTheSuccessorHasSigned() public {
        bytes memory signature = signed(0, 1);
        vm.expectEmit();
        emit ISuccession.Succeeded(who[0], who[1]);
        vm.prank(who[0]);
        succession.succeed(who[1], signature);
        assertFollows(who[1], who[0]);
        assertEq(succession.predecessorOf(who[0]), address(0));
        assertEq(succession.successorOf(who[1]), address(0));
    }

    function test_WhenTheContractOfTheSuccessorSaysYes() public {
        address wallet = address(new WalletSettler(who[1]));
        bytes memory signature = Signers.sign(keys[1], succession.digestOf(who[0], wallet));
        vm.prank(who[0]);
        succession.succeed(wallet, signature);
        assertFollows(wallet, who[0]);
    }

    function test_WhenTheAccountIsAContract() public {
        bytes memory signature = Signers.sign(keys[1], succession.digestOf(address(this), who[1]));
        succession.succeed(who[1], signature);
        assertFollows(who[1], address(this));
    }

    /*//////////////////////////////////////////////////////////////
                                 VIEWS
    //////////////////////////////////////////////////////////////*/

    function test_GivenAChainOfSeveralAccounts() public {
        for (uint256 i; i < 5; ++i) {
            succeed(i, i + 1);
        }
        for (uint256 start; start < 6; ++start) {
            for (uint256 steps; steps < 8; ++steps) {
                uint256 place = start + steps < 5 ? start + steps : 5;
                (address latest, bool ended) = succession.latestOf(who[start], steps);
                assertEq(latest, who[place]);
                assertEq(ended, place == 5);
            }
        }
        (address last, bool end) = succession.latestOf(who[0], type(uint256).max);
        assertTrue(end);
        assertEq(last, who[5]);
    }

    function test_GivenNobodyHasBeenSucceeded() public view {
        (address latest, bool ended) = succession.latestOf(who[0], 0);
        assertTrue(ended);
        assertEq(latest, who[0]);
        (bytes1 fields, string memory name, string memory version, uint256 chain, address place, bytes32 salt,) =
            IERC5267(address(succession)).eip712Domain();
        assertEq(fields, bytes1(0x0f));
        assertEq(name, "Sonar Succession");
        assertEq(version, "1");
        assertEq(chain, block.chainid);
        assertEq(place, address(succession));
        assertEq(salt, 0);
    }

    /*//////////////////////////////////////////////////////////////
                                 PARTS
    //////////////////////////////////////////////////////////////*/

    function signed(uint256 account, uint256 successor) private view returns (bytes memory) {
        return Signers.sign(keys[successor], succession.digestOf(who[account], who[successor]));
    }

    function succeed(uint256 account, uint256 successor) private {
        bytes memory signature = signed(account, successor);
        vm.prank(who[account]);
        succession.succeed(who[successor], signature);
    }

    /// @dev What the successor has signed is fine.
    function refuses(uint256 account, uint256 successor, bytes memory reason) private {
        bytes memory signature = signed(account, successor);
        vm.expectRevert(reason);
        vm.prank(who[account]);
        succession.succeed(who[successor], signature);
    }

    function refusesSignature(uint256 account, uint256 successor, bytes memory signature) private {
        vm.expectRevert(abi.encodeWithSelector(ISuccession.NotSignedBySuccessor.selector, who[successor]));
        vm.prank(who[account]);
        succession.succeed(who[successor], signature);
    }

    function assertFollows(address successor, address account) private view {
        assertEq(succession.successorOf(account), successor);
        assertEq(succession.predecessorOf(successor), account);
    }
}
