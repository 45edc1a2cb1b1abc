"""The workspace installs what its parts say: their scripts, what they need, and their extras."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

PARTS = Path(__file__).resolve().parents[1]


class Workspace(MetadataHookInterface):
    """Sets `scripts`, `dependencies` and `optional-dependencies` from the parts' own pyproject.toml."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Join what the parts say; the parts themselves are here, so nobody needs to fetch them."""
        scripts: dict[str, str] = {}
        needed: list[str] = []
        extras: dict[str, list[str]] = {}
        for project, hook in _parts():
            scripts |= project["scripts"]
            needed += [*project.get("dependencies", []), *hook.get("dependencies", [])]
            extras |= {
                extra: _foreign(names) for extra, names in project.get("optional-dependencies", {}).items()
            }
        metadata |= {
            "scripts": scripts,
            "dependencies": _foreign(needed),
            "optional-dependencies": extras,
        }


def _parts() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for path in sorted(PARTS.glob("*/pyproject.toml")):
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        hooks = document["tool"]["hatch"].get("metadata", {}).get("hooks", {})
        yield document["project"], hooks.get("custom", {})


def _foreign(requirements: Iterable[str]) -> list[str]:
    return [each for each in requirements if not re.match(r"sonar-network\b", each)]
