"""What the commands show, as documents. `mine.show.printing` makes tables of them for people.

Code that reads data or ciphertexts is imported where it is needed: `mine status` starts in half the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from mine.consent import Policy
from mine.data.dataset import DataSet
from mine.show.cover import cover_facts
from mine.show.documents import (
    CoverFacts,
    DataFacts,
    DataUse,
    Fit,
    Income,
    JoinedFacts,
    MineStatus,
    OfferFacts,
    RefusalFacts,
    Standing,
    TokenHeld,
    TokenIncome,
    Told,
)
from mine.show.earnings import Leak, Records, earnings, leak, leak_of_states, remembered
from mine.show.privacy import cost_facts, in_short, price_facts
from mine.show.record import records_of
from mine.wiring import Mine
from mine.work.state import Book, Joined, Veiled
from sonar.accounts import FormerAccount
from sonar.chain.contract.errors import UnknownBounty
from sonar.chain.rpc import Head
from sonar.errors import ChainUnavailable, DataError, MarketError, RemoteError, RpcError, SonarError
from sonar.protocol.events import BountyPosted
from sonar.protocol.fold import fold
from sonar.protocol.ids import Address, BountyId, hex32
from sonar.protocol.phase import BountyState, Deadlines, Status, deadlines_of, status_of
from sonar.store.choose import describe_node
from sonar.telling.amounts import Unit, format_amount

if TYPE_CHECKING:
    from mine.privacy.accounts import Asked, Privacy
    from mine.work.joining import Offer
    from mine.work.trainer import Task


def facts(dataset: DataSet) -> DataFacts:
    """A registered data set."""
    return DataFacts(**dataset.to_record())


def datasets(book: Book, policy: Policy, privacy: Privacy) -> list[DataUse]:
    """Every registered data set, and how often it was used of how many times at most."""
    return [
        DataUse(
            **one.to_record(),
            used=book.uses(one.digest),
            max_rounds=policy.max_rounds,
            budget=_budget(privacy, one, policy.privacy.delta),
        )
        for one in book.datasets()
    ]


def _budget(privacy: Privacy, dataset: DataSet, delta: float) -> str:
    """What is spent of its budget; a file that cannot be read is told where it is needed."""
    with suppress(DataError):
        return in_short(privacy.account(dataset), delta)
    return "?"


def fit(mine: Mine, posted: BountyPosted) -> list[Fit]:
    """Every data set against one bounty, with all checks. Raises what is wrong with the bounty itself."""
    from mine.work import joining

    state = mine.market.bounty(posted.bounty)
    epochs = mine.book.epochs(mine.market.place)
    me = mine.account_in(posted.bounty)
    task = joining.examine(mine.market, mine.store, me, mine.policy, state, posted, epochs)
    asked = task.asked(state.terms.min_mines)
    return [_fit(mine, task, asked, dataset) for dataset in mine.book.datasets()]


def _fit(mine: Mine, task: Task, asked: Asked, dataset: DataSet) -> Fit:
    from mine.work import trainer

    try:
        trainer.fits(task, dataset)
        mine.privacy.check(dataset, asked)
        trainer.try_out(task, dataset)
    except SonarError as error:
        return Fit(dataset.name, False, str(error), error.hint)
    return Fit(dataset.name, True)


def bounties(mine: Mine) -> list[OfferFacts]:
    """Every bounty that is not closed."""
    from mine.work import joining

    head = mine.market.head()
    offers = [
        joining.look_at(
            mine.market,
            mine.store,
            mine.account_in(posted.bounty),
            mine.policy,
            mine.book,
            mine.sums,
            posted,
        )
        for posted in mine.market.bounties()
    ]
    open_ones = [offer for offer in offers if offer.status is not Status.CLOSED]
    records = records_of(mine.market, [offer.posted.scientist for offer in open_ones])
    return [
        replace(
            _offer(offer, head, mine.unit(offer.state.terms.asset), mine.policy),
            record=records[offer.posted.scientist],
        )
        for offer in open_ones
    ]


def _offer(offer: Offer, head: Head, unit: Unit, policy: Policy) -> OfferFacts:
    trusted, delta = policy.capsules.trusted, policy.privacy.delta
    terms, task, problem = offer.state.terms, offer.task, offer.problem
    return OfferFacts(
        bounty=hex32(offer.posted.bounty),
        name=task.model.name if task else "",
        scientist=offer.posted.scientist,
        status=offer.status.name.lower(),
        round=f"{offer.state.round}/{terms.rounds}",
        ends=_ends(offer.state, offer.status),
        mines=f"{offer.state.committed}/{terms.cohort_cap}",
        windows_s=[terms.commit_window_s, terms.reveal_window_s, terms.settle_window_s],
        quiet_s=terms.quiet_s,
        settler=terms.settler,
        overdue_bps=terms.overdue_bps,
        asset=terms.asset,
        stake=format_amount(terms.stake_units, unit),
        fee=format_amount(terms.fee_units, unit),
        reward=format_amount(terms.reward_units, unit),
        stake_units=terms.stake_units,
        fee_units=terms.fee_units,
        reward_units=terms.reward_units,
        key_bits=task.model.plan.key_bits if task else 0,
        needs=list(task.columns) if task else [],
        asks=task.family.in_words(task.model.family) if task else "",
        data=list(offer.fitting),
        problem=str(problem) if problem else "",
        hint=problem.hint if problem else "",
        chain_time_s=head.timestamp_s,
        symbol=unit.symbol,
        decimals=unit.decimals,
        cover=cover_facts(task.veil, trusted) if task else None,
        price=price_facts(task.price, delta) if task else None,
        costs=[cost_facts(name, cost, delta) for name, cost in offer.costs.items()],
    )


def joined(found: Sequence[tuple[Joined, Task]], policy: Policy) -> list[JoinedFacts]:
    """Bounties that were just joined, and what an update takes of the idle time before it."""
    from mine.work.pool import making_s

    rows = []
    for one, task in found:
        need = task.blindings
        idle_s = round(making_s(task.key.bits, need), 3)
        cover = cover_facts(one.veil, policy.capsules.trusted)
        rows.append(JoinedFacts(hex32(one.bounty), one.dataset.name, one.dataset.rows, need, idle_s, cover))
    return rows


def status(mine: Mine) -> MineStatus:
    """The mine, its bounties, its data, and what it told; without the chain, what the journal knows of it."""
    book = mine.book
    document = MineStatus(
        address=mine.address,
        network=mine.network.name,
        process=mine.home.worker(),
        ipfs=describe_node(mine.network.store, mine.home.path),
        data=datasets(book, mine.policy, mine.privacy),
        refused=[RefusalFacts(hex32(one.bounty), one.error, one.hint) for one in book.refusals()],
        bounties=_left(book),
    )
    try:
        return _on_chain(mine, document)
    except (ChainUnavailable, RpcError) as fault:
        known = [_remembered(mine, one) for one in book.joined()]
        return replace(document, problem=_why(fault), bounties=known + document.bounties)


def _why(fault: SonarError) -> str:
    return "; ".join(filter(None, (str(fault), fault.hint)))


def _on_chain(mine: Mine, document: MineStatus) -> MineStatus:
    market, found = mine.market, mine.book.joined()
    head = market.head()
    records = fold(market.events(min(one.block for one in found), head.number) if found else [])
    return replace(
        document,
        block=head.number,
        chain_time_s=head.timestamp_s,
        ether_wei=market.ether(mine.address),
        withdrawable_wei=market.withdrawable(mine.address),
        tokens=[_token(mine, asset) for asset in mine.tokens()],
        former=[_former(mine, one) for one in mine.own_accounts.former],
        bounties=[_standing(mine, one, head, records) for one in found] + document.bounties,
    )


def _former(mine: Mine, account: Address) -> FormerAccount:
    """An account of before, and what it still has to do."""
    going_on = [one for one in mine.book.joined() if not one.over and mine.account_in(one.bounty) == account]
    market = mine.market
    return FormerAccount(account, market.ether(account), market.withdrawable(account), len(going_on))


def _token(mine: Mine, asset: Address) -> TokenHeld:
    from sonar.chain.contract import token

    unit = mine.unit(asset)
    owed = sum(mine.market.withdrawable(one, asset=asset) for one in mine.own_accounts.used)
    have = None
    with suppress(RemoteError, MarketError):
        have = token.held(mine.market, asset, mine.address)
    told = f"{'?' if have is None else format_amount(have, unit)}; {format_amount(owed, unit)} to withdraw"
    return TokenHeld(asset, have, owed, told)


def _remembered(mine: Mine, one: Joined) -> Standing:
    """What this home's own record tells of a joined bounty."""
    found = _record(mine.book, one.bounty, one.dataset.name, "closed" if one.over else "unknown", one.veil)
    return replace(found, cover=_cover(mine, one))


