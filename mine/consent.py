"""What a mine refuses to do, to protect its data and its money. Every refusal is a ConsentError.

The scientist sees sums over a cohort, and a score of 16 bits per mine and round. So a mine refuses if sums
would isolate rows (the family decides: `sonar.families.base`), if it has worked too many rounds on the data,
or if the terms are worse than its operator allows.

The scientist names the capsules of her bounty. Those that the mine does not trust may be her own, so they
must be too few to open an answer with her: at most threshold - 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mine.privacy.policy import PrivacyPolicy
from sonar.errors import ConfigError, ConsentError
from sonar.frozen import frozen
from sonar.home.files import read_if_there
from sonar.home.settings import parse_toml
from sonar.protocol.ids import ETHER, Address, parse_address
from sonar.protocol.phase import BountyState, Terms
from sonar.protocol.wording import in_toml, nearest

if TYPE_CHECKING:
    from sonar.manifests.model import PaillierCover, VeilCover

SCORE_BITS = 16
"""The most that a share reveals: the key holder rounds a score to this many bits."""

POLICY_FILE = "mine.toml"
WINDOWS = ("commit_window_s", "reveal_window_s", "settle_window_s")


@frozen
class TokenPolicy:
    """What the operator allows for a token, in its smallest units: the most to stake, the least fee."""

    max_stake: int
    min_fee: int = 0


@frozen
class CapsulePolicy:
    """What the operator allows of capsules: the table [capsules].

    `trusted` are accounts; if the file names none, those that the network's file lists. `without`: whether
    the mine joins bounties without capsules; `audited`: whether it joins those whose capsules recompute the
    settlements.
    """

    trusted: tuple[Address, ...] = ()
    without: bool = True
    audited: bool = True


@frozen
class Policy:
    """What the operator allows; the defaults, and the keys of table [policy] in the home's mine.toml.

    Amounts in wei, times in seconds. `min_overdue_bps`: the least part of the unpaid reward that is due when
    a scientist does not settle. `tokens`: those besides ether that the mine takes, from table [tokens];
    whoever controls a token may be able to freeze or change balances. `max_rounds` counts every round that a
    data set was used in, over all bounties. `max_weights` is for models that are
    trained, `max_sums` for statistics: how many sums are asked for at once. `max_train_s` is for one update
    on one core. `max_bits` is the most that each capsule may tell of an answer in a round, `max_bits_all` the
    most that all of them may of a data set, over all bounties. `insecure_keys` admits keys of 1024 bits, for
    made-up data only.
    """

    min_fee_wei: int = 0
    max_stake_wei: int = 10**18
    min_window_s: int = 5
    max_window_s: int = 7 * 24 * 3600
    min_overdue_bps: int = 5_000
    max_rounds: int = 100
    min_key_bits: int = 2048
    max_weights: int = 4096
    max_sums: int = 4096
    max_blob_bytes: int = 16 << 20
    max_train_s: int = 60
    max_bits: int = 512
    max_bits_all: int = 1 << 16
    insecure_keys: bool = False
    tokens: Mapping[Address, TokenPolicy] = field(default_factory=lambda: MappingProxyType({}))
    capsules: CapsulePolicy = CapsulePolicy()
    privacy: PrivacyPolicy = field(default_factory=PrivacyPolicy)

    @classmethod
    def load(cls, home: Path) -> Policy:
        """Read the home's mine.toml; without one, the defaults. Raises ConfigError naming the field."""
        path = home / POLICY_FILE
        data = read_if_there(path, POLICY_FILE)
        if data is None:
            return cls()
        document = parse_toml(data, str(path))
        for name, table in document.items():
            if name not in _TABLES or not isinstance(table, dict):
                problem = f"is not a table of this file, which has four: {_NAMED}"
                raise ConfigError(f"{path}: {name[:80]}", problem, hint=_where_it_belongs(name))
        values = {key: _policy_value(path, key, value) for key, value in document.get("policy", {}).items()}
        tokens = [_token(path, key, value) for key, value in document.get("tokens", {}).items()]
        capsules = {key: _capsules(path, key, value) for key, value in document.get("capsules", {}).items()}
        privacy = PrivacyPolicy.read(path, document.get("privacy", {}))
        return cls(
            **values,
            tokens=MappingProxyType(dict(tokens)),
            capsules=CapsulePolicy(**capsules),
            privacy=privacy,
        )

    def trusting(self, listed: Iterable[Address]) -> Policy:
        """Return the policy that trusts these capsules, if the operator has named none."""
        trusted = self.capsules.trusted or tuple(listed)
        return replace(self, capsules=replace(self.capsules, trusted=trusted))


