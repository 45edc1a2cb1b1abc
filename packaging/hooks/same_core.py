"""A part asks for the core of its own version, to the last digit: what they write on a chain must agree.

The folder of each part that is built on the core has a link to this one, so that its source
distribution is whole.
"""

from __future__ import annotations

from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

CORE = "sonar-network"


class SameCore(MetadataHookInterface):
    """Sets `dependencies`: the core, then what the hook's own `dependencies` list."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set `dependencies` in `[project]`, whose `version` is known by now."""
        metadata["dependencies"] = [f"{CORE}=={metadata['version']}", *self.config["dependencies"]]
