// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {Base} from "../Base.t.sol";
import {Errors} from "../../src/Errors.sol";
import {TrainingMarket} from "../../src/TrainingMarket.sol";
import {Award, Entry, EntryState} from "../../src/Types.sol";

/// @notice Along views.tree: the constructor, and what can be read.
contract ViewsTest is Base {
    function test_RevertWhen_TheMarketIsDeployedWithoutAFloor() public {
        vm.expectRevert(abi.encodeWithSelector(Errors.WindowTooShort.selector, 0, 1));
        new TrainingMarket(0);
    }

    function test_WhenTheMarketIsDeployedWithAFloor() public {
        assertEq(market.MIN_WINDOW(), MIN_WINDOW);
        assertEq(new TrainingMarket(1).MIN_WINDOW(), 1);
    }

    function test_RevertGiven_TheBountyIsUnknown() public {
        vm.expectRevert(abi.encodeWithSelector(Errors.UnknownBounty.selector, KEY));
        market.getBounty(KEY);
        vm.expectRevert(abi.encodeWithSelector(Errors.UnknownBounty.selector, KEY));
        market.deadlinesOf(KEY);
        Entry memory entry = market.entryOf(KEY, mine(0));
        assertEq(abi.encode(entry), abi.encode(Entry(0, EntryState.None, 0)));
    }

    function test_GivenTheBountyIsPosted() public {
        (terms.commitWindow, terms.revealWindow, terms.settleWindow) = (11, 120, 1300);
        (uint40 commitEnds, uint40 revealEnds, uint40 settleEnds) = market.deadlinesOf(post());
        uint256 opened = vm.getBlockTimestamp();
        assertEq(commitEnds, opened + 11);
        assertEq(revealEnds, opened + 131);
        assertEq(settleEnds, opened + 1431);
    }

    function test_WhenAnIdIsAskedFor() public {
        bytes32 termsHash = keccak256(abi.encode(terms));
        bytes32 expected =
            keccak256(abi.encode(block.chainid, address(market), scientist, termsHash, MODEL, KEY, SALT));
        assertEq(market.bountyIdOf(scientist, terms, MODEL, KEY, SALT), expected);
        assertNotEq(market.bountyIdOf(stranger, terms, MODEL, KEY, SALT), expected);
        assertNotEq(market.bountyIdOf(scientist, terms, KEY, KEY, SALT), expected);
        assertNotEq(market.bountyIdOf(scientist, terms, MODEL, MODEL, SALT), expected);
        assertNotEq(market.bountyIdOf(scientist, terms, MODEL, KEY, 0), expected);
        terms.fee += 1;
        assertNotEq(market.bountyIdOf(scientist, terms, MODEL, KEY, SALT), expected);
        terms.fee -= 1;
        assertNotEq(new TrainingMarket(1).bountyIdOf(scientist, terms, MODEL, KEY, SALT), expected);
        vm.chainId(block.chainid + 1);
        assertNotEq(market.bountyIdOf(scientist, terms, MODEL, KEY, SALT), expected);
    }

    function test_WhenASealIsAskedFor() public view {
        bytes memory words = abi.encode(
            block.chainid, address(market), KEY, uint256(1), mine(0), updateOf(1, mine(0)), saltOf(mine(0))
        );
        assertEq(words.length, 7 * 32);
        assertEq(sealOf(KEY, 1, mine(0)), keccak256(words));
    }

    function test_WhenTheDomainIsAskedFor() public view {
        (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifyingContract,
            bytes32 salt,
            uint256[] memory extensions
        ) = market.eip712Domain();
        assertEq(fields, hex"0f");
        assertEq(name, "Sonar TrainingMarket");
        assertEq(version, "2");
        assertEq(chainId, block.chainid);
        assertEq(verifyingContract, address(market));
        assertEq(salt, 0);
        assertEq(extensions.length, 0);
    }

    /// Written out once more by hand; other programs hold it to the same in tests/vectors/settlements.json.
    function test_WhenTheDigestOfASettlementIsAskedFor() public {
        bytes32 awardType = keccak256("Award(address mine,uint16 shareBps)");
        Award[] memory awards = equalAwards(2);
        bytes memory lines = bytes.concat(
            keccak256(abi.encode(awardType, mine(0), uint256(5000))),
            keccak256(abi.encode(awardType, mine(1), uint256(5000)))
        );
        bytes32 settlement = keccak256(
            abi.encode(
                keccak256(
                    "Settlement(bytes32 bounty,uint8 round,bytes32 newModelDigest,uint64 newLoss,Award[] awards,bytes32 evidenceDigest)Award(address mine,uint16 shareBps)"
                ),
                KEY,
                uint256(7),
                MODEL,
                uint256(INITIAL_LOSS),
                keccak256(lines),
                EVIDENCE
            )
        );
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Sonar TrainingMarket"),
                keccak256("2"),
                block.chainid,
                market
            )
        );
        bytes32 expected = keccak256(bytes.concat(hex"1901", domain, settlement));
        assertEq(market.settlementDigestOf(KEY, 7, MODEL, INITIAL_LOSS, awards, EVIDENCE), expected);
        awards[1].shareBps = 5001;
        assertNotEq(market.settlementDigestOf(KEY, 7, MODEL, INITIAL_LOSS, awards, EVIDENCE), expected);
        awards[1] = Award(mine(2), 5000);
        assertNotEq(market.settlementDigestOf(KEY, 7, MODEL, INITIAL_LOSS, awards, EVIDENCE), expected);
        awards = equalAwards(2);
        assertNotEq(market.settlementDigestOf(KEY, 8, MODEL, INITIAL_LOSS, awards, EVIDENCE), expected);
        assertNotEq(
            new TrainingMarket(1).settlementDigestOf(KEY, 7, MODEL, INITIAL_LOSS, awards, EVIDENCE), expected
        );
        vm.chainId(block.chainid + 1);
        assertNotEq(market.settlementDigestOf(KEY, 7, MODEL, INITIAL_LOSS, awards, EVIDENCE), expected);
    }
}
