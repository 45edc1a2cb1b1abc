// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {Base} from "../Base.t.sol";
import {Errors} from "../../src/Errors.sol";
import {ITrainingMarket} from "../../src/ITrainingMarket.sol";

/// @dev Takes no ether.
contract Refuser {}

/// @dev Withdraws again while it is being paid, and remembers how that was refused.
contract Reenterer {
    ITrainingMarket internal immutable MARKET;
    bytes public refusal;

    constructor(ITrainingMarket market) {
        MARKET = market;
    }

    function commit(bytes32 bounty, bytes32 update, bytes32 salt) external payable {
        bytes32 seal = MARKET.sealOf(bounty, 1, address(this), update, salt);
        MARKET.commit{value: msg.value}(bounty, 1, seal, new bytes32[](0));
    }

    function reveal(bytes32 bounty, bytes32 update, bytes32 salt) external {
        MARKET.reveal(bounty, 1, update, salt);
    }

    function withdraw() external {
        MARKET.withdraw(address(0), address(this));
    }

    receive() external payable {
        try MARKET.withdraw(address(0), address(this)) {}
        catch (bytes memory reason) {
            refusal = reason;
        }
    }
}

contract WithdrawTest is Base {
    uint256 internal constant DUE = STAKE + FEE + REWARD / 2;

    function setUp() public override {
        super.setUp();
        bytes32 bounty = post();
        cohort(bounty, 1, 2, 2);
        settle(bounty, 1, TARGET_LOSS, equalAwards(2));
    }

    function test_SendsTheWholeBalance() public {
        vm.expectEmit(address(market));
        emit ITrainingMarket.Withdrawn(ETHER, mine(0), mine(0), DUE);
        assertEq(withdraw(mine(0)), DUE);
        assertEq(mine(0).balance, DUE);
        assertEq(balanceOf(mine(0)), 0);
    }

    function test_ToSomebodyElse() public {
        vm.expectEmit(address(market));
        emit ITrainingMarket.Withdrawn(ETHER, mine(0), stranger, DUE);
        vm.prank(mine(0));
        market.withdraw(ETHER, stranger);
        assertEq(stranger.balance, DUE);
        assertEq(mine(0).balance, 0);
    }

    function test_Revert_InvalidReceiver() public {
        address[2] memory receivers = [address(0), address(market)];
        for (uint256 i; i < receivers.length; ++i) {
            vm.prank(mine(0));
            vm.expectRevert(abi.encodeWithSelector(Errors.InvalidReceiver.selector, receivers[i]));
            market.withdraw(ETHER, receivers[i]);
        }
    }

    function test_Revert_NothingToWithdraw() public {
        withdraw(mine(0));
        vm.prank(mine(0));
        vm.expectRevert(abi.encodeWithSelector(Errors.NothingToWithdraw.selector, ETHER, mine(0)));
        market.withdraw(ETHER, mine(0));
        vm.prank(mine(1));
        vm.expectRevert(abi.encodeWithSelector(Errors.NothingToWithdraw.selector, stranger, mine(1)));
        market.withdraw(stranger, mine(1));
    }

    function test_Revert_TransferFailed() public {
        address refuser = address(new Refuser());
        vm.prank(mine(0));
        vm.expectRevert(abi.encodeWithSelector(Errors.TransferFailed.selector, refuser, DUE));
        market.withdraw(ETHER, refuser);
        assertEq(withdraw(mine(0)), DUE, "nothing was lost");
    }

    function test_AReceiverThatCallsBackIsRefused() public {
        (terms.cohortCap, terms.minMines, terms.rounds) = (1, 1, 1);
        bytes32 bounty = post("reenter");
        Reenterer reenterer = new Reenterer(market);
        deal(address(this), STAKE);
        reenterer.commit{value: STAKE}(bounty, "update", "salt");
        reenterer.reveal(bounty, "update", "salt");
        vm.warp(settleEnds(bounty));
        address[] memory list = new address[](1);
        list[0] = address(reenterer);
        market.expire(bounty, 1, list);

        reenterer.withdraw();
        assertEq(address(reenterer).balance, STAKE + FEE + REWARD);
        bytes4 expected = ReentrancyGuardTransient.ReentrancyGuardReentrantCall.selector;
        assertEq(reenterer.refusal(), abi.encodeWithSelector(expected));
    }
}
