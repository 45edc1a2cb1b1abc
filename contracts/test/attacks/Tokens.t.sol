// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {Base} from "../Base.t.sol";
import {Reenterer} from "../mocks/Actors.sol";
import {BlockingToken, CallbackToken, FalseToken, FeeToken, PlainToken, RebasingToken} from "../mocks/Tokens.sol";
import {Errors} from "../../src/Errors.sol";

/// @notice What whoever issues a token can do to those who accept it, and that it ends there.
contract TokenAttacksTest is Base {
    address internal good;

    /// @dev Beside every bad token there is a settled bounty in a good one and another in ether.
    function setUp() public override {
        super.setUp();
        (terms.reward, terms.fee, terms.stake) = (1000, 10, 100);
        (terms.initialLoss, terms.targetLoss) = (2000, 1000);
        settledIn(ETHER);
        good = address(new PlainToken());
        settledIn(good);
    }

    /// A hook that calls back into every call, at posting, committing and withdrawing: none lets it in.
    function test_AHookThatCallsBackGetsIntoNoCall() public {
        CallbackToken token = new CallbackToken();
        Reenterer thief = new Reenterer(market);
        token.callBack(address(thief), abi.encodeCall(Reenterer.attack, ()));
        thief.aim(settledIn(address(token)), address(token));
        withdraw(mine(0));
        withdraw(mine(1));
        withdraw(scientist);
        assertEq(token.calls(), 6, "one post, two commits, three withdrawals");
        assertEq(thief.calls(), 6);
        assertEq(thief.entries(), 0);
        assertEq(token.balanceOf(mine(0)), 610);
        assertEq(token.balanceOf(scientist), 100);
        assertEq(token.balanceOf(address(market)), 0);
        theOthersAreWhole();
    }

    /// A hook that pays the market in the middle of a payment: more than was due is refused as well.
    function test_AHookThatAddsToAPaymentIsRefused() public {
        CallbackToken token = new CallbackToken();
        token.callBack(address(token), abi.encodeCall(PlainToken.mint, (address(market), 1)));
        terms.asset = address(token);
        fund(scientist, 1120);
        vm.prank(scientist);
        vm.expectRevert(abi.encodeWithSelector(Errors.WrongReceipt.selector, address(token), 0, 1121, 1120));
        market.postBounty(terms, MODEL, KEY, SALT);
    }

    function test_ATokenThatTakesAFeeIsRefused() public {
        FeeToken token = new FeeToken();
        terms.asset = address(token);
        fund(scientist, 1120);
        vm.prank(scientist);
        vm.expectRevert(abi.encodeWithSelector(Errors.WrongReceipt.selector, address(token), 0, 1108, 1120));
        market.postBounty(terms, MODEL, KEY, SALT);
    }

    /// A token that shrinks pays first come, first served; the shortfall is in that token alone.
    function test_ATokenThatShrinksHarmsThoseInItAlone() public {
        RebasingToken token = new RebasingToken();
        settledIn(address(token)); // owes 610, 610 and 100
        token.rebase(5_000);
        assertEq(withdraw(mine(0)), 610);
        assertEq(token.balanceOf(address(market)), 50);
        vm.prank(mine(1));
        vm.expectRevert(abi.encodeWithSelector(RebasingToken.Insufficient.selector, 50, 610));
        market.withdraw(address(token), mine(1));
        assertEq(market.balanceOf(address(token), mine(1)), 610, "still owed");
        theOthersAreWhole();
    }

    /// What a token gives beyond what is owed stays in the market, for nobody.
    function test_ATokenThatGrowsPaysWhatIsOwed() public {
        RebasingToken token = new RebasingToken();
        settledIn(address(token));
        token.rebase(20_000);
        assertEq(withdraw(mine(0)), 610);
        assertEq(withdraw(mine(1)), 610);
        assertEq(withdraw(scientist), 100);
        assertEq(token.balanceOf(address(market)), 1320);
        theOthersAreWhole();
    }

    /// A token that refuses to move freezes what is owed in it, and nothing is lost: later it can be withdrawn.
    function test_ATokenThatRefusesFreezesItselfAlone() public {
        FalseToken token = new FalseToken();
        settledIn(address(token));
        token.refuse(true);
        vm.prank(mine(0));
        vm.expectRevert(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, address(token)));
        market.withdraw(address(token), mine(0));
        theOthersAreWhole();
        terms.asset = address(token);
        token.refuse(false);
        assertEq(withdraw(mine(0)), 610);
    }

    /// An issuer that blocks one mine cannot stop the round; and the mine can have it sent elsewhere.
    function test_AnIssuerThatBlocksAMineDoesNotStopTheRound() public {
        BlockingToken token = new BlockingToken();
        terms.asset = address(token);
        bytes32 bounty = post();
        cohort(bounty, 1, 2, 2);
        token.setBlocked(mine(0), true);
        settle(bounty, 1, 1000, equalAwards(2));
        assertEq(withdraw(mine(1)), 610);
        vm.startPrank(mine(0));
        vm.expectRevert(abi.encodeWithSelector(BlockingToken.Blocked.selector, mine(0)));
        market.withdraw(address(token), mine(0));
        market.withdraw(address(token), stranger);
        assertEq(token.balanceOf(stranger), 610);
    }

    /// Debts in one asset are never paid in another.
    function test_ABalanceInAWorthlessTokenBuysNothingElse() public {
        settledIn(address(new PlainToken()));
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(Errors.NothingToWithdraw.selector, ETHER, stranger));
        market.withdraw(ETHER, stranger);
        theOthersAreWhole();
    }

    /// @dev A bounty of two mines that reaches its target: it owes them 610 each, and the scientist 100.
    function settledIn(address asset) private returns (bytes32 bounty) {
        terms.asset = asset;
        bounty = post();
        cohort(bounty, 1, 2, 2);
        settle(bounty, 1, 1000, equalAwards(2));
    }

    function theOthersAreWhole() private {
        address[2] memory assets = [ETHER, good];
        for (uint256 i; i < 2; ++i) {
            terms.asset = assets[i];
            assertEq(withdraw(mine(0)), 610);
            assertEq(withdraw(mine(1)), 610);
            assertEq(withdraw(scientist), 100);
        }
        assertEq(address(market).balance, 0);
        assertEq(PlainToken(good).balanceOf(address(market)), 0);
    }
}