def _cover(mine: Mine, one: Joined) -> CoverFacts:
    return cover_facts(one.veil, mine.policy.capsules.trusted)


def _left(book: Book) -> list[Standing]:
    """The same of those that it worked in and then left: what was revealed stays revealed."""
    joined = {one.bounty for one in book.joined()}
    left = dict.fromkeys(part.bounty for part in book.parts() if part.bounty not in joined)
    veils = {bounty: seeds.veil for bounty in left if (seeds := book.seeds(bounty))}
    return [_record(book, bounty, "", "left", veils.get(bounty)) for bounty in left]


def _record(book: Book, bounty: BountyId, data: str, status: str, veil: Veiled | None = None) -> Standing:
    parts = book.parts(bounty)
    return Standing(
        bounty=hex32(bounty),
        data=data,
        status=status,
        round=str(parts[-1].round) if parts else "",
        state=parts[-1].state.value if parts else "",
        ends=None,
        states={str(part.round): part.state.value for part in parts},
        revealed=_told(leak_of_states([part.state for part in parts]), veil),
    )


def _told(told: Leak, veil: Veiled | None) -> Told:
    capsule_bits = told.rounds * veil.bits_in_all if veil else 0
    return Told(told.rounds, told.score_bits, told.no_share, capsule_bits or told.bits, capsule_bits)


