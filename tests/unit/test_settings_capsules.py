"""The capsules that a network's file lists: what is wrong with a line is said as its writer sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sonar.errors import ConfigError
from sonar.home.settings import NetworkConfig
from tests.unit.network_file import write_network

ACCOUNT = 'account = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"\n'
URL = 'url = "https://capsule.example"\n'
ONE = f"[[capsules]]\n{URL}{ACCOUNT}"


def read(folder: Path, capsules: str) -> NetworkConfig:
    path = write_network(folder)
    path.write_text(f"{path.read_text()}\n{capsules}")
    return NetworkConfig.load(path)


@pytest.mark.parametrize(
    ("capsules", "place", "told"),
    [
        (f'{ONE}[[capsules]]\nurl = "capsule.example"\n{ACCOUNT}', "capsule 2's url", "begin with http"),
        (f"[[capsules]]\nurl = 8551\n{ACCOUNT}", "capsule 1's url", "in quotes"),
        (f"[[capsules]]\n{URL}", "capsule 1's account", "missing"),
        (f"[[capsules]]\n{URL}a{ACCOUNT[2:]}", "capsule 1's acount", "did you mean capsules.account"),
        (f'[[capsules]]\n{URL}account = "0x12"', "capsules.account", "40 hex digits"),
        (f"[capsules]\n{URL}{ACCOUNT}", "capsules in", "two brackets"),
        (ONE + ONE, "capsules in", "list each capsule once"),
        (f'[[capsules]]\nurl = "https://me:secret@x.example"\n{ACCOUNT}', "capsule 1's url", "no password"),
        (f'[[capsules]]\nurl = "https://x.example/?a=b"\n{ACCOUNT}', "capsule 1's url", "no ? or #"),
    ],
)
def test_a_wrong_line_is_named_as_people_count(tmp_path: Path, capsules: str, place: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, capsules)
    assert place in caught.value.field
    assert told in f"{caught.value} {caught.value.hint}"
    assert "secret" not in f"{caught.value} {caught.value.hint}"


def test_capsules_that_can_be_reached_are_taken(tmp_path: Path) -> None:
    assert len(read(tmp_path, ONE).capsules) == 1
