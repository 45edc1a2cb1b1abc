"""The fields of a bounty, checked one by one: what `bounty.toml` may hold, and what code may give."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from functools import cached_property
from typing import Annotated, Any, TypeVar

import numpy as np
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from pysonar.bounty.private import PrivacySettings, check_privacy, privacy_hint
from pysonar.frames.labels import check_classes
from sonar.errors import ConfigError
from sonar.families.quadratic.losses.registry import LOSSES
from sonar.families.quadratic.maps.registry import WISHES as MAPS
from sonar.families.quadratic.maps.registry import MapWish
from sonar.families.quadratic.noisy.choosing import NoiseWish
from sonar.families.quadratic.optimisers.gradient_memory import GradientMemoryWish
from sonar.families.quadratic.optimisers.registry import OPTIMISERS, AnyOptimiser
from sonar.families.quadratic.veiled.judging import MOST_BITS
from sonar.paillier.slots import VEIL_FREE_BITS
from sonar.protocol.ids import Address, parse_address
from sonar.protocol.wording import first_fault, nearest
from sonar.telling.amounts import MAX_DECIMALS
from sonar.telling.text import count
from sonar.veil.classes import MAX_MEMBERS

MIN_WINDOW_S, MIN_WINDOW_PER_MINE_S = 10, 3
METRICS = ("r2", "mse", "log_loss", "auc")
"""The settings that give a target; at most one of them is set."""
LEAST_AUDITORS = 2
"""One auditor alone could sign whatever the scientist likes."""
T = TypeVar("T", bound=BaseModel)


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text):
        raise ValueError("must be 1 to 64 letters, digits, '.', '_' and '-', a letter or digit first")
    return text


def _one_of(known: Collection[str]) -> Callable[[str], str]:
    def check(name: str) -> str:
        if name not in known:
            raise ValueError(f"must be one of {', '.join(known)}")
        return name

    return check


def _kind_in(known: Collection[str]) -> Callable[[object], object]:
    """A name alone is a table of nothing but its kind."""

    def table(given: object) -> object:
        if isinstance(given, BaseModel):
            return given
        table = {"kind": given} if isinstance(given, str) else given
        kind = table.get("kind") if isinstance(table, dict) else None
        if not isinstance(table, dict) or not isinstance(kind, str) or kind not in known:
            close = get_close_matches(kind, known, n=1) if isinstance(kind, str) else []
            meant = "".join(f"; did you mean {name}?" for name in close)
            raise ValueError(f"must be one of {', '.join(known)}, or a table with such a kind{meant}")
        return table

    return table


Amount = Annotated[str, Field(min_length=1, max_length=100)]
Window = Annotated[int, Field(ge=MIN_WINDOW_S, lt=1 << 24)]
BountyName = Annotated[str, AfterValidator(_name)]
_Positive = Annotated[float, Field(gt=0, lt=1e15, allow_inf_nan=False)]
_Fraction = Annotated[int, Field(ge=0, le=48)]
_Target = Annotated[float, Field(allow_inf_nan=False)]


class CapsuleSettings(BaseModel):
    """Who keeps single answers from being read: `threshold` of the capsules `members` can open a sum.

    `members` are accounts, None for all that the network lists. `bits`: the most that each tells of one
    mine's answer in a round. `audit`: whether they recompute each settlement and must sign it; None: from a
    threshold of two on.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    members: Annotated[list[str], Field(strict=False, min_length=1, max_length=MAX_MEMBERS)] | None = None
    threshold: Annotated[int, Field(ge=1, le=MAX_MEMBERS)] = 2
    audit: bool | None = None
    bits: Annotated[int, Field(ge=1, le=4096)] = 288

    @property
    def audited(self) -> bool:
        """Whether settlements are audited."""
        return self.threshold >= LEAST_AUDITORS if self.audit is None else self.audit

    @property
    def accounts(self) -> tuple[Address, ...]:
        """The members that are named, ascending. Raises ConfigError."""
        named = [parse_address(one, "capsules.members") for one in self.members or ()]
        if len(set(named)) < len(named):
            raise ConfigError("capsules.members", "names a capsule twice", hint="name each once")
        return tuple(sorted(named, key=lambda account: int(account, 16)))