_TABLES = ("policy", "tokens", "capsules", "privacy")
_NAMED = "[policy], [tokens], [capsules] and [privacy]"


def _where_it_belongs(name: str) -> str:
    if name in _policy_fields():
        return "move it below [policy]"
    if name in _capsule_fields():
        return "move it below [capsules]"
    if name in _TABLES:
        return f"write [{name}], in single brackets, with its fields below it"
    close = get_close_matches(name, _TABLES, n=1)
    return f"did you mean [{close[0]}]?" if close else "correct its name, or delete it"


def _policy_value(path: Path, key: str, value: Any) -> Any:
    kinds = {name: bool if name == "insecure_keys" else int for name in _policy_fields()}
    where = f"{path}: policy.{key[:80]}"
    if key not in kinds:
        hint = "move it below [capsules]" if key in _capsule_fields() else nearest(key, kinds)
        raise ConfigError(where, "there is no such field", hint=hint)
    if type(value) is not kinds[key] or value < 0:
        kind = "true or false" if kinds[key] is bool else "a whole number, 0 or more"
        default = str(getattr(Policy, key)).lower()
        raise ConfigError(
            where, f"must be {kind} (got {in_toml(value):.60})", hint=f"for example, write {key} = {default}"
        )
    return value


def _policy_fields() -> list[str]:
    return [one.name for one in fields(Policy) if one.name not in _TABLES]


def _capsule_fields() -> list[str]:
    return [one.name for one in fields(CapsulePolicy)]


def _token(path: Path, key: str, value: Any) -> tuple[Address, TokenPolicy]:
    """A line of [tokens]: an address, and `{ max_stake = …, min_fee = … }`, whole numbers."""
    where = f"{path}: tokens.{key[:60]}"
    known = {one.name for one in fields(TokenPolicy)}
    if not isinstance(value, dict) or "max_stake" not in value or not set(value) <= known:
        problem = f"must be a table of {' and '.join(sorted(known))} (got {in_toml(value):.60})"
        raise ConfigError(where, problem, hint=_token_line(key[:60], 1000))
    for name, amount in value.items():
        if type(amount) is not int or amount < 0:
            problem = f"{name} must be a whole number, 0 or more, in the token's smallest unit"
            raise ConfigError(
                where, f"{problem} (got {in_toml(amount):.60})", hint=_token_line(key[:60], 1000)
            )
    return parse_address(key, where), TokenPolicy(**value)


def _token_line(address: str, max_stake: int) -> str:
    return f'"{address}" = {{ max_stake = {max_stake} }}'


def _capsules(path: Path, key: str, value: Any) -> Any:
    """A line of [capsules]: a list of accounts, or true or false."""
    where = f"{path}: capsules.{key[:80]}"
    known = _capsule_fields()
    if key not in known:
        hint = "move it below [policy]" if key in _policy_fields() else nearest(key, known)
        raise ConfigError(where, "there is no such field", hint=hint)
    if key != "trusted":
        if type(value) is not bool:
            problem = f"must be true or false (got {in_toml(value):.60})"
            raise ConfigError(where, problem, hint=f"for example, write {key} = true")
        return value
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        problem = f"must be a list of capsules' accounts (got {in_toml(value):.60})"
        raise ConfigError(where, problem, hint=f"for example, write {_trusted_line([_EXAMPLE])}")
    accounts = tuple(parse_address(one, where) for one in value)
    if len(set(accounts)) < len(accounts):
        raise ConfigError(where, "names an account twice", hint="name each capsule once")
    return accounts


_EXAMPLE = "0x52908400098527886E0F7030069857D2E4169EE7"


def _trusted_line(accounts: Sequence[str]) -> str:
    quoted = [f'"{account}"' for account in accounts]
    return f"trusted = [{', '.join(quoted)}]"


