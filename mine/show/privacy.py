"""What data sets have revealed and may still: as documents, in words, and as a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

from mine.data.dataset import DataSet
from mine.privacy.accounts import Account, Cost, Privacy
from mine.privacy.ledger import Charge, Shown, content_of
from mine.privacy.memory import Gap
from mine.privacy.policy import Budget
from mine.show.documents import BitsFacts, BudgetFacts, CostFacts, PriceFacts, PrivacyFacts, SpentFacts
from mine.show.printing import Layout, print_rows
from mine.wiring import Mine
from mine.work.elsewhere import acts_elsewhere
from sonar.errors import ChainUnavailable, DataError, RpcError
from sonar.privacy.accounting import epsilon_of
from sonar.privacy.terms import Price
from sonar.telling.tables import print_named
from sonar.telling.text import clock, count, short

_REVEALED = Layout(
    {
        "when": "when",
        "what": "bounty",
        "scientist": "scientist",
        "network": "network",
        "cost": "epsilon",
        "sum": "in all",
        "noise": "noise of",
        "share": "rows of it",
        "clipped": "shortened",
    },
    right=("cost", "sum", "share", "clipped"),
    texts=("network",),
    spare=("network", "clipped", "share", "noise", "scientist"),
)


def price_facts(price: Price | None, delta: float) -> PriceFacts | None:
    """A bounty's price."""
    if price is None:
        return None
    together, alone = (epsilon_of(rho, delta) for rho in (price.rho, price.rho * price.parts))
    return PriceFacts(together, delta, price.parts, alone)


def cost_facts(name: str, cost: Cost, delta: float) -> CostFacts:
    """What a bounty would cost a data set; `delta` if it has no budget."""
    budget = cost.account.budget
    delta = budget.delta if budget else delta
    return CostFacts(
        name, epsilon_of(cost.rho, delta), delta, cost.free, _left(budget, cost.account.spent + cost.rho)
    )


def in_short(account: Account, delta: float) -> str:
    """What is spent of how much, in a table's cell; empty if there is neither."""
    if account.budget is None and not account.spent:
        return ""
    delta = account.budget.delta if account.budget else delta
    of = f" of {account.budget.epsilon:g}" if account.budget else ", no limit"
    return f"{epsilon_of(account.spent, delta):.3g}{of}"


def budget_facts(privacy: Privacy, dataset: DataSet, delta: float) -> BudgetFacts:
    """The budget of a data set."""
    account = privacy.account(dataset)
    budget, spent = account.budget, account.spent
    delta = budget.delta if budget else delta
    return BudgetFacts(
        dataset.name,
        budget.epsilon if budget else None,
        delta,
        epsilon_of(spent, delta),
        _left(budget, spent),
    )


def in_words(one: BudgetFacts) -> str:
    """Say in a line what a data set may tell, and what it has told."""
    spent = f"{one.spent:.4g} at delta {one.delta:g} is spent{_and_left(one.left)}"
    if one.budget is None:
        return f"{one.data}: no limit; epsilon {spent}"
    return f"{one.data}: a budget of epsilon {one.budget:g}; {spent}"


def _and_left(left: float | None) -> str:
    if left is None:
        return ""
    return f", and {f'a release of {left:.4g}' if left >= _LEAST_LEFT else 'nothing'} is left"


def _left(budget: Budget | None, spent: Fraction) -> float | None:
    if budget is None:
        return None
    return epsilon_of(max(budget.rho - spent, Fraction(0)), budget.delta)


def known_elsewhere(mine: Mine) -> list[Gap]:
    """What the chain says that another copy of the home has done; nothing if the chain does not answer."""
    with suppress(RpcError, ChainUnavailable):  # what joins asks again, and waits for an answer
        return acts_elsewhere(mine.market, mine.address, mine.book)
    return []


def privacy_facts(mine: Mine, dataset: DataSet, elsewhere: Sequence[Gap] = ()) -> PrivacyFacts:
    """What was learned of a data set, and what may be. `elsewhere`: what another copy has done."""
    privacy, policy = mine.privacy, mine.policy
    found = [*privacy.missing(dataset), *privacy.memory.unknown(content_of(dataset), elsewhere)]
    gaps = [gap.told for gap in found]
    try:
        account = privacy.account(dataset)
    except DataError as error:
        none, told = Account(None, Fraction(0), 0), f"{error}; {error.hint}"
        return _facts(mine, dataset, none, gaps, problem=told)
    delta = account.budget.delta if account.budget else policy.privacy.delta
    revealed = _revealed(privacy, dataset, delta)
    return _facts(mine, dataset, account, gaps, revealed=revealed)


def _facts(
    mine: Mine,
    dataset: DataSet,
    account: Account,
    gaps: list[str],
    *,
    revealed: Sequence[SpentFacts] = (),
    problem: str = "",
) -> PrivacyFacts:
    privacy, budget = mine.privacy, account.budget
    delta = budget.delta if budget else mine.policy.privacy.delta
    return PrivacyFacts(
        data=dataset.name,
        rows=dataset.rows,
        budget=budget.epsilon if budget else None,
        delta=delta,
        whose=_whose(privacy, dataset, budget),
        spent=epsilon_of(account.spent, delta),
        left=_left(budget, account.spent),
        known_rows=0 if problem else privacy.known_rows(dataset),
        revealed=list(revealed),
        bits=account.bits,
        max_bits=mine.policy.max_bits_all,
        bits_in=[] if problem else [BitsFacts(*one) for one in privacy.bits_in(dataset)],
        gaps=gaps,
        problem=problem,
    )