class Settings(BaseModel):
    """Everything in a bounty except its data and the weights that it starts from.

    `feature_map` and `optimiser` are names, or tables of `kind` and the parameters of that kind. `r2`, `mse`,
    `log_loss` or `auc` is the target, measured on the holdout; without one, what no model of this map can
    beat there. `asset` is a token's address, None for ether; stake, fee and reward are then in
    `asset_symbol`, which has `asset_decimals` digits after the point, or in "units", the token's smallest.
    `settler` is who must sign each settlement, too; `overdue_bps` of the unpaid reward, in basis points, is
    due if the scientist does not settle; a round's commits end `quiet_s` after the last one, 0 for not so.
    `allow`: the mines that may take part; None for all. `capsules`: None for none. `privacy`: None for sums
    without noise. `classes` names the labels, None for those of the holdout. `drop`: whether columns that
    cannot be used are left out, or which ones are. The bounty ends early when `patience` rounds have learnt
    less in all than `least_gain` of the null model's loss; 0 for never.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    name: BountyName
    loss: Annotated[str, AfterValidator(_one_of(LOSSES))] = "squared"
    feature_map: Annotated[MapWish, BeforeValidator(_kind_in(MAPS))] = MAPS["standard"]()
    optimiser: Annotated[AnyOptimiser, BeforeValidator(_kind_in(OPTIMISERS))] = GradientMemoryWish()
    local_steps: Annotated[int, Field(ge=1, le=10_000)] = 1
    local_rate: Annotated[float, Field(gt=0, le=256, allow_inf_nan=False)] | None = None
    rounds: Annotated[int, Field(ge=1, le=254)] = 7
    cohort: Annotated[int, Field(ge=2, le=255)] = 10
    min_mines: Annotated[int, Field(ge=2, le=255)] = 3
    rows_min: Annotated[int, Field(ge=10, lt=1 << 32)] | None = None
    weight_rows: Annotated[int, Field(ge=1, lt=1 << 32)] | None = None
    commit_window_s: Window | None = None
    reveal_window_s: Window | None = None
    settle_window_s: Window | None = None
    quiet_s: Annotated[int, Field(ge=0, lt=1 << 16)] = 0
    asset: Annotated[str, Field(max_length=42)] | None = None
    asset_symbol: Annotated[str, Field(max_length=16)] = ""
    asset_decimals: Annotated[int, Field(ge=0, le=MAX_DECIMALS)] | None = None
    stake: Amount = "0.01 ether"
    fee: Amount = "0.002 ether"
    reward: Amount = "1 ether"
    overdue_bps: Annotated[int, Field(ge=0, le=10_000)] = 10_000
    settler: Annotated[str, Field(max_length=42)] | None = None
    allow: Annotated[list[str], Field(strict=False)] | None = None
    capsules: CapsuleSettings | None = None
    privacy: PrivacySettings | None = None
    classes: Annotated[list[Any], Field(strict=False)] | None = None
    drop: bool | list[str] = False
    patience: Annotated[int, Field(ge=0, le=254)] = 2
    least_gain: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.001
    r2: _Target | None = None
    mse: _Target | None = None
    log_loss: _Target | None = None
    auc: _Target | None = None
    key_bits: Annotated[int, Field(ge=1024, le=8192, multiple_of=256)] = 3072
    insecure_key: bool = False
    weight_max: _Positive | None = None
    a_row_l1_max: _Positive | None = None
    b_max: _Positive | None = None
    target_clip: _Positive | None = None
    weight_frac: _Fraction | None = None
    data_frac: _Fraction | None = None

    @property
    def amounts(self) -> dict[str, str]:
        """What is staked and paid, as it is written, by the field's name."""
        return {"stake": self.stake, "fee": self.fee, "reward": self.reward}

    @property
    def free_bits(self) -> int:
        """What stays free at the top of a plaintext, for masks."""
        return 0 if self.capsules is None else VEIL_FREE_BITS

    @property
    def noise(self) -> NoiseWish | None:
        """What mines add to their sums, None for nothing."""
        return None if self.privacy is None else self.privacy.wish(self.min_mines)

    @cached_property
    def target(self) -> tuple[str, float] | None:
        """The metric of the target, and its value."""
        said = [(name, getattr(self, name)) for name in METRICS if getattr(self, name) is not None]
        return said[0] if said else None


