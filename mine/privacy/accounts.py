"""What a data set may still tell: its budget against what its rows have spent, whatever file they are in.

A release costs rho of zCDP, once for each row in it; a row has spent the sum over its releases, and a data
set as much as that of its rows which has spent most. The bits of functionals are counted beside it, in the
same way. Bits are no differential privacy: one can single out a person.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from decimal import ROUND_CEILING, Context
from fractions import Fraction
from typing import Any

from mine.data.dataset import DataSet
from mine.privacy.ledger import DECLARED, Charge, Ledger, Release, ReleaseLost, content_of
from mine.privacy.memory import Gap, Memory
from mine.privacy.policy import Budget, PrivacyPolicy
from sonar.errors import ConsentError
from sonar.frozen import frozen
from sonar.home.journal import Journal
from sonar.privacy.accounting import epsilon_of
from sonar.privacy.terms import Price
from sonar.telling.text import count

_BUDGET = "budget/"


@frozen
class Asked:
    """What a bounty asks of rows. `price` is None for sums without noise; `sums` is what determines them.

    `veiled`: capsules hide each answer; `bits`: the most that is told of one in a round then. At least
    `least_mines` are in an opened sum; `alike`: all weigh the same there, since none may have fewer rows than
    count.
    """

    price: Price | None
    sums: bytes
    veiled: bool
    bits: int
    least_mines: int
    alike: bool = True


@frozen
class Account:
    """How much was told of a data set: `spent`, in zCDP, of `budget` (None: no limit), and `bits`."""

    budget: Budget | None
    spent: Fraction
    bits: int


@frozen
class Cost:
    """What a bounty costs a data set: `rho`, which is 0 for a release that was made before (`free`).

    `price` is None for a bounty without noise.
    """

    price: Price | None
    free: bool
    account: Account

    @property
    def rho(self) -> Fraction:
        """What would be spent."""
        return Fraction(0) if self.free or self.price is None else self.price.rho


class Privacy:
    """Counts for one home. Methods raise JournalError, and DataError where rows must be read first."""

    def __init__(
        self, ledger: Ledger, journal: Journal, policy: PrivacyPolicy, max_bits: int = 1 << 16
    ) -> None:
        self.ledger, self.memory = ledger, Memory(journal)
        self._journal, self._policy, self._max_bits = journal, policy, max_bits

    # Budgets

    @property
    def default(self) -> Budget | None:
        """The budget of data sets that have none of their own."""
        return self._policy.budget

    def own_budget(self, name: str) -> tuple[bool, Budget | None]:
        """Whether a data set has a budget of its own, and which; None for no limit."""
        found = self._journal.get_as(_own, _BUDGET + name)
        return found or (False, None)

    def give(self, name: str, budget: Budget | None) -> None:
        """Give a data set a budget of its own; None for no limit, whatever the default is."""
        fields = None if budget is None else {"epsilon": budget.epsilon, "delta": budget.delta}
        self._journal.put(_BUDGET + name, {"budget": fields})

    def budget(self, dataset: DataSet) -> Budget | None:
        """Return what holds for a data set: its own budget, or the smallest of the default and of those of
        other data sets that have rows of it.
        """
        is_own, own = self.own_budget(dataset.name)
        if is_own:
            return own
        found = [self._policy.budget, *(budget for _, budget in self._related(dataset))]
        return min((one for one in found if one), key=lambda one: one.rho, default=None)

    def _related(self, dataset: DataSet) -> list[tuple[str, Budget]]:
        """The budgets of other data sets that share rows with this one."""
        others = self._journal.items_as(DataSet.from_record, "data/")
        found = []
        for other in others:
            _, budget = self.own_budget(other.name)
            if budget is not None and other.name != dataset.name and self._share(dataset, other):
                found.append((other.name, budget))
        return found

    def _share(self, dataset: DataSet, other: DataSet) -> bool:
        if content_of(dataset) == content_of(other):
            return True
        return bool(self.ledger.marks(dataset).within(self.ledger.marks(other)).any())

    # What was spent

    def account(self, dataset: DataSet) -> Account:
        """Return how much was told of a data set, of how much."""
        charges = self.ledger.charges()
        spent = self._most(dataset, [(charge.of, charge.rho) for charge in charges])
        return Account(self.budget(dataset), spent, self.bits(dataset))

    def bits(self, dataset: DataSet) -> int:
        """How many bits of answers may have been told of one of its rows, in all bounties."""
        told = [(content, Fraction(sum(each.values()))) for content, each in self.ledger.bits().items()]
        return int(self._most(dataset, told))

    def _most(self, dataset: DataSet, totals: Sequence[tuple[str, Fraction]]) -> Fraction:
        return self.ledger.most(self.ledger.marks(dataset), totals) if totals else Fraction(0)

    def most(self, dataset: DataSet, totals: Sequence[tuple[str, Fraction]]) -> Fraction:
        """The most that one row of a data set has had, of totals by content."""
        return self._most(dataset, totals)

    def rows_in(self, dataset: DataSet, content: str) -> int:
        """How many rows of a data set a content has; all, if nothing is known of that any more."""
        marks, other = self.ledger.marks(dataset), self.ledger.known(content)
        return len(marks.rows) if other is None else int(marks.within(other).sum())

    def known_rows(self, dataset: DataSet) -> int:
        """How many rows of a data set were in a release before."""
        charged = {charge.of for charge in self.ledger.charges()}
        if not charged:
            return 0
        import numpy as np  # for which a look at what was never released need not wait

        marks = self.ledger.marks(dataset)
        inside = np.zeros(len(marks.rows), dtype=np.bool_)
        for content in charged:
            other = self.ledger.known(content)
            inside |= True if other is None else marks.within(other)
        return int(np.count_nonzero(inside))

    def bits_in(self, dataset: DataSet) -> list[tuple[str, int]]:
        """How many bits may have been told in each bounty, of rows of a data set."""
        told: dict[str, int] = {}
        for content, bounties in self.ledger.bits().items():
            if self.rows_in(dataset, content):
                for bounty, bits in bounties.items():
                    told[bounty] = told.get(bounty, 0) + bits
        return sorted(told.items())

    def missing(self, dataset: DataSet) -> list[Gap]:
        """What this home's ledger has lost, as far as that was not counted for the data set."""
        return self.memory.unknown(content_of(dataset), self.memory.missing(self.ledger))

    # Consent

    def is_made(self, dataset: DataSet, asked: Asked) -> bool:
        """Whether what a bounty asks for was released before."""
        if asked.price is None or not self.ledger.charges():
            return False
        try:
            name = self.ledger.release_name(dataset, asked.sums, asked.price.parts)
            return self.ledger.release(name) is not None
        except ReleaseLost:
            return False

    def check(self, dataset: DataSet, asked: Asked) -> Cost:
        """Check that a data set may tell what a bounty asks for, and return what it costs.

        Raises ConsentError.
        """
        if asked.price is not None and asked.price.shared:
            _check_shared(asked, asked.price)
        account = self.account(dataset)
        cost = Cost(asked.price, self.is_made(dataset, asked), account)
        if account.budget is not None:
            _check_budget(dataset.name, cost, account.budget)
        self._check_bits(dataset.name, account.bits, asked.bits)
        return cost

    def check_round(
        self, dataset: DataSet, price: Price | None, bounty: str, round_number: int, bits: int
    ) -> None:
        """Check that a data set may answer once more in a bounty that was joined. Raises ConsentError."""
        budget = self.budget(dataset)
        if price is None and budget is not None:
            _check_budget(dataset.name, Cost(None, False, Account(budget, Fraction(0), 0)), budget)
        if bits and not self._has_told(dataset, bounty, round_number):
            self._check_bits(dataset.name, self.bits(dataset), bits)

    def _check_bits(self, name: str, told: int, more: int) -> None:
        if told + more > self._max_bits:
            over = told + more - self._max_bits
            raise ConsentError(
                f"capsules.bits: of data set {name!r} {count(told, 'bit')} may have been told, over all "
                f"bounties; with {count(more, 'bit')} of one more answer it would be {over:,} above your "
                f"limit of {self._max_bits:,}",
                hint="raise policy.max_bits_all in mine.toml to accept it, or join with other data",
            )

    # Spending

    def spend(self, dataset: DataSet, asked: Asked, charge: Charge, release: Release) -> Release:
        """Record a release and its charge, unless another process has made the same one: that counts.

        Returns the one that counts. Raises ConsentError if the budget does not allow it any more.
        """
        self.ledger.marks(dataset)
        with self.ledger.transaction():
            made = None
            with suppress(ReleaseLost):  # the owner has counted it, and pays again
                made = self.ledger.release(charge.release)
            if made is None:
                self.check(dataset, asked)
                self.ledger.record(charge, release)
            return made or release

    def declare(self, dataset: DataSet, budget: Budget | None, at_s: int, gaps: Sequence[Gap]) -> None:
        """Count what was spent elsewhere, if anything was, and know these gaps from now on."""
        content = content_of(dataset)
        if budget is not None:
            self.ledger.marks(dataset)
            why = f"{DECLARED}: {budget}"
            self.ledger.charge(Charge(content, dataset.name, budget.rho, at_s, why=why))
            self.memory.use(self.ledger)
        self.memory.accept(content, gaps)

    def tell_bits(self, dataset: DataSet, bounty: str, round_number: int, bits: int) -> None:
        """Count the bits that may be told of an answer, once for its round. Raises ConsentError."""
        if not bits:
            return
        self.ledger.marks(dataset)
        with self.ledger.transaction():
            if not self._has_told(dataset, bounty, round_number):
                self._check_bits(dataset.name, self.bits(dataset), bits)
                self.ledger.tell_bits(content_of(dataset), bounty, round_number, bits)

    def _has_told(self, dataset: DataSet, bounty: str, round_number: int) -> bool:
        return self.ledger.is_there and self.ledger.has_told(content_of(dataset), bounty, round_number)


