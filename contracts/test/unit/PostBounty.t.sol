// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {Base} from "../Base.t.sol";
import {EndlessSettler} from "../mocks/Settlers.sol";
import {FalseToken, FeeToken, NoReturnToken, PlainToken} from "../mocks/Tokens.sol";
import {Errors} from "../../src/Errors.sol";
import {ITrainingMarket} from "../../src/ITrainingMarket.sol";
import {Bounty} from "../../src/Types.sol";

/// @dev Moves one unit more than it is asked to.
contract GenerousToken is PlainToken {
    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        _mint(to, 1);
        return super.transferFrom(from, to, amount);
    }
}

/// @notice Along postBounty.tree.
contract PostBountyTest is Base {
    uint256 internal constant ESCROW = REWARD + FEE * 4 * 3;

    function test_RevertWhen_TheAssetIsNeitherEtherNorAContract() public {
        terms.asset = stranger;
        vm.expectRevert(abi.encodeWithSelector(Errors.AssetWithoutCode.selector, stranger));
        vm.prank(scientist);
        market.postBounty(terms, MODEL, KEY, SALT);
    }

    function test_RevertWhen_AWindowIsShorterThanTheFloor() public {
        bytes memory refusal = abi.encodeWithSelector(Errors.WindowTooShort.selector, 9, 10);
        terms.commitWindow = 9;
        refused(refusal);
        (terms.commitWindow, terms.revealWindow) = (10, 9);
        refused(refusal);
        (terms.revealWindow, terms.settleWindow) = (10, 9);
        refused(refusal);
    }

    function test_RevertWhen_TheQuietTimeIsShorterThanTheFloor() public {
        terms.quiet = 9;
        refused(abi.encodeWithSelector(Errors.QuietTooShort.selector, 9, 10));
        terms.quiet = 1;
        refused(abi.encodeWithSelector(Errors.QuietTooShort.selector, 1, 10));
    }

    function test_RevertWhen_TheQuietTimeIsNotShorterThanTheCommitWindow() public {
        (terms.commitWindow, terms.quiet) = (20, 20);
        refused(abi.encodeWithSelector(Errors.QuietTooLong.selector, 20, 20));
        terms.quiet = type(uint16).max;
        refused(abi.encodeWithSelector(Errors.QuietTooLong.selector, type(uint16).max, 20));
    }

    function test_WhenTheQuietTimeIsBetweenTheTwo() public {
        (terms.commitWindow, terms.quiet) = (20, 10);
        assertEq(market.getBounty(post("shortest")).terms.quiet, 10);
        terms.quiet = 19;
        assertEq(market.getBounty(post("longest")).terms.quiet, 19);
    }

    function test_RevertWhen_MoreThanAllIsDueIfSheIsOverdue() public {
        terms.overdueBps = 10_001;
        refused(abi.encodeWithSelector(Errors.BadOverdueShare.selector, 10_001, 10_000));
    }

    function test_RevertWhen_TheSettlerIsTheScientistOrTheMarket() public {
        terms.settler = scientist;
        refused(abi.encodeWithSelector(Errors.BadSettler.selector, scientist));
        terms.settler = address(market);
        refused(abi.encodeWithSelector(Errors.BadSettler.selector, market));
    }

    function test_WhenTheSettlerIsAnybodyElse() public {
        terms.settler = stranger;
        assertEq(market.getBounty(post("an account")).terms.settler, stranger);
        terms.settler = address(new EndlessSettler());
        assertEq(market.getBounty(post("a contract")).terms.settler, terms.settler);
    }

    function test_RevertWhen_MinMinesIsNotBetweenOneAndTheCap() public {
        terms.minMines = 0;
        refused(abi.encodeWithSelector(Errors.BadCohort.selector, 4, 0));
        terms.minMines = 5;
        refused(abi.encodeWithSelector(Errors.BadCohort.selector, 4, 5));
        (terms.cohortCap, terms.minMines) = (0, 0);
        refused(abi.encodeWithSelector(Errors.BadCohort.selector, 0, 0));
    }

    function test_RevertWhen_ThereAreNoRounds() public {
        terms.rounds = 0;
        refused(abi.encodeWithSelector(Errors.NoRounds.selector));
    }

    function test_RevertWhen_TheTargetIsNotBelowTheInitialLoss() public {
        terms.targetLoss = INITIAL_LOSS;
        refused(abi.encodeWithSelector(Errors.BadLosses.selector, INITIAL_LOSS, INITIAL_LOSS));
        terms.targetLoss = INITIAL_LOSS + 1;
        refused(abi.encodeWithSelector(Errors.BadLosses.selector, INITIAL_LOSS, INITIAL_LOSS + 1));
    }

    function test_RevertWhen_RewardAndFeesAndStakesExceed96Bits() public {
        uint256 max = type(uint96).max;
        (terms.cohortCap, terms.minMines, terms.rounds) = (255, 1, 255);
        (terms.stake, terms.fee) = (1, 1);
        terms.reward = uint96(max - 2 * 255 * 255 + 1);
        refused(abi.encodeWithSelector(Errors.TermsTooLarge.selector, max + 1, max));
        (terms.stake, terms.fee, terms.reward) = (uint96(max), uint96(max), uint96(max));
        refused(abi.encodeWithSelector(Errors.TermsTooLarge.selector, max * (1 + 2 * 255 * 255), max));
    }

    function test_RevertWhen_ADigestIsZero() public {
        vm.expectRevert(Errors.ZeroDigest.selector);
        market.postBounty{value: ESCROW}(terms, 0, KEY, SALT);
        vm.expectRevert(Errors.ZeroDigest.selector);
        market.postBounty{value: ESCROW}(terms, MODEL, 0, SALT);
    }

    function test_RevertGiven_TheBountyExists() public {
        bytes32 id = post();
        refused(abi.encodeWithSelector(Errors.BountyExists.selector, id));
    }

    function test_RevertGiven_TheBountyExistedAndIsClosed() public {
        bytes32 id = post();
        vm.prank(scientist);
        market.close(id);
        refused(abi.encodeWithSelector(Errors.BountyExists.selector, id));
    }

    function test_WhenOnlyTheSaltIsAnother() public {
        assertNotEq(post(), post("another salt"));
        assertEq(address(market).balance, 2 * ESCROW);
    }

    function test_WhenTheTermsAreTheSmallest() public {
        (terms.cohortCap, terms.minMines, terms.rounds) = (1, 1, 1);
        (terms.stake, terms.fee, terms.reward) = (0, 0, 0);
        (terms.initialLoss, terms.targetLoss) = (1, 0);
        (terms.commitWindow, terms.revealWindow, terms.settleWindow) = (MIN_WINDOW, MIN_WINDOW, MIN_WINDOW);
        assertEq(market.getBounty(post()).escrow, 0);
    }

    function test_WhenTheTermsAreTheLargest() public {
        (terms.cohortCap, terms.minMines, terms.rounds) = (255, 255, 255);
        (terms.stake, terms.fee) = (1, 1);
        terms.reward = type(uint96).max - 2 * 255 * 255;
        (terms.initialLoss, terms.targetLoss) = (type(uint64).max, 0);
        assertEq(market.getBounty(post()).escrow, type(uint96).max - 255 * 255);
    }

    function test_WhenAllTermsDifferFromEachOther() public {
        terms.asset = address(new PlainToken());
        (terms.commitWindow, terms.revealWindow, terms.settleWindow) = (11, 12, 13);
        (terms.cohortCap, terms.minMines, terms.rounds) = (14, 5, 6);
        (terms.stake, terms.fee, terms.reward) = (21, 22, 23);
        (terms.initialLoss, terms.targetLoss) = (32, 31);
        (terms.quiet, terms.overdueBps) = (10, 41);
        (terms.settler, terms.allowRoot) = (stranger, "root");
        assertEq(abi.encode(market.getBounty(post()).terms), abi.encode(terms));
    }

    /*//////////////////////////////////////////////////////////////
                                 ETHER
    //////////////////////////////////////////////////////////////*/

    function test_RevertWhen_AnotherAmountIsSent() public {
        for (uint256 sent = ESCROW - 1; sent <= ESCROW + 1; sent += 2) {
            vm.expectRevert(abi.encodeWithSelector(Errors.WrongPayment.selector, sent, ESCROW));
            market.postBounty{value: sent}(terms, MODEL, KEY, SALT);
        }
    }

    function test_WhenTheEscrowIsSent() public {
        posts();
        assertEq(address(market).balance, ESCROW);
    }

    /*//////////////////////////////////////////////////////////////
                                 TOKEN
    //////////////////////////////////////////////////////////////*/

    function test_RevertWhen_EtherIsSentWithIt() public {
        terms.asset = address(new PlainToken());
        fund(scientist, ESCROW);
        deal(scientist, 1);
        vm.prank(scientist);
        vm.expectRevert(abi.encodeWithSelector(Errors.WrongPayment.selector, 1, 0));
        market.postBounty{value: 1}(terms, MODEL, KEY, SALT);
    }

    function test_RevertWhen_TheAllowanceIsTooSmall() public {
        PlainToken token = new PlainToken();
        terms.asset = address(token);
        token.mint(scientist, ESCROW);
        vm.startPrank(scientist);
        token.approve(address(market), ESCROW - 1);
        vm.expectRevert(
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, market, ESCROW - 1, ESCROW)
        );
        market.postBounty(terms, MODEL, KEY, SALT);
    }

    function test_RevertWhen_TheTokenAnswersFalse() public {
        FalseToken token = new FalseToken();
        token.refuse(true);
        terms.asset = address(token);
        refused(abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, token));
    }

    function test_RevertWhen_TheTokenTakesAFee() public {
        terms.asset = address(new FeeToken());
        uint256 arrives = ESCROW - ESCROW / 100;
        refused(abi.encodeWithSelector(Errors.WrongReceipt.selector, terms.asset, 0, arrives, ESCROW));
    }

    function test_RevertWhen_TheTokenMovesMoreThanWasAsked() public {
        terms.asset = address(new GenerousToken());
        refused(abi.encodeWithSelector(Errors.WrongReceipt.selector, terms.asset, 0, ESCROW + 1, ESCROW));
    }

    function test_WhenTheTokenAnswersNothing() public {
        NoReturnToken token = new NoReturnToken();
        terms.asset = address(token);
        assertEq(market.getBounty(post()).escrow, ESCROW);
        assertEq(token.balanceOf(address(market)), ESCROW);
    }

    function test_WhenNothingIsDue() public {
        terms.asset = address(new FalseToken());
        FalseToken(terms.asset).refuse(true);
        (terms.fee, terms.reward) = (0, 0);
        vm.expectCall(terms.asset, abi.encodeWithSelector(FalseToken.transferFrom.selector), 0);
        assertEq(market.getBounty(post()).escrow, 0);
    }

    function test_WhenTheTokenIsPlain() public {
        PlainToken token = new PlainToken();
        terms.asset = address(token);
        posts();
        assertEq(token.balanceOf(address(market)), ESCROW);
        assertEq(token.balanceOf(scientist), 0);
        assertEq(address(market).balance, 0);
    }

    /*//////////////////////////////////////////////////////////////
                                HELPERS
    //////////////////////////////////////////////////////////////*/

    /// @dev Posts, and checks events and state.
    function posts() private {
        bytes32 id = market.bountyIdOf(scientist, terms, MODEL, KEY, SALT);
        uint256 value = fund(scientist, ESCROW);
        vm.expectEmit(address(market));
        emit ITrainingMarket.BountyPosted(id, scientist, terms, MODEL, KEY, ESCROW);
        vm.expectEmit(address(market));
        emit ITrainingMarket.RoundOpened(id, 1, MODEL, uint40(vm.getBlockTimestamp()));
        vm.prank(scientist);
        assertEq(market.postBounty{value: value}(terms, MODEL, KEY, SALT), id);

        Bounty memory bounty = market.getBounty(id);
        assertEq(bounty.scientist, scientist);
        assertEq(bounty.opened, vm.getBlockTimestamp());
        assertEq(bounty.round, 1);
        assertEq(bounty.committed, 0);
        assertEq(bounty.revealed, 0);
        assertFalse(bounty.closed);
        assertEq(abi.encode(bounty.terms), abi.encode(terms));
        assertEq(bounty.escrow, ESCROW);
        assertEq(bounty.bestLoss, INITIAL_LOSS);
        assertEq(bounty.modelDigest, MODEL);
    }

    function refused(bytes memory refusal) private {
        deal(scientist, type(uint128).max);
        uint256 value = fund(scientist, market.escrowFor(terms));
        vm.prank(scientist);
        vm.expectRevert(refusal);
        market.postBounty{value: value}(terms, MODEL, KEY, SALT);
    }
}
