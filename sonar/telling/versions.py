"""Which distribution has installed each of our packages, and in which version."""

from __future__ import annotations

from pathlib import Path

DISTRIBUTIONS = {
    "sonar": "sonar-network",
    "mine": "sonar-network-mine",
    "pysonar": "sonar-network-scientist",
    "capsule": "sonar-network-capsule",
}
"""By package; its program has the package's name."""
WORKSPACE = "sonar-workspace"
"""What installs all of them at once, from a checkout."""
UNKNOWN = "0+unknown"
_CHECKOUT = Path(__file__).parents[2]


def version_of(package: str) -> str:
    """Return the version of one of our packages: as installed, or else as its checkout says.

    `UNKNOWN` where neither tells, as of a copy of the code alone.
    """
    from importlib.metadata import PackageNotFoundError, version  # a tenth of the start of `mine --help`

    for distribution in (DISTRIBUTIONS[package], WORKSPACE):
        try:
            return version(distribution)
        except PackageNotFoundError:
            continue
    return _of_checkout(_CHECKOUT)


def _of_checkout(folder: Path) -> str:
    import tomllib

    try:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        return str(project["version"]) if project["name"] == WORKSPACE else UNKNOWN
    except (OSError, ValueError, KeyError):
        return UNKNOWN