def _own(record: dict[str, Any]) -> tuple[bool, Budget | None]:
    fields = record["budget"]
    if fields is None:
        return True, None
    epsilon, delta = fields["epsilon"], fields["delta"]
    if type(epsilon) is not float or type(delta) is not float:
        raise TypeError("a budget is no number")
    budget = Budget(epsilon, delta)
    if not (0 < epsilon < float("inf") and 0 < delta < 1):
        raise ValueError("a budget is out of range")
    return True, budget


def _check_shared(asked: Asked, price: Price) -> None:
    """Check that the other mines' noise is where it is needed. Raises ConsentError."""
    told = f"noise is shared by {price.parts} mines"
    if not asked.veiled:
        raise ConsentError(
            f"privacy: {told}, and the bounty has no capsules: each answer alone could be read, with too "
            "little noise in it",
            hint='do not join; its scientist must use capsules, or noise = "local"',
        )
    if price.parts > asked.least_mines:
        raise ConsentError(
            f"privacy: {told}, but a sum over {asked.least_mines} may be opened (terms.min_mines)",
            hint="do not join: with fewer mines there is less noise than the price promises",
        )
    if not asked.alike:
        raise ConsentError(
            f"privacy: {told}, but a mine with more rows may weigh more (model.plan.weight_rows), so the "
            "others' noise could be too small for its rows",
            hint="do not join; its scientist must let no more rows count than each mine has at least",
        )


