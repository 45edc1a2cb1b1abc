"""The family of sums behind its port (`sonar.families.base`); the work is done in the files beside this."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from gmpy2 import mpz

from sonar.errors import ConsentError, DataError, UsageError
from sonar.families.base import Rows
from sonar.families.opened import Opened, Past
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.steps import Steps, Uncovered
from sonar.families.sums.totals import Matrix, parameters_from_integers, to_integers, totals
from sonar.paillier.affine import Run
from sonar.paillier.public import PublicKey
from sonar.paillier.slots import SlotPlan
from sonar.privacy.terms import Price, RowSums

TESTS = {
    "range": "every sum lies within what so many rows can add up to",
    "rows": "the number of rows in it is the one that the mine says",
    "changed": "asked the same again, the mine answers the same",
    "copy": "the answer is not another mine's earlier one",
}
"""Every test by name, and what holds for an answer that passes."""
WHY = {
    "range": "a value is larger than the bounty's bounds allow",
    "rows": "it counts other rows than the mine says that it has",
    "changed": "it answers the same question otherwise than before",
    "copy": "it is what another mine sent in an earlier round",
}
ROUND_ONLY = frozenset({"copy"})


@dataclass(frozen=True)
class Rules:
    """What follows for answers from the model's manifest."""

    spec: SumsSpec
    plan: SlotPlan
    min_mines: int


@dataclass(frozen=True)
class Prepared:
    """A mine's sums at parameters zero, int[values], over so many rows."""

    spec: SumsSpec
    rows: int
    zero: tuple[int, ...]

    def digest(self) -> str:
        """Return the sha2-256 digest of `to_bytes`, in hex."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """Return rows and sums as decimal numbers with commas between them."""
        return ",".join(map(str, (self.rows, *self.zero))).encode()


class Sums(Steps, Uncovered):
    """Declared sums over rows."""

    visible = True
    why: Mapping[str, str] = WHY
    round_only = ROUND_ONLY

    def numbers(self, spec: SumsSpec) -> int:
        """Return the number of parameters."""
        return spec.parameters

    def seconds(self, spec: SumsSpec, plan: SlotPlan) -> float:
        """Return what encrypting takes: the blindings are made before, and a sum is no power."""
        return 1e-4 * plan.ciphertexts

    def read(self, spec: SumsSpec, rows: Rows) -> Iterable[Matrix]:
        """Return the rows, coded by the question's columns."""
        return rows.coded(spec.columns)

    def columns(self, spec: SumsSpec) -> tuple[str, ...]:
        """Return the columns of the question."""
        return tuple(column.name for column in spec.columns)

    def check_rows(self, spec: SumsSpec, rows: int) -> None:
        """Check by the number of rows alone whether a table could serve. Raises ConsentError."""
        if not spec.rows_min <= rows <= spec.rows_max:
            problem = (
                f"rows: the data set has {rows}, and the bounty takes {spec.rows_min} to {spec.rows_max}"
            )
            raise ConsentError(problem, hint="register more rows, or fewer")

    def prepare(self, spec: SumsSpec, plan: SlotPlan, batches: Iterable[Matrix]) -> Prepared:
        """Return the sums at parameters zero. Raises DataError, ConsentError."""
        found = totals(spec, batches, np.zeros(spec.parameters))
        self.check_rows(spec, found.rows)
        return Prepared(spec, found.rows, tuple(to_integers(spec, plan, found)))

    def restored(self, spec: SumsSpec, plan: SlotPlan, data: bytes) -> Prepared:
        """Return what `to_bytes` wrote. Raises DataError."""
        try:
            rows, *zero = map(int, data.split(b","))
        except ValueError:
            rows, zero = 0, []
        if len(zero) != spec.values:
            raise DataError("sums", f"are not the {spec.values} of the question")
        return Prepared(spec, rows, tuple(zero))

    def answer(
        self,
        key: PublicKey,
        plan: SlotPlan,
        prepared: Prepared,
        question: Sequence[mpz],
        *,
        rows: Callable[[], Iterable[Matrix]] | None = None,
        parts: int = 1,
        run: Run | None = None,
    ) -> list[mpz]:
        """Return the sums, packed: (1 + m n), whose randomness the caller adds."""
        packed = plan.pack(self.values(plan, prepared, [int(x) for x in question], rows))
        return [(1 + number * key.n) % key.n2 for number in packed]

    def values(
        self,
        plan: SlotPlan,
        prepared: Prepared,
        question: Sequence[int],
        rows: Callable[[], Iterable[Matrix]] | None = None,
    ) -> list[int]:
        """Return the sums at the question's parameters; the rows are read again unless these are zero."""
        if not any(question):
            return list(prepared.zero)
        assert rows is not None
        spec = prepared.spec
        return to_integers(spec, plan, totals(spec, rows(), parameters_from_integers(question)))

    def price(self, spec: SumsSpec) -> Price | None:
        """No noise is added."""
        return None

    def check_noise(self, spec: SumsSpec, plan: SlotPlan) -> None:
        """No noise is added."""

    def sums(self, spec: SumsSpec, batches: Iterable[Matrix]) -> RowSums:
        """Raise UsageError: no noise is added."""
        raise UsageError("sums are released without noise")

    def released(self, spec: SumsSpec, plan: SlotPlan, values: Sequence[int], rows: int) -> Prepared:
        """Raise UsageError: no noise is added."""
        raise UsageError("sums are released without noise")

    def sums_id(self, spec: SumsSpec) -> bytes:
        """Raise UsageError: no noise is added."""
        raise UsageError("sums are released without noise")

    def in_words(self, spec: SumsSpec) -> str:
        """Return what is summed."""
        return "; ".join(term.words() for term in spec.terms) + f": {spec.values} sums"

    def tests(
        self, spec: SumsSpec, plan: SlotPlan, min_mines: int, random_bits: Callable[[int], int]
    ) -> Rules:
        """Return what answers are tested by."""
        return Rules(spec, plan, min_mines)

    def inspect(
        self,
        rules: Rules,
        past: Past,
        now: Opened,
        trusted: Callable[[str], bool],
        reference: None = None,
    ) -> dict[str, str | None]:
        """Return the first failed test of each mine."""
        return {mine: _alone(rules, past, now, mine) for mine in now.updates}

    def same(
        self, rules: Rules, now: Opened, rows: Mapping[str, int], reference: None = None
    ) -> dict[str, str]:
        """Return who sent equal sums."""
        groups: dict[tuple[int, ...] | None, list[str]] = defaultdict(list)
        for mine in sorted(rows):
            groups[now.updates[mine]].append(mine)
        return {mine: group[0] for group in groups.values() if len(group) > 1 for mine in group}


def _alone(rules: Rules, past: Past, now: Opened, mine: str) -> str | None:
    update, spec, says = now.updates[mine], rules.spec, now.rows.get(mine)
    if update is None or not spec.rows_min << rules.plan.data_frac <= update[0]:
        return "range"
    if says is not None and update[0] != says << rules.plan.data_frac:
        return "rows"
    if any(abs(value) > update[0] for value in update):
        return "range"
    if (senders := past.senders(update)) and mine not in senders:
        return "copy"
    before = [sent for asked, sent in past.parts(mine) if tuple(asked) == now.weights]
    return "changed" if any(tuple(sent) != update for sent in before) else None
