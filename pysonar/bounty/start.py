"""Starts other than the null model: the scientist's own weights, with pay for improvement only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields as fields_of
from pathlib import Path
from typing import Any

import numpy as np

from pysonar.bounty.settings import Settings
from pysonar.bounty.tables import HeldOut
from pysonar.models.foreign import weights_of
from pysonar.models.growing import MINE_ROWS, grown
from pysonar.models.linear import LinearModel
from sonar.errors import ConfigError, PlanError
from sonar.families.quadratic.design import Design, Wish, design_of
from sonar.families.quadratic.losses.classes import codes_of, one_vs_rest
from sonar.families.quadratic.maps.leaves import Leaves, LeavesWish
from sonar.families.quadratic.maps.taken import taken_over
from sonar.families.quadratic.slopes import levels_of, rescaled
from sonar.families.quadratic.spec import least_rows
from sonar.home.files import expanded
from sonar.protocol.wording import in_toml

Earlier = Callable[[str], LinearModel]
_open_homes: dict[Path, Earlier] = {}


def look_up(home: Path, earlier: Earlier | None) -> None:
    """Let names of earlier bounties stand for the models in an open home; None ends this."""
    if earlier is None:
        _open_homes.pop(home, None)
    else:
        _open_homes[home] = earlier


def named(start: object, folder: Path, earlier: Earlier | None) -> LinearModel:
    """Return the model that `start` names: a file, relative ones in `folder`, or an earlier bounty.

    A bounty is looked up by `earlier`; without it, in the home of the session that is open.

    Raises ConfigError.
    """
    if not isinstance(start, str) or not start:
        hint = 'the name of a model file, start = "model.json", or of an earlier bounty of this home'
        raise ConfigError("start", f"is not a name (got {in_toml(start):.60})", hint=hint)
    path = folder / expanded(start, "start")
    if start.endswith(".json") or "/" in start or path.is_file():
        return LinearModel.load(path, "start")
    homes = list(_open_homes.values()) if earlier is None else [earlier]
    if len(homes) != 1:
        problem = f"no file is named {start!r}, and an earlier bounty can only be found in a home"
        said = "no session is open" if not homes else f"{len(homes)} sessions are open"
        hint = f"{said}: connect to its home, or name a file: `pysonar predict {start} --save model.json`"
        raise ConfigError("start", problem, hint=hint)
    return homes[0](start)


def adopted(start: Any, settings: Settings, held_out: HeldOut) -> LinearModel:
    """Return what a bounty begins with, as a model of its columns, on the holdout.

    `start` is a `LinearModel`, the path of one, the name of an earlier bounty in the home of an open session,
    or a fitted linear estimator. Raises ConfigError.
    """
    if isinstance(start, str):
        start = named(start, Path(), None)
    elif isinstance(start, Path):
        start = LinearModel.load(start, "start")
    if isinstance(start, LinearModel):
        _check_like(start, settings, held_out)
        return start
    design = designed(settings, held_out, None)
    levels = levels_of(held_out.features, held_out.x)
    weights = weights_of(start, design.spec, levels)
    return LinearModel.at(design, weights, design.holdout.loss(weights, design.metric), calibrate=False)


def with_leaves(settings: Settings, held_out: HeldOut) -> Settings:
    """Return the settings with the leaves of their feature map grown on the held-out rows, if it has any.

    What mines have at least is then said too: leaves are as large as that needs. Raises ConfigError,
    DataError.
    """
    wish = settings.feature_map
    if not isinstance(wish, LeavesWish) or wish.grown is not None:
        return settings
    rows = settings.rows_min or MINE_ROWS
    y, labels = held_out.y, held_out.labels
    targets = y if labels is None else one_vs_rest(labels, codes_of(labels, y[:, 0]))
    leaves = grown(wish, held_out.features, held_out.x, targets, rows)
    assert leaves.grown is not None
    needed = least_rows([Leaves(leaves=leaves.grown)], held_out.x.shape[1])
    return settings.model_copy(update={"feature_map": leaves, "rows_min": max(rows, needed)})


def designed(settings: Settings, held_out: HeldOut, start: LinearModel | None) -> Design:
    """Return the design of a bounty that begins with `start`, or with the null model.

    Raises DataError, ConfigError, BoundsError, PlanError, ManifestError.
    """
    settings = settings if start is not None else with_leaves(settings, held_out)
    fields = {name: getattr(settings, name) for name in _WISHED}
    if start is not None:
        fields["feature_map"] = taken_over(start.spec.stages)
    wish = Wish(**fields, labels=held_out.labels, metric=settings.target[0] if settings.target else None)
    design = design_of(
        wish, held_out.x, held_out.y, held_out.features, held_out.targets, np.random.RandomState
    )
    if start is None:
        return design
    try:
        return design.starting_at(rescaled(start.weights, start.spec, design.spec))
    except PlanError as error:
        hint = "give a larger weight_max; are features and targets in the units of the model?"
        raise ConfigError("start", f"has a weight beyond the bounty's: {error}", hint=hint) from error


_WISHED = tuple(each.name for each in fields_of(Wish) if each.name not in ("metric", "labels"))


def check_kind(model: LinearModel, settings: Settings) -> None:
    """Check that a bounty can begin with a Sonar model, as far as settings tell. Raises ConfigError."""
    loss = settings.loss
    if "feature_map" in settings.model_fields_set:
        hint = "leave it out, or start from no model"
        raise ConfigError("feature_map", "comes with the model that the bounty starts from", hint=hint)
    if model.spec.loss != loss:
        hint = f"say loss = {model.spec.loss!r}, or start from no model"
        raise ConfigError("start", f"has loss = {model.spec.loss!r}, and the bounty {loss!r}", hint=hint)


def _check_like(model: LinearModel, settings: Settings, held_out: HeldOut) -> None:
    """Check that a bounty can begin with a Sonar model, whose map it takes over."""
    check_kind(model, settings)
    for what, theirs, ours in (
        ("reads the columns", model.features, held_out.features),
        ("predicts", model.targets, held_out.targets),
        ("knows the classes", model.levels_known, held_out.labels.levels if held_out.labels else ()),
    ):
        if theirs != ours:
            problem = f"{what} {', '.join(theirs)}, and the bounty {', '.join(ours)}"
            raise ConfigError("start", problem[:400], hint="name the same ones, in the same order")
