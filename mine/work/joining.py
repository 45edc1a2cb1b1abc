"""Joining a bounty: what it offers, whether the data fit, and what is recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from mine import consent
from mine.consent import Policy
from mine.data.dataset import DataSet
from mine.privacy.accounts import Cost, Privacy
from mine.work import trainer, veil
from mine.work.elsewhere import acts_elsewhere
from mine.work.release import Drawing
from mine.work.state import Book, Joined
from mine.work.trainer import Sums, Task
from sonar.chain.contract.market import Market
from sonar.errors import DataError, SonarError, UsageError
from sonar.ports import Store
from sonar.protocol.events import BountyPosted
from sonar.protocol.ids import Address, BountyId, hex32
from sonar.protocol.phase import BountyState, Status, status_of


@dataclass(frozen=True)
class Offer:
    """A bounty as one mine sees it: `fitting` names the data that fit; `problem` says why none does.

    `costs`: what it would cost each of them.
    """

    posted: BountyPosted
    state: BountyState
    status: Status
    task: Task | None
    fitting: tuple[str, ...]
    problem: SonarError | None
    costs: Mapping[str, Cost]


def privacy_of(book: Book, sums: Sums, policy: Policy) -> Privacy:
    """Return what a home's data may still tell."""
    return Privacy(sums.ledger, book.journal, policy.privacy, policy.max_bits_all)


def open_and_fitting(
    market: Market, store: Store, me: Address, policy: Policy, book: Book, sums: Sums
) -> list[BountyPosted]:
    """Return the bounties that could be joined now and are not."""
    known = {joined.bounty for joined in book.joined()}
    offers = [
        look_at(market, store, me, policy, book, sums, posted)
        for posted in market.bounties()
        if posted.bounty not in known
    ]
    return [offer.posted for offer in offers if offer.fitting and offer.status is not Status.CLOSED]


def look_at(
    market: Market,
    store: Store,
    me: Address,
    policy: Policy,
    book: Book,
    sums: Sums,
    posted: BountyPosted,
) -> Offer:
    """Return a bounty with what an operator wants to know before joining. Raises ChainUnavailable."""
    head, datasets = market.head(), book.datasets()
    state = market.bounty(posted.bounty, at=head)
    task, costs, problem = None, dict[str, Cost](), None
    try:
        task = examine(market, store, me, policy, state, posted, book.epochs(market.place))
        privacy, asked = privacy_of(book, sums, policy), task.asked(state.terms.min_mines)
        for dataset in datasets:
            try:
                trainer.fits(task, dataset)
                costs[dataset.name] = privacy.check(dataset, asked)
            except SonarError as error:
                problem = problem or error
        if not datasets:
            problem = _no_data()
    except SonarError as error:
        problem = error
    status = status_of(state, head.timestamp_s)
    return Offer(posted, state, status, task, tuple(costs), None if costs else problem, costs)


def examine(
    market: Market,
    store: Store,
    me: Address,
    policy: Policy,
    state: BountyState,
    posted: BountyPosted,
    epochs: Mapping[str, int],
) -> Task:
    """Check all of a bounty that is not about data, and return what it asks for. `epochs`: `Book.epochs`.

    Raises what the checks raise, and ChainUnavailable.
    """
    consent.check_bounty(state, policy)
    task = trainer.read_task(market, store, state, posted.model_digest, posted.key_digest, policy)
    veil.check_epochs(task.model.cover, epochs)
    veil.check_settler(market, state.terms.settler, task.model.cover)
    trainer.proof(task, me)
    return task


def join(
    market: Market,
    store: Store,
    me: Address,
    policy: Policy,
    book: Book,
    sums: Sums,
    posted: BountyPosted,
    data: str | None = None,
) -> tuple[Joined, Task]:
    """Check fully that a bounty and a data set fit, and record the joining.

    Returns what is recorded, and what the bounty asks for.

    `data` names the data set; without it, the first one that passes every check. Joining again is no error as
    long as the data stay the same. Raises what the checks raise, UsageError if the bounty is over.
    """
    state = market.bounty(posted.bounty)
    if state.closed:
        raise UsageError(
            f"bounty {hex32(posted.bounty)} is closed", hint="`mine bounties` lists the open ones"
        )
    task = examine(market, store, me, policy, state, posted, book.epochs(market.place))
    drawing = Drawing(
        privacy_of(book, sums, policy),
        task.asked(state.terms.min_mines),
        hex32(posted.bounty),
        posted.scientist,
        market.place,
        market.head().timestamp_s,
        lambda: acts_elsewhere(market, me, book),
    )
    dataset, digest = _choose(task, sums, drawing, _candidates(book, posted.bounty, data))
    joined = Joined(
        posted.bounty,
        dataset,
        posted.model_digest,
        posted.key_digest,
        digest,
        block=posted.block,
        veil=task.veil,
    )
    with book.journal.transaction():
        book.join(joined)
        book.see_epochs(market.place, task.epochs)
        drawing.privacy.memory.use(sums.ledger)
    return joined, task


def others_that_fit(book: Book, joined: Joined, task: Task) -> list[str]:
    """The names of the data sets by which a bounty could have been joined too, as far as columns tell."""
    found = []
    for dataset in book.datasets():
        with suppress(SonarError):
            trainer.fits(task, dataset)
            found += [dataset.name] if dataset.name != joined.dataset.name else []
    return found


def task_of(market: Market, store: Store, policy: Policy, joined: Joined) -> Task:
    """What a joined bounty asks for now. Raises what `trainer.read_task` and `at_round` do."""
    state = market.bounty(joined.bounty)
    task = trainer.read_task(market, store, state, joined.model_digest, joined.key_digest, policy)
    model = trainer.read_model(store, state.model_digest, state.round)
    return trainer.at_round(task, store, model, policy)


def _candidates(book: Book, bounty: BountyId, data: str | None) -> list[DataSet]:
    before = next((joined.dataset for joined in book.joined() if joined.bounty == bounty), None)
    named = [dataset for dataset in book.datasets() if data in (None, dataset.name)]
    if before is not None and book.parts(bounty):
        if data is not None and all(dataset.digest != before.digest for dataset in named):
            raise DataError(
                "data",
                f"bounty {hex32(bounty)} was joined with {before.name!r}, and stays with it",
                hint=_FROZEN,
            )
        return [before]
    if not named:
        raise (
            _no_data()
            if data is None
            else DataError("data", f"no data set is named {data[:80]!r}", hint=_LIST)
        )
    return named


def _choose(task: Task, sums: Sums, drawing: Drawing, candidates: Sequence[DataSet]) -> tuple[DataSet, str]:
    """The first data set that passes, with the digest of its (A, b); else the first one's refusal."""
    first: SonarError | None = None
    for dataset in candidates:
        try:
            trainer.fits(task, dataset)
            drawing.privacy.check(dataset, drawing.asked)
            return dataset, sums.make(task, dataset, drawing).digest()
        except SonarError as error:
            first = first or error
    assert first is not None
    raise first


def _no_data() -> DataError:
    return DataError("data", "no data set is registered", hint="register one: `mine data add --csv FILE`")


_FROZEN = "the answers of two data sets in one bounty would reveal how the two differ"
_LIST = "`mine data list` shows the registered ones"
