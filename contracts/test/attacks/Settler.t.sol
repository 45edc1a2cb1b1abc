// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";

import {Base} from "../Base.t.sol";
import {
    AnsweringSettler,
    BombSettler,
    EndlessSettler,
    LookingSettler,
    ReenteringSettler,
    WalletSettler,
    WritingSettler
} from "../mocks/Settlers.sol";
import {PlainToken} from "../mocks/Tokens.sol";
import {Errors} from "../../src/Errors.sol";
import {ITrainingMarket} from "../../src/ITrainingMarket.sol";
import {TrainingMarket} from "../../src/TrainingMarket.sol";
import {Award, Status} from "../../src/Types.sol";

/// @notice What a settler, or somebody with its signature, could try. The worst that a settler can do is to say no: then
/// the bounty is overdue, and pays by default.
contract SettlerAttacksTest is Base {
    bytes32 internal bounty;

    function setUp() public override {
        super.setUp();
        (terms.reward, terms.fee, terms.stake) = (1200, 10, 100);
        (terms.initialLoss, terms.targetLoss) = (2000, 1000);
    }

    /*//////////////////////////////////////////////////////////////
                        SETTLERS THAT DO NOT SIGN
    //////////////////////////////////////////////////////////////*/

    function test_OneThatReverts() public {
        saysNoAndLocksNothing(address(new AnsweringSettler("no", true)));
        // Not even with the very word that means yes.
        saysNoAndLocksNothing(address(new AnsweringSettler(abi.encode(IERC1271.isValidSignature.selector), true)));
    }

    function test_OneThatEatsAllGas() public {
        saysNoAndLocksNothing(address(new EndlessSettler()));
    }

    function test_OneThatAnswersJunk() public {
        bytes4 yes = IERC1271.isValidSignature.selector;
        bytes[6] memory answers = [
            bytes(""),
            abi.encodePacked(yes), // too short
            abi.encodePacked(yes, new bytes(27)), // one byte too short
            abi.encode(uint256(uint32(yes))), // at the wrong end
            abi.encode(true),
            abi.encodePacked(yes, bytes28(uint224(1))) // with something behind it
        ];
        for (uint256 i; i < answers.length; ++i) {
            saysNoAndLocksNothing(address(new AnsweringSettler(answers[i], false)));
        }
    }

    function test_OneThatAnswersAMillionBytes() public {
        saysNoAndLocksNothing(address(new BombSettler()));
    }

    function test_OneThatIsNoContractAndHasNoKey() public {
        saysNoAndLocksNothing(address(1)); // a precompiled contract has no code, and answers to everything
        saysNoAndLocksNothing(address(4));
        saysNoAndLocksNothing(address(0xdead));
    }

    /// It is asked by a static call: whatever it wants to change, it cannot.
    function test_OneThatWritesMeanwhile() public {
        saysNoAndLocksNothing(address(new WritingSettler()));
    }

    /// A token's contract has code and knows no signatures.
    function test_OneThatIsAToken() public {
        saysNoAndLocksNothing(address(new PlainToken()));
    }

    /*//////////////////////////////////////////////////////////////
                          SETTLERS THAT CALL BACK
    //////////////////////////////////////////////////////////////*/

    function test_OneThatCallsTheMarketIsLetInNowhere() public {
        ReenteringSettler settler_ = new ReenteringSettler(address(market));
        postedWith(address(settler_));
        Award[] memory awards = equalAwards(2);
        bytes[8] memory calls = [
            abi.encodeCall(ITrainingMarket.postBounty, (terms, MODEL, KEY, "salt")),
            abi.encodeCall(ITrainingMarket.commit, (bounty, 1, "seal", noProof())),
            abi.encodeCall(ITrainingMarket.reveal, (bounty, 1, "update", "salt")),
            abi.encodeCall(ITrainingMarket.fixCohort, (bounty, 1, "set")),
            abi.encodeCall(ITrainingMarket.settle, (bounty, 1, modelAfter(1), 1500, awards, EVIDENCE, "")),
            abi.encodeCall(ITrainingMarket.expire, (bounty, 1, mines(2))),
            abi.encodeCall(ITrainingMarket.close, (bounty)),
            abi.encodeCall(ITrainingMarket.withdraw, (ETHER, scientist))
        ];
        uint256 start = vm.snapshotState();
        for (uint256 i; i < calls.length; ++i) {
            settler_.aim(calls[i]);
            settle(bounty, 1, 1500, awards); // it says yes as long as it is let in nowhere
            assertEq(balanceOf(mine(0)), 100 + 10 + 300);
            vm.revertToState(start);
        }
        // A view is nothing to refuse; the one call that is answered makes this settler say no.
        settler_.aim(abi.encodeCall(ITrainingMarket.statusOf, (bounty)));
        refusedWith("", bounty, 1);
    }

    /// It sees what was before: nobody has been paid, and the round is still there.
    function test_OneThatLooksSeesNothingOfTheSettlement() public {
        LookingSettler settler_ = new LookingSettler(market);
        postedWith(address(settler_));
        settler_.lookAt(bounty, mine(0));
        settle(bounty, 1, 1500, equalAwards(2)); // it says yes to the sight of a round in Settle
        assertEq(market.getBounty(bounty).round, 2);
    }

    /*//////////////////////////////////////////////////////////////
                       SIGNATURES FOR SOMETHING ELSE
    //////////////////////////////////////////////////////////////*/

    function test_ASignatureOfAnotherRound() public {
        postedWith(settler());
        bytes memory signature = signed(market, bounty, 1);
        settleWith(signature, 1);
        cohort(bounty, 2, 2, 2);
        refusedWith(signature, bounty, 2);
        refusedWith(signed(market, bounty, 1), bounty, 2);
        refusedWith(signed(market, bounty, 3), bounty, 2);
    }

    function test_ASignatureOfAnotherBounty() public {
        postedWith(settler());
        bytes32 other = post("another");
        cohort(other, 1, 2, 2);
        refusedWith(signed(market, bounty, 1), other, 1);
    }

    function test_ASignatureOfAnotherContract() public {
        postedWith(settler());
        refusedWith(signed(new TrainingMarket(MIN_WINDOW), bounty, 1), bounty, 1);
    }

    /// After a fork the digest is another one on each side, whichever was there first.
    function test_ASignatureOfAnotherChain() public {
        postedWith(settler());
        bytes memory signature = signed(market, bounty, 1);
        vm.chainId(block.chainid + 1);
        refusedWith(signature, bounty, 1);
        settleWith(signed(market, bounty, 1), 1);
    }

    /// The same signature with the other root of `s`, which plain `ecrecover` takes as well.
    function test_AMalleableSignature() public {
        postedWith(settler());
        uint256 order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
        bytes32 digest = market.settlementDigestOf(bounty, 1, modelAfter(1), 1500, equalAwards(2), EVIDENCE);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(SETTLER_KEY, digest);
        bytes32 other = bytes32(order - uint256(s));
        assertEq(ecrecover(digest, 55 - v, r, other), settler(), "the very signer");
        refusedWith(abi.encodePacked(r, other, 55 - v), bounty, 1);
    }

    /// A settler that was an account when the bounty was posted, and has code by the time it is asked (EIP-7702, or a
    /// contract deployed later): its code decides, and the account's key no longer.
    function test_AnAccountThatGetsCode() public {
        postedWith(settler());
        bytes memory signature = signed(market, bounty, 1);
        vm.etch(settler(), address(new AnsweringSettler("", true)).code);
        refusedWith(signature, bounty, 1);
        vm.etch(settler(), address(new WalletSettler(stranger)).code);
        refusedWith(signature, bounty, 1);
    }

    /// One that is gone, or was never deployed, can only be asked for a key that it does not have.
    function test_AContractThatLosesItsCode() public {
        WalletSettler wallet = new WalletSettler(settler());
        postedWith(address(wallet));
        vm.etch(address(wallet), "");
        refusedWith(signed(market, bounty, 1), bounty, 1);
    }

    /// Without the scientist it signs in vain: nobody else can send a settlement.
    function test_ASettlerCannotSettleItself() public {
        postedWith(settler());
        bytes memory signature = signed(market, bounty, 1);
        vm.prank(settler());
        vm.expectRevert(abi.encodeWithSelector(Errors.NotScientist.selector, settler()));
        market.settle(bounty, 1, modelAfter(1), 1500, equalAwards(2), EVIDENCE, signature);
    }

    /*//////////////////////////////////////////////////////////////
                                HELPERS
    //////////////////////////////////////////////////////////////*/

    function postedWith(address settler_) private {
        terms.settler = settler_;
        bounty = post(bytes32(uint256(uint160(settler_))));
        cohort(bounty, 1, 2, 2);
    }

    /// @dev Whatever it does, the call reverts with one error; and once the window is over, all money comes out.
    function saysNoAndLocksNothing(address settler_) private {
        postedWith(settler_);
        refusedWith(signed(market, bounty, 1), bounty, 1);
        vm.warp(settleEnds(bounty));
        uint256[3] memory had = [balanceOf(mine(0)), balanceOf(mine(1)), balanceOf(scientist)];
        market.expire(bounty, 1, mines(2));
        assertEq(balanceOf(mine(0)) - had[0], 100 + 10 + 600);
        assertEq(balanceOf(mine(1)) - had[1], 100 + 10 + 600);
        assertEq(balanceOf(scientist) - had[2], 1320 - 1220);
        assertStatus(bounty, Status.Closed);
    }

    function signed(TrainingMarket where, bytes32 what, uint8 round) private view returns (bytes memory) {
        bytes32 digest = where.settlementDigestOf(what, round, modelAfter(round), 1500, equalAwards(2), EVIDENCE);
        return sign(SETTLER_KEY, digest);
    }

    function settleWith(bytes memory signature, uint8 round) private {
        vm.prank(scientist);
        market.settle(bounty, round, modelAfter(round), 1500, equalAwards(2), EVIDENCE, signature);
    }

    function refusedWith(bytes memory signature, bytes32 what, uint8 round) private {
        vm.prank(scientist);
        vm.expectRevert(abi.encodeWithSelector(Errors.SettlementNotSigned.selector, terms.settler));
        market.settle{gas: 3_000_000}(what, round, modelAfter(round), 1500, equalAwards(2), EVIDENCE, signature);
    }
}
