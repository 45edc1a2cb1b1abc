// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Vm} from "forge-std/Vm.sol";

import {Base} from "../Base.t.sol";
import {Refuser} from "../mocks/Actors.sol";
import {Errors} from "../../src/Errors.sol";
import {Award, Status} from "../../src/Types.sol";

/// @notice What was wrong with the contract of 2017, one test per fault and named after it.
contract Faults2017Test is Base {
    bytes32 internal bounty;

    function setUp() public override {
        super.setUp();
        (terms.reward, terms.fee, terms.stake) = (1000, 10, 100);
        (terms.initialLoss, terms.targetLoss) = (2000, 1000);
        bounty = post(); // escrow: 1000 + 10 * 4 * 3 = 1120
    }

    function test_AnOvershootOfTheTargetThatPaysFromOtherBountiesMoney() public {
        bytes32 other = post("other");
        cohort(bounty, 1, 2, 2);
        settle(bounty, 1, 0, equalAwards(2)); // twice the way to the target
        assertEq(balanceOf(mine(0)), 100 + 10 + 500);
        assertEq(balanceOf(mine(1)), 100 + 10 + 500);
        assertEq(balanceOf(scientist), 1120 - 1020);
        assertEq(market.getBounty(other).escrow, 1120);
        assertEq(address(market).balance, 1120 + 2 * 610 + 100);
    }

    function test_InitialEqualToTargetThatDividesByZero() public {
        terms.initialLoss = terms.targetLoss;
        uint256 value = fund(scientist, market.escrowFor(terms));
        vm.prank(scientist);
        vm.expectRevert(abi.encodeWithSelector(Errors.BadLosses.selector, 1000, 1000));
        market.postBounty{value: value}(terms, MODEL, KEY, "equal");
    }

    function test_ANewLossOfZeroReadAsNotEvaluated() public {
        terms.targetLoss = 0;
        bounty = post("to zero");
        cohort(bounty, 1, 2, 2);
        settle(bounty, 1, 0, equalAwards(2));
        assertEq(market.getBounty(bounty).bestLoss, 0);
        assertEq(balanceOf(mine(0)), 100 + 10 + 500);
        vm.prank(scientist);
        expectWrongStatus(Status.Closed);
        market.settle(bounty, 1, "again", 0, equalAwards(2), EVIDENCE, "");
    }

    function test_NoRefund() public {
        vm.prank(scientist);
        market.close(bounty);
        assertEq(withdraw(scientist), 1120);
        assertEq(scientist.balance, 1120);
        assertEq(address(market).balance, 0);
    }

    function test_NoDeadline() public {
        vm.warp(commitEnds(bounty) - 1);
        assertStatus(bounty, Status.Commit);
        vm.warp(commitEnds(bounty));
        market.expire(bounty, 1, mines(0));
        assertEq(withdraw(scientist), 1120);
    }

    /// From the log alone: who took part, what each was paid, and what went back.
    function test_NoEvents() public {
        vm.recordLogs();
        bounty = post("logged");
        cohort(bounty, 1, 2, 2);
        settle(bounty, 1, 1000, equalAwards(2));
        withdraw(mine(0));
        string[10] memory expected = [
            "BountyPosted(bytes32,address,(address,uint8,uint8,uint8,uint24,uint24,uint24,uint16,uint16,uint96,uint96,uint96,uint64,uint64,address,bytes32),bytes32,bytes32,uint256)",
            "RoundOpened(bytes32,uint8,bytes32,uint40)",
            "Committed(bytes32,uint8,address,bytes32)",
            "Committed(bytes32,uint8,address,bytes32)",
            "Revealed(bytes32,uint8,address,bytes32)",
            "Revealed(bytes32,uint8,address,bytes32)",
            "MinePaid(bytes32,uint8,address,uint16,uint256,uint256,uint256,uint256)",
            "MinePaid(bytes32,uint8,address,uint16,uint256,uint256,uint256,uint256)",
            "RoundSettled(bytes32,uint8,bytes32,uint64,uint64,uint256,uint256,bytes32)",
            "BountyClosed(bytes32,uint8,uint8,uint256)"
        ];
        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(logs.length, 11);
        for (uint256 i; i < 10; ++i) {
            assertEq(logs[i].topics[0], keccak256(bytes(expected[i])), expected[i]);
            assertEq(logs[i].topics[1], bounty);
        }
        assertEq(logs[10].topics[0], keccak256("Withdrawn(address,address,address,uint256)"));
        (, uint256 stake, uint256 fee, uint256 reward, uint256 forfeit) =
            abi.decode(logs[6].data, (uint16, uint256, uint256, uint256, uint256));
        (, uint256 sent) = abi.decode(logs[10].data, (address, uint256));
        assertEq(stake + fee + reward + forfeit, sent);
    }

    function test_APushPaymentThatOneReceiverCanBlock() public {
        address refuser = address(new Refuser());
        bool first = refuser < mine(0);
        commit(bounty, 1, refuser);
        commits(bounty, 1, 1);
        vm.warp(commitEnds(bounty));
        reveal(bounty, 1, refuser);
        reveals(bounty, 1, 1);
        Award[] memory awards = new Award[](2);
        awards[first ? 0 : 1] = Award(refuser, 5000);
        awards[first ? 1 : 0] = Award(mine(0), 5000);
        settle(bounty, 1, 1000, awards);

        assertEq(withdraw(mine(0)), 100 + 10 + 500);
        assertEq(withdraw(scientist), 100);
        vm.startPrank(refuser);
        vm.expectRevert(abi.encodeWithSelector(Errors.TransferFailed.selector, refuser, 610));
        market.withdraw(ETHER, refuser);
        market.withdraw(ETHER, stranger);
        assertEq(stranger.balance, 610, "what it does not take itself it can send elsewhere");
    }

    function test_ACopiedGradientClaimedByAnother() public {
        commits(bounty, 1, 2);
        bytes32 copied = sealOf(bounty, 1, mine(0));
        uint256 value = fund(stranger, 100);
        vm.prank(stranger);
        market.commit{value: value}(bounty, 1, copied, noProof());
        vm.warp(commitEnds(bounty));
        reveals(bounty, 1, 2);
        vm.prank(stranger);
        vm.expectPartialRevert(Errors.SealMismatch.selector);
        market.reveal(bounty, 1, updateOf(1, mine(0)), saltOf(mine(0)));
        vm.warp(revealEnds(bounty));
        settle(bounty, 1, 1000, equalAwards(2));
        assertEq(balanceOf(stranger), 0, "the copy earns nothing");
        assertEq(balanceOf(mine(0)), 100 + 10 + 500 + 50, "and its stake goes to those who revealed");
    }

    function test_IdsGuessedFromACount() public {
        bytes32 expected = market.bountyIdOf(scientist, terms, MODEL, KEY, "mine");
        vm.prank(stranger);
        vm.deal(stranger, 1120);
        market.postBounty{value: 1120}(terms, MODEL, KEY, "first");
        assertEq(post("mine"), expected, "who posts in front does not shift an id");
        for (uint256 i; i < 4; ++i) {
            assertStatus(bytes32(i), Status.None);
        }
    }

    function test_AnOwnerWhoNeverEvaluates() public {
        cohort(bounty, 1, 2, 2);
        vm.warp(settleEnds(bounty));
        vm.prank(mine(0));
        market.expire(bounty, 1, mines(2));
        uint256 each = 100 + 10 + uint256(1000) / 2;
        assertEq(withdraw(mine(0)), each);
        assertEq(withdraw(mine(1)), each);
        assertEq(withdraw(scientist), 1120 + 200 - 2 * each);
    }

    function test_ADigestStoredInTwoHalves() public {
        bytes32 digest = 0x00000000000000000000000000000001ff000000000000000000000000000000;
        assertEq(market.getBounty(bounty).modelDigest, MODEL);
        cohort(bounty, 1, 2, 2);
        vm.prank(scientist);
        market.settle(bounty, 1, digest, 1500, equalAwards(2), EVIDENCE, "");
        assertEq(market.getBounty(bounty).modelDigest, digest, "one word, whole");
    }
}
