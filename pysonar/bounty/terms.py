"""From a bounty's settings to the terms that the contract takes: money, windows, who may take part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pysonar.bounty.settings import MIN_WINDOW_PER_MINE_S, MIN_WINDOW_S
from sonar.errors import ConfigError
from sonar.protocol.allowlist import read_list, root_of
from sonar.protocol.ids import ETHER, ZERO32, Address, parse_address
from sonar.protocol.phase import NOBODY, Terms
from sonar.telling.amounts import IN_ETHER, SMALLEST, Unit, format_amount, is_symbol, parse_amount
from sonar.telling.text import count
from sonar.telling.waiting import PATIENCE_S

DAY_S = 24 * 3600
MAX_TOTAL = 2**96 - 1
"""The most that the contract can hold of a bounty's escrow and all stakes that can be forfeited to it."""


class Windows(Protocol):
    """The settings that a settle window follows from."""

    @property
    def settle_window_s(self) -> int | None:
        """How many seconds the scientist has; None for the default."""
        ...

    @property
    def cohort(self) -> int:
        """The most mines per round."""
        ...


class Money(Windows, Protocol):
    """The settings of money, windows and who may take part: see `pysonar.bounty.settings.Settings`.

    `amounts` are stake, fee, and the reward if there is one, by their fields, in this order.
    """

    @property
    def amounts(self) -> Mapping[str, str]: ...  # noqa: D102
    @property
    def model_fields_set(self) -> set[str]: ...  # noqa: D102
    @property
    def min_mines(self) -> int: ...  # noqa: D102
    @property
    def key_bits(self) -> int: ...  # noqa: D102
    @property
    def insecure_key(self) -> bool: ...  # noqa: D102
    @property
    def commit_window_s(self) -> int | None: ...  # noqa: D102
    @property
    def reveal_window_s(self) -> int | None: ...  # noqa: D102
    @property
    def quiet_s(self) -> int: ...  # noqa: D102
    @property
    def asset(self) -> str | None: ...  # noqa: D102
    @property
    def asset_symbol(self) -> str: ...  # noqa: D102
    @property
    def asset_decimals(self) -> int | None: ...  # noqa: D102
    @property
    def overdue_bps(self) -> int: ...  # noqa: D102
    @property
    def settler(self) -> str | None: ...  # noqa: D102
    @property
    def allow(self) -> list[str] | None: ...  # noqa: D102


@dataclass(frozen=True)
class Offer:
    """What mines are offered: the terms, the unit of their amounts, and who may take part (empty: all).

    `train_s`: about how long a mine computes for an update, on one core.
    """

    terms: Terms
    unit: Unit
    allowed: tuple[Address, ...]
    train_s: float


def offer_of(
    s: Money, rounds: int, initial_loss: int, target_loss: int, train_s: float, *, dev: bool = False
) -> Offer:
    """Return what the settings offer, for so many rounds; losses in millionths of the null model's.

    `dev`: on a development network; see `settle_window_of`. Raises ConfigError.
    """
    _check_numbers(s)
    unit, allowed = _unit(s), _allowed(s)
    terms = _terms(s, rounds, unit, allowed, initial_loss, target_loss, dev=dev)
    _check_money(terms, unit, list(s.amounts)[::-1])
    _check_times(terms, train_s)
    return Offer(terms, unit, allowed, train_s)


def patience_of(terms: Terms) -> float:
    """Return how long to retry what may pass: at least a round's windows, since nobody else settles it."""
    return max(PATIENCE_S, terms.commit_window_s + terms.reveal_window_s + terms.settle_window_s)


def _unit(s: Money) -> Unit:
    """What amounts are told in, by the settings' word alone."""
    if s.asset is None:
        if s.asset_symbol or s.asset_decimals is not None:
            raise ConfigError("asset", "is missing", hint="give the token's address, or no asset_… field")
        return IN_ETHER
    asset = parse_address(s.asset, "asset")
    if asset == ETHER:
        raise ConfigError("asset", "the zero address is not a token", hint="leave asset out to pay in ether")
    if bool(s.asset_symbol) != (s.asset_decimals is not None):
        raise ConfigError("asset_decimals", "goes with asset_symbol", hint="give both of them, or neither")
    if s.asset_symbol and not is_symbol(s.asset_symbol):
        problem = f"{s.asset_symbol!r} cannot be a unit"
        raise ConfigError("asset_symbol", problem, hint="give a short name, such as USDC")
    return Unit(asset, s.asset_symbol, s.asset_decimals)


