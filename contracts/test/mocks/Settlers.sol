// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

import {ITrainingMarket} from "../../src/ITrainingMarket.sol";
import {Bounty, Status} from "../../src/Types.sol";

/// @notice A contract that signs with its owner's key, as a wallet does.
contract WalletSettler is IERC1271 {
    address private immutable OWNER;

    constructor(address owner) {
        OWNER = owner;
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        return ECDSA.recover(digest, signature) == OWNER ? IERC1271.isValidSignature.selector : bytes4(0);
    }
}

/// @notice Answers every question with the same bytes, or reverts with them.
contract AnsweringSettler {
    bytes private answer;
    bool private refuses;

    constructor(bytes memory answer_, bool refuses_) {
        (answer, refuses) = (answer_, refuses_);
    }

    fallback(bytes calldata) external returns (bytes memory) {
        if (!refuses) return answer;
        bytes memory reason = answer;
        assembly {
            revert(add(reason, 32), mload(reason))
        }
    }
}

/// @notice Uses up all gas that it is given.
contract EndlessSettler {
    fallback() external {
        for (uint256 i = 1; i != 0; ++i) {}
    }
}

/// @notice Answers with so many bytes that copying them would cost more than what is left.
contract BombSettler {
    fallback() external {
        assembly {
            return(0, 1000000)
        }
    }
}

/// @notice Tries to change something of its own before it says yes.
contract WritingSettler is IERC1271 {
    uint256 public asked;

    function isValidSignature(bytes32, bytes calldata) external view returns (bytes4) {
        // A view in name alone: what it does is decided by who calls it how.
        (bool ok,) = address(this).staticcall(abi.encodeCall(this.count, ()));
        return ok ? IERC1271.isValidSignature.selector : bytes4(0);
    }

    function count() external {
        ++asked;
    }
}

/// @notice Says yes, and tries a call of the market meanwhile; says no if that was taken.
contract ReenteringSettler is IERC1271 {
    address private immutable MARKET;
    bytes private call;

    constructor(address market) {
        MARKET = market;
    }

    function aim(bytes calldata call_) external {
        call = call_;
    }

    function isValidSignature(bytes32, bytes calldata) external view returns (bytes4) {
        (bool ok,) = MARKET.staticcall(call);
        return ok ? bytes4(0) : IERC1271.isValidSignature.selector;
    }
}

/// @notice Says yes if it sees the bounty as it was before the settlement.
contract LookingSettler is IERC1271 {
    ITrainingMarket private immutable MARKET;
    bytes32 private bounty;
    address private mine;

    constructor(ITrainingMarket market) {
        MARKET = market;
    }

    function lookAt(bytes32 bounty_, address mine_) external {
        (bounty, mine) = (bounty_, mine_);
    }

    function isValidSignature(bytes32, bytes calldata) external view returns (bytes4) {
        Bounty memory seen = MARKET.getBounty(bounty);
        bool before = MARKET.statusOf(bounty) == Status.Settle && seen.round == 1 && seen.revealed == 2
            && seen.bestLoss == seen.terms.initialLoss && MARKET.balanceOf(seen.terms.asset, mine) == 0;
        return before ? IERC1271.isValidSignature.selector : bytes4(0);
    }
}