def check_bounty(bounty: BountyState, policy: Policy) -> None:
    """Check a bounty's terms and its escrow. Raises ConsentError."""
    terms = bounty.terms
    _check_money(terms, policy)
    _allow(
        terms.initial_loss > terms.target_loss,
        "terms.target_loss",
        f"{terms.target_loss} is not below the initial loss {terms.initial_loss}",
        "the contract could pay nothing by such terms; do not join",
    )
    _allow(
        terms.min_mines >= 2,
        "terms.min_mines",
        f"is {terms.min_mines}, so an aggregate could be one mine's update",
        "join bounties whose rounds need at least 2 mines",
    )
    _check_windows(terms, policy)
    _allow(
        terms.overdue_bps >= policy.min_overdue_bps,
        "terms.overdue_bps",
        f"is {terms.overdue_bps}, below your floor of {policy.min_overdue_bps}",
        f"lower policy.min_overdue_bps in {POLICY_FILE} to accept it; less of the reward is then paid if "
        "the scientist does not settle",
    )
    owed_units = owed(bounty)
    _allow(
        bounty.closed or bounty.escrow_units >= owed_units,
        "escrow",
        f"is {bounty.escrow_units}, but the terms can come to {owed_units} (in the asset's smallest unit)",
        "do not join: the bounty cannot pay what it promises",
    )


def _check_windows(terms: Terms, policy: Policy) -> None:
    """Check that a round's windows are neither too short nor too long. Raises ConsentError."""
    for name in (*WINDOWS, *(["quiet_s"] if terms.quiet_s else [])):
        window_s = getattr(terms, name)
        _allow(
            window_s >= policy.min_window_s,
            f"terms.{name}",
            f"is {window_s} s, below your floor of {policy.min_window_s} s",
            f"lower policy.min_window_s in {POLICY_FILE} to accept it; too short a window loses stakes",
        )
        _allow(
            window_s <= policy.max_window_s,
            f"terms.{name}",
            f"is {window_s} s, above your limit of {policy.max_window_s} s",
            f"raise policy.max_window_s in {POLICY_FILE} to accept it; your stake is held until the round "
            "ends",
        )


def _check_money(terms: Terms, policy: Policy) -> None:
    """Check in what the bounty pays, and how much. Raises ConsentError."""
    min_fee, max_stake, names = (
        policy.min_fee_wei,
        policy.max_stake_wei,
        ("policy.min_fee_wei", "policy.max_stake_wei"),
    )
    if terms.asset != ETHER:
        token = policy.tokens.get(terms.asset)
        if token is None:
            raise ConsentError(
                f"terms.asset: is the token {terms.asset}, which you have not allowed",
                hint=f"if you trust it, add to {POLICY_FILE} below [tokens], with the most that you would "
                f"stake in its smallest unit: {_token_line(terms.asset, terms.stake_units)}",
            )
        min_fee, max_stake = token.min_fee, token.max_stake
        names = (f"min_fee of {terms.asset}", f"max_stake of {terms.asset}")
    _allow(
        terms.fee_units >= min_fee,
        "terms.fee_units",
        f"is {terms.fee_units}, below your floor of {min_fee}",
        f"lower {names[0]} in {POLICY_FILE} to accept it",
    )
    _allow(
        terms.stake_units <= max_stake,
        "terms.stake_units",
        f"is {terms.stake_units}, above your limit of {max_stake}",
        f"raise {names[1]} in {POLICY_FILE} to accept it",
    )


def owed(bounty: BountyState) -> int:
    """The most that the rest of a bounty can cost: the unearned reward, and all fees still to come.

    In its asset's smallest unit.
    """
    terms: Terms = bounty.terms
    rounds_left = terms.rounds - bounty.round + 1
    unearned = terms.reward_units - terms.reward_at(bounty.best_loss)
    return unearned + terms.fee_units * terms.cohort_cap * rounds_left


