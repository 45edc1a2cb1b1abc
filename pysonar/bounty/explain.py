"""What posting a bounty costs, how long it may take, and who learns what: told before a wei is spent."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from sonar.families.quadratic.maps.compose import degree_of
from sonar.families.registry import family_of
from sonar.paillier.affine import estimated_s
from sonar.protocol.ids import ETHER
from sonar.telling.amounts import format_amount

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pysonar.bounty.bounty import Bounty
    from pysonar.keys.ledger import Revealed


WIDTH = 80
"""Of the text: terminals and notebooks break longer lines in the middle of a word."""


def explain(bounty: Bounty) -> str:
    """Return the text, in sections. Raises what deriving the bounty's model raises."""
    sections = {
        f"Bounty {bounty.settings.name!r}": _what(bounty),
        "Cost": _cost(bounty),
        "Time": _time(bounty),
        "Who learns what": _learned(bounty),
        "A mine needs": _needs(bounty),
        "Slot plan": bounty.design.plan.explain().splitlines(),
    }
    return "\n".join(line for title, told in sections.items() for line in (title, *_lines(told)))


def _lines(told: list[str]) -> Iterator[str]:
    """Fill what is told into lines. Names are never broken: they are what a mine's columns must be called."""
    for text in told:
        yield from wrap(
            text,
            WIDTH,
            initial_indent="  ",
            subsequent_indent="    ",
            break_long_words=False,
            break_on_hyphens=False,
        )


def _what(bounty: Bounty) -> list[str]:
    terms, settings = bounty.terms, bounty.settings
    return [
        f"predict {bounty.target!r} from {len(bounty.features)} columns: {', '.join(bounty.features)}",
        f"feature map: {family_of(bounty.design.spec).in_words(bounty.design.spec)}",
        f"{settings.loss} loss on {bounty.table.rows} held-out rows",
        f"starts at {terms.initial_loss} millionths of the null model; ends at {terms.target_loss}, or after "
        f"{terms.rounds} rounds",
        f"optimiser: {settings.optimiser}",
        f"open to {len(bounty.allowed)} mines by name" if bounty.allowed else "open to every mine",
    ]


def _cost(bounty: Bounty) -> list[str]:
    terms = bounty.terms
    escrow, reward, fee, stake = (
        format_amount(amount, bounty.unit)
        for amount in (terms.escrow_units, terms.reward_units, terms.fee_units, terms.stake_units)
    )
    lines = [
        f"escrow {escrow}: reward {reward}, and fees {fee} x {terms.cohort_cap} mines x "
        f"{terms.rounds} rounds",
        "that is the most that mines can be paid; what they do not earn comes back when the bounty closes",
        "gas comes on top: for posting, one settlement per round, and one withdrawal",
        f"each mine stakes {stake} per round, and gets it back when it reveals",
    ]
    if terms.asset != ETHER:
        lines += [
            f"all in the token {terms.asset}, which mines must have allowed; gas is in ether",
            "whoever rules the token may be able to freeze or change balances, those in escrow included",
        ]
    return lines


def _time(bounty: Bounty) -> list[str]:
    terms = bounty.terms
    windows = (terms.commit_window_s, terms.reveal_window_s, terms.settle_window_s)
    return [
        f"a round ends as soon as all {terms.cohort_cap} mines have revealed and you have settled",
        f"at the latest after {' + '.join(map(str, windows))} s (commit, reveal, settle); "
        f"{terms.rounds * sum(windows)} s for all rounds",
        "keep this program running: if you miss a settle window, the mines are paid by default and the "
        "bounty closes",
    ]


def _learned(bounty: Bounty) -> list[str]:
    terms, plan = bounty.terms, bounty.design.plan
    return [
        f"you: the weights; per round one weighted sum over at least {terms.min_mines} updates, which after "
        f"about {plan.weights} rounds gives the pooled sums of A and b in full; of each mine a score of 16 "
        "bits per round, and which test it failed",
        *_of_products(bounty),
        "you do not learn single rows, as long as the pooled sums isolate none",
        "in plain words: you hold the key, so software other than this could open each mine's A and b, and "
        f"min_mines counts {terms.min_mines} addresses, not people",
        "each mine: ciphertexts, its own data, and what public losses and shares imply",
        "other mines: the same; nothing of another's A and b",
        "nobody can check a mine's row count; so an answer weighs what "
        f"{plan.weight_rows} rows do, at most (weight_rows)",
        "everybody: the terms, column names, the means and deviations of your holdout's columns"
        f"{_OF_THE_MAP[bounty.settings.feature_map]}, row counts, losses, shares and payments",
    ]


_OF_THE_MAP = {
    "standard": "",
    "polynomial": " and of their products",
    "fourier": " and of the cosines of them, which are drawn at random and published",
}


def _of_products(bounty: Bounty) -> list[str]:
    """What the sums are of, where it is not the columns themselves."""
    kind = bounty.settings.feature_map
    if kind == "standard":
        return []
    if kind == "fourier":
        return ["A and b are sums over rows of products of two cosines, and of one and the target"]
    most = 2 * degree_of(bounty.design.spec.stages)
    return [
        f"A and b are sums over rows of products of up to {most} columns; of columns of 0 and 1 these count "
        f"the rows that have {most} of them at once"
    ]


_WHO = ("you, with this program", "you, with other software", "a mine", "other mines", "everybody")


def learned(bounty: Bounty, aggregates: int, revealed: Mapping[str, Revealed]) -> dict[str, dict[str, str]]:
    """Return what each party has learned after so many aggregates: by what it is, and by who knows it."""
    needed = bounty.design.plan.weights
    pooled = "all" if aggregates >= needed else f"{aggregates} of {needed} parts"
    bits = max((each.score_bits for each in revealed.values()), default=0)
    tested = f"{bits} bits of scores, and yes/no tests"
    known = {
        "the weights": ("all", "all", "encrypted", "encrypted", "encrypted"),
        "sums over all mines' data": (pooled, "all", "no", "no", "no"),
        "sums over one mine's data": (tested, "all", "its own", "no", "no"),
        "single rows": ("no", "often", "its own", "no", "no"),
        "row counts, losses, payments": ("all",) * len(_WHO),
    }
    return {what: dict(zip(_WHO, texts, strict=True)) for what, texts in known.items()}


def _needs(bounty: Bounty) -> list[str]:
    spec, train_s = bounty.design.spec, estimated_s(bounty.design.plan)
    degree = degree_of(spec.stages)
    lines = [
        f"a table with these columns and {', '.join(repr(one.name) for one in spec.targets)}, "
        f"{max(spec.rows_min, spec.least_rows)} rows at least",
        *(
            f"nine of ten values of {one.name!r} within {one.clip * one.scale:.4g} of {one.centre:.4g}"
            for one in spec.targets
        ),
        "of a column of 0 and 1, five each",
    ]
    if degree > 1:
        lines.append(f"of up to {degree} columns of 0 and 1, five rows of each combination that there is")
    if train_s >= 1:
        lines.append(f"about {train_s:.0f} s on one core for an update; by default, mines take up to 60")
    return lines