class HoldoutSettings(BaseModel):
    """Where the holdout comes from: the first `rows` of an example (42), or a CSV with a header line.

    `target` is a column, or a list of columns that are predicted together.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    example: str | None = None
    rows: Annotated[int, Field(ge=1)] | None = None
    csv: str | None = None
    target: str | list[str] | None = None
    features: list[str] | None = None


def settings_of(fields: Mapping[str, Any]) -> Settings:
    """Return the checked settings. Raises ConfigError naming the field."""
    for name in fields:
        if name in _WRITTEN_NOW:
            raise ConfigError(name, "is no longer a field", hint=_WRITTEN_NOW[name].format(fields[name]))
    settings = validated(Settings, fields, "")
    if settings.local_rate is not None and settings.local_steps == 1:
        hint = "leave it out, or ask for more local_steps, which go by it"
        raise ConfigError("local_rate", "does nothing with local_steps = 1", hint=hint)
    _check_capsules(settings)
    check_classes(settings.classes, settings.loss)
    if settings.privacy is not None:
        check_privacy(
            settings.privacy, capsules=settings.capsules is not None, local_steps=settings.local_steps
        )
    said = [name for name in METRICS if getattr(settings, name) is not None]
    if len(said) > 1:
        hint = f"give one of them: it also says what the loss is; leave {' or '.join(said[1:])} out"
        raise ConfigError(said[0], f"and {', '.join(said[1:])} are two targets", hint=hint)
    return settings


def check_members(asked: CapsuleSettings) -> None:
    """Check that enough members are named. Raises ConfigError."""
    accounts = asked.accounts
    if accounts and asked.threshold > len(accounts):
        problem = f"is {asked.threshold}, and only {count(len(accounts), 'capsule')} named in members"
        hint = f"name more, or give threshold = {len(accounts)}"
        raise ConfigError("capsules.threshold", problem, hint=hint)


def _check_capsules(settings: Settings) -> None:
    """Raises ConfigError for capsules that make no sense."""
    if (asked := settings.capsules) is None:
        return
    check_members(asked)
    if (
        asked.bits < MOST_BITS
    ):  # else capsules refuse what auditors want to see, and the round becomes overdue
        problem = f"is {asked.bits}, and tests and scores take up to {MOST_BITS} of a mine in a round"
        raise ConfigError("capsules.bits", problem, hint=f"give {MOST_BITS} or more, or leave it out")
    if asked.audited and asked.threshold < LEAST_AUDITORS:
        hint = "give threshold = 2 or more, or audit = false: then your word alone says what mines are paid"
        raise ConfigError("capsules.audit", "takes a threshold of 2 or more", hint=hint)
    if asked.audited and settings.settler is not None:
        hint = "leave settler out, or say audit = false in [capsules]"
        raise ConfigError("settler", "is the capsules' committee in an audited bounty", hint=hint)


def holdout_of(fields: Mapping[str, Any]) -> HoldoutSettings:
    """Return the checked table [holdout]. Raises ConfigError naming the field."""
    return validated(HoldoutSettings, fields, "holdout.")


def check_key(name: str, key_bits: int) -> None:
    """Check what a key is made for: a bounty's name and its `key_bits`. Raises ConfigError."""
    settings_of({"name": name, "key_bits": key_bits})


_WRITTEN_NOW = {
    "target_loss": "write mse = {}, or r2, of a squared loss; log_loss or auc of classes",
    "clip": 'write feature_map = {{ kind = "standard", clip = {} }}',
    "degree": 'write feature_map = {{ kind = "polynomial", degree = {} }}',
    "n_components": 'write feature_map = {{ kind = "fourier", n_components = {} }}',
    "gamma": 'write feature_map = {{ kind = "fourier", n_components = 50, gamma = {} }}',
    "random_state": 'write feature_map = {{ kind = "fourier", n_components = 50, random_state = {} }}',
    "rate": 'write optimiser = {{ kind = "gradient-descent", rate = {} }}',
    "rows_max": "leave it out: a mine's rows weigh at most weight_rows",
    "rows_factor": "write weight_rows = the most that a mine's rows weigh, or leave it out: all weigh alike",
    "target_max": "leave it out, or give target_clip: how many deviations from its mean a target may be",
}
"""The fields of version 1 that no longer exist, and what to write instead."""


def validated(model: type[T], fields: Mapping[str, Any], prefix: str) -> T:
    """Return the checked record. Raises ConfigError; for an unknown field it tells the nearest known name."""
    for name, given in fields.items():
        if name not in model.model_fields:
            raise _unknown(model, name, given, prefix)
    try:
        plain = {name: _plain(given) for name, given in fields.items()}
        return model.model_validate(plain)
    except ValidationError as error:
        name, problem = first_fault(error, "bounty", show=True, given=plain)
        if problem.startswith("unknown field"):
            problem = "there is no such field in this table"
        raise ConfigError(f"{prefix}{name}", problem, hint=_hint(model, name, plain)) from None


def _plain(given: Any) -> Any:
    """Return Python's number for one of NumPy's, which notebooks often have; in a table too."""
    if isinstance(given, dict):
        return {name: _plain(each) for name, each in given.items()}
    return given.item() if isinstance(given, np.generic) else given


