"""The bounties that a home has started, kept with their holdout: a campaign continues from these."""

from __future__ import annotations

import io
import json
from pathlib import Path
from shutil import rmtree
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from pysonar.bounty.base import AnyBounty
from pysonar.bounty.kinds.fields import StudySettings, statistic_of
from pysonar.bounty.request import Bounty
from pysonar.bounty.settings import Settings
from pysonar.bounty.study import Study
from pysonar.bounty.tables import HeldOut
from pysonar.models.linear import LinearModel
from sonar.data.schema import CategoryColumn, Column
from sonar.errors import ConfigError, SonarError
from sonar.home.keystore import read_private, write_private
from sonar.protocol.wording import other_version

_SETTINGS, _ROWS, _START, _STUDY = "bounty.json", "holdout.npy", "start.json", "study.json"
_AGAIN = "put it back from a copy, or continue with the bounty's own file: `pysonar run bounty.toml`"
_FORMAT: Literal[2] = 2
_OLD = "finish it with the version of Sonar that began it; a new bounty begins in a new home"
_MAX_JSON_BYTES = 1 << 20  # an allow-list of 10,000 addresses takes half of it
_MAX_START_BYTES = 1 << 24


class _Document(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    v: Literal[2]
    settings: Settings
    features: list[str]
    targets: list[str]
    begins: Literal["null", "model"]
    labels: CategoryColumn | None = None


class _Kept(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    v: Literal[2]
    settings: StudySettings
    statistic: dict[str, Any]
    columns: Annotated[tuple[Column, ...], Field(strict=False)]


class Shelf:
    """Bounties by name, each in a folder of its own below `home`; only their owner can read them."""

    def __init__(self, home: Path) -> None:
        self._path = home / "bounties"

    def names(self) -> list[str]:
        """Return the names of the bounties that were started here."""
        found = (path for file in (_SETTINGS, _STUDY) for path in self._path.glob(f"*/{file}"))
        return sorted({path.parent.name for path in found})

    def keep(self, bounty: AnyBounty) -> None:
        """Keep a bounty, in place of one of the same name. Raises KeyFileError if it cannot be written."""
        folder = self._path / bounty.settings.name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if isinstance(bounty, Study):
            write_private(folder / _STUDY, _written(bounty))
            (folder / _SETTINGS).unlink(missing_ok=True)
            return
        assert isinstance(bounty, Bounty)
        held_out = bounty.held_out
        document = _Document(
            v=_FORMAT,
            settings=bounty.settings,
            features=list(held_out.features),
            targets=list(held_out.targets),
            begins="null" if bounty.start is None else "model",
            labels=held_out.labels,
        )
        rows = io.BytesIO()
        np.save(rows, held_out.values, allow_pickle=False)
        write_private(folder / _ROWS, rows.getvalue())
        if bounty.start is not None:
            write_private(folder / _START, bounty.start.to_bytes())
        write_private(folder / _SETTINGS, document.model_dump_json(indent=1).encode())
        (folder / _STUDY).unlink(missing_ok=True)

    def drop(self, name: str) -> None:
        """Remove a bounty, if it is kept."""
        rmtree(self._path / name, ignore_errors=True)

    def take(self, name: str) -> AnyBounty:
        """Return a kept bounty. Raises ConfigError: its files are gone, damaged or of another version."""
        folder = self._path / name
        try:
            return self._study(folder) if (folder / _STUDY).is_file() else self._read(folder)
        except Exception as error:  # numpy's reader raises whatever the parsers below it do
            if (version := _version(folder)) not in (0, _FORMAT):
                problem, hint = other_version(version, _FORMAT, _OLD)
                raise ConfigError(str(folder), problem, hint=hint) from error
            readable = not isinstance(error.__cause__, OSError)
            hint = (readable and isinstance(error, SonarError) and error.hint) or _AGAIN
            raise ConfigError(str(folder), f"is damaged: {error}", hint=hint) from error

    def _read(self, folder: Path) -> Bounty:
        kept = _Document.model_validate_json(read_private(folder / _SETTINGS, "bounty", _MAX_JSON_BYTES))
        values = np.load(folder / _ROWS, allow_pickle=False)
        rows = np.asarray(values, dtype=np.float64)
        held_out = HeldOut(tuple(kept.features), tuple(kept.targets), rows, kept.labels)
        if held_out.values.shape != (held_out.rows, len(held_out.columns)):
            raise ConfigError(str(folder), f"holds rows of another shape: {list(held_out.values.shape)}")
        start = None
        if kept.begins == "model":
            path = folder / _START
            start = LinearModel.from_bytes(read_private(path, "start", _MAX_START_BYTES), str(path))
        return Bounty(kept.settings, held_out, start)

    def _study(self, folder: Path) -> Study:
        kept = _Kept.model_validate_json(read_private(folder / _STUDY, "study", _MAX_JSON_BYTES))
        return Study(kept.settings, statistic_of(kept.statistic), kept.columns)


def _written(study: Study) -> bytes:
    statistic = study.statistic.model_dump(mode="json")
    kept = _Kept(v=_FORMAT, settings=study.settings, statistic=statistic, columns=study.schema)
    return kept.model_dump_json(indent=1).encode()


def _version(folder: Path) -> int:
    """Return the version of a kept bounty, 0 if that cannot be read. Version 1 did not record it."""
    try:
        file = _STUDY if (folder / _STUDY).is_file() else _SETTINGS
        kept = json.loads(read_private(folder / file, "bounty", _MAX_JSON_BYTES))
        return int(kept.get("v", 1 if "settings" in kept else 0))
    except (SonarError, ValueError, TypeError, AttributeError, RecursionError):
        return 0
