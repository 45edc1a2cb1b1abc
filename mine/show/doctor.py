"""`mine doctor`: is everything in order, from the home folder to the data? Each check says what to do."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from mine.show.privacy import told_of
from mine.wiring import Mine
from mine.work import joining, trainer
from sonar.chain.contract import token
from sonar.errors import DataError, InsufficientFunds, KeyFileError, SonarError, StoreUnavailable
from sonar.protocol.ids import ETHER, Address, hex32
from sonar.protocol.phase import Terms
from sonar.store import choose
from sonar.store.kubo.repo import find_ipfs, program_version
from sonar.store.kubo.rpc import KuboRpc, checked_version
from sonar.store.kubo.swarm import fingerprint
from sonar.succeeding import fault_of
from sonar.telling.amounts import format_amount, format_wei
from sonar.telling.checks import Check, Planned, made
from sonar.telling.text import count, short

ROUND_GAS = 250_000
"""Commit, reveal and a withdrawal, with the outbox's margin (measured: 59k + 39k + 32k)."""
TOKEN_GAS = 250_000
"""What a token adds: an approval, and its own work in commit and withdrawal; tokens differ."""
_PROBE = b"sonar: mine doctor can write here\n"


def examine(mine: Mine, password_file: Path | None) -> Iterator[Check]:
    """Check one thing after the other; each is told as soon as it is known."""
    ipfs: list[Planned] = [
        ("ipfs", lambda: _ipfs(mine), ("network",)),
        ("swarm key", lambda: _swarm_key(mine), ("network",)),
    ]
    swarm: list[Planned] = [("swarm", lambda: _swarm(mine), ("store",))]
    checks: list[Planned] = [
        ("home", lambda: str(mine.home.path), ()),
        ("network", lambda: f"{mine.network.name!r}, chain {mine.network.chain_id}", ()),
        ("policy", lambda: _policy(mine), ("network",)),
        ("capsules", lambda: _capsules(mine), ("policy",)),
        ("keystore", lambda: f"opens for {mine.unlock(mine.password(password_file)).address}", ()),
        ("chain", lambda: _chain(mine), ("network",)),
        ("clock", lambda: _clock(mine), ("chain",)),
        ("accounts", lambda: _accounts(mine), ("chain", "keystore")),
        ("balance", lambda: _balance(mine), ("chain", "keystore")),
        *(ipfs if _uses_kubo(mine) else []),
        ("store", lambda: _store(mine), ("network", "ipfs", "swarm key")),
        *(swarm if _uses_kubo(mine) else []),
        ("data", lambda: _data(mine), ()),
        ("privacy", lambda: _privacy(mine), ("data", "policy")),
        ("bounties", lambda: _bounties(mine), ("chain", "store", "data", "policy")),
        ("pool", lambda: _pool(mine), ("bounties",)),
    ]
    return made(checks)


def _policy(mine: Mine) -> str:
    policy = mine.policy
    return (
        f"fee from {format_wei(policy.min_fee_wei)}, stake up to {format_wei(policy.max_stake_wei)}, "
        f"windows from {policy.min_window_s} s, at most {policy.max_rounds} rounds per data set; paid in "
        + ", ".join(["ether", *policy.tokens])
    )


def _capsules(mine: Mine) -> str:
    """Which capsules are trusted, and which of them by whose word."""
    policy, listed = mine.policy.capsules, [one.account for one in mine.network.capsules]
    named = ", ".join(
        f"{account} ({'the network' if account in listed else 'mine.toml'})" for account in policy.trusted
    )
    rest = "" if policy.without else "; no bounty without capsules is joined"
    return f"trusts {named or 'none: the network lists none, and mine.toml names none'}{rest}"


def _chain(mine: Mine) -> str:
    """Reaching the market checks the node, its chain id and the contract's code hash."""
    return f"block {mine.market.head().number}; contract {mine.market.address} has the right code"


def _clock(mine: Mine) -> str:
    behind_s = time.time() - mine.market.head().timestamp_s
    word = "behind" if behind_s >= 0 else "ahead of"
    return f"the newest block is {abs(behind_s):.0f} s {word} this machine's clock; deadlines use the chain's"


def _accounts(mine: Mine) -> str:
    """What the chain has of this mine's accounts is what its home has."""
    if fault := fault_of(mine):
        raise KeyFileError(fault, hint="`mine rotate` again; if somebody else has your key, see docs/keys.md")
    former = mine.own_accounts.former
    return f"{mine.address}" + (f", which followed {', '.join(former)}" if former else "")


_GAS_STEP_WEI = 10**14
"""What gas may cost is a guess: people are told it in whole steps of 0.0001 ether."""


def _balance(mine: Mine) -> str:
    """The stakes of one round of every joined bounty, each in its asset, and the gas; account by account."""
    terms: dict[Address, list[Terms]] = {mine.address: []}
    for one in mine.book.joined():
        if not one.over:
            account = mine.account_in(one.bounty)
            terms.setdefault(account, []).append(mine.market.bounty(one.bounty).terms)
    told = {account: _balance_of(mine, account, each) for account, each in terms.items()}
    if len(told) == 1:
        return told[mine.address]
    return "; ".join(f"{account} has {each}" for account, each in told.items())


