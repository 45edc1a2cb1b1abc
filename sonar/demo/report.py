"""The demo's result, read from the chain's own record: tables for people, one document for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace

from rich.console import Console
from rich.padding import Padding

from sonar.demo import budgets
from sonar.demo.budgets import BudgetRow
from sonar.demo.readers import HEADINGS, Capsules, readers
from sonar.protocol.ids import Address
from sonar.telling.amounts import IN_ETHER, format_wei, in_column
from sonar.telling.documents import Amount, document
from sonar.telling.figures import cells, heading
from sonar.telling.tables import print_table
from sonar.telling.text import short


@document
class RoundRow:
    """One settled round. `cohort` and `shares_bps` go together, in the order of the report's mines."""

    round: int
    loss: int
    best_loss: int
    figures: dict[str, float]
    cohort: list[Address]
    shares_bps: list[int]
    left_out: dict[str, str]
    paid_wei: Amount
    gas: dict[str, int]
    seconds: dict[str, float]


@document
class MineRow:
    """One mine, over the whole bounty."""

    name: str
    address: Address
    pid: int
    rows: int
    fees_wei: Amount
    rewards_wei: Amount
    stakes_back_wei: Amount
    forfeits_wei: Amount
    gas_wei: Amount
    withdrawn_wei: Amount


@document
class Report:
    """The whole run. `escrow_wei` = `paid_wei` + `refunded_wei` + `held_wei`.

    Losses are in millionths of the null model's, whose MSE is `null_mse`; `initial` says it as people do.
    """

    bounty: str
    scientist: str
    contract: str
    key_bits: int
    chain: dict[str, str | int]
    store: str
    null_mse: float
    initial_loss: int
    initial: dict[str, float]
    final_loss: int
    rounds: list[RoundRow]
    mines: list[MineRow]
    escrow_wei: Amount
    paid_wei: Amount
    refunded_wei: Amount
    held_wei: Amount
    contract_balance_wei: Amount
    wall_seconds: float
    seconds: dict[str, float] = field(default_factory=dict)
    capsules: Capsules | None = None
    budgets: list[BudgetRow] = field(default_factory=list)
    home: str = ""
    plot: str = ""


def with_plot(report: Report, path: str) -> Report:
    """Return the report with the path of its picture."""
    return replace(report, plot=path)


def show(report: Report, console: Console) -> None:
    """Print the tables and the sentences that go with them."""
    console.print("[bold]Rounds[/]")
    _print_rounds(report, console)
    calls = "commit/reveal/fix/settle" if report.capsules else "commit/reveal/settle"
    legend = (
        "R², MSE: on the scientist's held-out rows; the start is the null model, which predicts their mean\n"
        "shares: in the order of the mines in the table below\n"
        f"gas: {calls}, the highest of the round"
    )
    console.print(legend, style="dim", highlight=False)
    console.print("\n[bold]Mines[/]", highlight=False)
    _print_mines(report, console)
    legend = "fees: each round's go in equal parts to the mines that helped, which are those with a share"
    console.print(legend, style="dim", highlight=False)
    console.print(
        f"\nescrow {format_wei(report.escrow_wei)} = paid {format_wei(report.paid_wei)}"
        f" + refunded {format_wei(report.refunded_wei)} + held {format_wei(report.held_wei)}",
        highlight=False,
    )
    console.print()
    console.print("[bold]Who learned what[/]")
    for who, what in learned(report):
        console.print(Padding(f"[cyan]{who}[/]: {what}", (0, 0, 0, 2)), highlight=False)
    console.print("\n[bold]Who could have read what[/]")
    shown = len(HEADINGS) if report.capsules else len(HEADINGS) - 1  # without capsules nobody else signs
    rows = [line[:shown] for line in readers(report.capsules)]
    print_table(HEADINGS[:shown], rows, texts=HEADINGS[:4], file=console.file)
    console.print()
    console.print(
        "[bold]Where the time went[/] (stages in wall time; the parties' work summed over processes)"
    )
    for part, seconds in sorted(report.seconds.items(), key=lambda item: (_group(item[0]), -item[1])):
        console.print(f"  {part:<56} {seconds:6.1f} s", highlight=False)
    console.print(f"  {'wall clock in total':<56} {report.wall_seconds:6.1f} s", highlight=False)
    if report.budgets:
        budgets.show(report.budgets, console)


def helped(report: Report, mine: MineRow) -> int:
    """In how many rounds a mine had a share: the fees of a round go to those, in equal parts."""
    shares = (dict(zip(row.cohort, row.shares_bps, strict=True)) for row in report.rounds)
    return sum(each.get(mine.address, 0) > 0 for each in shares)


