"""What a bounty starts from besides the null model: the scientist's own weights, of which she pays the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pysonar.bounty.settings import Settings
from pysonar.bounty.tables import HeldOut
from pysonar.models.linear import LinearModel
from sonar.errors import ConfigError

Earlier = Callable[[str], LinearModel]


def named(start: object, folder: Path, earlier: Earlier | None) -> LinearModel:
    """Return the model that `start` in bounty.toml names: a file beside it, or an earlier bounty.

    Raises ConfigError.
    """
    if not isinstance(start, str) or not start:
        hint = 'the name of a model file, start = "model.json", or of an earlier bounty of this home'
        raise ConfigError("start", f"is no name (got {start!r:.60})", hint=hint)
    if start.endswith(".json") or "/" in start:
        return LinearModel.load(folder / Path(start).expanduser())
    if earlier is None:
        hint = f"open a session, or name its model's file: pysonar predict {start} --save model.json"
        raise ConfigError("start", f"the bounty {start!r} can be looked up in a home only", hint=hint)
    return earlier(start)


def check_like(model: LinearModel, settings: Settings, held_out: HeldOut) -> None:
    """Check that a bounty can begin with a Sonar model, whose maps it takes over. Raises ConfigError."""
    given = [name for name in ("feature_map", "target_clip") if name in settings.model_fields_set]
    if given:
        hint = "leave it out, or start from none"
        raise ConfigError(given[0], "comes with the model that the bounty starts from", hint=hint)
    if model.spec.loss != settings.loss:
        hint = f"say loss = {model.spec.loss!r}, or start from none"
        raise ConfigError("start", f"has loss = {model.spec.loss!r}, and the bounty {settings.loss!r}", hint=hint)
    if sorted(model.features) != sorted(held_out.features):
        odd = sorted(set(model.features) ^ set(held_out.features))
        hint = f"name its columns: features = {list(model.features)}"[:300]
        raise ConfigError("start", f"reads other columns than the bounty: {', '.join(odd)[:200]}", hint=hint)
    if model.targets != held_out.targets:
        problem = f"predicts {', '.join(model.targets)}, and the bounty {', '.join(held_out.targets)}"
        raise ConfigError("start", problem[:300], hint="give the same targets in the same order")
