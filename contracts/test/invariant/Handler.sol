// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {TrainingMarket} from "../../src/TrainingMarket.sol";
import {Award, Bounty, Entry, EntryState, Status, Terms} from "../../src/Types.sol";
import {Bomb} from "../mocks/Actors.sol";
import {MerkleTree} from "../mocks/MerkleTree.sol";
import {Books, IMintable} from "./Books.sol";

/// @notice The honest part of the play: each action picks a bounty and does what the bounty's status allows. A call
/// that reverts fails the run. One mine takes no ether, one re-enters; some seals are copied.
contract Handler is Books {
    /// @dev With a list, the first four mines and one that never comes are on it.
    uint256 internal constant LISTED = 4;
    bytes32[] internal leaves;
    bytes32 public immutable ALLOW_ROOT;

    /// @dev The round in which a mine committed a seal that is not its own, if any.
    mapping(bytes32 bounty => mapping(address mine => uint8)) internal wrongSealIn;

    constructor(TrainingMarket market) Books(market) {
        for (uint256 i; i < LISTED; ++i) {
            leaves.push(MerkleTree.leafOf(mines[i]));
        }
        leaves.push(MerkleTree.leafOf(address(0xAB5E)));
        ALLOW_ROOT = MerkleTree.root(leaves);
    }

    function post(uint256 seed, Terms memory terms, bytes32 salt) external counted {
        if (bounties.length == MAX_BOUNTIES) return;
        boundTerms(terms, seed);
        address scientist = scientists[seed % scientists.length];
        bytes32 bounty = MARKET.bountyIdOf(scientist, terms, "model", "key", salt);
        if (MARKET.statusOf(bounty) != Status.None) return;
        uint256 value = fund(bounty, terms.asset, scientist, MARKET.escrowFor(terms));
        vm.prank(scientist);
        MARKET.postBounty{value: value}(terms, "model", "key", salt);
        bounties.push(bounty);
        bestLoss[bounty] = terms.initialLoss;
        touched = bounty;
    }

    /// @dev Several mines at once, so that full cohorts are not rare. One time in four the first copies a seal.
    function commit(uint256 pick, uint256 mask) external counted {
        touched = choose(pick, Status.Commit);
        if (touched == 0) return;
        bool copy = mask >> 128 & 3 == 0;
        mask |= mask >> MINES; // three mines in four
        Bounty memory state = MARKET.getBounty(touched);
        for (uint256 i; i < MINES && state.committed < state.terms.cohortCap; ++i) {
            if (mask >> i & 1 == 0 || (state.terms.allowRoot != 0 && i >= LISTED)) continue;
            if (MARKET.entryOf(touched, mines[i]).round == state.round) continue;
            commitAs(mines[i], state, copy ? wrongSeal(mines[i], state.round, mask) : bytes32(0), i);
            lastCommit[touched] = vm.getBlockTimestamp();
            ++state.committed;
            copy = false;
        }
    }

    /// @dev A mine with a wrong seal tries to open it; the others reveal.
    function reveal(uint256 pick, uint256 mask) external counted {
        touched = choose(pick, Status.Reveal);
        if (touched == 0) return;
        uint8 round = MARKET.getBounty(touched).round;
        mask |= mask >> MINES;
        for (uint256 i; i < MINES; ++i) {
            Entry memory entry = MARKET.entryOf(touched, mines[i]);
            if (mask >> i & 1 == 0 || entry.round != round || entry.state != EntryState.Committed) continue;
            vm.prank(mines[i]);
            if (wrongSealIn[touched][mines[i]] == round) {
                try MARKET.reveal(touched, round, "update", "salt") {
                    ++wrongSealsOpened;
                } catch {
                    ++refused;
                }
            } else {
                MARKET.reveal(touched, round, "update", "salt");
            }
        }
    }

    function settle(uint256 pick, uint64 newLoss, uint256 seed) external counted {
        touched = choose(pick, Status.Settle);
        if (touched == 0) return;
        Bounty memory state = MARKET.getBounty(touched);
        bytes32 model = keccak256(abi.encode(seed));
        newLoss = uint64(bound(newLoss, 0, uint256(state.terms.initialLoss) + 10));
        if (seed % 4 == 0) (model, newLoss) = (state.modelDigest, state.bestLoss);
        settleAs(state, model, newLoss, awardsFor(cohort(touched, state.round), seed));
    }

    function fixCohort(uint256 pick, bytes32 digest) external counted {
        touched = choose(pick, Status.Settle);
        if (touched == 0 || digest == 0) return;
        Bounty memory state = MARKET.getBounty(touched);
        if (fixedIn[touched] == state.round) return;
        fixedIn[touched] = state.round;
        vm.prank(state.scientist);
        MARKET.fixCohort(touched, state.round, digest);
    }

    function expire(uint256 pick) external counted {
        bytes32 bounty = choose(pick, Status.Failed);
        if (bounty == 0) bounty = choose(pick, Status.Overdue);
        touched = bounty;
        if (bounty != 0) expireNow(bounty);
    }

    function close(uint256 pick) external counted {
        if (pick % 4 != 0) return;
        touched = choose(pick, Status.Commit);
        if (touched == 0) return;
        Bounty memory state = MARKET.getBounty(touched);
        if (state.committed == 0) closeAs(state);
    }

    function withdraw(uint256 pick) external counted {
        withdrawOf(assets[pick % assets.length], account(pick / 8 % (MINES + scientists.length)));
    }

    /// @dev To the end of a bounty's phase, a second before or a second after it.
    function jump(uint256 pick, uint256 seed) external counted {
        if (bounties.length == 0) return;
        bytes32 bounty = bounties[pick % bounties.length];
        touched = bounty;
        (uint40 commitEnds, uint40 revealEnds, uint40 settleEnds) = MARKET.deadlinesOf(bounty);
        Status status = MARKET.statusOf(bounty);
        uint256 end = status == Status.Commit ? commitEnds : status == Status.Reveal ? revealEnds : settleEnds;
        if (status == Status.Commit && end < windowEnd(bounty)) ++quietEnds;
        uint256 time = end + seed % 3 - 1;
        if (status < Status.Failed && time > vm.getBlockTimestamp()) vm.warp(time);
    }

    /// @dev Ether that is forced upon the market, and tokens that are sent to it.
    function donate(uint256 pick, uint96 amount) external counted {
        address asset = assets[pick % assets.length];
        donated[asset] += amount;
        if (asset != ETHER) return IMintable(asset).mint(address(MARKET), amount);
        deal(address(this), amount);
        new Bomb{value: amount}(payable(address(MARKET)));
    }

    /// @notice Expires a bounty that is failed or overdue.
    function expireNow(bytes32 bounty) public {
        Bounty memory state = MARKET.getBounty(bounty);
        if (MARKET.statusOf(bounty) == Status.Failed) {
            ++failed;
            expireAs(bounty, state);
            return;
        }
        ++overdue;
        uint256 before = rewarded[bounty];
        expireAs(bounty, state);
        // To all the same, and of what is unpaid the part that the terms say.
        uint256 each = (state.terms.reward - before) * state.terms.overdueBps / 10_000 / state.revealed;
        if (rewarded[bounty] != before + each * state.revealed) ++overdueWrong;
    }

    /*//////////////////////////////////////////////////////////////
                                 CALLS
    //////////////////////////////////////////////////////////////*/

    function commitAs(address mine, Bounty memory state, bytes32 seal, uint256 place) private {
        if (seal == 0) seal = MARKET.sealOf(touched, state.round, mine, "update", "salt");
        else wrongSealIn[touched][mine] = state.round;
        bytes32[] memory proof = state.terms.allowRoot == 0 ? new bytes32[](0) : MerkleTree.proof(leaves, place);
        uint256 value = fund(touched, state.terms.asset, mine, state.terms.stake);
        REENTERER.aim(touched, state.terms.asset);
        vm.prank(mine);
        MARKET.commit{value: value}(touched, state.round, seal, proof);
    }

    function settleAs(Bounty memory state, bytes32 model, uint64 newLoss, Award[] memory awards)
        private
        booked(touched, state)
    {
        bytes memory signature = signatureFor(state, model, newLoss, awards, SETTLER_KEY);
        vm.prank(state.scientist);
        if (state.terms.settler == refusing()) {
            try MARKET.settle(touched, state.round, model, newLoss, awards, "evidence", signature) {
                ++settledRounds[touched];
            } catch {
                ++refused;
            }
            return;
        }
        ++settled;
        ++settledRounds[touched];
        if (signature.length != 0) ++signed;
        MARKET.settle(touched, state.round, model, newLoss, awards, "evidence", signature);
    }

    /// @dev Nothing without a settler; else by whoever has this key.
    function signatureFor(Bounty memory state, bytes32 model, uint64 newLoss, Award[] memory awards, uint256 key)
        internal
        view
        returns (bytes memory)
    {
        if (state.terms.settler == address(0)) return "";
        bytes32 digest = MARKET.settlementDigestOf(touched, state.round, model, newLoss, awards, "evidence");
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }

    function expireAs(bytes32 bounty, Bounty memory state) private booked(bounty, state) {
        MARKET.expire(bounty, state.round, cohort(bounty, state.round));
    }

    function closeAs(Bounty memory state) private booked(touched, state) {
        vm.prank(state.scientist);
        MARKET.close(touched);
    }

    /*//////////////////////////////////////////////////////////////
                                CHOICES
    //////////////////////////////////////////////////////////////*/

    /// @dev The seal of another mine, another bounty, another round or another chain.
    function wrongSeal(address mine, uint8 round, uint256 seed) private returns (bytes32 seal) {
        uint256 kind = seed >> 130 & 3;
        uint256 chain = block.chainid;
        if (kind == 0) return MARKET.sealOf(touched, round, address(0xC0), "update", "salt");
        if (kind == 1) return MARKET.sealOf("another", round, mine, "update", "salt");
        if (kind == 2) return MARKET.sealOf(touched, round + 1, mine, "update", "salt");
        vm.chainId(chain + 1);
        seal = MARKET.sealOf(touched, round, mine, "update", "salt");
        vm.chainId(chain);
    }

    /// @dev One time in four nobody has a share; else each mine may have none.
    function awardsFor(address[] memory list, uint256 seed) internal pure returns (Award[] memory awards) {
        awards = new Award[](list.length);
        uint256 left = seed % 4 == 0 ? 0 : 10_000;
        for (uint256 i; i < list.length; ++i) {
            uint256 random = uint256(keccak256(abi.encode(seed, i)));
            uint256 share = i == list.length - 1 ? left : random % 3 == 0 ? 0 : random % (left + 1);
            awards[i] = Award(list[i], uint16(share));
            left -= share;
        }
    }

    function windowEnd(bytes32 bounty) private view returns (uint256) {
        Bounty memory state = MARKET.getBounty(bounty);
        return uint256(state.opened) + state.terms.commitWindow;
    }

    function boundTerms(Terms memory terms, uint256 seed) private view {
        terms.asset = assets[seed / 4 % assets.length];
        terms.allowRoot = seed / 16 % 4 == 0 ? ALLOW_ROOT : bytes32(0);
        terms.cohortCap = uint8(bound(terms.cohortCap, 1, MINES));
        terms.minMines = uint8(bound(terms.minMines, 1, terms.cohortCap));
        terms.rounds = uint8(bound(terms.rounds, 1, 4));
        terms.commitWindow = uint24(bound(terms.commitWindow, 10, 1000));
        terms.revealWindow = uint24(bound(terms.revealWindow, 10, 1000));
        terms.settleWindow = uint24(bound(terms.settleWindow, 10, 1000));
        terms.settler = settlers[seed / 64 % 2 == 0 ? 0 : 1 + seed / 128 % 8 % 3]; // one in eight says no
        bool quiet = seed / 1024 % 4 != 0 && terms.commitWindow > 10;
        terms.quiet = quiet ? uint16(bound(terms.quiet, 10, terms.commitWindow - 1)) : 0;
        terms.overdueBps = uint16(bound(terms.overdueBps, 0, 10_000));
        terms.stake = uint96(bound(terms.stake, 0, 1e20));
        terms.fee = uint96(bound(terms.fee, 0, 1e20));
        terms.reward = uint96(bound(terms.reward, 0, 1e24));
        terms.initialLoss = uint64(bound(terms.initialLoss, 1, type(uint64).max - 10));
        terms.targetLoss = uint64(bound(terms.targetLoss, 0, terms.initialLoss - 1));
    }
}
