"""What a bounty's file names: read whole, of a bounded size, with the field in every error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sonar.errors import ConfigError
from sonar.home.settings import parse_toml

MAX_TOML_BYTES = 1 << 20


def content(path: Path, field: str, max_bytes: int = MAX_TOML_BYTES) -> bytes:
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


def read(path: Path) -> dict[str, Any]:
    """Return the fields of a bounty's file, with those of `allow_file`. Raises ConfigError."""
    fields = parse_toml(content(path, "bounty"), str(path))
    _take_allow_file(fields, path.parent)
    return fields


def _take_allow_file(fields: dict[str, Any], folder: Path) -> None:
    """Put the addresses of `allow_file`, one a line, in the place of that field. Raises ConfigError."""
    named = fields.pop("allow_file", None)
    if named is None:
        return
    if "allow" in fields or not isinstance(named, str):
        problem = "must be the name of a file, and the only list"
        raise ConfigError("allow_file", problem, hint="leave allow out")
    text = content(folder / named, "allow_file").decode("utf-8", "replace")
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    fields["allow"] = [line for line in lines if line]