def _group(part: str) -> int:
    return ("start", "training", "pysonar", "capsules", "mines").index(part.partition(":")[0])


def learned(report: Report) -> Sequence[tuple[str, str]]:
    """Who learned what in this run, per party; no less than the design's table."""
    rounds = len(report.rounds)
    mines = max((len(r.cohort) for r in report.rounds), default=0)
    sums = (
        f"the weights; {rounds} aggregates over {mines} mines each, which give the pooled sums of all"
        " data after as many rounds as the model has weights;"
    )
    return (
        ("the scientist", f"{sums} {_of_one(report.capsules)}"),
        *([("each capsule", _of_masks(report.capsules))] if report.capsules else []),
        *([("anybody", _of_rows(report))] if report.budgets else []),
        (
            "each mine",
            "its own data; the weights only as ciphertexts, and what public losses and shares imply"
            " about them.",
        ),
        ("other mines", "nothing of a mine's data but its row count and its public shares."),
        (
            "the public",
            "row counts, losses, shares and payments; mean and deviation of each held-out column,"
            " the target included; every blob in the store is encrypted.",
        ),
    )


def _of_one(capsules: Capsules | None) -> str:
    """What the scientist learned of a single mine."""
    if capsules is None:
        return (
            "one score of 16 bits and yes/no tests per mine and round. The shipped client decrypts nothing"
            " else, but she holds the key: other software of hers could decrypt single updates."
        )
    return (
        f"at most {capsules.bits} bits of each mine's update in a round from each capsule, for tests and"
        f" a score. What she decrypts is masked: without {capsules.threshold} capsules no software of hers"
        " reads an update."
    )


def _of_rows(report: Report) -> str:
    """What the noise leaves to be learned of a row."""
    spent, delta = max(row.spent for row in report.budgets), report.budgets[0].delta
    told = (
        f"of any single row, from {budgets.whose(report.budgets)}, at most what ({spent:.4g}, {delta:g})-"
        "differential privacy allows: mines added noise to their sums before they answered."
    )
    if max(row.parts for row in report.budgets) == 1:
        return told
    return f"{told} One mine's sums alone have less noise, and tell more."


def _of_masks(capsules: Capsules) -> str:
    """What a capsule learned."""
    told = "masks, and who took part; no mine's data, and no update without masks."
    if not capsules.audited:
        return told
    return f"{told} Those that signed settlements saw the weights, the held-out rows and the sums for it."


def _print_rounds(report: Report, console: Console) -> None:
    """One line per round; 80 columns hold it for all the mines there can be."""
    names = ("r2", "mse")
    unit, paid = in_column([row.paid_wei for row in report.rounds], IN_ETHER)
    headings = ("round", *map(heading, names), "share of each mine\n%", f"paid\n{unit}", "gas\nthousands")
    rows = [["start", *cells(report.initial, names), "", "", ""]]
    for row, amount in zip(report.rounds, paid, strict=True):
        shares = dict(zip(row.cohort, row.shares_bps, strict=True))
        told = [f"{shares[m.address] / 100:2.0f}" if m.address in shares else " -" for m in report.mines]
        gas = [call for call in ("commit", "reveal", "fix", "settle") if call in row.gas or call != "fix"]
        rows.append(
            [
                str(row.round),
                *cells(row.figures, names),
                " ".join(told),
                amount,
                "/".join(f"{row.gas.get(call, 0) / 1000:.0f}" for call in gas),
            ]
        )
    spare = (headings[-1], headings[2])
    print_table(headings, rows, right={*headings} - {headings[3]}, spare=spare, file=console.file)


def _print_mines(report: Report, console: Console) -> None:
    """What each mine was paid; who helped in a round has a part of its fees, so that column says why."""
    amounts = {
        "fees": [row.fees_wei for row in report.mines],
        "rewards": [row.rewards_wei for row in report.mines],
        "stake back": [row.stakes_back_wei for row in report.mines],
        "gas": [row.gas_wei for row in report.mines],
        "withdrawn": [row.withdrawn_wei for row in report.mines],
    }
    columns = {
        "mine": [row.name for row in report.mines],
        "address": [short(row.address) for row in report.mines],
        "rows": [str(row.rows) for row in report.mines],
        "helped\nrounds": [str(helped(report, row)) for row in report.mines],
    }
    for told, values in amounts.items():
        unit, cells_of = in_column(values, IN_ETHER)
        columns[f"{told}\n{unit}"] = cells_of
    headings = list(columns)
    print_table(
        headings,
        list(zip(*columns.values(), strict=True)),
        right=headings[2:],
        spare=(headings[-3], headings[-2], "address"),
        file=console.file,
    )