def _whose(privacy: Privacy, dataset: DataSet, budget: Budget | None) -> str:
    if privacy.own_budget(dataset.name)[0]:
        return "its own"
    if budget is None:
        return ""
    return "mine.toml" if budget == privacy.default else "another data set with rows of it"


def _revealed(privacy: Privacy, dataset: DataSet, delta: float) -> list[SpentFacts]:
    """Each release and each bounty that was told of it, as far as rows of this data set are in it."""
    shown = privacy.ledger.shown()
    found: list[SpentFacts] = []
    spent: list[tuple[str, Fraction]] = []
    for charge in privacy.ledger.charges():
        rows = privacy.rows_in(dataset, charge.of)
        if not rows:
            continue
        spent.append((charge.of, charge.rho))
        in_all = epsilon_of(privacy.most(dataset, spent), delta)
        found.append(_charged(charge, epsilon_of(charge.rho, delta), in_all, rows))
        others = [one for one in shown if one.release == charge.release and one.bounty != charge.bounty]
        found += [_again(charge, one, in_all, rows) for one in others]
    return sorted(found, key=lambda one: one.at_s)


def _charged(charge: Charge, epsilon: float, in_all: float, rows: int) -> SpentFacts:
    return SpentFacts(
        charge.at_s,
        charge.why or "released",
        charge.bounty,
        charge.scientist,
        charge.network,
        epsilon,
        in_all,
        charge.parts,
        rows,
        charge.rows,
        charge.clipped,
        charge.name,
        charge.release,
    )


def _again(charge: Charge, shown: Shown, in_all: float, rows: int) -> SpentFacts:
    facts = _charged(charge, 0.0, in_all, rows)
    told = {"at_s": shown.at_s, "bounty": shown.bounty, "scientist": shown.scientist}
    return SpentFacts(**{**vars(facts), **told, "network": shown.network, "why": "the same release"})


_LEAST_LEFT = 0.001
"""Below this, what is left of a budget comes from rounding a price down."""


def print_privacy(found: Sequence[PrivacyFacts], *, wide: bool = False) -> None:
    """Show to a person what was learned of data sets."""
    for one in found:
        print_named(_standing(one))
        if one.revealed:
            print_rows([_row(each, wide) for each in one.revealed], _REVEALED, wide=wide)
        print()


def _standing(one: PrivacyFacts) -> Iterator[tuple[str, str]]:
    yield "data", f"{one.data}: {count(one.rows, 'row')}, {_known(one)}"
    if one.budget is None:
        yield "budget", f"no limit; epsilon {one.spent:.4g} at delta {one.delta:g} is spent"
    else:
        given = f"epsilon {one.budget:g} at delta {one.delta:g} ({one.whose})"
        yield "budget", f"{given}: {one.spent:.4g} is spent{_and_left(one.left or 0.0)}"
    yield (
        "bits",
        f"{one.bits:,} of {one.max_bits:,} may have been told by capsules, which is no differential privacy"
        + "".join(f"; {short(each.bounty)}: {each.bits:,}" for each in one.bits_in),
    )
    for gap in one.gaps:
        yield "missing", f"{gap}; `mine data budget {one.data} --spent EPSILON` counts what it spent"
    if one.problem:
        yield "problem", one.problem


def _known(one: PrivacyFacts) -> str:
    """How many of its rows are in a release already."""
    if one.known_rows in (0, one.rows):
        return f"{'all' if one.known_rows else 'none'} of them released before"
    return f"{one.known_rows:,} of them released before"


def _row(one: SpentFacts, wide: bool) -> dict[str, object]:
    return {
        "when": clock(one.at_s),
        "what": (one.bounty if wide else short(one.bounty)) or "counted by you",
        "scientist": one.scientist if wide else short(one.scientist),
        "network": one.network if wide else _place(one.network),
        "cost": f"{one.epsilon:.4g}" if one.epsilon else "free",
        "sum": f"{one.in_all:.4g}",
        "noise": "" if not one.release else "itself" if one.parts == 1 else f"{one.parts} mines",
        "share": f"{one.rows:,}",
        "clipped": f"{one.clipped:,}" if one.clipped else "",
    }


def _place(network: str) -> str:
    """A chain and its contract, in short."""
    chain, _, contract = network.partition("/")
    return f"{chain} {short(contract)}" if contract else network


def draw(found: Sequence[PrivacyFacts], path: Path) -> None:
    """Write the picture to `path`. Raises ClientMissing, ConfigError."""
    from sonar.stairs import Stairs, Step
    from sonar.stairs import draw as draw_stairs

    draw_stairs(
        [
            Stairs(
                f"{one.data}: epsilon at delta {one.delta:g}",
                one.budget,
                [
                    Step(each.at_s, each.in_all, each.epsilon, short(each.bounty) or "counted by you")
                    for each in one.revealed
                ],
            )
            for one in found
        ],
        path,
    )


def told_of(mine: Mine, dataset: DataSet) -> str:
    """Say in a line what is spent of a data set. Raises ConsentError for what stops new releases."""
    privacy = mine.privacy
    if gaps := privacy.missing(dataset):
        privacy.memory.check(dataset.name, content_of(dataset), gaps)
    return in_short(privacy.account(dataset), mine.policy.privacy.delta)
