// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @notice A well-behaved token; anybody may mint.
contract PlainToken is ERC20 {
    constructor() ERC20("Plain", "PLN") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}

/// @notice Returns nothing where ERC-20 wants a bool, as USDT does.
contract NoReturnToken {
    mapping(address account => uint256) public balanceOf;
    mapping(address owner => mapping(address spender => uint256)) public allowance;

    function mint(address to, uint256 amount) external {
        balanceOf[to] += amount;
    }

    function approve(address spender, uint256 amount) external {
        allowance[msg.sender][spender] = amount;
    }

    function transfer(address to, uint256 amount) external {
        balanceOf[msg.sender] -= amount;
        balanceOf[to] += amount;
    }

    function transferFrom(address from, address to, uint256 amount) external {
        allowance[from][msg.sender] -= amount;
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
    }
}

/// @notice Once told to, answers `false` to every transfer, and moves nothing.
contract FalseToken is PlainToken {
    bool public refusing;

    function refuse(bool on) external {
        refusing = on;
    }

    function transfer(address to, uint256 amount) public override returns (bool) {
        return !refusing && super.transfer(to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) public override returns (bool) {
        return !refusing && super.transferFrom(from, to, amount);
    }
}

/// @notice Reverts on transfers to or from whom its issuer has blocked, as USDC does.
contract BlockingToken is PlainToken {
    mapping(address account => bool) public blocked;

    error Blocked(address account);

    function setBlocked(address account, bool on) external {
        blocked[account] = on;
    }

    function _update(address from, address to, uint256 amount) internal override {
        if (blocked[from]) revert Blocked(from);
        if (blocked[to]) revert Blocked(to);
        super._update(from, to, amount);
    }
}

/// @notice Burns a hundredth of every transfer, rounded up.
contract FeeToken is PlainToken {
    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        if (from != address(0) && to != address(0)) super._update(to, address(0), (amount + 99) / 100);
    }
}

/// @notice Before every transfer it makes one call of its issuer's choice, as a token with hooks lets others do.
/// @dev The transfer goes on whatever became of the call; `calls` and `successes` tell.
contract CallbackToken is PlainToken {
    address public target;
    bytes public data;
    bytes public answer;
    uint256 public calls;
    uint256 public successes;

    function callBack(address target_, bytes calldata data_) external {
        (target, data) = (target_, data_);
    }

    function _update(address from, address to, uint256 amount) internal override {
        if (target != address(0) && from != address(0)) {
            bool ok;
            (ok, answer) = target.call(data);
            ++calls;
            if (ok) ++successes;
        }
        super._update(from, to, amount);
    }
}

/// @notice Everybody's balance can shrink or grow at its issuer's will.
contract RebasingToken {
    mapping(address account => uint256) public units;
    mapping(address owner => mapping(address spender => uint256)) public allowance;
    /// @notice Balance per unit, in basis points.
    uint256 public rate = 10_000;

    error Insufficient(uint256 held, uint256 needed);

    function rebase(uint256 rate_) external {
        rate = rate_;
    }

    function mint(address to, uint256 amount) external {
        units[to] += toUnits(amount);
    }

    function approve(address spender, uint256 amount) external returns (bool) {
        allowance[msg.sender][spender] = amount;
        return true;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        return move(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) external returns (bool) {
        allowance[from][msg.sender] -= amount;
        return move(from, to, amount);
    }

    function balanceOf(address account) public view returns (uint256) {
        return units[account] * rate / 10_000;
    }

    function move(address from, address to, uint256 amount) private returns (bool) {
        if (balanceOf(from) < amount) revert Insufficient(balanceOf(from), amount);
        units[from] -= toUnits(amount);
        units[to] += toUnits(amount);
        return true;
    }

    function toUnits(uint256 amount) private view returns (uint256) {
        return amount * 10_000 / rate;
    }
}