def _hint(model: type[BaseModel], path: str, given: Mapping[str, Any]) -> str:
    """Return what to write instead, by the path of a wrong field."""
    name, _, inner = path.partition(".")
    default = model.model_fields[name].default
    if name == "name":
        return 'give it a name of its own: name = "my-model"'
    if name == "loss":
        return "'squared' (the default) for amounts, 'logistic-taylor' for classes"
    if name == "classes":
        return 'name the labels in a list: classes = ["no", "yes"]; or leave it out for those of the holdout'
    if name == "drop":
        return 'give true, or the names of columns: drop = ["id", "visit"]'
    if name in ("stake", "fee", "reward"):
        return f'give amount and unit in quotes: {name} = "{default}"'
    if name == "capsules":
        return _capsules_hint(inner, audits="reward" in model.model_fields)
    if name == "privacy":
        return privacy_hint(inner)
    if inner and isinstance(given[name], dict) and given[name].get("kind") in {**MAPS, **OPTIMISERS}:
        known = {**MAPS, **OPTIMISERS}[given[name]["kind"]].model_fields
        return nearest(inner, known) if inner not in known else f"see {inner} in `pysonar run --help`"
    if isinstance(default, bool):
        return f"leave it out for {str(default).lower()}"
    if isinstance(default, int | str) and default != "":
        return f"leave it out for {default!r}, the default"
    return "leave it out, or see it in `pysonar run --help`"


def _capsules_hint(inner: str, *, audits: bool) -> str:
    """Return what to write instead of a wrong field of [capsules], or of that table; a study has no audit."""
    known, field = CapsuleSettings.model_fields, inner.partition(".")[0]
    if not field:
        return "write [capsules] with its fields below it, which may be none; in Python, capsules={}"
    if field == "members":
        return 'give accounts, 0x and 40 hex digits, in quotes: members = ["0x…", "0x…"]; or leave it out'
    if field in Settings.model_fields and field != "capsules":
        return f"{field} belongs to the bounty itself: move it above [holdout] and [capsules]"
    if field in HoldoutSettings.model_fields:
        return f"{field} belongs to the holdout: move it below [holdout]"
    if field not in known:
        return nearest(field, known)
    if field == "audit" and not audits:
        return "leave it out: of a statistic there is nothing to recompute"
    return f"leave it out for {known[field].default or 'true, from a threshold of 2 on'}"


def _unknown(model: type[BaseModel], name: str, given: object, prefix: str) -> ConfigError:
    """Return the error for an unknown field."""
    field = f"{prefix}{name}"[:80]
    if model not in (Settings, HoldoutSettings):
        named = [*model.model_fields, *(["statistic", "columns", "allow_file"] if not prefix else [])]
        return ConfigError(field, "there is no such field", hint=nearest(name, named, prefix))
    if isinstance(given, dict):
        tables = ("holdout", "capsules", "privacy", "feature_map", "optimiser")
        close = get_close_matches(name, tables, n=1)
        hint = (
            f"did you mean [{close[0]}]?"
            if close
            else f"there are {', '.join(f'[{one}]' for one in tables[:3])}, feature_map, optimiser; "
            "other fields stand above [holdout]"
        )
        return ConfigError(field, "there is no such table", hint=hint)
    if not prefix and name in HoldoutSettings.model_fields:
        return ConfigError(name, "belongs in the table [holdout]", hint="move it below [holdout]")
    if prefix and name in Settings.model_fields:
        return ConfigError(field, "does not belong in the table [holdout]", hint="move it above [holdout]")
    known = [*model.model_fields, *(["start", "allow_file", "holdout"] if not prefix else [])]
    meant = _MEANT.get(name.lower(), "")
    hint = f"did you mean {meant}?" if meant in known else nearest(name, known, prefix)
    return ConfigError(field, "there is no such field", hint=hint)


_MEANT = {
    "token": "asset",
    "currency": "asset",
    "epochs": "rounds",
    "iterations": "rounds",
    "n_rounds": "rounds",
    "mines": "cohort",
    "participants": "cohort",
    "target_r2": "r2",
    "r2_score": "r2",
    "target_mse": "mse",
    "bits": "key_bits",
    "key_size": "key_bits",
    "budget": "reward",
    "deposit": "stake",
    "file": "csv",
    "path": "csv",
    "label": "target",
    "y": "target",
    "columns": "features",
    "x": "features",
    "labels": "classes",
    "levels": "classes",
    "early_stopping": "patience",
    "exclude": "drop",
    "tol": "least_gain",
}
"""Words that people use for a field, which no spelling leads to."""
