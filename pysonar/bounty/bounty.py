"""What a scientist asks for: holdout, model, money and windows, from code or from `bounty.toml`.

    name = "diabetes"
    rounds = 7
    cohort = 10                # most mines per round
    reward = "1 ether"

    asset = "0xA0b8…"          # a token; then asset_symbol and asset_decimals too, and amounts in that unit
    feature_map = "polynomial" # products of columns too, by degree; or "fourier", by n_components and gamma
    allow = ["0x5290…"]        # the mines that may take part; or allow_file, with an address a line

    [holdout]
    csv = "holdout.csv"        # or: example = "diabetes", rows = 42
    target = "progression"

Everything that is not given has a default; `explain()` tells them all, and what the bounty costs and reveals,
before a wei is spent.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from sonar.data import examples
from sonar.data.table import MAX_CSV_BYTES, Table, missing_column, parse_csv
from sonar.errors import ConfigError, DataError
from sonar.families.quadratic.design import Design, Wish, design_of
from sonar.families.quadratic.holdout import require_rows
from sonar.families.quadratic.maps.registry import WISHES
from sonar.families.quadratic.optimisers.base import Optimiser
from sonar.families.quadratic.optimisers.registry import OPTIMISERS
from sonar.home.folder import expanded
from sonar.home.settings import parse_toml
from sonar.paillier.affine import estimated_s
from sonar.protocol.allowlist import read_list, root_of
from sonar.protocol.ids import ETHER, ZERO32, Address, parse_address
from sonar.protocol.phase import Terms
from sonar.protocol.wording import first_fault
from sonar.telling.amounts import IN_ETHER, MAX_DECIMALS, Unit, format_amount, is_symbol, parse_amount
from sonar.telling.waiting import PATIENCE_S

MAX_TOML_BYTES = 1 << 20
MAX_TOTAL = 2**96 - 1
"""Of a bounty's escrow and all stakes that can be forfeited to it: what the contract holds."""
MIN_WINDOW_S, MIN_WINDOW_PER_MINE_S = 10, 3
T = TypeVar("T", bound=BaseModel)
_Amount = Annotated[str, Field(min_length=1, max_length=100)]
_Window = Annotated[int, Field(ge=MIN_WINDOW_S, lt=1 << 24)]
_Positive = Annotated[float, Field(gt=0, lt=1e15, allow_inf_nan=False)]
_Fraction = Annotated[int, Field(ge=0, le=48)]


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text):
        raise ValueError("must be 1 to 64 letters, digits, '.', '_' and '-', a letter or digit first")
    return text