def _balance_of(mine: Mine, account: Address, terms: Sequence[Terms]) -> str:
    """What an account has, and what one round of its bounties takes. Raises InsufficientFunds."""
    market = mine.market
    due: dict[Address, int] = {ETHER: 0}
    for each in terms:
        due[each.asset] = due.get(each.asset, 0) + each.stake_units
    price_wei = int(market.rpc.call("eth_gasPrice"), 16)
    gas_wei = 2 * price_wei * (sum(_round_gas(each.asset) for each in terms) or ROUND_GAS)
    due[ETHER] += -(-gas_wei // _GAS_STEP_WEI) * _GAS_STEP_WEI
    have = {asset: token.held(market, asset, account) for asset in due}
    for asset, need in due.items():
        if have[asset] < need:
            raise InsufficientFunds(account, have[asset], need, "wei" if asset == ETHER else asset)
    of = f"of {count(len(terms), 'joined bounty', 'joined bounties')} " if terms else ""
    told = [
        f"{format_amount(have[asset], mine.unit(asset))}; one round {of}takes "
        f"{format_amount(need, mine.unit(asset))}"
        for asset, need in due.items()
    ]
    return "; ".join(told)


def _round_gas(asset: Address) -> int:
    return ROUND_GAS if asset == ETHER else ROUND_GAS + TOKEN_GAS


def _store(mine: Mine) -> str:
    store = mine.store
    if store.get(store.put(_PROBE), len(_PROBE)) != _PROBE:
        raise StoreUnavailable("the store does not return what it was given", hint="is its disk sound?")
    config = mine.network.store
    return f"{config.kind}{config.path and f' {config.path}'}: writable and readable"


def _uses_kubo(mine: Mine) -> bool:
    try:
        return mine.network.store.kind == "kubo"
    except SonarError:
        return False  # told by the check of the network file


def _ipfs(mine: Mine) -> str:
    """The program is there, or a running node answers, and its version will do."""
    if url := choose.running_api(mine.network.store):
        rpc = KuboRpc(url)
        return f"Kubo {rpc.version()} at {rpc.shown}, run by somebody else"
    program = find_ipfs()
    return f"Kubo {checked_version(program_version(program), str(program))}, {program}"


def _swarm_key(mine: Mine) -> str:
    store = mine.network.store
    if choose.running_api(store):
        return "the running node's own"
    return f"fingerprint {fingerprint(choose.swarm_of(store, mine.home.path).key)}"


def _swarm(mine: Mine) -> str:
    """At least one of the network's bootstrap peers can be reached; the others are named."""
    node, peers = mine.opened.node, mine.network.store.bootstrap
    if node is None:
        return f"{choose.describe_node(mine.network.store, mine.home.path)['peers']} peers"
    others = [peer for peer in peers if not peer.endswith(f"/p2p/{node.peer_id()}")]
    failures: list[StoreUnavailable] = []
    for peer in others:
        try:
            node.connect(peer)
        except StoreUnavailable as error:
            failures.append(error)
    if others and len(failures) == len(others):
        raise failures[0]
    return f"{node.peer_id()}, {len(others) - len(failures)} of {len(others)} bootstrap peers answer"


def _data(mine: Mine) -> str:
    datasets = mine.book.datasets()
    if not datasets:
        raise DataError("data", "none is registered", hint="register some: `mine data add --csv FILE`")
    for dataset in datasets:
        dataset.examine()
    return ", ".join(f"{one.name} ({count(one.rows, 'row')})" for one in datasets)


def _privacy(mine: Mine) -> str:
    """Nothing is missing from the ledger, and how much of each budget is spent."""
    found = [f"{one.name}: epsilon {told}" for one in mine.book.datasets() if (told := told_of(mine, one))]
    return f"spent of {'; '.join(found)}" if found else "no budget, and nothing was released"


def _pool(mine: Mine) -> str:
    """How many blindings are ready for each joined bounty, and how much idle time an update takes."""
    pool, found = mine.workshop().pool, []
    try:
        for one in mine.book.joined():
            if not one.over:
                task = joining.task_of(mine.market, mine.store, mine.policy, one)
                need, ready = task.blindings, pool.count(task.key)
                found.append(
                    f"{short(hex32(one.bounty))}: {ready} blindings ready, an update takes {need}, "
                    f"{pool.making_s(task.key, need):.2f} s of idle time on {pool.cores} cores"
                )
    finally:
        pool.close()
    return "; ".join(found) or "no bounty is joined that needs blindings"


def _bounties(mine: Mine) -> str:
    """Every joined bounty still gets the same (A, b) from its data; the open ones have some that fit."""
    market, store, policy, book = mine.market, mine.store, mine.policy, mine.book
    joined = [one for one in book.joined() if not one.over]
    for one in joined:
        task = joining.task_of(market, store, policy, one)
        trainer.check_map(mine.sums.make(task, one.dataset), one.map_digest)
    fitting = len(joining.open_and_fitting(market, store, mine.address, policy, book, mine.sums))
    return f"{len(joined)} joined, all with fitting data; {fitting} more open ones fit the data"