def _check_budget(name: str, cost: Cost, budget: Budget) -> None:
    """Check that what a bounty costs is left. Raises ConsentError."""
    if cost.price is None:
        raise ConsentError(
            f"privacy: the bounty adds no noise, and data set {name!r} has a budget of {budget}",
            hint=f"join with other data; or remove the limit: `mine data budget {name} --unlimited`",
        )
    after = cost.account.spent + cost.rho
    if cost.rho and after > budget.rho:
        told = [epsilon_of(rho, budget.delta) for rho in (cost.rho, cost.account.spent, after)]
        raise ConsentError(
            f"privacy: a release for the bounty costs epsilon {told[0]:.4g} at delta {budget.delta:g}. Of "
            f"data set {name!r}, {told[1]:.4g} is spent of {budget.epsilon:g}; with this release it would be "
            f"{told[2]:.4g}, which is {told[2] - budget.epsilon:.4g} too much",
            hint=f"join with other data; or raise the budget if you accept what more would tell: `mine data "
            f"budget {name} --epsilon {_enough(told[2], after, budget.delta)}`",
        )


def _enough(epsilon: float, rho: Fraction, delta: float) -> str:
    """Return about `epsilon` in four digits, rounded up until a budget of it allows `rho`."""
    digits = Context(prec=4, rounding=ROUND_CEILING)
    least = digits.create_decimal_from_float(epsilon)
    while Budget(float(least), delta).rho < rho:
        least = digits.next_plus(least)
    return f"{float(least):g}"