class Settings(BaseModel):
    """All that a bounty is made of but the data. Losses are in the loss's own unit (`squared`: MSE).

    `asset` is a token's address, None for ether; stake, fee and reward are then in `asset_symbol`, which has
    `asset_decimals` digits after the point, or in "units", the token's smallest. `allow`: the mines that may
    take part; None for all. `degree` (None: 2) goes with the polynomial `feature_map`; `n_components`,
    `gamma` (None: 1 / columns) and `random_state` (None: 0) with the fourier one, scikit-learn's RBFSampler.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    name: Annotated[str, AfterValidator(_name)]
    loss: Literal["squared", "logistic-taylor"] = "squared"
    feature_map: Literal["standard", "polynomial", "fourier"] = "standard"
    degree: Annotated[int, Field(ge=2, le=3)] | None = None
    n_components: Annotated[int, Field(ge=1)] | None = None
    gamma: Annotated[float, Field(ge=1e-6, le=1e6, allow_inf_nan=False)] | None = None
    random_state: Annotated[int, Field(ge=0, lt=1 << 32)] | None = None
    clip: Annotated[float, Field(ge=1, le=1000, allow_inf_nan=False)] = 8.0
    optimiser: Literal["gradient-memory", "gradient-descent"] = "gradient-memory"
    rate: _Positive | None = None
    local_steps: Annotated[int, Field(ge=1, le=10_000)] = 1
    local_rate: Annotated[float, Field(gt=0, le=256, allow_inf_nan=False)] | None = None
    rounds: Annotated[int, Field(ge=1, le=254)] = 7
    cohort: Annotated[int, Field(ge=1, le=255)] = 10
    min_mines: Annotated[int, Field(ge=2, le=255)] = 3
    rows_min: Annotated[int, Field(ge=10, lt=1 << 32)] | None = None
    weight_rows: Annotated[int, Field(ge=1, lt=1 << 32)] | None = None
    commit_window_s: _Window | None = None
    reveal_window_s: _Window | None = None
    settle_window_s: _Window | None = None
    asset: Annotated[str, Field(max_length=42)] | None = None
    asset_symbol: Annotated[str, Field(max_length=16)] = ""
    asset_decimals: Annotated[int, Field(ge=0, le=MAX_DECIMALS)] | None = None
    stake: _Amount = "0.01 ether"
    fee: _Amount = "0.002 ether"
    reward: _Amount = "1 ether"
    allow: Annotated[list[str], Field(strict=False)] | None = None
    target_loss: Annotated[float, Field(ge=0, lt=1e15, allow_inf_nan=False)] | None = None
    key_bits: Annotated[int, Field(ge=1024, le=8192, multiple_of=256)] = 3072
    insecure_key: bool = False
    weight_max: _Positive | None = None
    a_row_l1_max: _Positive | None = None
    b_max: _Positive | None = None
    target_clip: _Positive | None = None
    weight_frac: _Fraction | None = None
    data_frac: _Fraction | None = None


class HoldoutSettings(BaseModel):
    """Where the holdout comes from: the first `rows` of an example (42), or a CSV with a header line."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    example: str | None = None
    rows: Annotated[int, Field(ge=1)] | None = None
    csv: str | None = None
    target: str | None = None
    features: list[str] | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Bounty:
    """A bounty before it is posted. Make one with `Bounty.from_toml`, `.example` or `.of`.

    Two are equal if settings and data are.
    """

    settings: Settings
    table: Table
    features: tuple[str, ...]
    target: str

    @classmethod
    def of(
        cls, x: Any, y: Any = None, *, target: str, features: Sequence[str] | None = None, **settings: Any
    ) -> Bounty:
        """Make a bounty from held-out data in memory; `settings` are the fields of `Settings`.

        `x` is an array [n, f] with `features` naming its columns and `y` [n], or a mapping from column name
        to values (a DataFrame will do), which may hold the target too, and with `features` other columns,
        which stay out. Raises ConfigError, DataError.
        """
        return cls(_settings(settings), *_in_memory(x, y, target, features))

    @classmethod
    def example(cls, example: str = "diabetes", /, *, rows: int = 42, **settings: Any) -> Bounty:
        """Make a bounty whose holdout is the first `rows` rows of a bundled example.

        It is named as the example, or by `name` in `settings`. Raises ConfigError, DataError.
        """
        given = _validated(HoldoutSettings, {"example": example, "rows": rows}, "holdout.")
        return cls(_settings({"name": example, **settings}), *_load(given, Path()))

    @classmethod
    def from_toml(cls, path: Path | str) -> Bounty:
        """Read `bounty.toml`; a relative `csv` is looked up beside it. Raises ConfigError, DataError."""
        path = Path(path)
        fields = parse_toml(_content(path, "bounty"), str(path))
        _read_allow_file(fields, path.parent)
        holdout = fields.pop("holdout", None)
        if not isinstance(holdout, dict):
            hint = '[holdout]\n  csv = "holdout.csv"\n  target = "the column to predict"'
            raise ConfigError("holdout", "the table [holdout] is missing", hint=f"add:\n  {hint}")
        settings = _settings(fields)
        return cls(settings, *_load(_validated(HoldoutSettings, holdout, "holdout."), path.parent))

    def __post_init__(self) -> None:
        s = self.settings
        if s.min_mines > s.cohort:
            hint = "lower it, to 2 at least (a sum of one update is that mine's), or raise cohort"
            raise ConfigError("min_mines", f"{s.min_mines} is more than cohort = {s.cohort}", hint=hint)
        terms = self.terms  # an amount, asset or address that is none is told now
        if terms.escrow_units + terms.stake_units * terms.cohort_cap * terms.rounds > MAX_TOTAL:
            limit = format_amount(MAX_TOTAL, self.unit)
            problem = f"with all fees and stakes it is more than the contract can hold, {limit}"
            raise ConfigError("reward", problem, hint="lower reward, fee, stake, cohort or rounds")
        if self.allowed and len(self.allowed) < s.min_mines:
            problem = f"names {len(self.allowed)} mines, and a round takes min_mines = {s.min_mines}"
            raise ConfigError("allow", problem, hint="name more mines, or lower min_mines")
        if s.key_bits < 2048 and not s.insecure_key:
            hint = "2048 is the least; insecure_key = true allows less, for comparisons only"
            raise ConfigError("key_bits", f"{s.key_bits} bits protect nothing", hint=hint)
        least = MIN_WINDOW_S + MIN_WINDOW_PER_MINE_S * s.cohort
        for name in ("commit_window_s", "reveal_window_s", "settle_window_s"):
            if (given := getattr(s, name)) is not None and given < least:
                hint = f"give 10 s and 3 s per mine at least: {least}"
                raise ConfigError(name, f"{given} s is too short for {s.cohort} mines", hint=hint)
        train_s = estimated_s(self.design.plan)
        if 2 * train_s > terms.commit_window_s:
            problem = (
                f"{terms.commit_window_s} s is too short for updates that take about {train_s:.0f} s each"
            )
            hint = f"give {2 * train_s + 1:.0f} at least, or ask for a model of fewer weights"
            raise ConfigError("commit_window_s", problem, hint=hint)
        if self.initial_loss <= self.target_loss:
            problem = f"{self.target_loss} is not below the start's loss, {self.initial_loss} millionths"
            raise ConfigError("target_loss", problem, hint="ask for less than what predicting 0 reaches")

    @cached_property
    def design(self) -> Design:
        """The model, its slot plan and the holdout, derived from settings and data."""
        s = self.settings
        given = {"kind": s.feature_map, "clip": s.clip}
        for name in ("degree", "n_components", "gamma", "random_state"):
            if getattr(s, name) is not None:
                if name not in WISHES[s.feature_map].model_fields:
                    raise ConfigError(name, f"has no effect with feature_map = {s.feature_map!r}")
                given[name] = getattr(s, name)
        names = set(Wish.__dataclass_fields__) - {"feature_map", "metric"}
        wish = Wish(
            feature_map=WISHES[s.feature_map](**given),
            metric=None,
            **{name: getattr(s, name) for name in names},
        )
        x, y = self.table.matrix(self.features), self.table.matrix([self.target])
        return design_of(wish, x, y, self.features, [self.target], np.random.RandomState)

    @property
    def optimiser(self) -> Optimiser:
        """What chooses the next weights."""
        rate = {} if self.settings.rate is None else {"rate": self.settings.rate}
        return OPTIMISERS[self.settings.optimiser](**rate).optimiser(self.design.ground)

    @cached_property
    def initial_loss(self) -> int:
        """Loss of the start on the holdout, in millionths of the null model's."""
        return self.design.initial_loss

    @cached_property
    def target_loss(self) -> int:
        """The loss that ends the bounty, in millionths; by default what no linear model can beat here."""
        wanted = self.settings.target_loss
        metric = "mse" if self.settings.loss == "squared" else "log_loss"
        holdout = self.design.holdout
        return holdout.floor() if wanted is None else holdout.loss_of(metric, wanted)

    @cached_property
    def terms(self) -> Terms:
        """The terms as the contract takes them. Raises ConfigError for an amount that is none."""
        s, unit = self.settings, self.unit
        window, settle = 60 + 6 * s.cohort, 120 + 6 * s.cohort
        return Terms(
            asset=unit.asset,
            cohort_cap=s.cohort,
            min_mines=s.min_mines,
            rounds=s.rounds,
            commit_window_s=s.commit_window_s or window,
            reveal_window_s=s.reveal_window_s or window,
            settle_window_s=s.settle_window_s or settle,
            stake_units=parse_amount(s.stake, unit, "stake"),
            fee_units=parse_amount(s.fee, unit, "fee"),
            reward_units=parse_amount(s.reward, unit, "reward"),
            initial_loss=self.initial_loss,
            target_loss=self.target_loss,
            allow_root=root_of(self.allowed) if self.allowed else ZERO32,
        )

    @property
    def patience_s(self) -> float:
        """How long to try what fails: a round's windows at least, since nobody else settles it."""
        terms = self.terms
        windows_s = terms.commit_window_s + terms.reveal_window_s + terms.settle_window_s
        return max(PATIENCE_S, windows_s)

    @cached_property
    def unit(self) -> Unit:
        """What amounts are told in, by the settings' word alone. Raises ConfigError."""
        s = self.settings
        if s.asset is None:
            if s.asset_symbol or s.asset_decimals is not None:
                raise ConfigError("asset", "is missing", hint="give the token's address, or no asset_… field")
            return IN_ETHER
        asset = parse_address(s.asset, "asset")
        if asset == ETHER:
            raise ConfigError("asset", "the zero address is no token", hint="leave asset out to pay in ether")
        if bool(s.asset_symbol) != (s.asset_decimals is not None):
            raise ConfigError(
                "asset_decimals", "goes with asset_symbol", hint="give both of them, or neither"
            )
        if s.asset_symbol and not is_symbol(s.asset_symbol):
            raise ConfigError(
                "asset_symbol", f"{s.asset_symbol!r} cannot be a unit", hint="a short name, as USDC"
            )
        return Unit(asset, s.asset_symbol, s.asset_decimals)

    @cached_property
    def allowed(self) -> tuple[Address, ...]:
        """The mines that may take part, ascending; empty for all. Raises ConfigError."""
        return () if self.settings.allow is None else read_list(self.settings.allow, "allow")

    @cached_property
    def digest(self) -> str:
        """Hex digest of settings and data: tells whether a file still says what was posted."""
        sha = hashlib.sha256(self.settings.model_dump_json().encode())
        sha.update(repr((self.features, self.target, self.table.columns, self.table.values.shape)).encode())
        sha.update(np.ascontiguousarray(self.table.values).tobytes())
        return sha.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bounty) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        # Without the rows: they would stay in the notebook that shows a bounty, and in every traceback.
        return (
            f"<Bounty {self.settings.name!r}: {self.target!r} from {len(self.features)} columns, "
            f"{self.table.rows} held-out rows>"
        )

    def explain(self) -> str:
        """Tell, before posting: the cost, the time, who learns what, and what a mine needs."""
        from pysonar.bounty.explain import explain

        return explain(self)


