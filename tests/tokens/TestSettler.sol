// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @notice A settler for tests: signs by an account of its own (EIP-1271), or has one of the faults that a contract in
/// its place can have.
contract TestSettler {
    enum Kind {
        Honest,
        RevertsWithText,
        RevertsWithError,
        RevertsEmpty,
        Invalid,
        BurnsGas,
        AnswersNothing,
        AnswersFourBytes,
        AnswersYes,
        Writes
    }

    error NotSigned(bytes32 hash);

    Kind public immutable kind;
    address public immutable owner;
    uint256 public asked;

    constructor(Kind kind_, address owner_) {
        (kind, owner) = (kind_, owner_);
    }

    function isValidSignature(bytes32 hash, bytes calldata signature) external returns (bytes4) {
        if (kind == Kind.RevertsWithText) revert("not signed");
        if (kind == Kind.RevertsWithError) revert NotSigned(hash);
        if (kind == Kind.RevertsEmpty) {
            assembly {
                revert(0, 0)
            }
        }
        if (kind == Kind.Invalid) {
            assembly {
                invalid()
            }
        }
        if (kind == Kind.BurnsGas) {
            while (true) hash = keccak256(abi.encode(hash));
        }
        if (kind == Kind.AnswersNothing) {
            assembly {
                return(0, 0)
            }
        }
        if (kind == Kind.AnswersFourBytes) {
            assembly {
                mstore(0, shl(224, 0xffffffff))
                return(0, 4)
            }
        }
        if (kind == Kind.AnswersYes) return this.isValidSignature.selector;
        if (kind == Kind.Writes) ++asked;
        return _signed(hash, signature) ? this.isValidSignature.selector : bytes4(0xffffffff);
    }

    function _signed(bytes32 hash, bytes calldata signature) private view returns (bool) {
        if (signature.length != 65) return false;
        (bytes32 r, bytes32 s) = abi.decode(signature[:64], (bytes32, bytes32));
        return ecrecover(hash, uint8(signature[64]), r, s) == owner;
    }
}
