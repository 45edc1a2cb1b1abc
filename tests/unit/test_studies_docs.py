"""The page on studies: its file is a study, its commands exist, and its defaults are the program's."""

from __future__ import annotations

import re
from pathlib import Path

from typer.main import get_command

from pysonar.bounty.study import SPARE_ROUNDS, Study
from pysonar.cli import app

PAGE = (Path(__file__).parents[2] / "docs" / "studies.md").read_text()


def test_its_file_is_a_study(tmp_path: Path) -> None:
    (block,) = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.S | re.M)
    (tmp_path / "study.toml").write_text(block)
    study = Study.from_toml(tmp_path / "study.toml")
    assert study.settings.name == "heights"
    assert study.columns == ("height", "sex")
    assert study.terms.rounds == study.statistic.rounds + SPARE_ROUNDS
    assert "and two more" in PAGE


def test_its_commands_exist() -> None:
    (block,) = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.S | re.M)
    known = get_command(app).commands  # type: ignore[attr-defined]
    used = [line.split()[1] for line in block.splitlines()]
    assert used == ["explain", "run", "result"]
    assert known.keys() >= set(used)


def test_its_links_lead_somewhere() -> None:
    for name in re.findall(r"\]\(([a-z.]+)\)", PAGE):
        assert (Path(__file__).parents[2] / "docs" / name).is_file(), name
