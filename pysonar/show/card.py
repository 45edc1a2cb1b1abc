"""A model's card: what it is, of which data, how good, who learned what, who was paid, and where the chain
says so. In Markdown for a repository, in HTML for a notebook or a page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from pysonar.bounty.base import AnyBounty
from pysonar.bounty.covered import learned
from pysonar.bounty.request import Bounty
from pysonar.campaign.history import summary_of
from pysonar.campaign.records import Finished, Records
from pysonar.campaign.standing import Standing, found_in
from pysonar.keys.ledger import Revealed
from pysonar.models.linear import LinearModel
from sonar.errors import SonarError
from sonar.families.quadratic.slopes import Slope
from sonar.home.settings import NetworkConfig
from sonar.protocol.ids import ETHER, Cid, Digest
from sonar.telling.amounts import Unit, format_amount
from sonar.telling.figures import cells, heading, in_words, plain
from sonar.telling.text import count, printable

EXPLORERS = {
    1: "https://etherscan.io",
    10: "https://optimistic.etherscan.io",
    137: "https://polygonscan.com",
    8453: "https://basescan.org",
    42161: "https://arbiscan.io",
    11155111: "https://sepolia.etherscan.io",
}
"""Public pages of chains, by chain id."""
_MOST = 40
"""So many coefficients are listed."""
_STYLE = "border-collapse:collapse;margin:0.4em 0 1em"
_CELL = (
    "border-bottom:1px solid rgba(128,128,128,0.4);padding:0.15em 0.8em 0.15em 0;"
    "text-align:left;overflow-wrap:anywhere"
)


@dataclass(frozen=True)
class Section:
    """A part of a card: `lines` of text, then a table of `rows` below `headings`, then text as it is."""

    title: str
    lines: Sequence[str] = ()
    headings: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    verbatim: str = ""


@dataclass(frozen=True)
class Card:
    """A card; in a notebook it shows itself."""

    title: str
    sections: Sequence[Section] = field(default_factory=tuple)

    def to_markdown(self) -> str:
        """Return it as Markdown."""
        return "\n\n".join([f"# {_marked(self.title)}", *(_markdown(one) for one in self.sections)]) + "\n"

    def to_html(self) -> str:
        """Return it as a page of its own."""
        style = "body{font-family:system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em}"
        return (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{_safe(self.title)}</title>'
            f"<style>{style}</style><body>{self._repr_html_()}</body></html>\n"
        )

    def _repr_html_(self) -> str:
        return f"<h2>{_safe(self.title)}</h2>" + "".join(_html(one) for one in self.sections)

    def __str__(self) -> str:
        return self.to_markdown()


def card_of(
    records: Records,
    bounty: AnyBounty,
    network: NetworkConfig,
    revealed: Mapping[str, Revealed] | None = None,
) -> Card:
    """Return the card of a bounty that was started here, as far as it has got.

    `revealed`: what the key has revealed of each mine; None where that is not known. Raises JournalError.
    """
    summary = summary_of(records, bounty)
    unit = Unit(**summary["asset"])
    found: Any = None
    problem = ""
    try:
        found = found_in(records, bounty)
    except SonarError as error:
        problem = str(error)
    sections = [
        _what(bounty, found, summary, problem),
        _data(records, bounty, summary, unit),
        *([_losses(summary, unit)] if summary["metric"] else []),
        *([_coefficients(found)] if isinstance(found, LinearModel) else []),
        _privacy(bounty, summary, revealed),
        _payments(summary, unit),
        _chain(records, network, summary),
    ]
    return Card(
        f"{summary['name']}: a {'model' if summary['metric'] else 'study'} of other people's data", sections
    )


def _what(bounty: AnyBounty, found: Any, summary: Mapping[str, Any], problem: str) -> Section:
    lines, verbatim = [], ""
    if isinstance(bounty, Bounty):
        spec = bounty.design.spec
        targets = ", ".join(bounty.targets)
        lines.append(f"Predicts {targets} from {', '.join(spec.features)}.")
        lines.append(f"The columns are {spec.words}; loss {spec.loss}.")
        lines.append(f"Judged on {count(bounty.held_out.rows, 'held-out row')} of the scientist's own.")
    elif found is not None:
        verbatim = found.summary()
    if found is None:
        lines.append(f"There is no result yet: {problem}.")
    elif summary["metric"]:
        final, initial = in_words(summary["final"]), in_words(summary["initial"])
        lines.append(f"On these rows: {final}; at the start {initial}.")
    return Section("What it is", lines, verbatim=verbatim)


def _data(records: Records, bounty: AnyBounty, summary: Mapping[str, Any], unit: Unit) -> Section:
    rows = Standing(records, bounty.design).before(records.finished() + 1).rows
    taken: dict[str, int] = {}
    for line in summary["rounds"]:
        for mine in line["accepted"]:
            taken[mine] = taken.get(mine, 0) + 1
    known = sum(rows.get(mine, 0) for mine in taken)
    lines = [f"{count(len(taken), 'data set')} of other people took part, with {count(known, 'row')} in all."]
    table = [
        [mine, f"{rows[mine]:,}" if mine in rows else "", str(rounds), _earned(summary, mine, unit)]
        for mine, rounds in sorted(taken.items())
    ]
    return Section("Data", lines, ["mine", "rows", "rounds accepted", "paid"], table)


def _earned(summary: Mapping[str, Any], mine: str, unit: Unit) -> str:
    paid = summary["payouts"].get(mine, {})
    return format_amount(paid.get("fee_units", 0) + paid.get("reward_units", 0), unit)


def _losses(summary: Mapping[str, Any], unit: Unit) -> Section:
    names = list(summary["initial"])
    rows = [["start", *cells(summary["initial"], names), "", ""]]
    for line in summary["rounds"]:
        shown = (
            cells(line["figures"], names) if line["figures"] else [line["ended"], *[""] * (len(names) - 1)]
        )
        took = f"{len(line['accepted'])} of {len(line['cohort'])}"
        rows.append([str(line["round"]), *shown, took, format_amount(line["paid_units"], unit)])
    lines = [f"The aim was {in_words(summary['target'])}."] if summary["target"] else []
    return Section("Losses", lines, ["round", *map(heading, names), "mines accepted", "paid"], rows)


def _coefficients(model: LinearModel) -> Section:
    slopes = list(model.slopes.items())
    rows = [[name, plain(slope.per_unit, 5), _range(slope)] for name, slope in slopes[:_MOST]]
    lines = ["By how much the model moves per unit of a column, in the column's range."]
    if len(slopes) > _MOST:
        lines.append(f"The first {_MOST} of {len(slopes)}.")
    return Section("Coefficients", lines, ["column", "per unit", "range"], rows)


def _range(slope: Slope) -> str:
    return f"{plain(slope.low, 4)} to {plain(slope.high, 4)}" if slope.bounded else ""


def _privacy(
    bounty: AnyBounty, summary: Mapping[str, Any], revealed: Mapping[str, Revealed] | None
) -> Section:
    aggregates = sum(line["loss"] is not None for line in summary["rounds"])
    told = learned(bounty, aggregates, revealed or {})
    parties = list(next(iter(told.values())))
    rows = [[what, *(_unsaid(text, revealed) for text in by.values())] for what, by in told.items()]
    covered = "capsules' masks come off sums alone"
    if bounty.settings.capsules is None:
        covered = "the scientist's key could open each, and her program opens sums alone"
    lines = [f"Answers are encrypted: {covered}. Who has learned what:"]
    privacy = getattr(bounty.settings, "privacy", None)
    if privacy is not None:
        stated = ", ".join(f"{name} {value}" for name, value in privacy.model_dump(exclude_none=True).items())
        lines.insert(0, f"Mines add noise to their sums, for differential privacy: {stated}.")
    return Section("Privacy", lines, ["what", *parties], rows)


def _unsaid(text: str, revealed: Mapping[str, Revealed] | None) -> str:
    """Return how much was revealed; without its number where that is not known."""
    return text.removeprefix("0 ") if revealed is None else text


def _payments(summary: Mapping[str, Any], unit: Unit) -> Section:
    asset = "" if unit.asset == ETHER else f" in the token {unit.asset}"
    amounts = [
        format_amount(summary[name], unit) for name in ("escrow_units", "paid_units", "refunded_units")
    ]
    escrow, paid, refunded = amounts
    lines = [f"{escrow}{asset} were put down; {paid} were paid to mines, and {refunded} came back."]
    return Section("Payments", lines)


def _chain(records: Records, network: NetworkConfig, summary: Mapping[str, Any]) -> Section:
    page = EXPLORERS.get(network.chain_id, "")
    ended = filter(None, (summary["status"], summary["closed"].lower().replace("_", " ")))
    rows = [
        ["network", f"{network.name}, chain {network.chain_id}", ""],
        ["contract", f"{page}/address/{network.contract}" if page else str(network.contract), ""],
        ["bounty", summary["bounty"] or "not posted", " ".join(ended)],
    ]
    for line in summary["rounds"]:
        finished: Finished = records.get(Finished, line["round"])
        block = f"{page}/block/{finished.block}" if page else f"block {finished.block}"
        rows.append([f"round {line['round']}, {line['ended']}", block, _manifest(finished)])
    return Section("On the chain", [], ["what", "where", "model manifest"], rows)


def _manifest(finished: Finished) -> str:
    """Return the address of the manifest that a round was settled with; empty for none."""
    digest = finished.model_digest
    return str(Cid("dag-cbor", Digest(digest))) if len(digest) == 32 and any(digest) else ""


def _markdown(section: Section) -> str:
    parts = [f"## {_marked(section.title)}", *(_marked(line) for line in section.lines)]
    if section.rows:
        parts.append("\n".join(_table(section)))
    if section.verbatim:
        parts.append("\n".join(f"    {line}" for line in printable(section.verbatim).splitlines()))
    return "\n\n".join(parts)


def _table(section: Section) -> Iterator[str]:
    for row in (section.headings, ["---"] * len(section.headings), *section.rows):
        yield f"| {' | '.join(row if row[0] == '---' else map(_marked, row))} |"


def _marked(text: str) -> str:
    """Return text that strangers may have written, as Markdown that shows it as it is."""
    shown = printable(text).replace("\n", " ")
    return "".join(f"\\{char}" if char in "\\`*_{}[]<>#|~!" else char for char in shown)


def _html(section: Section) -> str:
    parts = [f"<h3>{_safe(section.title)}</h3>", *(f"<p>{_safe(line)}</p>" for line in section.lines)]
    if section.rows:
        head = "".join(f'<th style="{_CELL}">{_safe(each)}</th>' for each in section.headings)
        body = "".join(
            f"<tr>{''.join(f'<td style={chr(34)}{_CELL}{chr(34)}>{_linked(cell)}</td>' for cell in row)}</tr>"
            for row in section.rows
        )
        parts.append(f'<table style="{_STYLE}"><tr>{head}</tr>{body}</table>')
    if section.verbatim:
        parts.append(f"<pre>{escape(printable(section.verbatim))}</pre>")
    return "".join(parts)


def _linked(text: str) -> str:
    """Return a cell; a page of a chain is a link."""
    safe = _safe(text)
    return f'<a href="{safe}">{safe}</a>' if text.startswith("https://") and " " not in text else safe


def _safe(text: str) -> str:
    return escape(printable(text)).replace("\n", "<br>")
