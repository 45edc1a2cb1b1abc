// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {Base} from "../Base.t.sol";
import {BlockingToken, FalseToken, NoReturnToken, PlainToken} from "../mocks/Tokens.sol";
import {Errors} from "../../src/Errors.sol";
import {ITrainingMarket} from "../../src/ITrainingMarket.sol";
import {Status} from "../../src/Types.sol";

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

/// @notice Along withdraw.tree.
contract WithdrawTest is Base {
    uint256 internal constant DUE = STAKE + FEE + REWARD / 2;

    function setUp() public override {
        super.setUp();
        bytes32 bounty = post();
        cohort(bounty, 1, 2, 2);
        settle(bounty, 1, TARGET_LOSS, equalAwards(2));
    }

    function test_RevertWhen_TheReceiverIsNobodyOrTheMarketOrTheAsset() public {
        address[2] memory receivers = [address(0), address(market)];
        for (uint256 i; i < receivers.length; ++i) {
            vm.prank(mine(0));
            vm.expectRevert(abi.encodeWithSelector(Errors.InvalidReceiver.selector, receivers[i]));
            market.withdraw(ETHER, receivers[i]);
        }
        address token = address(new PlainToken());
        vm.prank(mine(0));
        vm.expectRevert(abi.encodeWithSelector(Errors.InvalidReceiver.selector, token));
        market.withdraw(token, token);
        vm.prank(mine(0));
        vm.expectRevert(abi.encodeWithSelector(Errors.InvalidReceiver.selector, address(0)));
        market.withdraw(token, address(0)); // of ether, nobody is the asset as well
    }

    function test_RevertWhen_TheCallerHasNoBalanceInTheAsset() public {
        withdraw(mine(0));
        vm.prank(mine(0));
        vm.expectRevert(abi.encodeWithSelector(Errors.NothingToWithdraw.selector, ETHER, mine(0)));
        market.withdraw(ETHER, mine(0));
        vm.prank(mine(1));
        vm.expectRevert(abi.encodeWithSelector(Errors.NothingToWithdraw.selector, stranger, mine(1)));
        market.withdraw(stranger, mine(1));
    }

    function test_GivenAnyStatus() public {
        uint256 start = vm.snapshotState();
        for (uint8 i; i <= uint8(type(State).max); ++i) {
            bytes32 bounty = bountyIn(State(i));
            uint256 due = balanceOf(mine(0));
            assertGe(due, DUE);
            Status before = market.statusOf(bounty);
            assertEq(withdraw(mine(0)), due);
            assertStatus(bounty, before);
            vm.revertToState(start);
        }
    }

    /*//////////////////////////////////////////////////////////////
                              ETHER
    //////////////////////////////////////////////////////////////*/

    function test_RevertWhen_TheReceiverRefuses() public {
        address refuser = address(new Refuser());
        vm.prank(mine(0));
        vm.expectRevert(abi.encodeWithSelector(Errors.TransferFailed.selector, refuser, DUE));
        market.withdraw(ETHER, refuser);
        assertEq(withdraw(mine(0)), DUE, "nothing was lost");
    }

    function test_WhenTheReceiverCallsBack() public {
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

    function test_WhenTheReceiverIsSomebodyElse() public {
        vm.expectEmit(address(market));
        emit ITrainingMarket.Withdrawn(ETHER, mine(0), stranger, DUE);
        vm.prank(mine(0));
        market.withdraw(ETHER, stranger);
        assertEq(stranger.balance, DUE);
        assertEq(mine(0).balance, 0);
    }

    function test_WhenTheReceiverIsTheCaller() public {
        vm.expectEmit(address(market));
        emit ITrainingMarket.Withdrawn(ETHER, mine(0), mine(0), DUE);
        assertEq(withdraw(mine(0)), DUE);
        assertEq(mine(0).balance, DUE);
        assertEq(balanceOf(mine(0)), 0);
    }

    /*//////////////////////////////////////////////////////////////
                              TOKEN
    //////////////////////////////////////////////////////////////*/

    function test_RevertWhen_TheTokenRefuses() public {
        BlockingToken token = new BlockingToken();
        earnIn(address(token));
        token.setBlocked(mine(0), true);
        vm.prank(mine(0));
        vm.expectRevert(abi.encodeWithSelector(BlockingToken.Blocked.selector, mine(0)));
        market.withdraw(address(token), mine(0));
        assertEq(balanceOf(mine(0)), DUE, "nothing was lost");
        vm.prank(mine(0));
        market.withdraw(address(token), stranger);
        assertEq(token.balanceOf(stranger), DUE, "to an account that is not blocked");
    }

    function test_RevertWhen_TheTokenAnswersFalse() public {
        FalseToken token = new FalseToken();
        earnIn(address(token));
        token.refuse(true);
        vm.prank(mine(0));
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, token));
        market.withdraw(address(token), mine(0));
        assertEq(balanceOf(mine(0)), DUE, "nothing was lost");
    }

    function test_WhenTheTokenAnswersNothing() public {
        NoReturnToken token = new NoReturnToken();
        earnIn(address(token));
        assertEq(withdraw(mine(0)), DUE);
        assertEq(token.balanceOf(mine(0)), DUE);
    }

    function test_WhenTheTokenIsPlain() public {
        PlainToken token = new PlainToken();
        earnIn(address(token));
        vm.expectEmit(address(market));
        emit ITrainingMarket.Withdrawn(address(token), mine(0), mine(0), DUE);
        assertEq(withdraw(mine(0)), DUE);
        assertEq(token.balanceOf(mine(0)), DUE);
        assertEq(balanceOf(mine(0)), 0);
        assertEq(market.balanceOf(ETHER, mine(0)), DUE, "the ether is another balance");
        assertEq(mine(0).balance, 0);
    }

    /// @dev The same bounty once more, in a token.
    function earnIn(address asset) private {
        terms.asset = asset;
        bytes32 bounty = post("in a token");
        cohort(bounty, 1, 2, 2);
        settle(bounty, 1, TARGET_LOSS, equalAwards(2));
    }
}
