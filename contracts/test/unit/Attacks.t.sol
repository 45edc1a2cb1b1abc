// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Base} from "../Base.t.sol";
import {Errors} from "../../src/Errors.sol";
import {Status} from "../../src/Types.sol";

/// @dev Forces ether upon an address that has no way to receive it.
contract Bomb {
    constructor(address payable target) payable {
        selfdestruct(target);
    }
}

/// @notice What somebody would try.
contract AttacksTest is Base {
    bytes32 internal bounty;

    function setUp() public override {
        super.setUp();
        bounty = post();
    }

    function test_ACopiedSealOpensForNobodyElse() public {
        commit(bounty, 1, mine(0));
        bytes32 copied = sealOf(bounty, 1, mine(0));
        deal(stranger, STAKE);
        vm.prank(stranger);
        market.commit{value: STAKE}(bounty, 1, copied, noProof());
        vm.warp(commitEnds(bounty));

        bytes32 given = bytes29(market.sealOf(bounty, 1, stranger, updateOf(1, mine(0)), saltOf(mine(0))));
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(Errors.SealMismatch.selector, bytes32(bytes29(copied)), given));
        market.reveal(bounty, 1, updateOf(1, mine(0)), saltOf(mine(0)));
        reveal(bounty, 1, mine(0));
    }

    function test_ARevealThatIsSeenInTheMempoolIsOfNoUseToOthers() public {
        commits(bounty, 1, 2);
        vm.warp(commitEnds(bounty));
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(Errors.NotCommitted.selector, stranger));
        market.reveal(bounty, 1, updateOf(1, mine(0)), saltOf(mine(0)));
    }

    function test_ASealOfAnotherBountyRoundOrChainDoesNotOpen() public {
        bytes32 other = post("other");
        bytes32[3] memory seals = [sealOf(other, 1, mine(0)), sealOf(bounty, 2, mine(0)), bytes32(0)];
        uint256 chain = block.chainid;
        vm.chainId(chain + 1);
        seals[2] = sealOf(bounty, 1, mine(0));
        vm.chainId(chain);
        uint256 start = vm.snapshotState();
        for (uint256 i; i < seals.length; ++i) {
            deal(mine(0), STAKE);
            vm.prank(mine(0));
            market.commit{value: STAKE}(bounty, 1, seals[i], noProof());
            vm.warp(commitEnds(bounty));
            bytes32 right = bytes29(sealOf(bounty, 1, mine(0)));
            vm.prank(mine(0));
            vm.expectRevert(
                abi.encodeWithSelector(Errors.SealMismatch.selector, bytes32(bytes29(seals[i])), right)
            );
            market.reveal(bounty, 1, updateOf(1, mine(0)), saltOf(mine(0)));
            vm.revertToState(start);
        }
    }

    function test_ACommitInFrontOfACloseKeepsTheBountyOpen() public {
        commit(bounty, 1, mine(0));
        vm.prank(scientist);
        vm.expectRevert(abi.encodeWithSelector(Errors.CommitsExist.selector, 1));
        market.close(bounty);
    }

    function test_ACloseInFrontOfACommitTakesNoStake() public {
        vm.prank(scientist);
        market.close(bounty);
        deal(mine(0), STAKE);
        vm.prank(mine(0));
        expectWrongStatus(Status.Closed);
        market.commit{value: STAKE}(bounty, 1, "seal", noProof());
        assertEq(mine(0).balance, STAKE);
    }

    function test_SomebodyElseCannotTakeAnIdInAdvance() public {
        uint256 escrow = market.escrowFor(terms);
        bytes32 wanted = market.bountyIdOf(scientist, terms, MODEL, KEY, "later");
        deal(stranger, escrow);
        vm.prank(stranger);
        assertNotEq(market.postBounty{value: escrow}(terms, MODEL, KEY, "later"), wanted);
        assertEq(post("later"), wanted);
    }

    function test_ForcedEtherChangesNothing() public {
        cohort(bounty, 1, 3, 2);
        new Bomb{value: 7 ether}(payable(address(market)));
        settle(bounty, 1, TARGET_LOSS, equalAwards(2));
        withdraw(mine(0));
        withdraw(mine(1));
        withdraw(scientist);
        assertEq(address(market).balance, 7 ether);
    }

    function test_PlainEtherIsRefused() public {
        (bool ok,) = address(market).call{value: 1}("");
        assertFalse(ok);
    }

    function test_NobodyCanBeLeftOutOfAnExpire() public {
        cohort(bounty, 1, 3, 3);
        vm.warp(settleEnds(bounty));
        address[] memory friends = mines(2);
        vm.prank(scientist);
        vm.expectRevert(abi.encodeWithSelector(Errors.WrongCohortSize.selector, 2, 3));
        market.expire(bounty, 1, friends);
    }

    function test_AmountsAtTheTopOfTheirRangeAreNotCut() public {
        (terms.cohortCap, terms.minMines, terms.rounds) = (2, 1, 1);
        (terms.stake, terms.fee) = (1 << 93, 1 << 93);
        terms.reward = uint96(type(uint96).max - 4 * (1 << 93));
        (terms.initialLoss, terms.targetLoss) = (type(uint64).max, 0);
        bounty = post("top");
        cohort(bounty, 1, 2, 1);
        settle(bounty, 1, 0, equalAwards(1));
        assertEq(balanceOf(mine(0)), uint256(terms.reward) + 3 * (1 << 93), "reward, stake, forfeit, fee");
        assertEq(balanceOf(scientist), 1 << 93, "the fee of the empty place");

        bounty = post("top, nobody reveals");
        cohort(bounty, 1, 2, 0);
        market.expire(bounty, 1, mines(0));
        assertEq(balanceOf(scientist), (1 << 93) + uint256(type(uint96).max));
    }
}
