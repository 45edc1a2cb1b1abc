// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @notice The rules of a bounty; nobody can change them once it is posted.
/// @param asset What is paid with: an ERC-20 token, or the zero address for ether. A token must deliver what it is
/// asked to; one that takes a fee is refused, one whose balances change by themselves harms whoever accepts it.
/// @param cohortCap The most mines that may commit in one round, 1 to 255.
/// @param minMines The fewest revealed updates a round can be settled with, 1 to `cohortCap`.
/// @param rounds How many rounds may be held, 1 to 255. A failed round counts.
/// @param commitWindow Seconds from a round's opening in which mines may commit.
/// @param revealWindow Seconds after that in which they may reveal.
/// @param settleWindow Seconds after that in which the scientist may settle.
/// @param quiet With `minMines` committed, the commit phase ends this many seconds after the last commit, if that is
/// before its window's end; no other deadline moves. 0 is off; else at least the floor of this deployment, and less
/// than `commitWindow`.
/// @param overdueBps The part of the unpaid reward, in basis points, that is due to those who revealed when the
/// scientist does not settle in time. 0 to 10,000.
/// @param stake What a mine deposits with each commit, in the asset's smallest unit (wei for ether).
/// @param fee What a settled round pays per revealed update, whatever the loss, in the same unit.
/// @param reward What is paid in all for bringing the loss from `initialLoss` to `targetLoss`.
/// @param initialLoss The loss of the posted model, in the scientist's own integer scale.
/// @param targetLoss The loss at which the bounty ends; below `initialLoss`.
/// @param settler Who must have signed a settlement besides the scientist's sending it: an account, or a contract that
/// answers `isValidSignature` (EIP-1271). The zero address is nobody. Neither the scientist nor this contract.
/// @param allowRoot Merkle root of the mines that may commit; zero admits everybody. A leaf is
/// `keccak256(bytes.concat(keccak256(abi.encode(mine))))`, pairs are hashed in ascending order.
struct Terms {
    address asset;
    uint8 cohortCap;
    uint8 minMines;
    uint8 rounds;
    uint24 commitWindow;
    uint24 revealWindow;
    uint24 settleWindow;
    uint16 quiet;
    uint16 overdueBps;
    uint96 stake;
    uint96 fee;
    uint96 reward;
    uint64 initialLoss;
    uint64 targetLoss;
    address settler;
    bytes32 allowRoot;
}

/// @notice One line of a settlement.
/// @param mine A mine that revealed in this round.
/// @param shareBps Its share of the round's reward in basis points; 0 if it contributed nothing.
struct Award {
    address mine;
    uint16 shareBps;
}

/// @notice What a bounty is waiting for. Derived from terms, counts and block time; never stored.
enum Status {
    /// No such bounty.
    None,
    /// Mines may commit.
    Commit,
    /// Mines that committed may reveal.
    Reveal,
    /// The scientist may settle.
    Settle,
    /// Too few updates were revealed; anyone may expire the round.
    Failed,
    /// The scientist did not settle in time; anyone may expire the bounty.
    Overdue,
    /// Nothing moves any more but withdrawals.
    Closed
}

/// @notice Why a bounty was closed.
enum CloseReason {
    /// A round's commit window ended and nobody had committed.
    NoCommits,
    /// The scientist took it back before anybody committed in the round.
    ByScientist,
    /// A settled loss was at or below the target.
    TargetReached,
    /// The last round was settled.
    LastRound,
    /// The scientist did not settle in time.
    Overdue,
    /// The last round failed.
    LastRoundFailed
}

/// @notice How far a mine got in a round.
enum EntryState {
    None,
    Committed,
    Revealed
}

/// @notice A mine's latest round in a bounty: one storage slot, written again in each round.
/// @param round The round it belongs to; an entry of an earlier round counts for nothing.
/// @param state How far the mine got in that round.
/// @param seal The first 29 bytes of the mine's seal.
struct Entry {
    uint8 round;
    EntryState state;
    bytes29 seal;
}

/// @notice A bounty as `getBounty` returns it.
/// @param scientist Who posted it, may settle it, and gets the rest back.
/// @param opened Block time in seconds at which the current round opened.
/// @param round The current round, from 1; after closing, the last one.
/// @param committed Mines that committed in this round.
/// @param revealed Mines that revealed in this round.
/// @param closed Whether the bounty has ended.
/// @param cohortFixed Whether the scientist has fixed this round's cohort.
/// @param lastCommit Block time in seconds of this round's last commit; 0 if there is none, or if `terms.quiet` is 0.
/// @param terms Its rules.
/// @param escrow What is still reserved for fees and rewards. The stakes of the round are held besides.
/// @param bestLoss The lowest loss settled so far; `terms.initialLoss` before the first.
/// @param modelDigest sha2-256 of the manifest of the model that this round trains.
struct Bounty {
    address scientist;
    uint40 opened;
    uint8 round;
    uint8 committed;
    uint8 revealed;
    bool closed;
    bool cohortFixed;
    uint40 lastCommit;
    Terms terms;
    uint96 escrow;
    uint64 bestLoss;
    bytes32 modelDigest;
}

/// @dev A bounty as it lies in storage. The order of the fields is the packing: what a commit or a reveal
/// reads and writes is in the first two slots, what a settlement writes is in the first, fourth and fifth. Slot 5 is
/// read for the status by bounties with a quiet end alone, and for a signature by those with a settler.
struct StoredBounty {
    // slot 0
    address scientist;
    uint40 opened;
    uint8 round;
    uint8 committed;
    uint8 revealed;
    uint8 flags; // see Flags.sol
    uint24 lastCommitAfter; // seconds from `opened` to the last commit; kept with a quiet end alone
    // slot 1
    address asset;
    uint8 cohortCap;
    uint8 minMines;
    uint8 rounds;
    uint24 commitWindow;
    uint24 revealWindow;
    uint24 settleWindow;
    // slot 2
    uint96 stake;
    uint96 fee;
    uint64 targetLoss;
    // slot 3
    uint96 reward;
    uint96 escrow;
    uint64 bestLoss;
    // slot 4
    bytes32 modelDigest;
    // slot 5
    uint64 initialLoss;
    address settler;
    uint16 overdueBps;
    uint16 quiet;
    // slot 6, written for gated bounties alone
    bytes32 allowRoot;
}
