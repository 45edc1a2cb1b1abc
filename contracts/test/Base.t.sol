// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Test} from "forge-std/Test.sol";

import {Errors} from "../src/Errors.sol";
import {ITrainingMarket} from "../src/ITrainingMarket.sol";
import {TrainingMarket} from "../src/TrainingMarket.sol";
import {Award, Bounty, CloseReason, Entry, EntryState, Status, Terms} from "../src/Types.sol";
import {PlainToken} from "./mocks/Tokens.sol";

/// @notice A market, a scientist, mines in ascending order of address, and one call per step of a round.
abstract contract Base is Test {
    /// @dev What a bounty can be like: a status, and where it matters whether anybody has committed.
    enum State {
        CommitEmpty,
        Commit,
        Reveal,
        Settle,
        FailedEmpty,
        Failed,
        Overdue,
        Closed
    }

    address internal constant ETHER = address(0);
    uint24 internal constant MIN_WINDOW = 10;
    uint24 internal constant WINDOW = 60;
    uint96 internal constant STAKE = 0.5 ether;
    uint96 internal constant FEE = 0.01 ether;
    uint96 internal constant REWARD = 10 ether;
    uint64 internal constant INITIAL_LOSS = 26_645_643;
    uint64 internal constant TARGET_LOSS = 2_600_000;
    bytes32 internal constant MODEL = keccak256("model 0");
    bytes32 internal constant KEY = keccak256("key");
    bytes32 internal constant SALT = keccak256("salt");
    bytes32 internal constant EVIDENCE = keccak256("evidence");

    /// @dev Of the account that settles, where the terms name it.
    uint256 internal constant SETTLER_KEY = uint256(keccak256("settler"));

    TrainingMarket internal market;
    address internal scientist = makeAddr("scientist");
    address internal stranger = makeAddr("stranger");
    Terms internal terms;

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        market = new TrainingMarket(MIN_WINDOW);
        terms = Terms({
            asset: ETHER,
            cohortCap: 4,
            minMines: 2,
            rounds: 3,
            commitWindow: WINDOW,
            revealWindow: WINDOW,
            settleWindow: WINDOW,
            quiet: 0,
            overdueBps: 10_000,
            stake: STAKE,
            fee: FEE,
            reward: REWARD,
            initialLoss: INITIAL_LOSS,
            targetLoss: TARGET_LOSS,
            settler: address(0),
            allowRoot: 0
        });
    }

    /*//////////////////////////////////////////////////////////////
                              ONE PER CALL
    //////////////////////////////////////////////////////////////*/

    function post() internal returns (bytes32) {
        return post(SALT);
    }

    function post(bytes32 salt) internal returns (bytes32) {
        uint256 value = fund(scientist, market.escrowFor(terms));
        vm.prank(scientist);
        return market.postBounty{value: value}(terms, MODEL, KEY, salt);
    }

    function commit(bytes32 bounty, uint8 round, address who) internal {
        bytes32 seal = sealOf(bounty, round, who);
        uint256 value = fund(who, terms.stake);
        vm.prank(who);
        market.commit{value: value}(bounty, round, seal, noProof());
    }

    function reveal(bytes32 bounty, uint8 round, address who) internal {
        vm.prank(who);
        market.reveal(bounty, round, updateOf(round, who), saltOf(who));
    }

    function settle(bytes32 bounty, uint8 round, uint64 newLoss, Award[] memory awards) internal {
        vm.prank(scientist);
        market.settle(bounty, round, modelAfter(round), newLoss, awards, EVIDENCE, "");
    }

    function settleSigned(bytes32 bounty, uint8 round, uint64 newLoss, Award[] memory awards) internal {
        bytes32 digest = market.settlementDigestOf(bounty, round, modelAfter(round), newLoss, awards, EVIDENCE);
        bytes memory signature = sign(SETTLER_KEY, digest);
        vm.prank(scientist);
        market.settle(bounty, round, modelAfter(round), newLoss, awards, EVIDENCE, signature);
    }

    function fixCohort(bytes32 bounty, uint8 round, bytes32 digest) internal {
        vm.prank(scientist);
        market.fixCohort(bounty, round, digest);
    }

    function withdraw(address who) internal returns (uint256) {
        vm.prank(who);
        return market.withdraw(terms.asset, who);
    }

    /// @dev Gives `who` so much of the terms' asset, and the market an allowance for it.
    /// @return value What to send with the call.
    function fund(address who, uint256 amount) internal virtual returns (uint256 value) {
        if (terms.asset == ETHER) {
            deal(who, who.balance + amount);
            return amount;
        }
        PlainToken(terms.asset).mint(who, amount);
        vm.prank(who);
        // Not every token returns something.
        (bool ok,) = terms.asset.call(abi.encodeCall(IERC20.approve, (address(market), amount)));
        assertTrue(ok, "approve");
    }

    /*//////////////////////////////////////////////////////////////
                              WHOLE PHASES
    //////////////////////////////////////////////////////////////*/

    function commits(bytes32 bounty, uint8 round, uint256 count) internal {
        for (uint256 i; i < count; ++i) {
            commit(bounty, round, mine(i));
        }
    }

    function reveals(bytes32 bounty, uint8 round, uint256 count) internal {
        for (uint256 i; i < count; ++i) {
            reveal(bounty, round, mine(i));
        }
    }

    /// @dev Commits by the first `committed` mines, reveals by the first `revealed`, then to the Reveal's end.
    function cohort(bytes32 bounty, uint8 round, uint256 committed, uint256 revealed) internal {
        commits(bounty, round, committed);
        warpTo(commitEnds(bounty));
        reveals(bounty, round, revealed);
        warpTo(revealEnds(bounty));
    }

    /// @dev A new bounty in its first round, brought so far. Three mines commit where any do.
    function bountyIn(State state) internal returns (bytes32 bounty) {
        bounty = post(keccak256(abi.encode(state)));
        if (state == State.CommitEmpty) return bounty;
        if (state == State.FailedEmpty) {
            vm.warp(commitEnds(bounty));
            return bounty;
        }
        commits(bounty, 1, 3);
        if (state == State.Commit) return bounty;
        vm.warp(commitEnds(bounty));
        if (state == State.Reveal) return bounty;
        reveals(bounty, 1, state == State.Failed ? 1 : 2);
        vm.warp(state == State.Overdue ? settleEnds(bounty) : revealEnds(bounty));
        if (state == State.Closed) settle(bounty, 1, terms.targetLoss, equalAwards(2));
    }

    function warpTo(uint256 time) internal {
        if (time > vm.getBlockTimestamp()) vm.warp(time);
    }

    /*//////////////////////////////////////////////////////////////
                                 VALUES
    //////////////////////////////////////////////////////////////*/

    function commitEnds(bytes32 bounty) internal view returns (uint40 end) {
        (end,,) = market.deadlinesOf(bounty);
    }

    function revealEnds(bytes32 bounty) internal view returns (uint40 end) {
        (, end,) = market.deadlinesOf(bounty);
    }

    function settleEnds(bytes32 bounty) internal view returns (uint40 end) {
        (,, end) = market.deadlinesOf(bounty);
    }

    /// @dev Ascending in `i`.
    function mine(uint256 i) internal pure returns (address) {
        // No zero bytes, as calldata prices them lower.
        return address(uint160(bytes20(hex"1111111111111111111111111111111111111111")) + uint160(i));
    }

    function mines(uint256 count) internal pure returns (address[] memory list) {
        list = new address[](count);
        for (uint256 i; i < count; ++i) {
            list[i] = mine(i);
        }
    }

    /// @dev Equal shares for the first `count` mines; the last gets what is left of 10,000.
    function equalAwards(uint256 count) internal pure returns (Award[] memory awards) {
        awards = noAwards(count);
        for (uint256 i; i < count; ++i) {
            awards[i].shareBps = uint16(10_000 / count);
        }
        if (count != 0) awards[count - 1].shareBps += uint16(10_000 % count);
    }

    function noAwards(uint256 count) internal pure returns (Award[] memory awards) {
        awards = new Award[](count);
        for (uint256 i; i < count; ++i) {
            awards[i].mine = mine(i);
        }
    }

    function settler() internal pure returns (address) {
        return vm.addr(SETTLER_KEY);
    }

    function sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function noProof() internal pure returns (bytes32[] memory) {
        return new bytes32[](0);
    }

    function updateOf(uint8 round, address who) internal pure returns (bytes32) {
        return keccak256(abi.encode("update", round, who));
    }

    function saltOf(address who) internal pure returns (bytes32) {
        return keccak256(abi.encode("salt", who));
    }

    function modelAfter(uint8 round) internal pure returns (bytes32) {
        return keccak256(abi.encode("model", round));
    }

    function sealOf(bytes32 bounty, uint8 round, address who) internal view returns (bytes32) {
        return market.sealOf(bounty, round, who, updateOf(round, who), saltOf(who));
    }

    function balanceOf(address who) internal view returns (uint256) {
        return market.balanceOf(terms.asset, who);
    }

    function assertStatus(bytes32 bounty, Status expected) internal view {
        assertEq(uint8(market.statusOf(bounty)), uint8(expected), "status");
    }

    function expectWrongStatus(Status actual) internal {
        vm.expectRevert(abi.encodeWithSelector(Errors.WrongStatus.selector, actual));
    }
}
