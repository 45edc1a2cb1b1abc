"""What the commands do to a home, apart from running it: make it, register data, leave a bounty."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mine.consent import POLICY_FILE
from mine.wiring import ROLE, Mine
from sonar.errors import ConfigError, UsageError
from sonar.home import keystore
from sonar.home.files import in_full
from sonar.home.folder import Home, default_home
from sonar.home.settings import NetworkConfig
from sonar.telling.text import count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mine.data.dataset import DataSet
    from mine.work.state import Book

_POLICY = """\
# What this mine allows. A missing line means the default, which is shown.
[policy]
# min_fee_wei = 0                    # a settled round's fee for each mine with a share
# max_stake_wei = 1000000000000000000
# min_window_s = 5                   # of each of a round's three windows
# max_window_s = 604800              # a stake is held until its round ends
# min_overdue_bps = 5000             # of the unpaid reward, due when the scientist does not settle
# max_rounds = 100                   # per data set, over all bounties: each round tells a little
# min_key_bits = 2048
# max_weights = 4096
# max_sums = 4096                    # of a statistic, in one round
# max_blob_bytes = 16777216
# max_train_s = 60                   # for one update, on one core: a node that trains does nothing else
# max_bits = 512                     # of an answer, that each capsule may tell in a round
# max_bits_all = 65536               # of a data set, that all capsules may tell, over all bounties
insecure_keys = {insecure}              # true admits 1024-bit keys: for made-up data only

# Capsules hide each answer from everybody, so that only sums are ever opened. The scientist chooses those of
# her bounty; the mine joins if those that you do not trust could not open an answer together with her.
[capsules]
# trusted = []                       # their accounts; none named: those that the network's file lists
# without = true                     # false: join no bounty without capsules: her software could read answers
# audited = true                     # false: join no bounty whose capsules recompute its settlements

# What may be learned of a row, in all: the budget of each data set that has none of its own. With one, a data
# set joins only bounties that add noise, and `mine privacy` shows what they cost. It is counted by rows, so a
# renamed or extended file is recognised.
[privacy]
# epsilon = 8                        # none: no limit
# delta = 1e-5
# ledger = "/full/path.sqlite"       # where it is counted; several homes of one owner may share it

# Tokens that this mine takes besides ether, by address, with the most to stake in a round, in the token's
# smallest unit. A token's owner may be able to freeze or change balances: list those that you trust.
[tokens]
# "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48" = {{ max_stake = 50000000, min_fee = 0 }}
"""


def make_home(
    path: Path | None, network: Path | None, *, dev: bool, insecure_keys: bool, password_file: Path | None
) -> Path:
    """Make what a home lacks, and return its path.

    Raises ConfigError, KeyFileError, HomeLocked, and UsageError if a stake could be lost on its old network.
    """
    path = path or default_home(ROLE)
    config = NetworkConfig.load(network or path / "network.toml")
    if dev and not config.dev:
        raise ConfigError(
            "--dev",
            f"{config.name!r} is not a development network",
            hint="leave --dev out: money is at stake",
        )
    with Home(path, ROLE).lock() as home:
        if network is not None and in_full(network, "--network") != in_full(home.network, "--network"):
            _check_leaving(home, config)
            config.save(home.network)
        policy = home.path / POLICY_FILE
        if not policy.exists():
            keystore.write_private(policy, _POLICY.format(insecure=str(insecure_keys).lower()).encode())
        if not keystore.addresses(home.keystore):
            password = keystore.read_password(password_file, confirm=True)
            keystore.create(home.keystore, password, dev=dev)
        return home.path


def _check_leaving(home: Home, new: NetworkConfig) -> None:
    """Refuse to move a home from a network where it could lose a stake. Raises UsageError."""
    from mine.work.state import Book
    from sonar.home.journal import Journal

    try:
        old = NetworkConfig.load(home.network)
    except ConfigError:
        return  # none yet, or a damaged one, for which a new one is the cure
    # A development network may be gone, with all of its worthless stakes.
    if old.dev or (old.chain_id, old.contract) == (new.chain_id, new.contract):
        return
    with Journal(home.journal) as journal:
        if at_risk := Book(journal).at_risk():
            raise UsageError(
                f"the stake in round {at_risk[0].round} on the network {old.name!r} could be lost",
                hint="let `mine run` bring the round past its reveal first, or name a new home with --home",
            )


def next_step(mine: Mine) -> str:
    """What an operator should do now."""
    if not mine.book.datasets():
        return "register data: `mine data add --csv FILE`"
    return f"send ether to {mine.address} for stakes and gas, then: `mine doctor`"


def add_data(
    book: Book,
    csv: Path | None,
    example: str | None,
    shard: str,
    name: str | None = None,
    *,
    without: Sequence[str] = (),
    replace: bool = False,
) -> DataSet:
    """Register a data set. Raises UsageError, DataError."""
    from mine.data import dataset as data

    if (csv is None) == (example is None):
        raise UsageError("name one source of data", hint="give --csv FILE or --example NAME, not both")
    if csv is not None:
        dataset = data.register_csv(csv, name, without)
    else:
        dataset = data.register_example(str(example), shard, name, without)
    if not replace:
        _check_new(book, dataset)
    book.register(dataset)
    return dataset


def _check_new(book: Book, dataset: DataSet) -> None:
    """Refuse to replace an existing data set with other content. Raises UsageError."""
    for known in book.datasets():
        if known.name == dataset.name and known.digest != dataset.digest:
            raise UsageError(
                f"there is a data set {known.name!r} already, with other content: "
                f"{count(known.rows, 'row')} of {known.source}, used in "
                f"{count(book.uses(known.digest), 'round')}",
                hint="give this one another name: `mine data add --name NEW`; or, to use it from now on for "
                "bounties that you join, replace the old one: `mine data add --replace`",
            )


def leave(book: Book, prefix: str) -> str:
    """Leave the joined bounty whose id `prefix` abbreviates, and return its id. Raises UsageError."""
    from sonar.protocol.ids import abbreviates, hex32

    is_meant = abbreviates(prefix)
    found = [one.bounty for one in book.joined() if is_meant(one.bounty)]
    if len(found) != 1:
        raise UsageError(f"{len(found)} joined bounties begin with {prefix[:80]!r}", hint="see `mine status`")
    at_risk = [part.round for part in book.at_risk() if part.bounty == found[0]]
    if at_risk:
        raise UsageError(
            f"the stake in round {at_risk[0]} could be lost",
            hint="let `mine run` bring the round past its reveal first, then leave",
        )
    book.leave(found[0])
    return hex32(found[0])


def require_dev(mine: Mine, asked: bool, option: str) -> None:
    """Check that automatic joining is asked for on a development network only. Raises ConfigError."""
    if asked and not mine.network.dev:
        raise ConfigError(
            option,
            f"works on networks marked dev = true, and {mine.network.name!r} is not",
            hint="join each bounty by `mine join BOUNTY`, after reading what it asks for",
        )
