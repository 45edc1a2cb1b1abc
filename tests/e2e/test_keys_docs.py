"""Every command of docs/keys.md runs as it stands there: each section by itself, after those of its top."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.test_capsule_docs import PORTS, free_ports

PAGE = (Path(__file__).parents[2] / "docs" / "keys.md").read_text()
TOP, *SECTIONS = re.split(r"^## ", PAGE, flags=re.M)
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.S | re.M)
COMMANDS = {section.partition("\n")[0]: "".join(BLOCK.findall(section)) for section in SECTIONS}
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(290)]


def test_the_table_links_every_section() -> None:
    assert set(DEEP) <= set(COMMANDS)
    linked = re.findall(r"\(#([a-z-]+)\)", TOP)
    assert linked == [re.sub(r"[^a-z ]", "", title.lower()).replace(" ", "-") for title in COMMANDS]


DEEP = ("A mine's account", "A scientist's account", "A capsule's account", "The scientist's Paillier key")
"""What other tests of `make test` do as well, with the same programs: half a minute each."""


def sections() -> Iterator[object]:
    for title, commands in COMMANDS.items():
        if commands:
            yield pytest.param(title, marks=pytest.mark.deep) if title in DEEP else title


@pytest.mark.parametrize("title", sections())
def test_the_commands_run_as_written(tmp_path: Path, title: str) -> None:
    path = f'export PATH="{Path(sys.executable).parent}:$PATH"'
    own = 2000 + 100 * list(COMMANDS).index(title)  # other tests, and other sections, look for free ports too
    script = "".join(BLOCK.findall(TOP)) + PORTS.sub(free_ports(own), COMMANDS[title])
    full = f"set -eu\ntrap 'kill $(jobs -p)' EXIT\n{path}\n{script}"
    run = subprocess.run(["bash", "-c", full], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-4000:]
    assert "Traceback" not in run.stderr
