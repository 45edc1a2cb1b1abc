// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {CommonBase} from "forge-std/Base.sol";
import {StdCheats} from "forge-std/StdCheats.sol";
import {StdUtils} from "forge-std/StdUtils.sol";
import {Vm} from "forge-std/Vm.sol";

import {ITrainingMarket} from "../../src/ITrainingMarket.sol";
import {TrainingMarket} from "../../src/TrainingMarket.sol";
import {Bounty, Entry, EntryState, Status} from "../../src/Types.sol";
import {Refuser, Reenterer} from "../mocks/Actors.sol";
import {AnsweringSettler, WalletSettler} from "../mocks/Settlers.sol";
import {CallbackToken, NoReturnToken, PlainToken} from "../mocks/Tokens.sol";

/// @dev What every token of the play can do. No return value of `approve`: not all have one.
interface IMintable {
    function mint(address to, uint256 amount) external;
    function approve(address spender, uint256 amount) external;
    function balanceOf(address account) external view returns (uint256);
}

/// @notice Who takes part in the play, and a second reckoning of all that happens in it.
abstract contract Books is CommonBase, StdCheats, StdUtils {
    uint256 public constant MAX_BOUNTIES = 8;
    uint256 public constant MINES = 6;
    address internal constant ETHER = address(0);
    /// @dev Of the account that settles, and owns the contract that settles.
    uint256 internal constant SETTLER_KEY = 0x5E771E;
    /// @dev Where who takes no ether has it sent.
    address internal constant SAFE = address(0x5AFE);

    TrainingMarket public immutable MARKET;
    Reenterer public immutable REENTERER;
    Refuser public immutable REFUSER;

    address[] public assets;
    address[] public scientists;
    address[] public settlers; // nobody, an account, a contract that signs with its key, and one that always says no
    address[] public mines; // ascending
    bytes32[] public bounties;

    mapping(bytes32 bounty => uint256) public paidIn;
    mapping(bytes32 bounty => uint256) public credited;
    mapping(bytes32 bounty => uint256) public rewarded;
    mapping(bytes32 bounty => uint256) public latestPhase;
    mapping(bytes32 bounty => uint64) public bestLoss;
    mapping(bytes32 bounty => uint256) public lastCommit;
    mapping(bytes32 bounty => uint8) public fixedIn;
    mapping(bytes32 bounty => uint256) public settledRounds;
    mapping(address asset => uint256) public totalIn;
    mapping(address asset => uint256) public totalOut;
    mapping(address asset => uint256) public donated;

    uint256 public steps;
    bytes32 public touched;
    uint256 public settled;
    uint256 public failed;
    uint256 public overdue;
    uint256 public refused;
    uint256 public signed;
    uint256 public quietEnds;

    // Each stays zero: a law says so.
    uint256 public backwards;
    uint256 public risen;
    uint256 public stakesCut;
    uint256 public withdrawalsCut;
    uint256 public pushed;
    uint256 public wrongSealsOpened;
    uint256 public forbiddenDone;
    uint256 public overdueWrong;

    constructor(TrainingMarket market) {
        MARKET = market;
        REENTERER = new Reenterer(market);
        REFUSER = new Refuser();
        CallbackToken hooked = new CallbackToken();
        hooked.callBack(address(REENTERER), abi.encodeCall(Reenterer.attack, ()));
        assets = [ETHER, address(new PlainToken()), address(new NoReturnToken()), address(hooked)];
        scientists = [address(0x5000), address(0x5001), address(REFUSER)];
        WalletSettler wallet = new WalletSettler(vm.addr(SETTLER_KEY));
        settlers = [address(0), vm.addr(SETTLER_KEY), address(wallet), address(new AnsweringSettler("no", true))];
        mines = [address(0x6000), address(0x6001), address(0x6002), address(0x6003)];
        bool ordered = address(REENTERER) < address(REFUSER);
        mines.push(ordered ? address(REENTERER) : address(REFUSER));
        mines.push(ordered ? address(REFUSER) : address(REENTERER));
        for (uint256 a = 1; a < assets.length; ++a) {
            for (uint256 i; i < MINES + scientists.length; ++i) {
                vm.prank(account(i));
                IMintable(assets[a]).approve(address(market), type(uint256).max);
            }
        }
    }

    /*//////////////////////////////////////////////////////////////
                                 MONEY
    //////////////////////////////////////////////////////////////*/

    /// @dev Gives `payer` what a call costs, and books it as paid into the bounty.
    /// @return value What the call must carry in ether.
    function fund(bytes32 bounty, address asset, address payer, uint256 amount) internal returns (uint256 value) {
        paidIn[bounty] += amount;
        totalIn[asset] += amount;
        if (asset != ETHER) {
            if (amount != 0) IMintable(asset).mint(payer, amount);
            return 0;
        }
        deal(payer, payer.balance + amount);
        return amount;
    }

    /// @notice Takes out all that an account has in an asset.
    function withdrawOf(address asset, address who) public {
        uint256 due = MARKET.balanceOf(asset, who);
        if (due == 0) return;
        address to = asset == ETHER && who == address(REFUSER) ? SAFE : who;
        uint256 before = holds(asset, to);
        REENTERER.aim(touched, asset);
        vm.prank(who);
        totalOut[asset] += MARKET.withdraw(asset, to);
        if (holds(asset, to) != before + due) ++withdrawalsCut;
    }

    function holds(address asset, address who) public view returns (uint256) {
        return asset == ETHER ? who.balance : IMintable(asset).balanceOf(who);
    }

    /// @dev Around a call that ends a round: books what its events say was credited; nothing may be sent.
    modifier booked(bytes32 bounty, Bounty memory state) {
        uint256 before = holds(state.terms.asset, address(MARKET));
        vm.recordLogs();
        _;
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i; i < logs.length; ++i) {
            if (logs[i].topics[0] == ITrainingMarket.MinePaid.selector) {
                (, uint256 stake, uint256 fee, uint256 reward, uint256 forfeit) =
                    abi.decode(logs[i].data, (uint16, uint256, uint256, uint256, uint256));
                credited[bounty] += stake + fee + reward + forfeit;
                rewarded[bounty] += reward;
                if (stake != state.terms.stake) ++stakesCut;
            } else if (logs[i].topics[0] == ITrainingMarket.BountyClosed.selector) {
                (, uint256 refund) = abi.decode(logs[i].data, (uint8, uint256));
                credited[bounty] += refund;
            }
        }
        if (holds(state.terms.asset, address(MARKET)) != before) ++pushed;
    }

    /// @dev Around every action. Now and then for all bounties, since time moves on for all of them.
    modifier counted() {
        touched = 0;
        _;
        bool all = ++steps % 16 == 0;
        for (uint256 i; i < bounties.length; ++i) {
            if (all || bounties[i] == touched) note(bounties[i]);
        }
    }

    /// @dev Rounds and the phases within them only go forward, and the best loss only down.
    function note(bytes32 bounty) private {
        Bounty memory state = MARKET.getBounty(bounty);
        uint256 phase = uint256(state.round) * 10 + uint256(MARKET.statusOf(bounty));
        if (phase < latestPhase[bounty]) ++backwards;
        if (state.bestLoss > bestLoss[bounty]) ++risen;
        (latestPhase[bounty], bestLoss[bounty]) = (phase, state.bestLoss);
    }

    /*//////////////////////////////////////////////////////////////
                                  WHO
    //////////////////////////////////////////////////////////////*/

    /// @notice The settler that never signs.
    function refusing() public view returns (address) {
        return settlers[3];
    }

    function bountyCount() external view returns (uint256) {
        return bounties.length;
    }

    /// @notice The mines, then the scientists; one of them is both.
    function account(uint256 i) public view returns (address) {
        return i < MINES ? mines[i] : scientists[i - MINES];
    }

    /// @notice All that the market owes in an asset to accounts. One account is a mine and a scientist: once.
    function owedToAccounts(address asset) external view returns (uint256 sum) {
        for (uint256 i; i < MINES + scientists.length - 1; ++i) {
            sum += MARKET.balanceOf(asset, account(i));
        }
    }

    /// @notice The mines that revealed in the current round, ascending.
    function cohort(bytes32 bounty, uint8 round) public view returns (address[] memory list) {
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

    /// @dev The first bounty from `pick` on that is in this status, or 0.
    function choose(uint256 pick, Status status) internal view returns (bytes32) {
        uint256 count = bounties.length;
        for (uint256 i; i < count; ++i) {
            bytes32 bounty = bounties[(pick % count + i) % count];
            if (MARKET.statusOf(bounty) == status) return bounty;
        }
        return 0;
    }
}
