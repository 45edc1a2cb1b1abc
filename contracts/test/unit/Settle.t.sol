// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";

import {Base} from "../Base.t.sol";
import {AnsweringSettler, WalletSettler} from "../mocks/Settlers.sol";
import {PlainToken} from "../mocks/Tokens.sol";
import {Errors} from "../../src/Errors.sol";
import {ITrainingMarket} from "../../src/ITrainingMarket.sol";
import {Award, Bounty, CloseReason, Status} from "../../src/Types.sol";

/// @notice Along settle.tree.
contract SettleTest is Base {
    bytes32 internal bounty;

    function setUp() public override {
        super.setUp();
        terms.reward = 1000;
        terms.fee = 10;
        terms.stake = 100;
        (terms.initialLoss, terms.targetLoss) = (2000, 1000);
        bounty = post(); // escrow: 1000 + 10 * 4 * 3 = 1120
    }

    /*//////////////////////////////////////////////////////////////
                             REFUSALS
    //////////////////////////////////////////////////////////////*/

    function test_RevertGiven_TheBountyIsUnknown() public {
        refused("nothing", 1, abi.encodeWithSelector(Errors.UnknownBounty.selector, bytes32("nothing")));
    }

    function test_RevertWhen_TheRoundIsNotTheCurrentOne() public {
        cohort(bounty, 1, 2, 2);
        refused(bounty, 2, abi.encodeWithSelector(Errors.WrongRound.selector, 1, 2));
    }

    function test_RevertGiven_TheStatusIsNotSettle() public {
        for (uint8 i; i <= uint8(type(State).max); ++i) {
            bytes32 id = bountyIn(State(i));
            Status status = market.statusOf(id);
            if (status == Status.Settle) continue;
            refused(id, 1, abi.encodeWithSelector(Errors.WrongStatus.selector, status));
        }
    }

    function test_RevertWhen_TheCallerIsNotTheScientist() public {
        cohort(bounty, 1, 2, 2);
        vm.prank(mine(0));
        vm.expectRevert(abi.encodeWithSelector(Errors.NotScientist.selector, mine(0)));
        market.settle(bounty, 1, "model", 1500, shares(5000, 5000), EVIDENCE, "");
    }

    function test_RevertWhen_ADigestIsZero() public {
        cohort(bounty, 1, 2, 2);
        vm.startPrank(scientist);
        vm.expectRevert(Errors.ZeroDigest.selector);
        market.settle(bounty, 1, 0, 1500, shares(5000, 5000), EVIDENCE, "");
        vm.expectRevert(Errors.ZeroDigest.selector);
        market.settle(bounty, 1, "model", 1500, shares(5000, 5000), 0, "");
    }

    function test_RevertWhen_ThereIsNotOneLinePerRevealedMine() public {
        cohort(bounty, 1, 3, 3);
        refused(shares(5000, 5000), abi.encodeWithSelector(Errors.WrongCohortSize.selector, 2, 3));
        refused(shares(2500, 2500, 2500, 2500), abi.encodeWithSelector(Errors.WrongCohortSize.selector, 4, 3));
        refused(new Award[](0), abi.encodeWithSelector(Errors.WrongCohortSize.selector, 0, 3));
    }

    function test_RevertWhen_TheLinesAreNotStrictlyAscending() public {
        cohort(bounty, 1, 2, 2);
        Award[] memory awards = shares(5000, 5000);
        (awards[0].mine, awards[1].mine) = (mine(1), mine(0));
        refused(awards, abi.encodeWithSelector(Errors.CohortNotAscending.selector, 1));
        awards[0].mine = mine(0);
        refused(awards, abi.encodeWithSelector(Errors.CohortNotAscending.selector, 1));
        awards[0].mine = address(0);
        refused(awards, abi.encodeWithSelector(Errors.CohortNotAscending.selector, 0));
    }

    function test_RevertWhen_AMineDidNotReveal() public {
        cohort(bounty, 1, 3, 2);
        Award[] memory awards = shares(5000, 5000);
        awards[1].mine = mine(2); // committed, never revealed
        refused(awards, abi.encodeWithSelector(Errors.NotInCohort.selector, mine(2)));
        awards[1].mine = mine(3); // never seen
        refused(awards, abi.encodeWithSelector(Errors.NotInCohort.selector, mine(3)));
    }

    function test_RevertWhen_AMineRevealedInAnEarlierRoundAlone() public {
        cohort(bounty, 1, 3, 3);
        settle(bounty, 1, 2000, shares(5000, 5000, 0));
        cohort(bounty, 2, 2, 2);
        Award[] memory awards = shares(5000, 5000);
        awards[1].mine = mine(2);
        vm.prank(scientist);
        vm.expectRevert(abi.encodeWithSelector(Errors.NotInCohort.selector, mine(2)));
        market.settle(bounty, 2, "model", 1500, awards, EVIDENCE, "");
    }

    function test_RevertWhen_AMineRevealedInAnotherBountyAlone() public {
        bytes32 other = post("other");
        cohort(other, 1, 4, 4);
        // Only two revealed here; mine 2 revealed there.
        bounty = post("third");
        cohort(bounty, 1, 2, 2);
        Award[] memory awards = shares(5000, 5000);
        awards[1].mine = mine(2);
        refused(awards, abi.encodeWithSelector(Errors.NotInCohort.selector, mine(2)));
    }

    function test_RevertWhen_TheSharesAddUpToNeitherAllNorNothing() public {
        cohort(bounty, 1, 2, 2);
        refused(shares(5000, 4999), abi.encodeWithSelector(Errors.WrongShares.selector, 9_999));
        refused(shares(5000, 5001), abi.encodeWithSelector(Errors.WrongShares.selector, 10_001));
        // No sum of 16-bit shares can wrap around to 10,000.
        refused(shares(65_535, 10_001), abi.encodeWithSelector(Errors.WrongShares.selector, 75_536));
    }

    function test_RevertWhen_TheModelChanges() public {
        cohort(bounty, 1, 2, 2);
        vm.prank(scientist);
        vm.expectRevert(abi.encodeWithSelector(Errors.ModelChanged.selector, MODEL, bytes32("model")));
        market.settle(bounty, 1, "model", 2000, noAwards(2), EVIDENCE, "");
    }

    function test_RevertWhen_TheLossChanges() public {
        cohort(bounty, 1, 2, 2);
        vm.startPrank(scientist);
        for (uint64 loss = 1999; loss <= 2001; loss += 2) {
            vm.expectRevert(abi.encodeWithSelector(Errors.LossChanged.selector, 2000, loss));
            market.settle(bounty, 1, MODEL, loss, noAwards(2), EVIDENCE, "");
        }
    }

    /*//////////////////////////////////////////////////////////////
                             SIGNATURES
    //////////////////////////////////////////////////////////////*/

    function test_RevertWhen_ASignatureIsGiven() public {
        cohort(bounty, 1, 2, 2);
        bytes memory signature = sign(SETTLER_KEY, digestOf(1500, shares(5000, 5000)));
        notTaken(signature);
        notTaken(hex"00");
    }

    function test_RevertWhen_ThereIsNoSignature() public {
        settledBy(settler());
        notSigned("");
    }

    function test_RevertWhen_SomebodyElseHasSigned() public {
        settledBy(settler());
        notSigned(sign(SETTLER_KEY + 1, digestOf(1500, shares(5000, 5000))));
    }

    function test_RevertWhen_AnotherSettlementWasSigned() public {
        settledBy(settler());
        Award[] memory given = shares(5000, 5000);
        Award[] memory other = shares(5000, 5000);
        (other[0].shareBps, other[1].shareBps) = (4999, 5001);
        notSigned(sign(SETTLER_KEY, digestOf(1500, other)));
        notSigned(sign(SETTLER_KEY, digestOf(1501, given)));
        other[1] = given[1];
        notSigned(sign(SETTLER_KEY, digestOf(1500, other)));
        notSigned(sign(SETTLER_KEY, digestOf(1500, shares(10_000))));
        bytes32[4] memory digests = [
            market.settlementDigestOf("another", 1, "model", 1500, given, EVIDENCE),
            market.settlementDigestOf(bounty, 2, "model", 1500, given, EVIDENCE),
            market.settlementDigestOf(bounty, 1, "other", 1500, given, EVIDENCE),
            market.settlementDigestOf(bounty, 1, "model", 1500, given, "other")
        ];
        for (uint256 i; i < digests.length; ++i) {
            notSigned(sign(SETTLER_KEY, digests[i]));
        }
    }

    function test_RevertWhen_TheSignatureIsCutOrProlongedOrAltered() public {
        settledBy(settler());
        bytes32 digest = digestOf(1500, shares(5000, 5000));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(SETTLER_KEY, digest);
        notSigned(abi.encodePacked(r, s));
        (bytes32 compact, bytes32 vs) = vm.signCompact(SETTLER_KEY, digest);
        notSigned(abi.encodePacked(compact, vs));
        notSigned(abi.encodePacked(r, s, v, uint8(0)));
        notSigned(abi.encodePacked(r, s, 55 - v));
        notSigned(abi.encodePacked(r, s, v - 27));
        notSigned(abi.encodePacked(s, r, v));
        notSigned(new bytes(65));
    }

    function test_RevertWhen_AnythingElseIsWrongToo() public {
        settledBy(settler());
        refused(shares(5000, 4999), abi.encodeWithSelector(Errors.WrongShares.selector, 9_999));
        refused(bounty, 2, abi.encodeWithSelector(Errors.WrongRound.selector, 1, 2));
        bytes memory signature = sign(SETTLER_KEY, digestOf(1500, shares(5000, 5000)));
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(Errors.NotScientist.selector, stranger));
        market.settle(bounty, 1, "model", 1500, shares(5000, 5000), EVIDENCE, signature);
    }

    function test_WhenTheLossIsNotBetterAndItIsSigned() public {
        settledBy(settler());
        vm.prank(scientist);
        vm.expectRevert(abi.encodeWithSelector(Errors.SettlementNotSigned.selector, settler()));
        market.settle(bounty, 1, "model", 2500, shares(5000, 5000), EVIDENCE, "");
        settleSigned(bounty, 1, 2500, shares(5000, 5000));
        assertEq(balanceOf(mine(0)), 100 + 10);
    }

    function test_WhenNobodyHasAShareAndItIsSigned() public {
        settledBy(settler());
        bytes32 digest = market.settlementDigestOf(bounty, 1, MODEL, 2000, noAwards(2), EVIDENCE);
        vm.startPrank(scientist);
        vm.expectRevert(abi.encodeWithSelector(Errors.SettlementNotSigned.selector, settler()));
        market.settle(bounty, 1, MODEL, 2000, noAwards(2), EVIDENCE, "");
        market.settle(bounty, 1, MODEL, 2000, noAwards(2), EVIDENCE, sign(SETTLER_KEY, digest));
        assertEq(balanceOf(mine(0)), 100);
    }

    function test_WhenTheAccountHasSigned() public {
        settledBy(settler());
        settleSigned(bounty, 1, 1500, shares(2500, 7500));
        assertEq(balanceOf(mine(0)), 100 + 10 + 125);
        assertEq(balanceOf(mine(1)), 100 + 10 + 375);
        assertEq(market.getBounty(bounty).round, 2);
        assertStatus(bounty, Status.Commit);
    }

    function test_RevertWhen_ItSaysNo() public {
        settledBy(address(new AnsweringSettler(abi.encode(bytes4(0xffffffff)), false)));
        notSigned(sign(SETTLER_KEY, digestOf(1500, shares(5000, 5000))));
        terms.settler = address(new WalletSettler(settler()));
        settledBy(terms.settler);
        notSigned(sign(SETTLER_KEY, digestOf(1499, shares(5000, 5000))));
    }

    function test_WhenItSaysYes() public {
        settledBy(address(new WalletSettler(settler())));
        settleSigned(bounty, 1, 1000, shares(2500, 7500));
        assertEq(balanceOf(mine(0)), 100 + 10 + 250);
        assertStatus(bounty, Status.Closed);
    }

    /// One that decides by what it knows itself; what it is asked is the digest of this settlement.
    function test_WhenItNeedsNoSignature() public {
        settledBy(address(new AnsweringSettler(abi.encode(IERC1271.isValidSignature.selector), false)));
        bytes32 digest = digestOf(1500, shares(5000, 5000));
        vm.expectCall(terms.settler, abi.encodeCall(IERC1271.isValidSignature, (digest, "")));
        vm.prank(scientist);
        market.settle(bounty, 1, "model", 1500, shares(5000, 5000), EVIDENCE, "");
        assertEq(market.getBounty(bounty).round, 2);
    }

    /*//////////////////////////////////////////////////////////////
                             PAYMENTS
    //////////////////////////////////////////////////////////////*/

    function test_WhenModelAndLossStay() public {
        cohort(bounty, 1, 3, 2);
        vm.prank(scientist);
        market.settle(bounty, 1, MODEL, 2000, noAwards(2), EVIDENCE, "");
        assertEq(balanceOf(mine(0)), 150);
        assertEq(balanceOf(mine(1)), 150);
        Bounty memory now_ = market.getBounty(bounty);
        assertEq(now_.escrow, 1120);
        assertEq(now_.round, 2, "the round counts");
        assertEq(now_.modelDigest, MODEL);
    }

    function test_WhenAMineHasNoShare() public {
        cohort(bounty, 1, 4, 3);
        // 30 of fees for the two with a share; 100 forfeited among three, 1 left over.
        settle(bounty, 1, 1500, shares(0, 4000, 6000));
        assertEq(balanceOf(mine(0)), 100 + 33);
        assertEq(balanceOf(mine(1)), 100 + 33 + 15 + 200);
        assertEq(balanceOf(mine(2)), 100 + 33 + 15 + 300);
        assertEq(market.getBounty(bounty).escrow, 1120 + 1 - 30 - 500);
    }

    function test_WhenOneMineHasAllShares() public {
        cohort(bounty, 1, 2, 2);
        settle(bounty, 1, 2000, shares(10_000, 0));
        assertEq(balanceOf(mine(0)), 100 + 20);
        assertEq(market.getBounty(bounty).escrow, 1120 - 20);
    }

    function test_WhenTheFeesCannotBeSplitEvenly() public {
        cohort(bounty, 1, 4, 4);
        settle(bounty, 1, 2000, shares(0, 3000, 3000, 4000));
        assertEq(balanceOf(mine(1)), 100 + 13);
        assertEq(market.getBounty(bounty).escrow, 1120 - 39);
    }

    function test_WhenTheRewardCannotBeSplitEvenly() public {
        cohort(bounty, 1, 3, 3);
        settle(bounty, 1, 1999, shares(3333, 3333, 3334));
        // The round earned 1 wei; the running sum passes it at the end.
        assertEq(balanceOf(mine(0)), 100 + 10);
        assertEq(balanceOf(mine(1)), 100 + 10);
        assertEq(balanceOf(mine(2)), 100 + 10 + 1);
    }

    function test_WhenTheLossIsWorseThanTheBest() public {
        cohort(bounty, 1, 2, 2);
        settle(bounty, 1, 1500, shares(5000, 5000));
        cohort(bounty, 2, 2, 2);
        settle(bounty, 2, 3000, shares(5000, 5000));
        assertEq(balanceOf(mine(0)), 2 * 100 + 20 + 250);
        assertEq(market.getBounty(bounty).bestLoss, 1500);
        assertEq(market.getBounty(bounty).modelDigest, modelAfter(2));
        cohort(bounty, 3, 2, 2);
        settle(bounty, 3, 1400, shares(5000, 5000));
        assertEq(balanceOf(mine(0)), 3 * 100 + 30 + 300, "only what is new since the best is paid");
    }

    function test_WhenStakeAndFeeAndRewardAreZero() public {
        (terms.stake, terms.fee, terms.reward) = (0, 0, 0);
        bytes32 free = post("free");
        cohort(free, 1, 3, 2);
        settle(free, 1, 1000, shares(5000, 5000));
        assertEq(balanceOf(mine(0)) + balanceOf(mine(1)) + balanceOf(scientist), 0);
    }

    function test_WhenTheCohortIsOneMine() public {
        (terms.cohortCap, terms.minMines, terms.rounds) = (1, 1, 1);
        bytes32 alone = post("alone");
        commit(alone, 1, mine(0));
        reveal(alone, 1, mine(0));
        settle(alone, 1, 1000, shares(10_000));
        assertEq(balanceOf(mine(0)), 100 + 10 + 1000);
    }

    function test_WhenTheAssetIsAToken() public {
        terms.asset = address(new PlainToken());
        bounty = post("in a token");
        cohort(bounty, 1, 2, 2);
        settle(bounty, 1, 1000, shares(2500, 7500));
        assertEq(market.balanceOf(terms.asset, mine(0)), 100 + 10 + 250);
        assertEq(market.balanceOf(terms.asset, mine(1)), 100 + 10 + 750);
        assertEq(market.balanceOf(terms.asset, scientist), 100);
        assertEq(market.balanceOf(ETHER, mine(0)) + market.balanceOf(ETHER, scientist), 0);
    }

    function test_WhenTheTargetIsReached() public {
        cohort(bounty, 1, 2, 2);
        vm.expectEmit(address(market));
        emit ITrainingMarket.RoundSettled(bounty, 1, modelAfter(1), 900, 900, 1020, 100, EVIDENCE);
        vm.expectEmit(address(market));
        emit ITrainingMarket.BountyClosed(bounty, 1, CloseReason.TargetReached, 100);
        settle(bounty, 1, 900, shares(5000, 5000));
        assertEq(balanceOf(scientist), 100, "the rest comes back");
        assertEq(market.getBounty(bounty).escrow, 0);
    }

    function test_WhenItIsTheLastRound() public {
        for (uint8 round = 1; round <= 3; ++round) {
            cohort(bounty, round, 2, 2);
            if (round == 3) {
                vm.expectEmit(address(market));
                emit ITrainingMarket.BountyClosed(bounty, 3, CloseReason.LastRound, 1120 - 60 - 300);
            }
            settle(bounty, round, 2000 - 100 * uint64(round), shares(5000, 5000));
        }
    }

    function test_WhenTheLossIsBetter() public {
        cohort(bounty, 1, 3, 2);
        vm.warp(revealEnds(bounty) + 7);
        // Half of the way: 500. Three commits, so 50 of forfeits for each; two fees of 10.
        expectPaid(mine(0), 2500, 10, 125, 50);
        expectPaid(mine(1), 7500, 10, 375, 50);
        vm.expectEmit(address(market));
        emit ITrainingMarket.RoundSettled(bounty, 1, modelAfter(1), 1500, 1500, 520, 600, EVIDENCE);
        vm.expectEmit(address(market));
        emit ITrainingMarket.RoundOpened(bounty, 2, modelAfter(1), uint40(vm.getBlockTimestamp()));
        settle(bounty, 1, 1500, shares(2500, 7500));
        assertEq(balanceOf(mine(0)), 100 + 10 + 125 + 50);
        assertEq(balanceOf(mine(1)), 100 + 10 + 375 + 50);
        assertEq(balanceOf(scientist), 0);
        Bounty memory now_ = market.getBounty(bounty);
        assertEq(now_.escrow, 1120 - 20 - 500);
        assertEq(now_.round, 2);
        assertEq(now_.committed, 0);
        assertEq(now_.revealed, 0);
        assertEq(now_.opened, vm.getBlockTimestamp());
        assertEq(now_.modelDigest, modelAfter(1));
        assertEq(now_.bestLoss, 1500);
    }

    /*//////////////////////////////////////////////////////////////
                                HELPERS
    //////////////////////////////////////////////////////////////*/

    function refused(Award[] memory awards, bytes memory refusal) private {
        vm.prank(scientist);
        vm.expectRevert(refusal);
        market.settle(bounty, 1, "model", 1500, awards, EVIDENCE, "");
    }

    function refused(bytes32 id, uint8 round, bytes memory refusal) private {
        vm.prank(scientist);
        vm.expectRevert(refusal);
        market.settle(id, round, "model", 1500, shares(5000, 5000), EVIDENCE, "");
    }

    /// @dev A bounty with this settler, where two mines revealed in round 1.
    function settledBy(address settler_) private {
        terms.settler = settler_;
        bounty = post(bytes32(uint256(uint160(settler_))));
        cohort(bounty, 1, 2, 2);
    }

    function digestOf(uint64 newLoss, Award[] memory awards) private view returns (bytes32) {
        return market.settlementDigestOf(bounty, 1, "model", newLoss, awards, EVIDENCE);
    }

    function notTaken(bytes memory signature) private {
        vm.prank(scientist);
        vm.expectRevert(Errors.SignatureNotTaken.selector);
        market.settle(bounty, 1, "model", 1500, shares(5000, 5000), EVIDENCE, signature);
    }

    function notSigned(bytes memory signature) private {
        vm.prank(scientist);
        vm.expectRevert(abi.encodeWithSelector(Errors.SettlementNotSigned.selector, terms.settler));
        market.settle(bounty, 1, "model", 1500, shares(5000, 5000), EVIDENCE, signature);
    }

    function expectPaid(address who, uint16 bps, uint256 fee, uint256 reward, uint256 forfeit) private {
        vm.expectEmit(address(market));
        emit ITrainingMarket.MinePaid(bounty, 1, who, bps, 100, fee, reward, forfeit);
    }

    function shares(uint16 a) private pure returns (Award[] memory awards) {
        awards = noAwards(1);
        awards[0].shareBps = a;
    }

    function shares(uint16 a, uint16 b) private pure returns (Award[] memory awards) {
        awards = noAwards(2);
        (awards[0].shareBps, awards[1].shareBps) = (a, b);
    }

    function shares(uint16 a, uint16 b, uint16 c) private pure returns (Award[] memory awards) {
        awards = noAwards(3);
        (awards[0].shareBps, awards[1].shareBps, awards[2].shareBps) = (a, b, c);
    }

    function shares(uint16 a, uint16 b, uint16 c, uint16 d) private pure returns (Award[] memory awards) {
        awards = noAwards(4);
        (awards[0].shareBps, awards[1].shareBps) = (a, b);
        (awards[2].shareBps, awards[3].shareBps) = (c, d);
    }
}
