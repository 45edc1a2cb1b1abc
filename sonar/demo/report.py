"""What the demo ends with, read from the chain's own record: tables for people, one document for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

from rich.console import Console
from rich.table import Table

from sonar.amounts import format_wei


@dataclass(frozen=True)
class RoundRow:
    """One settled round. `cohort` and `shares_bps` go together, in the order of the report's mines."""

    round: int
    loss: int
    best_loss: int
    cohort: list[str]
    shares_bps: list[int]
    left_out: dict[str, str]
    paid_wei: int
    gas: dict[str, int]
    seconds: dict[str, float]


@dataclass(frozen=True)
class MineRow:
    """One mine, over the whole bounty."""

    name: str
    address: str
    pid: int
    rows: int
    fees_wei: int
    rewards_wei: int
    stakes_back_wei: int
    forfeits_wei: int
    gas_wei: int
    withdrawn_wei: int


@dataclass(frozen=True)
class Report:
    """The whole run. `escrow_wei` = `paid_wei` + `refunded_wei` + `held_wei`."""

    bounty: str
    scientist: str
    contract: str
    key_bits: int
    chain: dict[str, str | int]
    store: str
    initial_loss: int
    final_loss: int
    rounds: list[RoundRow]
    mines: list[MineRow]
    escrow_wei: int
    paid_wei: int
    refunded_wei: int
    held_wei: int
    contract_balance_wei: int
    wall_seconds: float
    seconds: dict[str, float] = field(default_factory=dict)
    home: str = ""
    plot: str = ""

    def to_json(self) -> dict[str, object]:
        """The document of `sonar demo --json`."""
        return asdict(self)


def with_plot(report: Report, path: str) -> Report:
    """Return the report with the path of its picture."""
    return replace(report, plot=path)


def show(report: Report, console: Console) -> None:
    """Print the tables and the sentences that go with them."""
    console.print(_rounds_table(report))
    console.print(_mines_table(report))
    console.print(
        f"escrow {format_wei(report.escrow_wei)} = paid {format_wei(report.paid_wei)}"
        f" + refunded {format_wei(report.refunded_wei)} + held {format_wei(report.held_wei)}"
    )
    console.print()
    console.print("[bold]Who learned what[/]")
    for who, what in learned(report):
        console.print(f"  [cyan]{who:<16}[/] {what}", soft_wrap=True)
    console.print()
    console.print("[bold]Where the time went[/]")
    for part, seconds in sorted(report.seconds.items(), key=lambda item: -item[1]):
        console.print(f"  {part:<44} {seconds:6.1f} s")
    console.print(f"  {'wall clock, all of it':<44} {report.wall_seconds:6.1f} s")


def learned(report: Report) -> Sequence[tuple[str, str]]:
    """Who learned what in this run, per party; no less than the design's table."""
    rounds = len(report.rounds)
    mines = max((len(r.cohort) for r in report.rounds), default=0)
    return (
        (
            "the scientist",
            f"the weights; {rounds} aggregates over {mines} mines each, which after as many rounds as the"
            " model has weights amount to the pooled sums of all data; one score of 16 bits and yes/no tests"
            " per mine and round. The shipped client decrypts nothing else, but she holds the key: other"
            " software of hers could decrypt single updates.",
        ),
        (
            "each mine",
            "its own data; the weights only as ciphertexts, and what public losses and shares imply of them.",
        ),
        ("other mines", "nothing of a mine's data but its row count and its public shares."),
        ("the public", "row counts, losses, shares and payments; every blob in the store is encrypted."),
    )


def _rounds_table(report: Report) -> Table:
    table = Table(title="Rounds", title_justify="left")
    for heading in ("round", "loss", "cohort", "shares %", "paid", "gas commit/reveal/settle", "seconds"):
        table.add_column(heading, justify="right" if heading not in ("shares %",) else "left")
    table.add_row("start", f"{report.initial_loss:,}", "", "", "", "", "")
    for row in report.rounds:
        gas = "/".join(f"{row.gas.get(call, 0) / 1000:.0f}k" for call in ("commit", "reveal", "settle"))
        table.add_row(
            str(row.round),
            f"{row.loss:,}",
            str(len(row.cohort)),
            " ".join(f"{bps / 100:.0f}" for bps in row.shares_bps),
            format_wei(row.paid_wei),
            gas,
            f"{row.seconds.get('round', sum(row.seconds.values())):.1f}",
        )
    return table


def _mines_table(report: Report) -> Table:
    table = Table(title="Mines", title_justify="left")
    for heading in ("mine", "address", "rows", "fees", "rewards", "stakes back", "gas", "withdrawn"):
        table.add_column(heading, justify="left" if heading in ("mine", "address") else "right", no_wrap=True)
    for row in report.mines:
        table.add_row(
            row.name,
            f"{row.address[:8]}…{row.address[-4:]}",
            str(row.rows),
            *(
                format_wei(wei)
                for wei in (
                    row.fees_wei,
                    row.rewards_wei,
                    row.stakes_back_wei,
                    row.gas_wei,
                    row.withdrawn_wei,
                )
            ),
        )
    return table
