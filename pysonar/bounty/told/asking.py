"""What a study asks and who learns what, in the scientist's words."""

from __future__ import annotations

from pysonar.bounty.covered import readers
from pysonar.bounty.study import Study
from pysonar.bounty.told import offered
from sonar.data.schema import NumberColumn
from sonar.telling.figures import plain
from sonar.telling.text import count, span


def sections(study: Study) -> dict[str, list[str]]:
    """Return the sections of `explain` by their titles."""
    return {
        "In short": _short(study),
        f"Study {study.settings.name!r}": _what(study),
        "Cost": offered.cost(study),
        "Time": offered.time(study),
        "Who learns what": _learned(study),
        "A mine needs": _needs(study),
    }


def _short(study: Study) -> list[str]:
    terms = study.offer.terms
    windows_s = terms.commit_window_s + terms.reveal_window_s + terms.settle_window_s
    return [
        f"you put {offered.amount(study, terms.escrow_units)} into escrow; what mines do not earn comes back",
        f"{offered.mines(terms)} mines answer with {count(study.spec.values, 'sum')} over their rows; at "
        f"most {count(study.statistic.rounds, 'round')} with a sum, and {terms.rounds} in all, of at most "
        f"{span(windows_s)} each",
        "fees only: there is no reward, and nobody recomputes settlements",
        f"keep this program running: a round must be settled within {span(terms.settle_window_s)}",
    ]


def _what(study: Study) -> list[str]:
    allowed, most = study.offer.allowed, study.statistic.rounds
    ends = (
        "once its one sum is opened"
        if most == 1
        else f"once nothing more is asked, after {most} sums at most"
    )
    return [
        f"statistic: {study.statistic.kind}",
        *(f"sums: {term.words()}" for term in study.spec.terms),
        f"ends {ends}; rounds that fail for want of mines are asked again, until there were "
        f"{study.terms.rounds} in all",
        "on the chain the loss is 1,000,000 as long as more is asked, and 0 at the end: it measures nothing",
        *_again(study),
        f"open to {len(allowed)} mines by name" if allowed else _open(study),
    ]


def _open(study: Study) -> str:
    return offered.OPEN if study.settings.capsules is None else offered.OPEN_UNSEEN


def _again(study: Study) -> list[str]:
    """What a study of several rounds needs of its mines."""
    if study.statistic.rounds == 1:
        return []
    return [
        "the same mines should answer in all rounds: a sum that, compared with earlier ones, would single "
        f"out fewer than {study.offer.terms.min_mines} mines is not opened"
    ]


def _learned(study: Study) -> list[str]:
    least = study.offer.terms.min_mines
    changing = f", and {study.spec.parameters} numbers that change from round to round"
    return [
        f"you: per round the sums named above, over the rows of at least {least} mines together; of each "
        "mine its number of rows, and which test it failed",
        *readers(study),
        f"each mine, and everybody: the question{changing if study.spec.parameters else ''}; row counts, the "
        "terms and payments",
        "other mines: nothing of another's sums",
        "nobody can check a mine's rows: sums that some rows could have are not found out",
    ]


def _needs(study: Study) -> list[str]:
    settings = study.settings
    return [
        f"a table with {count(len(study.columns), 'column')}, {settings.rows_min:,} to {settings.rows_max:,} "
        "rows; more may be needed to hide single rows",
        *(_column(study, name) for name in study.columns),
    ]


def _column(study: Study, name: str) -> str:
    column = study.spec.by_name[name]
    empty = "; cells may be missing" if column.missing else ""
    if isinstance(column, NumberColumn):
        unit = f" {column.unit}" if column.unit else ""
        ends = f"{plain(column.low, 6)} to {plain(column.high, 6)}{unit}"
        return f"{name!r}: numbers from {ends}; values beyond are clipped{empty}"
    return f"{name!r}: one of {', '.join(column.levels)}{empty}"
