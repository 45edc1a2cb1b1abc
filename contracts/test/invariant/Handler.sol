// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {CommonBase} from "forge-std/Base.sol";
import {StdCheats} from "forge-std/StdCheats.sol";
import {StdUtils} from "forge-std/StdUtils.sol";
import {Vm} from "forge-std/Vm.sol";

import {ITrainingMarket} from "../../src/ITrainingMarket.sol";
import {TrainingMarket} from "../../src/TrainingMarket.sol";
import {Award, Bounty, Entry, EntryState, Status, Terms} from "../../src/Types.sol";

/// @dev Forces ether upon an address that has no way to receive it.
contract Bomb {
    constructor(address payable target) payable {
        selfdestruct(target);
    }
}

/// @notice Several scientists and mines, several bounties at once, and time. Each action picks a bounty and does
/// what the bounty's status allows; a call that reverts fails the run. Beside that it keeps its own books.
contract Handler is CommonBase, StdCheats, StdUtils {
    uint256 public constant MAX_BOUNTIES = 8;
    uint256 public constant MINES = 6;
    address internal constant ETHER = address(0);

    TrainingMarket public immutable MARKET;
    address[] public scientists;
    address[] public mines; // ascending
    bytes32[] public bounties;

    mapping(bytes32 bounty => uint256) public paidIn;
    mapping(bytes32 bounty => uint256) public credited;
    mapping(bytes32 bounty => uint256) public rewarded;
    mapping(bytes32 bounty => uint256) public latestPhase;
    uint256 public totalIn;
    uint256 public totalOut;
    uint256 public forced;
    uint256 public settled;
    uint256 public failed;
    uint256 public overdue;
    bool public wentBackwards;
    bool public cheatedAMine;

    constructor(TrainingMarket market) {
        MARKET = market;
        for (uint160 i; i < 3; ++i) {
            scientists.push(address(0x5000 + i));
        }
        for (uint160 i; i < MINES; ++i) {
            mines.push(address(0x6000 + i));
        }
    }

    /*//////////////////////////////////////////////////////////////
                                ACTIONS
    //////////////////////////////////////////////////////////////*/

    function post(uint256 seed, Terms memory terms, bytes32 salt) external counted {
        if (bounties.length == MAX_BOUNTIES) return;
        boundTerms(terms);
        address scientist = scientists[seed % scientists.length];
        uint256 escrow = MARKET.escrowFor(terms);
        bytes32 bounty = MARKET.bountyIdOf(scientist, terms, "model", "key", salt);
        if (MARKET.statusOf(bounty) != Status.None) return;
        deal(scientist, escrow);
        vm.prank(scientist);
        MARKET.postBounty{value: escrow}(terms, "model", "key", salt);
        bounties.push(bounty);
        take(bounty, escrow);
    }

    /// @dev Several mines at once, so that full cohorts are not rare.
    function commit(uint256 pick, uint256 mask) external counted {
        bytes32 bounty = choose(pick, Status.Commit);
        if (bounty == 0) return;
        mask |= mask >> MINES; // three mines in four
        for (uint256 i; i < MINES; ++i) {
            Bounty memory state = MARKET.getBounty(bounty);
            if (mask >> i & 1 == 0 || MARKET.statusOf(bounty) != Status.Commit) continue;
            if (MARKET.entryOf(bounty, mines[i]).round == state.round) continue;
            bytes32 seal = MARKET.sealOf(bounty, state.round, mines[i], "update", "salt");
            deal(mines[i], state.terms.stake);
            vm.prank(mines[i]);
            MARKET.commit{value: state.terms.stake}(bounty, state.round, seal, new bytes32[](0));
            take(bounty, state.terms.stake);
        }
    }

    function reveal(uint256 pick, uint256 mask) external counted {
        bytes32 bounty = choose(pick, Status.Reveal);
        if (bounty == 0) return;
        uint8 round = MARKET.getBounty(bounty).round;
        mask |= mask >> MINES;
        for (uint256 i; i < MINES; ++i) {
            Entry memory entry = MARKET.entryOf(bounty, mines[i]);
            if (mask >> i & 1 == 0 || entry.round != round || entry.state != EntryState.Committed) continue;
            vm.prank(mines[i]);
            MARKET.reveal(bounty, round, "update", "salt");
        }
    }

    function settle(uint256 pick, uint64 newLoss, uint256 seed) external counted {
        bytes32 bounty = choose(pick, Status.Settle);
        if (bounty == 0) return;
        Bounty memory state = MARKET.getBounty(bounty);
        Award[] memory awards = randomAwards(cohort(bounty, state.round), seed);
        bytes32 model = keccak256(abi.encode(seed));
        newLoss = uint64(bound(newLoss, 0, uint256(state.terms.initialLoss) + 10));
        if (seed % 4 == 0) (model, newLoss) = (state.modelDigest, state.bestLoss);
        vm.recordLogs();
        vm.prank(state.scientist);
        MARKET.settle(bounty, state.round, model, newLoss, awards, "evidence");
        ++settled;
        give(bounty, state.terms.stake);
    }

    function expire(uint256 pick) external counted {
        bytes32 bounty = choose(pick, Status.Failed);
        if (bounty == 0) bounty = choose(pick, Status.Overdue);
        if (bounty != 0) expireNow(bounty);
    }

    function close(uint256 pick) external counted {
        bytes32 bounty = choose(pick, Status.Commit);
        if (bounty == 0) return;
        Bounty memory state = MARKET.getBounty(bounty);
        if (state.committed != 0 || pick % 4 != 0) return;
        vm.recordLogs();
        vm.prank(state.scientist);
        MARKET.close(bounty);
        give(bounty, state.terms.stake);
    }

    function withdraw(uint256 pick) external counted {
        uint256 index = pick % (MINES + scientists.length);
        withdrawOf(index < MINES ? mines[index] : scientists[index - MINES]);
    }

    /// @dev To the end of a bounty's phase, a second before or a second after it.
    function jump(uint256 pick, uint256 seed) external counted {
        if (bounties.length == 0) return;
        bytes32 bounty = bounties[pick % bounties.length];
        (uint40 commitEnds, uint40 revealEnds, uint40 settleEnds) = MARKET.deadlinesOf(bounty);
        Status status = MARKET.statusOf(bounty);
        uint256 end = status == Status.Commit ? commitEnds : status == Status.Reveal ? revealEnds : settleEnds;
        uint256 time = end + seed % 3 - 1;
        if (status < Status.Failed && time > vm.getBlockTimestamp()) vm.warp(time);
    }

    function force(uint96 amount) external counted {
        deal(address(this), amount);
        new Bomb{value: amount}(payable(address(MARKET)));
        forced += amount;
    }

    /*//////////////////////////////////////////////////////////////
                           ALSO USED TO DRAIN
    //////////////////////////////////////////////////////////////*/

    function expireNow(bytes32 bounty) public {
        Bounty memory state = MARKET.getBounty(bounty);
        if (MARKET.statusOf(bounty) == Status.Failed) ++failed;
        else ++overdue;
        vm.recordLogs();
        MARKET.expire(bounty, state.round, cohort(bounty, state.round));
        give(bounty, state.terms.stake);
    }

    function withdrawOf(address account) public {
        uint256 due = MARKET.balanceOf(ETHER, account);
        if (due == 0) return;
        uint256 before = account.balance;
        vm.prank(account);
        totalOut += MARKET.withdraw(ETHER, account);
        if (account.balance != before + due) cheatedAMine = true;
    }

    /*//////////////////////////////////////////////////////////////
                                 BOOKS
    //////////////////////////////////////////////////////////////*/

    function take(bytes32 bounty, uint256 amount) private {
        paidIn[bounty] += amount;
        totalIn += amount;
    }

    /// @dev Books what the events of the last call say was credited.
    function give(bytes32 bounty, uint256 stake) private {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i; i < logs.length; ++i) {
            if (logs[i].topics[0] == ITrainingMarket.MinePaid.selector) {
                (, uint256 back, uint256 fee, uint256 reward, uint256 forfeit) =
                    abi.decode(logs[i].data, (uint16, uint256, uint256, uint256, uint256));
                credited[bounty] += back + fee + reward + forfeit;
                rewarded[bounty] += reward;
                if (back != stake) cheatedAMine = true;
            } else if (logs[i].topics[0] == ITrainingMarket.BountyClosed.selector) {
                (, uint256 refund) = abi.decode(logs[i].data, (uint8, uint256));
                credited[bounty] += refund;
            }
        }
    }

    /// @dev After every action: rounds and the phases within them only go forward.
    modifier counted() {
        _;
        for (uint256 i; i < bounties.length; ++i) {
            uint256 round = MARKET.getBounty(bounties[i]).round;
            uint256 phase = round * 10 + uint256(MARKET.statusOf(bounties[i]));
            if (phase < latestPhase[bounties[i]]) wentBackwards = true;
            latestPhase[bounties[i]] = phase;
        }
    }

    /*//////////////////////////////////////////////////////////////
                                CHOICES
    //////////////////////////////////////////////////////////////*/

    function bountyCount() external view returns (uint256) {
        return bounties.length;
    }

    function accounts() external view returns (address[] memory all) {
        all = new address[](MINES + scientists.length);
        for (uint256 i; i < all.length; ++i) {
            all[i] = i < MINES ? mines[i] : scientists[i - MINES];
        }
    }

    /// @dev The first bounty from `pick` on that is in this status, or 0.
    function choose(uint256 pick, Status status) private view returns (bytes32) {
        uint256 count = bounties.length;
        for (uint256 i; i < count; ++i) {
            bytes32 bounty = bounties[(pick % count + i) % count];
            if (MARKET.statusOf(bounty) == status) return bounty;
        }
        return 0;
    }

    function cohort(bytes32 bounty, uint8 round) private view returns (address[] memory list) {
        list = new address[](MINES);
        uint256 size;
        for (uint256 i; i < MINES; ++i) {
            Entry memory entry = MARKET.entryOf(bounty, mines[i]);
            if (entry.round == round && entry.state == EntryState.Revealed) list[size++] = mines[i];
        }
        assembly {
            mstore(list, size)
        }
    }

    function randomAwards(address[] memory list, uint256 seed) private pure returns (Award[] memory awards) {
        awards = new Award[](list.length);
        uint256 left = seed % 4 == 0 ? 0 : 10_000;
        for (uint256 i; i < list.length; ++i) {
            uint256 random = uint256(keccak256(abi.encode(seed, i)));
            uint256 share = i == list.length - 1 ? left : random % 3 == 0 ? 0 : random % (left + 1);
            awards[i] = Award(list[i], uint16(share));
            left -= share;
        }
    }

    function boundTerms(Terms memory terms) private pure {
        terms.asset = ETHER;
        terms.allowRoot = 0;
        terms.cohortCap = uint8(bound(terms.cohortCap, 1, MINES));
        terms.minMines = uint8(bound(terms.minMines, 1, terms.cohortCap));
        terms.rounds = uint8(bound(terms.rounds, 1, 4));
        terms.commitWindow = uint24(bound(terms.commitWindow, 10, 1000));
        terms.revealWindow = uint24(bound(terms.revealWindow, 10, 1000));
        terms.settleWindow = uint24(bound(terms.settleWindow, 10, 1000));
        terms.stake = uint96(bound(terms.stake, 0, 1e20));
        terms.fee = uint96(bound(terms.fee, 0, 1e20));
        terms.reward = uint96(bound(terms.reward, 0, 1e24));
        terms.initialLoss = uint64(bound(terms.initialLoss, 1, type(uint64).max - 10));
        terms.targetLoss = uint64(bound(terms.targetLoss, 0, terms.initialLoss - 1));
    }
}
