// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

/// @notice A token for tests: plain, or with one of the habits that real tokens have. Anybody may mint.
contract TestToken {
    error ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed);
    error ERC20InsufficientAllowance(address spender, uint256 allowance, uint256 needed);

    string public symbol;
    uint8 public immutable decimals;
    /// Basis points that each transfer loses.
    uint256 public immutable feeBps;
    /// As USDT: no call returns anything, and an allowance that is not zero changes to zero alone.
    bool public immutable old;

    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;

    constructor(string memory symbol_, uint8 decimals_, uint256 feeBps_, bool old_) {
        (symbol, decimals, feeBps, old) = (symbol_, decimals_, feeBps_, old_);
    }

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        if (old) require(amount == 0 || allowance[msg.sender][spender] == 0, "allowance must be zero first");
        allowance[msg.sender][spender] = amount;
        return _done();
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        _move(msg.sender, to, amount);
        return _done();
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        uint256 allowed = allowance[from][msg.sender];
        if (allowed < amount) revert ERC20InsufficientAllowance(msg.sender, allowed, amount);
        allowance[from][msg.sender] = allowed - amount;
        _move(from, to, amount);
        return _done();
    }

    function _move(address from, address to, uint256 amount) private {
        uint256 balance = balanceOf[from];
        if (balance < amount) revert ERC20InsufficientBalance(from, balance, amount);
        balanceOf[from] = balance - amount;
        balanceOf[to] += amount - amount * feeBps / 10_000;
    }

    function _done() private view returns (bool) {
        if (!old) return true;
        assembly {
            return(0, 0)
        }
    }
}
