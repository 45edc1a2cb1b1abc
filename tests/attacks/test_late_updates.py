"""A mine that withholds its update until the scientist has given it up, and publishes it then.

It need not guess: she gives up when half of the settle window is over. Capsules look into the store when they
are first asked about a round. What they saw there cannot be called withheld, so none would have signed any
settlement of that round, and an overdue bounty pays all mines alike.
"""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from sonar.settling.verdict import WITHHELD
from tests.integration.capsule_world import CapsuleWorld, InProcess


def test_an_update_that_comes_as_it_is_given_up_does_not_stop_the_settlement(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = CapsuleWorld(tmp_path, mines=4, settings={"rounds": 1}, audit=True)
    late = world.miners[0]
    late.withhold = frozenset({1})
    handle = InProcess.handle

    def publishing(capsule: InProcess, request: httpx.Request) -> httpx.Response:
        """Nothing is asked about answers before the missing one is given up."""
        if request.url.path.endswith("functional"):
            for data, codec in zip(late.late.values(), ("raw", "dag-cbor"), strict=False):
                world.store.put(data, codec)  # type: ignore[arg-type]
        return handle(capsule, request)

    monkeypatch.setattr(InProcess, "handle", publishing)
    campaign = world.campaign()
    world.run(campaign)
    (line,) = campaign.history()
    assert line["ended"] == "settled"
    assert WITHHELD not in str(line)
    world.check_money()
