// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {AnyMarket} from "./AnyMarket.sol";
import {Bounty, Entry, EntryState, Status} from "../../src/Types.sol";

/// @notice Proofs that calls which only add and subtract move this money, and no other.
contract MoneyProof is AnyMarket {
    /// @dev What nobody's call on one bounty may change: another bounty, and who is owed what.
    struct Rest {
        bytes32 other;
        address account;
        uint96 escrow;
        uint8 committed;
        uint8 revealed;
        bool closed;
        uint256 balance;
    }

    /// A commit brings its stake, takes one place, and changes no escrow and no balance.
    function check_ACommitBringsItsStakeAlone(bytes32 id, bytes32 other, uint8 round, address caller, bytes32 seal)
        public
    {
        Bounty memory bounty = etherBounty(id);
        Rest memory rest = remember(id, other, caller);
        uint256 held = address(market).balance;
        bytes memory call = abi.encodeCall(market.commit, (id, round, seal, new bytes32[](0)));
        if (!callAs(caller, bounty.terms.stake, call)) return;
        Bounty memory now_ = market.getBounty(id);
        assert(address(market).balance == held + bounty.terms.stake);
        assert(now_.committed == bounty.committed + 1 && now_.revealed == bounty.revealed);
        assert(now_.escrow == bounty.escrow && now_.bestLoss == bounty.bestLoss);
        Entry memory entry = market.entryOf(id, caller);
        assert(entry.round == round && entry.state == EntryState.Committed && entry.seal == bytes29(seal));
        unchanged(rest, rest.balance);
    }

    /// A reveal moves no money; it is counted once.
    function check_ARevealMovesNoMoney(
        bytes32 id,
        bytes32 other,
        uint8 round,
        address caller,
        bytes32 update,
        bytes32 salt
    ) public {
        Bounty memory bounty = etherBounty(id);
        Rest memory rest = remember(id, other, caller);
        uint256 held = address(market).balance;
        if (!callAs(caller, 0, abi.encodeCall(market.reveal, (id, round, update, salt)))) return;
        Bounty memory now_ = market.getBounty(id);
        assert(address(market).balance == held);
        assert(now_.committed == bounty.committed && now_.revealed == bounty.revealed + 1);
        assert(now_.escrow == bounty.escrow && now_.bestLoss == bounty.bestLoss);
        unchanged(rest, rest.balance);
    }

    /// Fixing a cohort moves no money and no phase; all that changes is that it is fixed.
    function check_FixingACohortChangesNothingElse(
        bytes32 id,
        bytes32 other,
        uint8 round,
        address caller,
        bytes32 digest
    ) public {
        Bounty memory bounty = etherBounty(id);
        Rest memory rest = remember(id, other, caller);
        uint256 held = address(market).balance;
        if (!callAs(caller, 0, abi.encodeCall(market.fixCohort, (id, round, digest)))) return;
        Bounty memory now_ = market.getBounty(id);
        assert(address(market).balance == held);
        assert(now_.cohortFixed && !now_.closed && statusOf(id) == Status.Settle);
        assert(now_.opened == bounty.opened && now_.round == bounty.round && now_.lastCommit == bounty.lastCommit);
        assert(now_.committed == bounty.committed && now_.revealed == bounty.revealed);
        assert(now_.escrow == bounty.escrow && now_.bestLoss == bounty.bestLoss);
        unchanged(rest, rest.balance);
    }

    /// Closing credits the whole escrow to the scientist, and sends nothing.
    function check_ACloseCreditsTheEscrowToTheScientist(bytes32 id, bytes32 other, address caller) public {
        Bounty memory bounty = etherBounty(id);
        Rest memory rest = remember(id, other, bounty.scientist);
        uint256 held = address(market).balance;
        if (!callAs(caller, 0, abi.encodeCall(market.close, (id)))) return;
        Bounty memory now_ = market.getBounty(id);
        assert(address(market).balance == held);
        assert(now_.escrow == 0 && now_.closed);
        unchanged(rest, rest.balance + bounty.escrow);
    }

    /// So does expiring a round to which nobody came; and nobody else is credited.
    function check_AnEmptyRoundRefundsTheScientist(bytes32 id, bytes32 other, uint40 time, address caller) public {
        Bounty memory bounty = etherBounty(id);
        vm.assume(bounty.committed == 0 && bounty.revealed == 0 && bounty.terms.minMines != 0);
        Rest memory rest = remember(id, other, bounty.scientist);
        uint256 held = address(market).balance;
        warpTo(time);
        if (!callAs(caller, 0, abi.encodeCall(market.expire, (id, bounty.round, new address[](0))))) return;
        Bounty memory now_ = market.getBounty(id);
        assert(address(market).balance == held);
        assert(now_.escrow == 0 && now_.closed);
        unchanged(rest, rest.balance + bounty.escrow);
    }

    /// A withdrawal sends the caller's balance, sets it to 0, and touches nobody else's.
    function check_AWithdrawalSendsTheCallersBalanceAlone(bytes32 id, address caller, address other) public {
        address to = address(0xE0A);
        vm.assume(caller != other && caller != to && caller != address(market));
        uint256 due = market.balanceOf(ETHER, caller);
        uint256 others = market.balanceOf(ETHER, other);
        vm.assume(due <= type(uint128).max);
        vm.deal(address(market), due);
        Rest memory rest = remember(bytes32(uint256(id) ^ 1), id, other);
        if (!callAs(caller, 0, abi.encodeCall(market.withdraw, (ETHER, to)))) return;
        assert(due != 0 && to.balance == due);
        assert(market.balanceOf(ETHER, caller) == 0);
        unchanged(rest, others);
    }

    function remember(bytes32 id, bytes32 other, address account) private view returns (Rest memory) {
        vm.assume(id != other);
        Bounty memory bounty = market.getBounty(other);
        return Rest({
            other: other,
            account: account,
            escrow: bounty.escrow,
            committed: bounty.committed,
            revealed: bounty.revealed,
            closed: bounty.closed,
            balance: market.balanceOf(ETHER, account)
        });
    }

    /// @dev All but the balance, which must be `balance`.
    function unchanged(Rest memory rest, uint256 balance) private view {
        Bounty memory bounty = market.getBounty(rest.other);
        assert(bounty.escrow == rest.escrow && bounty.closed == rest.closed);
        assert(bounty.committed == rest.committed && bounty.revealed == rest.revealed);
        assert(market.balanceOf(ETHER, rest.account) == balance);
    }
}