def _standing(mine: Mine, one: Joined, head: Head, records: Records) -> Standing:
    try:
        state = mine.market.bounty(one.bounty, at=head)
    except UnknownBounty:  # it was joined on another network, before this home took over a new network file
        return _remembered(mine, one)
    phase = status_of(state, head.timestamp_s)
    return Standing(
        bounty=hex32(one.bounty),
        data=one.dataset.name,
        status=phase.name.lower(),
        round=f"{state.round}/{state.terms.rounds}",
        state=mine.book.part(one.bounty, state.round).state.value,
        ends=_ends(state, phase),
        states={str(part.round): part.state.value for part in mine.book.parts(one.bounty)},
        revealed=_told(leak(records, one.bounty, mine.account_in(one.bounty)), one.veil),
        cover=_cover(mine, one),
    )


def _ends(state: BountyState, phase: Status) -> int | None:
    """Chain time at which the phase ends without any call, if it does."""
    ends: Deadlines = deadlines_of(state)
    return {Status.COMMIT: ends.commit_s, Status.REVEAL: ends.reveal_s, Status.SETTLE: ends.settle_s}.get(
        phase
    )


def income(mine: Mine) -> Income:
    """What was earned, by the chain's record; without the chain, by this home's."""
    try:
        accounts = mine.own_accounts
        document = earnings(
            mine.market, mine.book, accounts.current, mine.tokens(), accounts.former
        ).document()
    except (ChainUnavailable, RpcError) as fault:
        return remembered(mine.book, mine.address, _why(fault)).document()
    return replace(document, tokens=[_told_token(one, mine.unit(one.asset)) for one in document.tokens])


def _told_token(one: TokenIncome, unit: Unit) -> TokenIncome:
    """A token's amounts in words."""
    amounts = {
        "net, before gas": one.net_units,
        "to withdraw": one.withdrawable_units,
        "withdrawn": one.withdrawn_units,
    }
    told = [f"{format_amount(units, unit)} {text}" for text, units in amounts.items() if units is not None]
    told_in = replace(one, unit=unit.name, symbol=unit.symbol, decimals=unit.decimals)
    return replace(told_in, told=", ".join(told))
