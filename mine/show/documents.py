"""What the commands print with `--json`, each as its type, for programs that read it."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from sonar.accounts import AccountChanged, FormerAccount
from sonar.protocol.ids import ETHER, Address
from sonar.telling.checks import Examination
from sonar.telling.documents import Amount, PartyReady, document


@document
class DataFacts:
    """A registered data set; `left_out` says of columns of its source why they are not in it.

    The `declarable` ones of them serve bounties which declare what their cells mean, as categories do.
    """

    name: str
    kind: str
    source: str
    digest: str
    columns: list[str]
    rows: int
    left_out: dict[str, str]
    declarable: list[str]


@document
class DataUse(DataFacts):
    """The same, and in how many rounds it was used, of how many at most; `budget` is what is spent of it."""

    used: int
    max_rounds: int
    budget: str = ""


@document
class Fit:
    """Whether a data set fits a bounty; if not, why, and what to do."""

    name: str
    fits: bool
    problem: str = ""
    hint: str = ""


@document
class CoverFacts:
    """What hides a mine's answers in a bounty; `readers` says in words who could read one all the same.

    `kind` is paillier, or veil if there are capsules: any `threshold` of them with the scientist could, and
    `strangers` are those that the mine does not trust. Each tells at most `bits` of an answer in a round.
    `audited`: they recompute the settlements.
    """

    kind: str
    threshold: int
    capsules: list[Address]
    strangers: list[Address]
    bits: int
    audited: bool
    readers: str


@document
class ScientistRecord:
    """What a scientist posted under her `accounts`, oldest first: in all, closed, and of these overdue."""

    accounts: list[Address]
    posted: int
    closed: int
    overdue: int


@document
class CostFacts:
    """What a bounty would cost a data set, as epsilon at `delta`: 0 for a release that was made before.

    `left` after it; None if the data set has no budget.
    """

    data: str
    epsilon: float
    delta: float
    free: bool
    left: float | None


@document
class PriceFacts:
    """What a release for a bounty costs the rows in it, as epsilon at `delta`.

    `parts`: how many mines' noise it takes. `alone`: the epsilon with this mine's own noise, against who sees
    its answer by itself.
    """

    epsilon: float
    delta: float
    parts: int
    alone: float


@document
class OfferFacts:
    """A bounty as this mine sees it. `data`: which of its data fit, or why none does.

    What the bounty's manifest says is empty where that could not be read. `record` is the scientist's.
    """

    bounty: str
    name: str
    scientist: Address
    status: str
    round: str
    ends: int | None
    mines: str
    windows_s: list[int]
    quiet_s: int
    settler: Address
    overdue_bps: int
    asset: Address
    stake: str
    fee: str
    reward: str
    stake_units: Amount
    fee_units: Amount
    reward_units: Amount
    key_bits: int
    needs: list[str]
    asks: str
    data: list[str]
    problem: str
    hint: str
    chain_time_s: int
    symbol: str = ""
    decimals: int | None = None
    cover: CoverFacts | None = None
    record: ScientistRecord | None = None
    price: PriceFacts | None = None
    costs: list[CostFacts] = field(default_factory=list)


@document
class JoinedFacts:
    """A bounty that was just joined, and what an update takes of the idle time before it."""

    bounty: str
    data: str
    rows: int
    blindings: int
    idle_s: float
    cover: CoverFacts


@document
class Left:
    """A bounty that was left."""

    left: str


@document
class Told:
    """What a bounty's rounds have revealed about a mine's data, beyond the sums over its cohorts.

    `bits` in all, at most: scores, and a bit for each round without a share; where there are capsules both
    follow from what these told, at most `capsule_bits`.
    """

    updates: int
    score_bits: int
    no_share: int
    bits: int
    capsule_bits: int = 0


@document
class Standing:
    """A joined bounty, and the states of this mine's rounds in it; `cover` is None of one that was left."""

    bounty: str
    data: str
    status: str
    round: str
    state: str
    ends: int | None
    states: dict[str, str]
    revealed: Told
    cover: CoverFacts | None = None


@document
class TokenHeld:
    """What a mine has in a token, and what it is owed; None where the token does not answer."""

    asset: Address
    held_units: Amount | None
    withdrawable_units: Amount
    told: str


