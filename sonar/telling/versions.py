"""Which distribution has installed each of our packages, and in which version."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

DISTRIBUTIONS = {"sonar": "sonar-network", "mine": "sonar-network-mine", "pysonar": "sonar-network-scientist"}
"""By package; its program has the package's name."""
WORKSPACE = "sonar-workspace"
"""What installs all of them at once, from a checkout."""


def version_of(package: str) -> str:
    """Return the installed version of one of our packages. Raises PackageNotFoundError if there is none."""
    try:
        return version(DISTRIBUTIONS[package])
    except PackageNotFoundError:
        return version(WORKSPACE)
