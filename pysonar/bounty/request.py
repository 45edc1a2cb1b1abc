"""What a scientist asks for: holdout, model, money and windows, from code or from `bounty.toml`.

    name = "diabetes"
    rounds = 7
    cohort = 10                # most mines per round
    reward = "1 ether"
    r2 = 0.53                  # ends it; or mse, log_loss, auc

    asset = "0xA0b8…"          # a token; then asset_symbol and asset_decimals too, and amounts in that unit
    feature_map = { kind = "polynomial", degree = 2 }
    start = "model.json"       # your own weights, or an earlier bounty's name: what is better is paid
    allow = ["0x5290…"]        # the mines that may take part; or allow_file, with an address a line

    [capsules]                 # nobody reads an answer: threshold, members, audit, bits

    [holdout]
    csv = "holdout.csv"        # or: example = "diabetes", rows = 42
    target = "progression"     # or several: ["progression", "weight"]

All other fields have defaults; `pysonar explain` lists them, and what the bounty costs and reveals, before a
wei is spent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysonar.bounty.base import Offered
from pysonar.bounty.kinds.judged import Judged
from pysonar.bounty.settings import Settings, holdout_of, settings_of
from pysonar.bounty.start import adopted, check_kind, designed, named, with_leaves
from pysonar.bounty.tables import HeldOut, in_memory, load, read
from pysonar.bounty.terms import Offer, offer_of
from pysonar.given import require_type
from pysonar.models.linear import LinearModel
from sonar.errors import ConfigError
from sonar.families.quadratic.design import Design
from sonar.families.quadratic.holdout import LEAST_GAIN
from sonar.families.quadratic.optimisers.base import Optimiser
from sonar.families.quadratic.optimisers.registry import written
from sonar.home.files import expanded
from sonar.paillier.affine import estimated_s

_LATER = {
    name: Settings.model_fields[name]
    for name in ("capsules", "privacy", "classes", "drop", "patience", "least_gain")
}
"""Settings that there were not from the beginning."""


def _is_model(start: Any, settings: Settings) -> bool:
    """Tell whether a start brings its own map, so that the holdout need not make one. Raises ConfigError."""
    if isinstance(start, LinearModel):
        check_kind(start, settings)
    return isinstance(start, LinearModel | str | Path)


@dataclass(frozen=True, eq=False, repr=False)
class Bounty(Judged, Offered):
    """A bounty before it is posted. Make one with `Bounty.from_toml`, `.example` or `.of`.

    `start` is the model that it begins with, None for the null model. `dev`: it is for a development network,
    where less time to settle is given; see `on`. Two are equal if settings, data and start are.
    """

    settings: Settings
    held_out: HeldOut
    start: LinearModel | None = None
    dev: bool = False

    @classmethod
    def of(
        cls,
        x: Any,
        y: Any = None,
        *,
        target: str | Sequence[str],
        features: Sequence[str] | None = None,
        start: Any = None,
        **settings: Any,
    ) -> Bounty:
        """Make a bounty from held-out data in memory; `settings` are the fields of `Settings`.

        `x` is an array [n, f] with `features` naming its columns and `y` [n], or [n, targets], or a mapping
        from column name to values (a DataFrame will do), which may hold the targets too, and with `features`
        other columns, which stay out. `start`: a fitted linear estimator of scikit-learn, a `LinearModel`,
        the path of one, or the name of an earlier bounty in the home of the session that is open; only what
        is better than it is paid. Raises ConfigError, DataError.
        """
        checked = settings_of(settings)
        held_out = in_memory(x, y, target, features, checked, started=_is_model(start, checked))
        return cls._begun(checked, held_out, start)

    @classmethod
    def example(
        cls, example: str = "diabetes", /, *, rows: int = 42, start: Any = None, **settings: Any
    ) -> Bounty:
        """Make a bounty whose holdout is the first `rows` rows of a bundled example.

        It is named as the example, or by `name` in `settings`. Raises ConfigError, DataError.
        """
        given = holdout_of({"example": example, "rows": rows})
        checked = settings_of({"name": example, **settings})
        return cls._begun(checked, load(given, Path(), checked, started=_is_model(start, checked)), start)

    @classmethod
    def from_toml(cls, path: Path | str, earlier: Callable[[str], LinearModel] | None = None) -> Bounty:
        """Read `bounty.toml`; relative paths in it are looked up beside it.

        `earlier` gives the model of an earlier bounty, which `start` may name. Raises ConfigError, DataError.
        """
        require_type(path, Path | str, "bounty", 'name the file: Bounty.from_toml("bounty.toml")')
        path = expanded(path, "bounty")
        fields = read(path)
        holdout, start = fields.pop("holdout", None), fields.pop("start", None)
        settings = settings_of(fields)  # names a misspelt table
        if not isinstance(holdout, dict):
            hint = '[holdout]\n  csv = "holdout.csv"\n  target = "the column to predict"'
            raise ConfigError("holdout", "the table [holdout] is missing", hint=f"add:\n  {hint}")
        begins = None if start is None else named(start, path.parent, earlier)
        held_out = load(holdout_of(holdout), path.parent, settings, started=_is_model(begins, settings))
        return cls._begun(settings, held_out, begins)

    @classmethod
    def _begun(cls, settings: Settings, held_out: HeldOut, start: Any) -> Bounty:
        """Return the bounty that begins with what was given as its start."""
        if start is None:
            return cls(with_leaves(settings, held_out), held_out)
        return cls(settings, held_out, adopted(start, settings, held_out))

    def __post_init__(self) -> None:
        if self.target_loss > self.initial_loss - LEAST_GAIN:
            raise self._no_better()
        self._check_weights()
        _ = self.offer  # raises now for what cannot be posted

    def _check_weights(self) -> None:
        """Check that behind capsules all answers weigh alike: sums tell of single ones modulo a weight."""
        plan, least = self.design.plan, self.design.spec.rows_min
        if self.settings.capsules is not None and plan.weight_rows > least:
            problem = (
                f"{plan.weight_rows} is more than the {least} rows that a mine needs, so answers would weigh"
            )
            hint = f"leave it out, or give {least} at most: behind capsules all answers weigh alike"
            raise ConfigError("weight_rows", f"{problem} differently", hint=hint)

    def _no_better(self) -> ConfigError:
        """The error for a target that the start has already reached."""
        target, holdout = self.settings.target, self.design.holdout
        if target is None:
            problem = "is as good as any model of this map can be on the holdout"
            return ConfigError("start", problem, hint="choose another feature_map, or other columns")
        name, value = target
        at, least = (holdout.said(name, loss) for loss in (self.initial_loss, self.initial_loss - LEAST_GAIN))
        problem = f"{value!r} is no better than the start, which has {name} = {at:.6g}"
        return ConfigError(name, problem, hint=f"ask for more: {least:.6g} is the nearest that can be paid")

    @cached_property
    def features(self) -> tuple[str, ...]:
        """The columns to predict from."""
        return self.held_out.features

    @cached_property
    def targets(self) -> tuple[str, ...]:
        """The columns to predict."""
        return self.held_out.targets

    @cached_property
    def design(self) -> Design:
        """The model, its slot plan and the holdout, derived from settings, data and start."""
        return designed(self.settings, self.held_out, self.start)

    @cached_property
    def optimiser(self) -> Optimiser:
        """What chooses the next weights."""
        return self.settings.optimiser.optimiser(self.design.ground)

    @cached_property
    def stepping(self) -> bytes:
        """What auditors repeat each step by: metric and optimiser, as the first manifest commits to them."""
        return written(self.metric, self.settings.optimiser)

    @cached_property
    def metric(self) -> str:
        """What the loss is measured by: the target's metric, or the loss's own."""
        return self.design.metric

    @cached_property
    def initial_loss(self) -> int:
        """Loss of the start on the holdout, in millionths of the null model's."""
        return self.design.initial_loss

    @cached_property
    def start_weights(self) -> NDArray[np.float64]:
        """The weights of the first round, float64[d], output by output."""
        return self.design.start_weights

    @cached_property
    def target_loss(self) -> int:
        """The loss that ends the bounty, in millionths; by default what no weights can beat here."""
        target, holdout = self.settings.target, self.design.holdout
        return holdout.floor(self.metric) if target is None else holdout.loss_of(*target)

    @cached_property
    def offer(self) -> Offer:
        """What mines are offered. Raises ConfigError naming a field of the settings."""
        train_s = estimated_s(self.design.plan)
        return offer_of(
            self.settings, self.settings.rounds, self.initial_loss, self.target_loss, train_s, dev=self.dev
        )

    @cached_property
    def digest(self) -> str:
        """Hex digest of settings, data and start: shows whether a file still matches what was posted."""
        rows = self.held_out
        # Bounties without capsules, or noise, or labels, keep the digest that they had before there were any.
        without = {name for name in _LATER if getattr(self.settings, name) == _LATER[name].default}
        sha = hashlib.sha256(self.settings.model_dump_json(exclude=without).encode())
        sha.update(repr((rows.features, rows.targets, rows.values.shape)).encode())
        sha.update(np.ascontiguousarray(rows.values).tobytes())
        sha.update(b"" if rows.labels is None else repr(rows.labels.levels).encode())
        sha.update(b"" if self.start is None else self.start.to_bytes())
        return sha.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Bounty) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        # Without the rows: they would stay in the notebook that shows a bounty, and in every traceback.
        return (
            f"<Bounty {self.settings.name!r}: {', '.join(map(repr, self.targets))} from "
            f"{len(self.features)} columns, {self.held_out.rows} held-out rows>"
        )