def _allowed(s: Money) -> tuple[Address, ...]:
    """The mines that may take part, ascending; empty for all."""
    allowed = () if s.allow is None else read_list(s.allow, "allow")
    if allowed and len(allowed) < s.min_mines:
        problem = f"names {count(len(allowed), 'mine')}, but a round needs min_mines = {s.min_mines}"
        raise ConfigError("allow", problem, hint="name more mines, or lower min_mines")
    return allowed


def settle_window_of(s: Windows, *, dev: bool) -> int:
    """Return how many seconds the scientist has to settle a round.

    By default a day: a long window costs nothing if she settles at once, and a night away then costs no
    reward. On a development network, where nothing is at stake, it is as long as settling may take.
    """
    return s.settle_window_s or (120 + 6 * s.cohort if dev else DAY_S)


def _terms(
    s: Money, rounds: int, unit: Unit, allowed: tuple[Address, ...], initial: int, target: int, *, dev: bool
) -> Terms:
    if unit.asset != ETHER and (missing := [name for name in s.amounts if name not in s.model_fields_set]):
        hint = f'say it in the token\'s unit: {missing[0]} = "5 {unit.symbol or SMALLEST}"'
        raise ConfigError(missing[0], "is missing; it has a default only in ether", hint=hint)
    stake, fee, *rest = (parse_amount(text, unit, name) for name, text in s.amounts.items())
    reward = rest[0] if rest else 0
    window = 60 + 6 * s.cohort
    return Terms(
        asset=unit.asset,
        cohort_cap=s.cohort,
        min_mines=s.min_mines,
        rounds=rounds,
        commit_window_s=s.commit_window_s or window,
        reveal_window_s=s.reveal_window_s or window,
        settle_window_s=settle_window_of(s, dev=dev),
        quiet_s=s.quiet_s,
        overdue_bps=s.overdue_bps,
        stake_units=stake,
        fee_units=fee,
        reward_units=reward,
        initial_loss=initial,
        target_loss=target,
        settler=NOBODY if s.settler is None else parse_address(s.settler, "settler"),
        allow_root=root_of(allowed) if allowed else ZERO32,
    )


def _check_numbers(s: Money) -> None:
    if s.min_mines > s.cohort:
        hint = "lower it, but not below 2 (a sum of one update is that mine's), or raise cohort"
        raise ConfigError("min_mines", f"{s.min_mines} is more than cohort = {s.cohort}", hint=hint)
    if s.key_bits < 2048 and not s.insecure_key:
        hint = "2048 is the least; insecure_key = true allows less, for comparisons only"
        raise ConfigError("key_bits", f"{s.key_bits} bits protect nothing", hint=hint)
    least = MIN_WINDOW_S + MIN_WINDOW_PER_MINE_S * s.cohort
    for name in ("commit_window_s", "reveal_window_s", "settle_window_s"):
        if (given := getattr(s, name)) is not None and given < least:
            hint = f"give at least 10 s, and 3 s per mine: {least}"
            raise ConfigError(name, f"{given} s is too short for {s.cohort} mines", hint=hint)


def _check_times(terms: Terms, train_s: float) -> None:
    window_s, quiet_s = terms.commit_window_s, terms.quiet_s
    if quiet_s and quiet_s >= window_s:
        hint = f"give less than commit_window_s = {window_s}, or 0 to let every round last that long"
        raise ConfigError("quiet_s", f"{quiet_s} s never ends a round's commits sooner", hint=hint)
    for name, given_s in (("commit_window_s", window_s), ("quiet_s", quiet_s)):
        if given_s and given_s < 2 * train_s:
            problem = f"{given_s} s is too short for updates that take about {train_s:.0f} s each"
            hint = f"give {2 * train_s + 1:.0f} at least, or ask for fewer weights, or sums"
            raise ConfigError(name, problem, hint=hint)


def _check_money(terms: Terms, unit: Unit, amounts: Sequence[str]) -> None:
    if terms.escrow_units + terms.stake_units * terms.cohort_cap * terms.rounds > MAX_TOTAL:
        limit = format_amount(MAX_TOTAL, unit)
        problem = f"with all fees and stakes it is more than the contract can hold, {limit}"
        raise ConfigError(amounts[0], problem, hint=f"lower {', '.join(amounts)}, cohort or rounds")
