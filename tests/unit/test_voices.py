"""Who speaks in a log: several parties of one machine, and several bounties of one, are told apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from sonar.home.folder import Home
from sonar.telling.progress import ListSink
from sonar.wiring import voice


@pytest.mark.parametrize(
    ("folder", "role", "party"),
    [
        ("net/mine-01", "mine", "mine-01"),
        ("clinics/north", "mine", "north"),
        ("north/mine", "mine", "north/mine"),  # its name alone is every mine's
        ("south/home", "mine", "south/home"),
        ("share/sonar/mine", "mine", "mine"),  # the default, of which there is one
        ("share/sonar/pysonar", "pysonar", "pysonar"),
        ("scientist", "pysonar", "scientist"),
    ],
)
def test_a_home_speaks_by_its_name(tmp_path: Path, folder: str, role: str, party: str) -> None:
    home = Home(tmp_path / folder, role)
    sink = ListSink()
    told = voice(home, sink)
    told.note("here")
    told.about("diabetes").note("there")
    assert [line.party for line in sink.lines] == [party, f"{party}/diabetes"]
