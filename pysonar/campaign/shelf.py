"""The bounties that a home has started, kept with their holdout: a campaign needs no other file to go on."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from pysonar.bounty.request import Bounty, Settings
from sonar.data.table import Table
from sonar.errors import ConfigError, SonarError
from sonar.home.keystore import read_private, write_private

_SETTINGS, _ROWS = "bounty.json", "holdout.npy"
_AGAIN = "put it back from a copy, or go on with the bounty's own file: pysonar run bounty.toml"
_MAX_JSON_BYTES = 1 << 20  # an allow-list of 10,000 addresses takes half of it


class _Document(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    settings: Settings
    columns: list[str]
    features: list[str]
    target: str


class Shelf:
    """The folder `bounties` of a home: one folder per name, readable by its owner only."""

    def __init__(self, home: Path) -> None:
        self._path = home / "bounties"

    def names(self) -> list[str]:
        """Return the names of all bounties that were started here."""
        return sorted(path.parent.name for path in self._path.glob(f"*/{_SETTINGS}"))

    def keep(self, bounty: Bounty) -> None:
        """Keep a bounty, in place of one of the same name. Raises KeyFileError if it cannot be written."""
        folder = self._path / bounty.settings.name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        document = _Document(
            settings=bounty.settings,
            columns=list(bounty.table.columns),
            features=list(bounty.features),
            target=bounty.target,
        )
        rows = io.BytesIO()
        np.save(rows, bounty.table.values, allow_pickle=False)
        write_private(folder / _ROWS, rows.getvalue())
        write_private(folder / _SETTINGS, document.model_dump_json(indent=1).encode())

    def take(self, name: str) -> Bounty:
        """Return a kept bounty. Raises ConfigError if its files are gone or damaged."""
        folder = self._path / name
        try:
            document = _Document.model_validate_json(
                read_private(folder / _SETTINGS, "bounty", _MAX_JSON_BYTES)
            )
            values = np.load(folder / _ROWS, allow_pickle=False)
            table = Table(tuple(document.columns), np.asarray(values, dtype=np.float64))
            return Bounty(document.settings, table, tuple(document.features), document.target)
        except Exception as error:  # numpy's reader raises whatever the parsers below it do
            readable = not isinstance(error.__cause__, OSError)
            hint = (readable and isinstance(error, SonarError) and error.hint) or _AGAIN
            raise ConfigError(str(folder), f"is damaged: {error}", hint=hint) from error