def check_model(*, values: int, visible: bool, key_bits: int, blob_bytes: int, policy: Policy) -> None:
    """Check what the manifests ask for before anything large is fetched or computed. Raises ConsentError.

    `values`: of an answer; as many weights are trained, unless the question is `visible`: then they are sums.
    """
    least_bits = min(1024, policy.min_key_bits) if policy.insecure_keys else policy.min_key_bits
    _allow(
        key_bits >= least_bits,
        "key.n",
        f"has {key_bits} bits, below your floor of {least_bits}",
        "a short key can be broken, and your update read; do not join",
    )
    name = "sums" if visible else "weights"
    for limit, is_what, found in (
        (f"max_{name}", f"is {values}", values),
        ("max_blob_bytes", f"takes {blob_bytes} bytes", blob_bytes),
    ):
        most, hint = getattr(policy, limit), f"raise policy.{limit} in {POLICY_FILE} to accept it"
        _allow(found <= most, f"model.{name}", f"{is_what}, above your limit of {most}", hint)


def check_cover(cover: PaillierCover | VeilCover, policy: Policy) -> None:
    """Check who could read one answer, and how much capsules may tell of it. Raises ConsentError."""
    if cover.kind == "paillier":
        _allow(
            policy.capsules.without,
            "capsules",
            "there are none, so the scientist's own software could read each answer of yours",
            f"write without = true below [capsules] in {POLICY_FILE} to accept it",
        )
        return
    _check_members(cover, policy.capsules.trusted)
    _allow(
        cover.bits <= policy.max_bits,
        "capsules.bits",
        f"lets each capsule tell {cover.bits} bits of your answer in a round, above your limit of "
        f"{policy.max_bits}",
        f"raise policy.max_bits in {POLICY_FILE} to accept it",
    )
    _allow(
        policy.capsules.audited or cover.audit is None,
        "capsules.audit",
        f"lets the capsules recompute settlements; after one, any {cover.threshold} of them could read your "
        "answer together, without the scientist",
        f"write audited = true below [capsules] in {POLICY_FILE} to accept it",
    )


def _check_members(cover: VeilCover, trusted: Sequence[Address]) -> None:
    """Check that the capsules which may be the scientist's own are too few to open an answer with her."""
    strangers = [member.account for member in cover.members if member.account not in trusted]
    members, needed = len(cover.members), cover.classes.copies
    missing = needed - (members - len(strangers))
    if missing > 0:
        line = _trusted_line([*trusted, *strangers[:missing]])
        raise ConsentError(
            f"capsules.members: you trust {members - len(strangers)} of the bounty's {members} capsules, "
            f"and with its threshold of {cover.threshold} it takes {needed}; not {', '.join(strangers)}, "
            "which could read your answer together with the scientist",
            hint="one that you trust may have another account by now, as `sonar capsules --home` says; "
            f"only if you trust whoever runs them, write below [capsules] in {POLICY_FILE}: {line}",
        )


def check_work(train_s: float, terms: Terms, policy: Policy) -> None:
    """Check how long an update is estimated to take: a node that trains does nothing else.

    Raises ConsentError.
    """
    _allow(
        train_s <= policy.max_train_s,
        "model.plan",
        f"an update is estimated to take {train_s:.0f} s, above your limit of {policy.max_train_s} s",
        f"raise policy.max_train_s in {POLICY_FILE} to accept it; other bounties wait meanwhile",
    )
    # Once enough others have committed, only the time to the quiet end is certain.
    for name in ("commit_window_s", *(["quiet_s"] if terms.quiet_s else [])):
        _allow(
            2 * train_s <= getattr(terms, name),
            f"terms.{name}",
            f"is {getattr(terms, name)} s, and an update is estimated to take {train_s:.0f} s",
            "do not join: updates would be late",
        )


def check_uses(used_rounds: int, policy: Policy) -> None:
    """Check the operator's limit on rounds per data set. Raises ConsentError."""
    _allow(
        used_rounds < policy.max_rounds,
        "rounds",
        f"the data set was used in {used_rounds}, and your limit is {policy.max_rounds}",
        f"raise policy.max_rounds in {POLICY_FILE} (or --max-rounds) if you accept what more rounds reveal",
    )


def _allow(condition: bool, field: str, problem: str, hint: str) -> None:
    if not condition:
        raise ConsentError(f"{field}: {problem}", hint=hint)
