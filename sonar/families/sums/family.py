"""The family of sums at a mine, behind its port (`sonar.families.base`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from gmpy2 import mpz
from numpy.typing import NDArray

from sonar.data.schema import Schema
from sonar.errors import ConsentError, UsageError
from sonar.families.base import Rows
from sonar.families.opened import Opened, Past
from sonar.families.sums import guards, inspection, preparing
from sonar.families.sums.inspection import Rules
from sonar.families.sums.preparing import Kept
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.steps import Steps, Uncovered
from sonar.paillier.affine import Run
from sonar.paillier.public import PublicKey
from sonar.paillier.slots import SlotPlan
from sonar.privacy.terms import RowSums

Matrix = NDArray[np.float64]
_ROW_VALUE_S = 2e-9
_CIPHERTEXT_S = 2e-4
"""What a row's part of a sum takes, and encoding a ciphertext of 3072 bits: 2 GHz, one core."""
_TOLD = 3
"""How many terms of a kind are told to people; the others are alike, of other columns."""
_NO_NOISE = "sums have no noise"
_ROWS = 1 << 20
"""So many rows are taken for a mine's, unless a bounty allows fewer."""


class Sums(Steps, Uncovered):
    """Declared sums over rows, at visible parameters."""

    why: Mapping[str, str] = inspection.WHY
    round_only = inspection.ROUND_ONLY
    visible = True

    def numbers(self, spec: SumsSpec) -> int:
        """Return the number of parameters."""
        return spec.parameters

    def seconds(self, spec: SumsSpec, plan: SlotPlan) -> float:
        """Return how long the sums over a million rows take, if they are not kept, and the ciphertexts."""
        evaluated = min(spec.rows_max, _ROWS) * spec.values * _ROW_VALUE_S if spec.parameters else 0.0
        return evaluated + plan.ciphertexts * _CIPHERTEXT_S

    def read(self, spec: SumsSpec, rows: Rows) -> Iterable[Matrix]:
        """Return the rows, coded by the question's columns."""
        return rows.coded(spec.columns)

    def columns(self, spec: SumsSpec) -> tuple[str, ...]:
        """Return the names of the columns, in the schema's order."""
        return tuple(column.name for column in spec.columns)

    def schema(self, spec: SumsSpec) -> Schema:
        """Return what the columns mean: rows come coded by it."""
        return spec.columns

    def check_rows(self, spec: SumsSpec, rows: int) -> None:
        """Check by the number of rows alone whether a table could serve. Raises ConsentError."""
        guards.check_rows(spec, rows)

    def check_asked(self, spec: SumsSpec, rounds: int) -> None:
        """Check how often questions at other numbers may be asked. Raises ConsentError."""
        guards.check_asked(spec, rounds)
        if rounds > 1 and spec.asked_once:
            problem = f"terms.rounds: is {rounds}, and a question with `scores` is answered once"
            raise ConsentError(problem, hint="answers at other weights would tell about single rows")

    def prepare(self, spec: SumsSpec, plan: SlotPlan, batches: Iterable[Matrix]) -> Kept:
        """Return the sums, or the coded rows where questions differ. Raises DataError, ConsentError."""
        return preparing.prepare(spec, batches)

    def restored(self, spec: SumsSpec, plan: SlotPlan, data: bytes) -> Kept:
        """Return what `to_bytes` wrote. Raises DataError."""
        return preparing.restored(spec, data)

    def values(
        self,
        plan: SlotPlan,
        prepared: Kept,
        question: Sequence[int],
        rows: Callable[[], Iterable[Matrix]] | None = None,
    ) -> list[int]:
        """Return the sums at the parameters, int[values]. Raises BoundsError, ConsentError."""
        return prepared.integers(plan, question)

    def answer(
        self,
        key: PublicKey,
        plan: SlotPlan,
        prepared: Kept,
        question: Sequence[mpz],
        *,
        rows: Callable[[], Iterable[Matrix]] | None = None,
        parts: int = 1,
        run: Run | None = None,
    ) -> list[mpz]:
        """Return the same, packed in ciphertexts. Raises BoundsError, ConsentError."""
        values = self.values(plan, prepared, [int(one) for one in question])
        return [key.add_plain(mpz(1), number) for number in plan.pack(values)]

    def price(self, spec: SumsSpec) -> None:
        """Sums have no noise."""

    def check_noise(self, spec: SumsSpec, plan: SlotPlan) -> None:
        """There is none to check."""

    def sums(self, spec: SumsSpec, batches: Iterable[Matrix]) -> RowSums:
        """Raise UsageError: no noise is added."""
        raise UsageError(_NO_NOISE)

    def released(self, spec: SumsSpec, plan: SlotPlan, values: Sequence[int], rows: int) -> Kept:
        """Raise UsageError: no noise is added."""
        raise UsageError(_NO_NOISE)

    def sums_id(self, spec: SumsSpec) -> bytes:
        """Raise UsageError: no noise is added."""
        raise UsageError(_NO_NOISE)

    def tests(
        self, spec: SumsSpec, plan: SlotPlan, min_mines: int, random_bits: Callable[[int], int]
    ) -> Rules:
        """Return what answers are tested by."""
        return Rules(spec, plan)

    def inspect(
        self,
        rules: Rules,
        past: Past,
        now: Opened,
        trusted: Callable[[str], bool],
        reference: None = None,
    ) -> dict[str, str | None]:
        """Return the first failed test of each mine."""
        return inspection.inspect(rules, now.updates, now.rows)

    def same(
        self, rules: Rules, now: Opened, rows: Mapping[str, int], reference: None = None
    ) -> dict[str, str]:
        """Return who sent equal sums."""
        sent = {mine: now.updates[mine] for mine in rows}
        return inspection.same({mine: update for mine, update in sent.items() if update is not None})

    def in_words(self, spec: SumsSpec) -> str:
        """Return what is summed, the first few terms of each kind, and how many sums there are."""
        kinds: dict[str, list[str]] = {}
        for term in spec.terms:
            kinds.setdefault(term.kind, []).append(term.words())
        told = "; ".join(
            "; ".join(words[:_TOLD]) + (f"; and {len(words) - _TOLD} more such" if len(words) > _TOLD else "")
            for words in kinds.values()
        )
        asked = f", at {spec.parameters} numbers that change from round to round" if spec.parameters else ""
        return f"{spec.values} sums over rows{asked}: {told}"
