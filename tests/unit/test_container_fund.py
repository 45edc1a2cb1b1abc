"""How a container's account gets its ether."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

from sonar.telling.progress import Waiting

ROOT = Path(__file__).parents[2]


def test_a_faucet_whose_key_stayed_at_home_is_waited_for(tmp_path: Path) -> None:
    """A mine of another machine ended, again and again, when `[faucet]` was left in its network file."""
    look = runpy.run_path(str(ROOT / "docker" / "fund.py"))["_look"]
    network = SimpleNamespace(dev=True, faucet=SimpleNamespace(key_file=str(tmp_path / "faucet.key")))
    found = look(network, SimpleNamespace(ether=lambda _: 0), "0xmine", 2)
    assert isinstance(found, Waiting)
    assert "sonar fund 0xmine" in found.what