@document
class RefusalFacts:
    """Why a bounty is refused, and what to do."""

    bounty: str
    error: str
    hint: str


@document
class MineStatus:
    """A mine, its bounties, its data, and what it told.

    With a `problem` the chain could not be asked: what is of it is None, and the rest this home's own record.
    """

    address: Address
    network: str
    process: str
    ipfs: dict[str, Any] | None
    data: list[DataUse]
    refused: list[RefusalFacts]
    bounties: list[Standing]
    problem: str = ""
    block: int | None = None
    chain_time_s: int | None = None
    ether_wei: Amount | None = None
    withdrawable_wei: Amount | None = None
    tokens: list[TokenHeld] | None = None
    former: list[FormerAccount] | None = None


@document
class RoundIncome:
    """One round's income in the smallest unit of `asset`; gas in wei. See `mine.show.earnings`."""

    bounty: str
    round: int
    state: str
    share_bps: int
    fee_units: Amount
    reward_units: Amount
    forfeit_units: Amount
    stake_back_units: Amount
    stake_lost_units: Amount
    gas_wei: Amount
    asset: Address
    why: str
    net_units: Amount


@document
class TokenIncome:
    """A token's totals; None if the chain could not be asked."""

    asset: Address
    net_units: Amount
    withdrawable_units: Amount | None
    withdrawn_units: Amount | None
    unit: str = ""
    told: str = ""
    symbol: str = ""
    decimals: int | None = None


@document
class Income:
    """What a mine earned; with a `problem`, by its home's own record."""

    address: Address
    rounds: list[RoundIncome]
    net_wei: Amount
    other_gas_wei: Amount
    withdrawable_wei: Amount | None
    withdrawn_wei: Amount | None
    tokens: list[TokenIncome]
    problem: str = ""


@document
class SpentFacts:
    """What a data set has revealed to one bounty, or what its owner counts for it, in the order of time.

    `epsilon` is what it cost at the data set's delta, 0 for a release that was made before; `in_all` what
    was spent with it. `rows` are those of this data set that were in it, `of_rows` all that were. `clipped`:
    how many rows were larger than the bounty's bounds. `at_s` by the chain's clock.
    """

    at_s: int
    why: str
    bounty: str
    scientist: str
    network: str
    epsilon: float
    in_all: float
    parts: int
    rows: int
    of_rows: int
    clipped: int
    data: str
    release: str


@document
class BitsFacts:
    """How many bits capsules may have told of a data set's answers in a bounty."""

    bounty: str
    bits: int


@document
class PrivacyFacts:
    """What was learned of a data set, of how much: epsilon at `delta`, over all bounties.

    `budget` and `left` are None without a limit; `whose` says where the budget comes from. `known_rows` are
    those that were released before, in this data set or another. `gaps`: what may be missing here. With a
    `problem` the rows could not be read, and the counts are of nothing.
    """

    data: str
    rows: int
    budget: float | None
    delta: float
    whose: str
    spent: float
    left: float | None
    known_rows: int
    revealed: list[SpentFacts]
    bits: int
    max_bits: int
    bits_in: list[BitsFacts]
    gaps: list[str]
    problem: str = ""


@document
class BudgetFacts:
    """The budget of a data set as it is now; None without a limit."""

    data: str
    budget: float | None
    delta: float
    spent: float
    left: float | None


@document
class Claimed:
    """A withdrawal that is mined; of several, if former accounts were owed something too, all together.

    `accounts` took it out, the last of them by `tx_hash`. `moved_wei` is ether that former accounts held.
    """

    to: Address
    amount_units: Amount
    amount: str
    tx_hash: str
    gas_wei: Amount
    asset: Address = ETHER
    accounts: list[Address] = field(default_factory=list)
    moved_wei: Amount = 0
    moved: str = ""


ANSWERS: dict[str, Any] = {
    "init": PartyReady,
    "doctor": Examination,
    "data add": DataFacts,
    "data list": list[DataUse],
    "data check": list[Fit],
    "data budget": BudgetFacts,
    "privacy": list[PrivacyFacts],
    "bounties": list[OfferFacts],
    "join": list[JoinedFacts],
    "leave": Left,
    "status": MineStatus,
    "earnings": Income,
    "claim": Claimed,
    "rotate": AccountChanged,
}
"""By command; `mine run` tells its progress instead (`sonar.telling.progress`)."""
