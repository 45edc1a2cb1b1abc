// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Base} from "../Base.t.sol";
import {WalletSettler} from "../mocks/Settlers.sol";
import {Signers} from "../mocks/Signers.sol";
import {PlainToken} from "../mocks/Tokens.sol";
import {Award} from "../../src/Types.sol";

/// @notice What each call costs, as a transaction of its own (foundry.toml: isolate), with its intrinsic gas and
/// without refunds. `scripts/contract_tables.py` writes the figures into snapshots and README.
abstract contract GasTest is Base {
    bytes32 internal bounty;

    function setUp() public virtual override {
        super.setUp();
        (terms.asset, terms.cohortCap) = (asset(), 10);
        bounty = post();
    }

    function asset() internal virtual returns (address);
    function group() internal pure virtual returns (string memory);
    function postLimit() internal pure virtual returns (uint256);
    function commitLimits() internal pure virtual returns (uint256 first, uint256 later);
    function withdrawLimit() internal pure virtual returns (uint256);

    function test_Post() public {
        post("another");
        costs("postBounty", postLimit());
    }

    function test_Commit_First() public {
        commit(bounty, 1, mine(0));
        commit(bounty, 1, mine(1));
        (uint256 limit,) = commitLimits();
        costs("commit, a mine's first in a bounty", limit);
    }

    function test_Commit_Later() public {
        settledByTen(1);
        commit(bounty, 2, mine(0));
        commit(bounty, 2, mine(1));
        (, uint256 limit) = commitLimits();
        costs("commit, in later rounds", limit);
    }

    function test_Reveal() public {
        commits(bounty, 1, 10);
        reveals(bounty, 1, 2);
        costs("reveal", 43_000);
    }

    function test_Commit_WithAQuietTime() public {
        terms.quiet = 20;
        bounty = post("quiet");
        commits(bounty, 1, 4);
        (uint256 limit,) = commitLimits();
        costs("commit, a mine's first in a bounty with `quiet`", limit + 4_500);
    }

    function test_Reveal_WithAQuietTime() public {
        terms.quiet = 20;
        bounty = post("quiet");
        commits(bounty, 1, 10);
        reveals(bounty, 1, 2);
        costs("reveal in a bounty with `quiet`", 45_500);
    }

    function test_FixCohort() public {
        commits(bounty, 1, 10);
        reveals(bounty, 1, 10);
        fixCohort(bounty, 1, keccak256("set"));
        costs("fixCohort", 35_500);
    }

    function test_FixCohort_WithAQuietTime() public {
        terms.quiet = 20;
        bounty = post("quiet");
        commits(bounty, 1, 10);
        reveals(bounty, 1, 10);
        fixCohort(bounty, 1, keccak256("set"));
        costs("fixCohort in a bounty with `quiet`", 38_000);
    }

    function test_SettleTen_SignedByAnAccount() public {
        signedByTen(settler());
        costs("settle, 10 mines with balances, signed by an account", 213_000);
    }

    function test_SettleTen_SignedByAContract() public {
        signedByTen(address(new WalletSettler(settler())));
        costs("settle, 10 mines with balances, signed by a contract", 214_000);
    }

    /// @dev What an audited settlement may cost more than one that nobody signs.
    function test_SettleTen_SignedByACommittee() public {
        settledByTen(1);
        revealedByTen(address(0), "unsigned");
        settle(bounty, 1, INITIAL_LOSS - 1_000_000, equalAwards(10));
        uint256 unsigned = vm.lastCallGas().gasTotalUsed;
        revealedByTen(address(Signers.committee(3, 2)), "signed");
        settleByCommittee(INITIAL_LOSS - 1_000_000, equalAwards(10), Signers.keys(3), 6);
        costs("settle, 10 mines with balances, signed by a committee, 2 of 3", unsigned + 30_000);
    }

    /// @dev The largest committee that there can be.
    function test_SettleTen_SignedByTheLargestCommittee() public {
        settledByTen(1);
        revealedByTen(address(Signers.committee(7, 7)), "signed");
        settleByCommittee(INITIAL_LOSS - 1_000_000, equalAwards(10), Signers.keys(7), 127);
        costs("settle, 10 mines with balances, signed by a committee, 7 of 7", 265_000);
    }

    function test_SettleTen_EmptyBalances() public {
        settledByTen(1);
        costs("settle, 10 mines with empty balances", 375_000);
    }

    function test_SettleTen_WithBalances() public {
        settledByTen(1);
        settledByTen(2);
        costs("settle, 10 mines with balances", 195_000);
    }

    function test_ExpireTen_EmptyBalances() public {
        commits(bounty, 1, 10);
        reveals(bounty, 1, 10);
        vm.warp(settleEnds(bounty));
        market.expire(bounty, 1, mines(10));
        costs("expire, 10 mines with empty balances", 375_000);
    }

    function test_Close() public {
        vm.prank(scientist);
        market.close(bounty);
        costs("close", 65_000);
    }

    function test_Withdraw() public {
        settledByTen(1);
        if (terms.asset == ETHER) deal(mine(0), 1); // an account that exists, as a mine's does
        withdraw(mine(0));
        costs("withdraw", withdrawLimit());
    }

    /// @dev A transaction may take 2^24 gas (EIP-7825). A round that cannot end would lock all its money.
    function test_TheLargestCohort() public {
        (terms.cohortCap, terms.minMines, terms.rounds) = (255, 255, 1);
        bounty = post("large");
        uint256 start = vm.snapshotState();
        vm.prank(scientist);
        market.close(bounty);
        costs("close, cap of 255", 1 << 24);

        vm.revertToState(start);
        commits(bounty, 1, 255);
        reveals(bounty, 1, 254);
        start = vm.snapshotState();
        vm.warp(revealEnds(bounty));
        market.expire(bounty, 1, mines(254));
        costs("expire a failed round, 254 of 255 mines, empty balances", 1 << 24);
        assertEq(balanceOf(mine(253)), STAKE + STAKE / 254);

        vm.revertToState(start);
        reveal(bounty, 1, mine(254));
        start = vm.snapshotState();
        settle(bounty, 1, TARGET_LOSS, equalAwards(255));
        costs("settle, 255 mines with empty balances", 1 << 24);
        assertGt(balanceOf(mine(254)), STAKE + FEE);

        vm.revertToState(start);
        vm.warp(settleEnds(bounty));
        market.expire(bounty, 1, mines(255));
        costs("expire, 255 mines with empty balances", 1 << 24);
        assertEq(balanceOf(mine(254)), STAKE + FEE + REWARD / 255);
    }

    function settledByTen(uint8 round) private {
        commits(bounty, round, 10);
        reveals(bounty, round, 10);
        settle(bounty, round, INITIAL_LOSS - 1_000_000 * round, equalAwards(10));
    }

    /// @dev In a bounty with this settler; all ten have balances by now.
    function signedByTen(address settler_) private {
        settledByTen(1);
        revealedByTen(settler_, "signed");
        settleSigned(bounty, 1, INITIAL_LOSS - 1_000_000, equalAwards(10));
    }

    function revealedByTen(address settler_, bytes32 salt) private {
        terms.settler = settler_;
        bounty = post(salt);
        commits(bounty, 1, 10);
        reveals(bounty, 1, 10);
    }

    /// @dev By the members whose bits are set in `who`.
    function settleByCommittee(uint64 loss, Award[] memory awards, uint256[] memory keys, uint256 who) private {
        bytes32 digest = market.settlementDigestOf(bounty, 1, modelAfter(1), loss, awards, EVIDENCE);
        bytes memory signature = Signers.signedBy(keys, who, digest);
        vm.prank(scientist);
        market.settle(bounty, 1, modelAfter(1), loss, awards, EVIDENCE, signature);
    }

    /// @dev Of the last call.
    function costs(string memory what, uint256 limit) private {
        uint256 gas = vm.lastCallGas().gasTotalUsed;
        vm.snapshotValue(group(), what, gas);
        assertGt(gas, 21_000, "not measured as a transaction");
        assertLe(gas, limit, what);
    }
}

contract GasInEtherTest is GasTest {
    function asset() internal pure override returns (address) {
        return ETHER;
    }

    function group() internal pure override returns (string memory) {
        return "gas-ether";
    }

    function postLimit() internal pure override returns (uint256) {
        return 179_008;
    }

    function commitLimits() internal pure override returns (uint256, uint256) {
        return (64_000, 46_000);
    }

    function withdrawLimit() internal pure override returns (uint256) {
        return 36_000;
    }
}

/// @notice OpenZeppelin's ERC-20. Payers keep a rest of balance and allowance, and receivers have a balance.
contract GasInATokenTest is GasTest {
    function asset() internal override returns (address) {
        return address(new PlainToken());
    }

    function fund(address who, uint256 amount) internal override returns (uint256) {
        return super.fund(who, amount + 1);
    }

    function group() internal pure override returns (string memory) {
        return "gas-token";
    }

    function postLimit() internal pure override returns (uint256) {
        return 215_000;
    }

    function commitLimits() internal pure override returns (uint256, uint256) {
        return (88_000, 70_000);
    }

    function withdrawLimit() internal pure override returns (uint256) {
        return 45_000;
    }
}
