"""A network file for tests that need no chain."""

from __future__ import annotations

from pathlib import Path

from sonar.home.settings import NetworkConfig, StoreConfig
from sonar.protocol.ids import Address


def write_network(folder: Path) -> Path:
    """Write the file of a network whose chain nobody serves, and return its path."""
    path = folder / "network.toml"
    NetworkConfig(
        name="test",
        dev=True,
        chain_id=31337,
        rpc_url="http://127.0.0.1:9",
        contract=Address("0x" + "11" * 20),
        code_hash=b"h" * 32,
        store=StoreConfig(path=str(folder / "store")),
    ).save(path)
    return path
