// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

import {Base} from "../Base.t.sol";
import {MerkleTree} from "../mocks/MerkleTree.sol";
import {FalseToken, NoReturnToken, PlainToken} from "../mocks/Tokens.sol";
import {Errors} from "../../src/Errors.sol";
import {ITrainingMarket} from "../../src/ITrainingMarket.sol";
import {Entry, EntryState, Status} from "../../src/Types.sol";

/// @dev Takes a hundredth of every transfer once it has been told to.
contract TurningToken is PlainToken {
    bool public turned;

    function turn() external {
        turned = true;
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        return super.transferFrom(from, to, turned ? amount - amount / 100 : amount);
    }
}

/// @notice Along commit.tree.
contract CommitTest is Base {
    bytes32 internal bounty;
    bytes32[] internal leaves;

    function setUp() public override {
        super.setUp();
        bounty = post();
        deal(mine(0), 10 ether);
    }

    function test_RevertGiven_TheBountyIsUnknown() public {
        refused(
            "nothing", 1, "seal", STAKE, abi.encodeWithSelector(Errors.UnknownBounty.selector, bytes32("nothing"))
        );
    }

    function test_RevertWhen_TheRoundIsNotTheCurrentOne() public {
        refused(bounty, 0, "seal", STAKE, abi.encodeWithSelector(Errors.WrongRound.selector, 1, 0));
        refused(bounty, 2, "seal", STAKE, abi.encodeWithSelector(Errors.WrongRound.selector, 1, 2));
    }

    function test_RevertGiven_TheCohortIsFull() public {
        commits(bounty, 1, 4);
        deal(mine(4), STAKE);
        vm.prank(mine(4));
        vm.expectRevert(abi.encodeWithSelector(Errors.CohortFull.selector, 4));
        market.commit{value: STAKE}(bounty, 1, "seal", noProof());
    }

    function test_RevertGiven_TheStatusIsNotCommit() public {
        for (uint8 i; i <= uint8(type(State).max); ++i) {
            bytes32 id = bountyIn(State(i));
            Status status = market.statusOf(id);
            if (status == Status.Commit) continue;
            refused(id, 1, "seal", STAKE, abi.encodeWithSelector(Errors.WrongStatus.selector, status));
        }
    }

    /*//////////////////////////////////////////////////////////////
                               ALLOW LIST
    //////////////////////////////////////////////////////////////*/

    function test_RevertWhen_AProofIsGiven() public {
        vm.prank(mine(0));
        vm.expectRevert(Errors.ProofNotTaken.selector);
        market.commit{value: STAKE}(bounty, 1, "seal", new bytes32[](1));
    }

    function test_RevertWhen_TheMineIsNotOnIt() public {
        allow(3);
        notAllowed(mine(3), MerkleTree.proof(leaves, 0));
        leaves.push(MerkleTree.leafOf(mine(3)));
        notAllowed(mine(3), MerkleTree.proof(leaves, 3)); // right, but of another list
    }

    function test_RevertWhen_TheProofIsOfAnotherMine() public {
        allow(4);
        notAllowed(mine(0), MerkleTree.proof(leaves, 1));
        notAllowed(mine(0), MerkleTree.proof(leaves, 3));
    }

    function test_RevertWhen_TheProofIsEmpty() public {
        allow(2);
        notAllowed(mine(0), noProof());
    }

    function test_RevertWhen_TheProofIsCutOrProlongedOrAltered() public {
        allow(4);
        bytes32[] memory right = MerkleTree.proof(leaves, 0);
        assertEq(right.length, 2);
        bytes32[] memory cut = new bytes32[](1);
        cut[0] = right[1]; // as if the leaf were the inner node above it
        notAllowed(mine(0), cut);
        bytes32[] memory prolonged = new bytes32[](3);
        (prolonged[0], prolonged[1]) = (right[0], right[1]);
        notAllowed(mine(0), prolonged);
        right[1] ^= bytes32(uint256(1));
        notAllowed(mine(0), right);
    }

    function test_RevertWhen_TheLeafWasHashedOnlyOnce() public {
        leaves.push(keccak256(abi.encode(mine(0))));
        leaves.push(keccak256(abi.encode(mine(1))));
        terms.allowRoot = MerkleTree.root(leaves);
        bounty = post("hashed once");
        notAllowed(mine(0), MerkleTree.proof(leaves, 0));
    }

    function test_WhenTheMineIsTheOnlyOneOnItAndTheProofIsEmpty() public {
        allow(1);
        notAllowed(mine(1), noProof());
        commit(bounty, 1, mine(0));
        assertEq(market.getBounty(bounty).committed, 1);
    }

    function test_WhenTheProofIsRight() public {
        allow(3); // no power of two: one leaf has a shorter proof
        for (uint256 i; i < 3; ++i) {
            deal(mine(i), STAKE);
            vm.prank(mine(i));
            market.commit{value: STAKE}(bounty, 1, "seal", MerkleTree.proof(leaves, i));
        }
        assertEq(market.getBounty(bounty).committed, 3);
    }

    /*//////////////////////////////////////////////////////////////
                             SEAL AND ENTRY
    //////////////////////////////////////////////////////////////*/

    function test_RevertWhen_NothingIsLeftOfTheSeal() public {
        refused(bounty, 1, 0, STAKE, abi.encodeWithSelector(Errors.ZeroDigest.selector));
        // Only the last three bytes, which are not stored, are set.
        refused(bounty, 1, bytes32(uint256(0xffffff)), STAKE, abi.encodeWithSelector(Errors.ZeroDigest.selector));
    }

    function test_RevertGiven_TheMineHasCommittedInThisRound() public {
        commit(bounty, 1, mine(0));
        refused(bounty, 1, "seal", STAKE, abi.encodeWithSelector(Errors.AlreadyCommitted.selector, mine(0)));
    }

    function test_GivenTheMineForfeitedInAnEarlierRound() public {
        cohort(bounty, 1, 3, 2);
        settle(bounty, 1, INITIAL_LOSS, equalAwards(2));
        commit(bounty, 2, mine(2));
        Entry memory entry = market.entryOf(bounty, mine(2));
        assertEq(entry.round, 2);
        assertEq(uint8(entry.state), uint8(EntryState.Committed));
    }

    function test_GivenTheTermsHaveNoQuietTime() public {
        vm.warp(vm.getBlockTimestamp() + 5);
        commit(bounty, 1, mine(0));
        assertEq(market.getBounty(bounty).lastCommit, 0);
    }

    function test_GivenTheTermsHaveAQuietTime() public {
        terms.quiet = 20;
        bounty = post("quiet");
        assertEq(market.getBounty(bounty).lastCommit, 0, "nobody has committed");
        for (uint256 i; i < 3; ++i) {
            vm.warp(vm.getBlockTimestamp() + 5);
            commit(bounty, 1, mine(i));
            assertEq(market.getBounty(bounty).lastCommit, vm.getBlockTimestamp());
        }
        uint256 last = vm.getBlockTimestamp();
        vm.warp(last + 20);
        reveals(bounty, 1, 3);
        assertEq(market.getBounty(bounty).lastCommit, last);
        settle(bounty, 1, INITIAL_LOSS, equalAwards(3));
        assertEq(market.getBounty(bounty).lastCommit, 0, "nobody has committed in the new round");
    }

    function test_GivenTheMineCommittedInAnotherBounty() public {
        bytes32 other = post("another salt");
        commit(bounty, 1, mine(0));
        commit(other, 1, mine(0));
        assertEq(market.getBounty(bounty).committed, 1);
        assertEq(market.getBounty(other).committed, 1);
    }

    /*//////////////////////////////////////////////////////////////
                                 ETHER
    //////////////////////////////////////////////////////////////*/

    function test_RevertWhen_AnotherAmountIsSent() public {
        for (uint256 sent = STAKE - 1; sent <= STAKE + 1; sent += 2) {
            refused(bounty, 1, "seal", sent, abi.encodeWithSelector(Errors.WrongPayment.selector, sent, STAKE));
        }
        refused(bounty, 1, "seal", 0, abi.encodeWithSelector(Errors.WrongPayment.selector, 0, STAKE));
    }

    function test_WhenTheLastPlaceIsTaken() public {
        commits(bounty, 1, 3);
        assertStatus(bounty, Status.Commit);
        commit(bounty, 1, mine(3));
        assertStatus(bounty, Status.Reveal);
    }

    function test_WhenTheStakeIsSent() public {
        uint256 before = address(market).balance;
        takesACommit();
        assertEq(address(market).balance, before + STAKE);
    }

    /*//////////////////////////////////////////////////////////////
                                 TOKEN
    //////////////////////////////////////////////////////////////*/

    function test_RevertWhen_EtherIsSentWithIt() public {
        postIn(address(new PlainToken()));
        fund(mine(0), STAKE);
        refused(bounty, 1, "seal", 1, abi.encodeWithSelector(Errors.WrongPayment.selector, 1, 0));
    }

    function test_RevertWhen_TheAllowanceIsTooSmall() public {
        PlainToken token = new PlainToken();
        postIn(address(token));
        fund(mine(0), STAKE - 1);
        bytes4 short = IERC20Errors.ERC20InsufficientAllowance.selector;
        refused(bounty, 1, "seal", 0, abi.encodeWithSelector(short, market, STAKE - 1, STAKE));
    }

    function test_RevertWhen_TheTokenAnswersFalse() public {
        FalseToken token = new FalseToken();
        postIn(address(token));
        token.refuse(true);
        fund(mine(0), STAKE);
        refused(bounty, 1, "seal", 0, abi.encodeWithSelector(SafeERC20.SafeERC20FailedOperation.selector, token));
    }

    function test_RevertWhen_TheTokenTakesAFee() public {
        TurningToken token = new TurningToken();
        postIn(address(token));
        token.turn();
        fund(mine(0), STAKE);
        uint256 held = token.balanceOf(address(market));
        bytes4 wrong = Errors.WrongReceipt.selector;
        uint256 heldAfter = held + STAKE - STAKE / 100;
        refused(bounty, 1, "seal", 0, abi.encodeWithSelector(wrong, token, held, heldAfter, STAKE));
    }

    function test_WhenTheTokenAnswersNothing() public {
        NoReturnToken token = new NoReturnToken();
        postIn(address(token));
        uint256 before = token.balanceOf(address(market));
        commit(bounty, 1, mine(0));
        assertEq(token.balanceOf(address(market)), before + STAKE);
    }

    function test_WhenTheStakeIsZero() public {
        terms.stake = 0;
        postIn(address(new FalseToken()));
        FalseToken(terms.asset).refuse(true);
        vm.expectCall(terms.asset, abi.encodeWithSelector(FalseToken.transferFrom.selector), 0);
        commit(bounty, 1, mine(0));
        assertEq(market.getBounty(bounty).committed, 1);
    }

    function test_WhenTheTokenIsPlain() public {
        PlainToken token = new PlainToken();
        postIn(address(token));
        (uint256 held, uint256 ether_) = (token.balanceOf(address(market)), address(market).balance);
        takesACommit();
        assertEq(token.balanceOf(address(market)), held + STAKE);
        assertEq(token.balanceOf(mine(0)), 0);
        assertEq(address(market).balance, ether_);
    }

    /*//////////////////////////////////////////////////////////////
                                HELPERS
    //////////////////////////////////////////////////////////////*/

    function takesACommit() private {
        bytes32 seal = sealOf(bounty, 1, mine(0));
        uint256 value = fund(mine(0), STAKE);
        vm.expectEmit(address(market));
        emit ITrainingMarket.Committed(bounty, 1, mine(0), seal);
        vm.prank(mine(0));
        market.commit{value: value}(bounty, 1, seal, noProof());
        Entry memory entry = market.entryOf(bounty, mine(0));
        assertEq(entry.round, 1);
        assertEq(uint8(entry.state), uint8(EntryState.Committed));
        assertEq(bytes32(entry.seal), bytes32(bytes29(seal)));
        assertEq(market.getBounty(bounty).committed, 1);
    }

    function postIn(address asset) private {
        terms.asset = asset;
        bounty = post("in a token");
    }

    /// @dev A bounty for the first `count` mines alone.
    function allow(uint256 count) private {
        for (uint256 i; i < count; ++i) {
            leaves.push(MerkleTree.leafOf(mine(i)));
        }
        terms.allowRoot = MerkleTree.root(leaves);
        bounty = post("gated");
    }

    function notAllowed(address who, bytes32[] memory proof) private {
        deal(who, STAKE);
        vm.prank(who);
        vm.expectRevert(abi.encodeWithSelector(Errors.NotAllowed.selector, who, terms.allowRoot));
        market.commit{value: STAKE}(bounty, 1, "seal", proof);
    }

    function refused(bytes32 id, uint8 round, bytes32 seal, uint256 sent, bytes memory refusal) private {
        vm.prank(mine(0));
        vm.expectRevert(refusal);
        market.commit{value: sent}(id, round, seal, noProof());
    }
}