def _read_allow_file(fields: dict[str, Any], folder: Path) -> None:
    """Put the addresses of `allow_file`, one a line, in the place of that field."""
    named = fields.pop("allow_file", None)
    if named is None:
        return
    if "allow" in fields or not isinstance(named, str):
        raise ConfigError(
            "allow_file", "must be the name of a file, and the only list", hint="leave allow out"
        )
    text = _content(folder / named, "allow_file").decode("utf-8", "replace")
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    fields["allow"] = [line for line in lines if line]


def _content(path: Path, field: str, max_bytes: int = MAX_TOML_BYTES) -> bytes:
    """Return a file's bytes. Raises ConfigError naming `field`."""
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise ConfigError(field, f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:  # no file can have such a name
        raise ConfigError(field, f"{str(path)!r} cannot be read: {error}") from error
    if len(data) > max_bytes:
        raise ConfigError(field, f"{path} is larger than {max_bytes} bytes")
    return data


def check_key(name: str, key_bits: int) -> None:
    """Check what a key is made for: a bounty's name and its `key_bits`. Raises ConfigError."""
    _settings({"name": name, "key_bits": key_bits})


def _settings(fields: Mapping[str, Any]) -> Settings:
    # numpy's numbers equal Python's, and are what a notebook often has.
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in fields.items()}
    settings = _validated(Settings, plain, "")
    if settings.rate is not None and settings.optimiser != "gradient-descent":
        hint = 'leave it out, or say optimiser = "gradient-descent", which steps by it'
        raise ConfigError("rate", f"does nothing with optimiser = {settings.optimiser!r}", hint=hint)
    if settings.local_rate is not None and settings.local_steps == 1:
        hint = "leave it out, or ask for more local_steps, which go by it"
        raise ConfigError("local_rate", "does nothing with local_steps = 1", hint=hint)
    return settings


