// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IERC5267} from "@openzeppelin/contracts/interfaces/IERC5267.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {Errors} from "./Errors.sol";
import {Flags} from "./Flags.sol";
import {Funds} from "./Funds.sol";
import {ITrainingMarket} from "./ITrainingMarket.sol";
import {Payout} from "./Payout.sol";
import {SettlementHash} from "./SettlementHash.sol";
import {Award, Bounty, CloseReason, Entry, EntryState, Status, StoredBounty, Terms} from "./Types.sol";

/// @title TrainingMarket
/// @notice See {ITrainingMarket}, which is the specification.
contract TrainingMarket is ITrainingMarket, IERC5267, ReentrancyGuardTransient {
    using Flags for uint8;

    /// @dev What a mine is credited, and what for.
    struct Payment {
        uint8 round;
        uint16 shareBps;
        uint256 stake;
        uint256 fee;
        uint256 reward;
        uint256 forfeit;
    }

    /// @inheritdoc ITrainingMarket
    uint24 public immutable MIN_WINDOW;

    mapping(bytes32 bounty => StoredBounty) private _bounties;
    mapping(bytes32 bounty => mapping(address mine => Entry)) private _entries;
    mapping(address asset => mapping(address account => uint256)) private _balances;

    /// @param minWindow Seconds that every window must have at least; not 0, or a phase could never be open.
    constructor(uint24 minWindow) {
        if (minWindow == 0) revert Errors.WindowTooShort(0, 1);
        MIN_WINDOW = minWindow;
    }

    /*//////////////////////////////////////////////////////////////
                                 CALLS
    //////////////////////////////////////////////////////////////*/

    /// @inheritdoc ITrainingMarket
    function postBounty(Terms calldata terms, bytes32 modelDigest, bytes32 keyDigest, bytes32 salt)
        external
        payable
        nonReentrant
        returns (bytes32 bounty)
    {
        // Checks
        _checkTerms(terms);
        if (modelDigest == 0 || keyDigest == 0) revert Errors.ZeroDigest();
        uint256 escrow = escrowFor(terms);
        Funds.checkValue(terms.asset, escrow, msg.value);
        Terms memory copy = terms; // cheaper to hash, store and emit than what must be checked at each read
        bounty = _idOf(msg.sender, copy, modelDigest, keyDigest, salt);
        StoredBounty storage state = _bounties[bounty];
        if (state.scientist != address(0)) revert Errors.BountyExists(bounty);

        // Effects
        _store(state, copy, SafeCast.toUint96(escrow), modelDigest);
        emit BountyPosted(bounty, msg.sender, copy, modelDigest, keyDigest, escrow);
        emit RoundOpened(bounty, 1, modelDigest, state.opened);

        // Interaction
        Funds.collect(terms.asset, escrow);
    }

    /// @inheritdoc ITrainingMarket
    function commit(bytes32 bounty, uint8 round, bytes32 seal, bytes32[] calldata proof)
        external
        payable
        nonReentrant
    {
        // Checks
        StoredBounty storage state = _inRound(bounty, round);
        Status status = _statusOf(state);
        if (status == Status.Reveal && state.committed == state.cohortCap) {
            revert Errors.CohortFull(state.cohortCap);
        }
        if (status != Status.Commit) revert Errors.WrongStatus(status);
        _checkAllowed(state, proof);
        (address asset, uint96 stake) = (state.asset, state.stake);
        Funds.checkValue(asset, stake, msg.value);
        // 29 bytes fit one slot with round and state; two openings of one seal still take some 2^116 hashes.
        // forge-lint: disable-next-line(unsafe-typecast)
        bytes29 stored = bytes29(seal);
        if (stored == 0) revert Errors.ZeroDigest();
        Entry storage entry = _entries[bounty][msg.sender];
        if (entry.round == round) revert Errors.AlreadyCommitted(msg.sender);

        // Effects
        (entry.round, entry.state, entry.seal) = (round, EntryState.Committed, stored);
        (uint8 committed, uint8 flags) = (state.committed, state.flags);
        state.committed = committed + 1;
        if (flags.has(Flags.QUIET)) state.lastCommitAfter = uint24(block.timestamp - state.opened);
        emit Committed(bounty, round, msg.sender, seal);

        // Interaction
        Funds.collect(asset, stake);
    }

    /// @inheritdoc ITrainingMarket
    function reveal(bytes32 bounty, uint8 round, bytes32 updateDigest, bytes32 salt) external nonReentrant {
        // Checks
        StoredBounty storage state = _inPhase(bounty, round, Status.Reveal);
        Entry storage entry = _entries[bounty][msg.sender];
        if (entry.round != round) revert Errors.NotCommitted(msg.sender);
        if (entry.state == EntryState.Revealed) revert Errors.AlreadyRevealed(msg.sender);
        if (updateDigest == 0) revert Errors.ZeroDigest();
        bytes29 given = bytes29(sealOf(bounty, round, msg.sender, updateDigest, salt));
        if (given != entry.seal) revert Errors.SealMismatch(entry.seal, given);

        // Effects
        entry.state = EntryState.Revealed;
        state.revealed++;
        emit Revealed(bounty, round, msg.sender, updateDigest);
    }

    /// @inheritdoc ITrainingMarket
    function fixCohort(bytes32 bounty, uint8 round, bytes32 digest) external nonReentrant {
        // Checks
        StoredBounty storage state = _inPhase(bounty, round, Status.Settle);
        _checkScientist(state);
        if (digest == 0) revert Errors.ZeroDigest();
        if (state.flags.has(Flags.COHORT_FIXED)) revert Errors.CohortAlreadyFixed(round);

        // Effects
        state.flags |= Flags.COHORT_FIXED;
        emit CohortFixed(bounty, round, digest);
    }

    /// @inheritdoc ITrainingMarket
    function settle(
        bytes32 bounty,
        uint8 round,
        bytes32 newModelDigest,
        uint64 newLoss,
        Award[] calldata awards,
        bytes32 evidenceDigest,
        bytes calldata signature
    ) external nonReentrant {
        // Checks
        StoredBounty storage state = _inPhase(bounty, round, Status.Settle);
        _checkScientist(state);
        if (newModelDigest == 0 || evidenceDigest == 0) revert Errors.ZeroDigest();
        uint256 earners = _checkAwards(bounty, state, awards);
        if (earners == 0) _checkUnchanged(state, newModelDigest, newLoss);
        if (state.flags.has(Flags.SIGNED)) {
            bytes32 digest =
                SettlementHash.digestOf(bounty, round, newModelDigest, newLoss, awards, evidenceDigest);
            _checkSigned(state.settler, digest, signature);
        } else if (signature.length != 0) {
            revert Errors.SignatureNotTaken();
        }

        // Effects
        uint64 bestLoss = newLoss < state.bestLoss ? newLoss : state.bestLoss;
        uint256 paid = _payAwards(bounty, state, awards, earners, _newlyEarned(state, bestLoss));
        state.bestLoss = bestLoss;
        state.modelDigest = newModelDigest;
        emit RoundSettled(bounty, round, newModelDigest, newLoss, bestLoss, paid, state.escrow, evidenceDigest);
        if (bestLoss <= state.targetLoss) _close(bounty, state, CloseReason.TargetReached);
        else if (round == state.rounds) _close(bounty, state, CloseReason.LastRound);
        else _openNextRound(bounty, state);
    }

    /// @inheritdoc ITrainingMarket
    function expire(bytes32 bounty, uint8 round, address[] calldata mines) external nonReentrant {
        // Checks
        StoredBounty storage state = _inRound(bounty, round);
        Status status = _statusOf(state);
        if (status != Status.Failed && status != Status.Overdue) revert Errors.WrongStatus(status);
        _checkCohort(bounty, state, mines);

        // Effects
        if (status == Status.Overdue) {
            _payEqually(bounty, state, mines, state.fee, _defaultReward(state) / mines.length);
            _close(bounty, state, CloseReason.Overdue);
            return;
        }
        _payEqually(bounty, state, mines, 0, 0);
        emit RoundFailed(bounty, round, state.committed, state.revealed);
        if (state.committed == 0) _close(bounty, state, CloseReason.NoCommits);
        else if (round == state.rounds) _close(bounty, state, CloseReason.LastRoundFailed);
        else _openNextRound(bounty, state);
    }

    /// @inheritdoc ITrainingMarket
    function close(bytes32 bounty) external nonReentrant {
        // Checks
        StoredBounty storage state = _known(bounty);
        Status status = _statusOf(state);
        if (status != Status.Commit) revert Errors.WrongStatus(status);
        _checkScientist(state);
        if (state.committed != 0) revert Errors.CommitsExist(state.committed);

        // Effects
        _close(bounty, state, CloseReason.ByScientist);
    }

    /// @inheritdoc ITrainingMarket
    function withdraw(address asset, address to) external nonReentrant returns (uint256 amount) {
        // Checks
        if (to == address(0) || to == address(this) || to == asset) revert Errors.InvalidReceiver(to);
        amount = _balances[asset][msg.sender];
        if (amount == 0) revert Errors.NothingToWithdraw(asset, msg.sender);

        // Effects
        _balances[asset][msg.sender] = 0;
        emit Withdrawn(asset, msg.sender, to, amount);

        // Interaction
        Funds.send(asset, to, amount);
    }

    /*//////////////////////////////////////////////////////////////
                                 VIEWS
    //////////////////////////////////////////////////////////////*/

    /// @inheritdoc ITrainingMarket
    function getBounty(bytes32 bounty) external view returns (Bounty memory view_) {
        StoredBounty storage state = _known(bounty);
        view_.scientist = state.scientist;
        view_.opened = state.opened;
        view_.round = state.round;
        view_.committed = state.committed;
        view_.revealed = state.revealed;
        view_.closed = state.flags.has(Flags.CLOSED);
        view_.cohortFixed = state.flags.has(Flags.COHORT_FIXED);
        bool known = state.flags.has(Flags.QUIET) && state.committed != 0;
        view_.lastCommit = known ? state.opened + state.lastCommitAfter : 0;
        view_.escrow = state.escrow;
        view_.bestLoss = state.bestLoss;
        view_.modelDigest = state.modelDigest;
        Terms memory terms = view_.terms;
        terms.asset = state.asset;
        terms.cohortCap = state.cohortCap;
        terms.minMines = state.minMines;
        terms.rounds = state.rounds;
        terms.commitWindow = state.commitWindow;
        terms.revealWindow = state.revealWindow;
        terms.settleWindow = state.settleWindow;
        terms.quiet = state.quiet;
        terms.overdueBps = state.overdueBps;
        terms.stake = state.stake;
        terms.fee = state.fee;
        terms.reward = state.reward;
        terms.initialLoss = state.initialLoss;
        terms.targetLoss = state.targetLoss;
        terms.settler = state.settler;
        terms.allowRoot = state.allowRoot;
    }

    /// @inheritdoc ITrainingMarket
    function statusOf(bytes32 bounty) external view returns (Status) {
        return _statusOf(_bounties[bounty]);
    }

    /// @inheritdoc ITrainingMarket
    function deadlinesOf(bytes32 bounty)
        external
        view
        returns (uint40 commitEnds, uint40 revealEnds, uint40 settleEnds)
    {
        return _deadlinesOf(_known(bounty));
    }

    /// @inheritdoc ITrainingMarket
    function entryOf(bytes32 bounty, address mine) external view returns (Entry memory) {
        return _entries[bounty][mine];
    }

    /// @inheritdoc ITrainingMarket
    function balanceOf(address asset, address account) external view returns (uint256) {
        return _balances[asset][account];
    }

    /// @inheritdoc ITrainingMarket
    function bountyIdOf(
        address scientist,
        Terms calldata terms,
        bytes32 modelDigest,
        bytes32 keyDigest,
        bytes32 salt
    ) external view returns (bytes32) {
        return _idOf(scientist, terms, modelDigest, keyDigest, salt);
    }

    /// @inheritdoc ITrainingMarket
    function sealOf(bytes32 bounty, uint8 round, address mine, bytes32 updateDigest, bytes32 salt)
        public
        view
        returns (bytes32)
    {
        return keccak256(abi.encode(block.chainid, address(this), bounty, round, mine, updateDigest, salt));
    }

    /// @inheritdoc ITrainingMarket
    function settlementDigestOf(
        bytes32 bounty,
        uint8 round,
        bytes32 newModelDigest,
        uint64 newLoss,
        Award[] calldata awards,
        bytes32 evidenceDigest
    ) external view returns (bytes32) {
        return SettlementHash.digestOf(bounty, round, newModelDigest, newLoss, awards, evidenceDigest);
    }

    /// @inheritdoc IERC5267
    function eip712Domain()
        external
        view
        returns (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifyingContract,
            bytes32 salt,
            uint256[] memory extensions
        )
    {
        (name, version) = (SettlementHash.NAME, SettlementHash.VERSION);
        return (SettlementHash.FIELDS, name, version, block.chainid, address(this), salt, extensions);
    }

    /// @inheritdoc ITrainingMarket
    function escrowFor(Terms calldata terms) public pure returns (uint256) {
        return uint256(terms.reward) + uint256(terms.fee) * terms.cohortCap * terms.rounds;
    }

    function _idOf(address scientist, Terms memory terms, bytes32 modelDigest, bytes32 keyDigest, bytes32 salt)
        private
        view
        returns (bytes32)
    {
        bytes32 termsHash = keccak256(abi.encode(terms));
        return
            keccak256(abi.encode(block.chainid, address(this), scientist, termsHash, modelDigest, keyDigest, salt));
    }

    /*//////////////////////////////////////////////////////////////
                                 STATUS
    //////////////////////////////////////////////////////////////*/

    /// @dev The only place that says which phase a bounty is in. Reading downwards is going forward in time:
    /// a full cohort, or the last reveal, only opens the next phase sooner. A quiet end lies in the future of the commit
    /// that brings it, so no commit turns a phase back either.
    function _statusOf(StoredBounty storage state) private view returns (Status) {
        // Together: one read of storage.
        (address scientist, uint8 flags) = (state.scientist, state.flags);
        (uint8 committed, uint8 revealed) = (state.committed, state.revealed);
        if (scientist == address(0)) return Status.None;
        if (flags.has(Flags.CLOSED)) return Status.Closed;
        (uint40 commitEnds, uint40 revealEnds, uint40 settleEnds) = _deadlinesOf(state);
        if (block.timestamp < commitEnds && committed < state.cohortCap) return Status.Commit;
        if (block.timestamp < revealEnds && revealed < committed) return Status.Reveal;
        if (revealed < state.minMines) return Status.Failed;
        return block.timestamp < settleEnds ? Status.Settle : Status.Overdue;
    }

    function _deadlinesOf(StoredBounty storage state)
        private
        view
        returns (uint40 commitEnds, uint40 revealEnds, uint40 settleEnds)
    {
        (uint40 opened, uint8 flags) = (state.opened, state.flags); // together: one read of storage
        commitEnds = opened + state.commitWindow;
        revealEnds = commitEnds + state.revealWindow;
        settleEnds = revealEnds + state.settleWindow;
        if (flags.has(Flags.QUIET) && state.committed >= state.minMines) {
            uint40 quietEnds = opened + state.lastCommitAfter + state.quiet;
            if (quietEnds < commitEnds) commitEnds = quietEnds;
        }
    }

    function _known(bytes32 bounty) private view returns (StoredBounty storage state) {
        state = _bounties[bounty];
        if (state.scientist == address(0)) revert Errors.UnknownBounty(bounty);
    }

    function _inRound(bytes32 bounty, uint8 round) private view returns (StoredBounty storage state) {
        state = _known(bounty);
        if (state.round != round) revert Errors.WrongRound(state.round, round);
    }

    function _inPhase(bytes32 bounty, uint8 round, Status phase)
        private
        view
        returns (StoredBounty storage state)
    {
        state = _inRound(bounty, round);
        Status status = _statusOf(state);
        if (status != phase) revert Errors.WrongStatus(status);
    }

    /*//////////////////////////////////////////////////////////////
                                 CHECKS
    //////////////////////////////////////////////////////////////*/

    function _checkTerms(Terms calldata terms) private view {
        Funds.checkAsset(terms.asset);
        _checkWindow(terms.commitWindow);
        _checkWindow(terms.revealWindow);
        _checkWindow(terms.settleWindow);
        _checkQuiet(terms.quiet, terms.commitWindow);
        if (terms.minMines == 0 || terms.minMines > terms.cohortCap) {
            revert Errors.BadCohort(terms.cohortCap, terms.minMines);
        }
        if (terms.rounds == 0) revert Errors.NoRounds();
        if (terms.initialLoss <= terms.targetLoss) {
            revert Errors.BadLosses(terms.initialLoss, terms.targetLoss);
        }
        if (terms.overdueBps > Payout.WHOLE_BPS) {
            revert Errors.BadOverdueShare(terms.overdueBps, uint16(Payout.WHOLE_BPS));
        }
        if (terms.settler == msg.sender || terms.settler == address(this)) {
            revert Errors.BadSettler(terms.settler);
        }
        // Forfeited stakes can end up in the escrow, so it must be able to hold all of them.
        uint256 total = escrowFor(terms) + uint256(terms.stake) * terms.cohortCap * terms.rounds;
        if (total > type(uint96).max) revert Errors.TermsTooLarge(total, type(uint96).max);
    }

    function _checkWindow(uint24 window) private view {
        if (window < MIN_WINDOW) revert Errors.WindowTooShort(window, MIN_WINDOW);
    }

    /// @dev A quiet time as long as the commit window could never end it sooner.
    function _checkQuiet(uint16 quiet, uint24 commitWindow) private view {
        if (quiet == 0) return;
        if (quiet < MIN_WINDOW) revert Errors.QuietTooShort(quiet, MIN_WINDOW);
        if (quiet >= commitWindow) revert Errors.QuietTooLong(quiet, commitWindow);
    }

    function _checkScientist(StoredBounty storage state) private view {
        if (msg.sender != state.scientist) revert Errors.NotScientist(msg.sender);
    }

    /// @dev Leaves are hashed twice, so that no inner node of the tree can pass for one.
    function _checkAllowed(StoredBounty storage state, bytes32[] calldata proof) private view {
        if (!state.flags.has(Flags.GATED)) {
            if (proof.length != 0) revert Errors.ProofNotTaken();
            return;
        }
        bytes32 leaf = keccak256(bytes.concat(keccak256(abi.encode(msg.sender))));
        bytes32 root = state.allowRoot;
        if (!MerkleProof.verifyCalldata(proof, root, leaf)) revert Errors.NotAllowed(msg.sender, root);
    }

    /// @return earners How many lines have a share.
    function _checkAwards(bytes32 bounty, StoredBounty storage state, Award[] calldata awards)
        private
        view
        returns (uint256 earners)
    {
        mapping(address mine => Entry) storage entries = _entries[bounty];
        uint8 round = state.round;
        uint256 sumBps;
        address previous;
        _checkCohortSize(state, awards.length);
        for (uint256 i; i < awards.length; ++i) {
            (address mine, uint16 shareBps) = (awards[i].mine, awards[i].shareBps);
            _checkMember(entries[mine], round, mine, previous, i);
            previous = mine;
            sumBps += shareBps;
            if (shareBps != 0) ++earners;
        }
        if (sumBps != Payout.WHOLE_BPS && sumBps != 0) revert Errors.WrongShares(sumBps);
    }

    function _checkCohort(bytes32 bounty, StoredBounty storage state, address[] calldata mines) private view {
        mapping(address mine => Entry) storage entries = _entries[bounty];
        uint8 round = state.round;
        address previous;
        _checkCohortSize(state, mines.length);
        for (uint256 i; i < mines.length; ++i) {
            _checkMember(entries[mines[i]], round, mines[i], previous, i);
            previous = mines[i];
        }
    }

    /// @dev As many lines as reveals, none twice, each of a mine that revealed: exactly the cohort.
    function _checkCohortSize(StoredBounty storage state, uint256 given) private view {
        if (given != state.revealed) revert Errors.WrongCohortSize(given, state.revealed);
    }

    function _checkMember(Entry storage entry, uint8 round, address mine, address previous, uint256 index)
        private
        view
    {
        // The zero address cannot call, so no cohort contains it, and it can stand before the first line.
        if (mine <= previous) revert Errors.CohortNotAscending(index);
        (uint8 latest, EntryState reached) = (entry.round, entry.state); // together: one read of storage
        if (latest != round || reached != EntryState.Revealed) revert Errors.NotInCohort(mine);
    }

    /// @dev A stranger's code may answer, so nothing is changed before, and the call is a static one.
    function _checkSigned(address settler, bytes32 digest, bytes calldata signature) private view {
        bool signed = SignatureChecker.isValidSignatureNowCalldata(settler, digest, signature);
        if (!signed) revert Errors.SettlementNotSigned(settler);
    }

    /// @dev Without a share there is no update to build on.
    function _checkUnchanged(StoredBounty storage state, bytes32 newModelDigest, uint64 newLoss) private view {
        if (newModelDigest != state.modelDigest) {
            revert Errors.ModelChanged(state.modelDigest, newModelDigest);
        }
        if (newLoss != state.bestLoss) revert Errors.LossChanged(state.bestLoss, newLoss);
    }

    /*//////////////////////////////////////////////////////////////
                                EFFECTS
    //////////////////////////////////////////////////////////////*/

    function _store(StoredBounty storage state, Terms memory terms, uint96 escrow, bytes32 modelDigest) private {
        uint8 flags = _flagsOf(terms);
        state.scientist = msg.sender;
        state.opened = uint40(block.timestamp);
        state.round = 1;
        state.flags = flags;
        if (terms.allowRoot != 0) state.allowRoot = terms.allowRoot;

        state.asset = terms.asset;
        state.cohortCap = terms.cohortCap;
        state.minMines = terms.minMines;
        state.rounds = terms.rounds;
        state.commitWindow = terms.commitWindow;
        state.revealWindow = terms.revealWindow;
        state.settleWindow = terms.settleWindow;

        state.stake = terms.stake;
        state.fee = terms.fee;
        state.targetLoss = terms.targetLoss;

        state.reward = terms.reward;
        state.escrow = escrow;
        state.bestLoss = terms.initialLoss;

        state.modelDigest = modelDigest;

        state.initialLoss = terms.initialLoss;
        state.settler = terms.settler;
        state.overdueBps = terms.overdueBps;
        state.quiet = terms.quiet;
    }

    function _flagsOf(Terms memory terms) private pure returns (uint8 flags) {
        if (terms.allowRoot != 0) flags |= Flags.GATED;
        if (terms.quiet != 0) flags |= Flags.QUIET;
        if (terms.settler != address(0)) flags |= Flags.SIGNED;
    }

    /// @param reward What the round earned, for all.
    /// @return paid Fees and rewards that left the escrow.
    function _payAwards(
        bytes32 bounty,
        StoredBounty storage state,
        Award[] calldata awards,
        uint256 earners,
        uint256 reward
    ) private returns (uint256 paid) {
        uint256 feeEach = Payout.equalPart(uint256(state.fee) * state.revealed, earners);
        paid = feeEach * earners + reward;
        mapping(address account => uint256) storage balances = _balances[state.asset];
        Payment memory payment = _takeStakes(state, paid);
        uint256 sumBps;
        uint256 sumReward;
        for (uint256 i; i < awards.length; ++i) {
            Award calldata award = awards[i];
            payment.shareBps = award.shareBps;
            payment.fee = payment.shareBps == 0 ? 0 : feeEach;
            sumBps += payment.shareBps;
            payment.reward = Payout.upTo(reward, sumBps) - sumReward;
            sumReward += payment.reward;
            _credit(balances, bounty, award.mine, payment);
        }
    }

    /// @param fee What each mine gets from the escrow as its fee.
    /// @param reward What each mine gets from the escrow as its reward.
    function _payEqually(
        bytes32 bounty,
        StoredBounty storage state,
        address[] calldata mines,
        uint256 fee,
        uint256 reward
    ) private {
        mapping(address account => uint256) storage balances = _balances[state.asset];
        Payment memory payment = _takeStakes(state, (fee + reward) * mines.length);
        payment.fee = fee;
        payment.reward = reward;
        for (uint256 i; i < mines.length; ++i) {
            _credit(balances, bounty, mines[i], payment);
        }
    }

    /// @dev Moves the round's money: `paid` leaves the escrow, and what nobody gets of the forfeits enters it.
    /// @return payment What each mine that revealed is credited before fee and reward.
    function _takeStakes(StoredBounty storage state, uint256 paid) private returns (Payment memory payment) {
        uint256 revealed = state.revealed;
        uint256 forfeits = (state.committed - revealed) * state.stake;
        payment.round = state.round;
        payment.stake = state.stake;
        payment.forfeit = Payout.equalPart(forfeits, revealed);
        state.escrow = SafeCast.toUint96(state.escrow + forfeits - payment.forfeit * revealed - paid);
    }

    function _credit(
        mapping(address account => uint256) storage balances,
        bytes32 bounty,
        address mine,
        Payment memory payment
    ) private {
        uint256 amount;
        // None of the four exceeds 104 bits.
        unchecked {
            amount = payment.stake + payment.fee + payment.reward + payment.forfeit;
        }
        balances[mine] += amount;
        emit MinePaid(
            bounty,
            payment.round,
            mine,
            payment.shareBps,
            payment.stake,
            payment.fee,
            payment.reward,
            payment.forfeit
        );
    }

    function _openNextRound(bytes32 bounty, StoredBounty storage state) private {
        uint8 round = state.round + 1;
        uint40 opened = uint40(block.timestamp);
        (state.opened, state.round, state.committed, state.revealed) = (opened, round, 0, 0);
        state.flags &= ~Flags.COHORT_FIXED;
        emit RoundOpened(bounty, round, state.modelDigest, opened);
    }

    function _close(bytes32 bounty, StoredBounty storage state, CloseReason reason) private {
        uint256 refund = state.escrow;
        state.flags |= Flags.CLOSED;
        state.escrow = 0;
        if (refund != 0) _balances[state.asset][state.scientist] += refund;
        emit BountyClosed(bounty, state.round, reason, refund);
    }

    /*//////////////////////////////////////////////////////////////
                                AMOUNTS
    //////////////////////////////////////////////////////////////*/

    /// @dev What the reward grows by when the best loss becomes `bestLoss`.
    function _newlyEarned(StoredBounty storage state, uint64 bestLoss) private view returns (uint256) {
        if (bestLoss == state.bestLoss) return 0;
        return _earned(state, bestLoss) - _earned(state, state.bestLoss);
    }

    /// @dev What the cohort of an overdue round gets: the part of the unpaid reward that the terms say.
    function _defaultReward(StoredBounty storage state) private view returns (uint256) {
        return Payout.upTo(state.reward - _earned(state, state.bestLoss), state.overdueBps);
    }

    function _earned(StoredBounty storage state, uint64 loss) private view returns (uint256) {
        return Payout.earned(state.reward, state.initialLoss, state.targetLoss, loss);
    }
}
