"""What a bounty's file names: read whole, of a bounded size, with the field in every error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sonar.errors import ConfigError
from sonar.home.files import expanded, read_bytes, read_text
from sonar.home.settings import parse_toml


def read(path: Path) -> dict[str, Any]:
    """Return the fields of a bounty's file, with those of `allow_file`. Raises ConfigError."""
    fields = parse_toml(read_bytes(path, "bounty"), str(path))
    _take_allow_file(fields, expanded(path, "bounty").parent)
    return fields


def _take_allow_file(fields: dict[str, Any], folder: Path) -> None:
    """Put the addresses of `allow_file`, one a line, in the place of that field. Raises ConfigError."""
    named = fields.pop("allow_file", None)
    if named is None:
        return
    if "allow" in fields or not isinstance(named, str):
        problem = "must be the name of a file, and the only list"
        raise ConfigError("allow_file", problem, hint="leave allow out")
    text = read_text(folder / expanded(named, "allow_file"), "allow_file")
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    fields["allow"] = [line for line in lines if line]