def _validated(model: type[T], fields: Mapping[str, Any], prefix: str) -> T:
    """Return the checked record. Raises ConfigError; for an unknown field it tells the nearest known name."""
    for name in fields:
        if name not in model.model_fields:
            if isinstance(fields[name], dict):
                hint = "the only table is [holdout]; all other fields stand above it"
                raise ConfigError(f"{prefix}{name}"[:80], "there is no such table", hint=hint)
            known = [*model.model_fields, *(["holdout"] if not prefix else [])]
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            if not prefix and name in HoldoutSettings.model_fields:
                raise ConfigError(name, "belongs into the table [holdout]", hint="move it below [holdout]")
            if prefix and name in Settings.model_fields:
                problem = "does not belong into the table [holdout]"
                raise ConfigError(f"{prefix}{name}", problem, hint="move it above [holdout]")
            hint = f"did you mean {prefix}{close[0]}?" if close else f"the fields are {', '.join(known)}"
            raise ConfigError(f"{prefix}{name}"[:80], "there is no such field", hint=hint)
    try:
        # A number that numpy counted is a plain one.
        plain = {name: v.item() if isinstance(v, np.generic) else v for name, v in fields.items()}
        return model.model_validate(plain)
    except ValidationError as error:
        name, problem = first_fault(error, "bounty", show=True)
        hint = "see `pysonar run --help`"
        if model is Settings and name in ("stake", "fee", "reward"):
            hint = f'give amount and unit in quotes: {name} = "{Settings.model_fields[name].default}"'
        raise ConfigError(f"{prefix}{name}", problem, hint=hint) from None


_Holdout = tuple[Table, tuple[str, ...], str]


def _load(given: HoldoutSettings, folder: Path) -> _Holdout:
    if (given.example is None) == (given.csv is None):
        raise ConfigError("holdout", "give either csv or example", hint='csv = "holdout.csv", say')
    if given.csv is None:
        assert given.example is not None
        table = examples.load(given.example)
        rows = examples.HOLDOUT_ROWS if given.rows is None else given.rows
        if rows > table.rows:
            raise ConfigError("holdout.rows", f"{given.example} has {table.rows} rows, not {rows}")
        return _chosen(table.slice(0, rows), given.target or table.columns[-1], given.features)
    if given.rows is not None:
        raise ConfigError("holdout.rows", "goes with example", hint="a CSV is taken whole: leave rows out")
    if given.target is None:
        raise ConfigError("holdout.target", "is missing", hint="name the column to predict")
    path = folder / (expanded(Path(given.csv), "holdout.csv") if given.csv.startswith("~") else given.csv)
    data = _content(path, "holdout.csv", MAX_CSV_BYTES)
    wanted = None if given.features is None else [*given.features, given.target]
    try:
        table = parse_csv(data, str(path), wanted)
    except DataError as error:
        if wanted is None and error.hint and error.problem.startswith("column "):
            hint = f"{error.hint}; or name the columns to train on: features = [...] in [holdout]"
            raise DataError(error.field, error.problem, hint=hint) from error
        raise
    return _chosen(table, given.target, given.features)


def _in_memory(x: Any, y: Any, target: str, features: Sequence[str] | None) -> _Holdout:
    # Names as plain strings: those of numpy and pandas may equal them and still have another `repr`, and so
    # a bounty that is taken from its shelf would be another one, with which its campaign cannot go on.
    if isinstance(features, str):  # its letters are no names
        raise DataError("features", f"is one text, {features!r}", hint=f"give a list: [{features!r}]")
    target, features = str(target), None if features is None else [str(name) for name in features]
    columns: dict[str, Any]
    if hasattr(x, "keys") and np.ndim(x) != 1:
        columns = {str(name): x[name] for name in x.keys()}  # noqa: SIM118 - a DataFrame iterates otherwise
        if features is not None:
            wanted = [*features, target] if y is None else features
            if missing := [name for name in wanted if name not in columns]:
                raise missing_column(missing[0], list(columns))
            columns = {name: columns[name] for name in wanted}
    else:
        matrix = _floats("x", x)
        if matrix.ndim != 2:
            hint = "one column alone: x.reshape(-1, 1), or df[[name]] of a DataFrame"
            raise DataError("x", f"has shape {list(matrix.shape)}; [rows, columns] is needed", hint=hint)
        if features is None or matrix.shape[1] != len(features):
            problem = f"name {len(features or ())} columns, x has shape {list(matrix.shape)}"
            raise DataError("features", problem, hint="name each column of x, in order")
        columns = dict(zip(features, matrix.T, strict=True))
    if y is not None:
        columns[target] = y
    arrays = [_floats(f"column {name!r}", values) for name, values in columns.items()]
    for name, array in zip(columns, arrays, strict=True):
        if array.shape != arrays[0].shape or array.ndim != 1:
            problem = f"columns differ in length, or are none: {name!r} has shape {list(array.shape)}"
            raise DataError("holdout", problem, hint="each must be [n]; of y as [n, 1] take y.squeeze()")
    return _chosen(Table(tuple(columns), np.column_stack(arrays)), target, features)


def _chosen(table: Table, target: str, features: Sequence[str] | None) -> _Holdout:
    """Return the table with the names of features and target. Raises DataError for what is not there."""
    names = tuple(features if features is not None else (n for n in table.columns if n != target))
    if not names:
        raise DataError(
            "holdout", "has no feature column", hint="name one column besides the target at least"
        )
    if target in names or len(set(names)) < len(names):
        raise DataError(
            "features", f"name a column twice, or the target {target!r}", hint="name each other column once"
        )
    require_rows(table.matrix(names), table.matrix([target]), names, [target])
    return table, names, target


def _floats(name: str, values: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        hint = "encode it as numbers, 0 and 1 say; or leave it out: features=[...] names the columns to take"
        raise DataError(name, f"is not numbers: {error}", hint=hint) from error
