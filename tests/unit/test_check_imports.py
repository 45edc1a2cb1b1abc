"""The import rules hold for this repository, and the check can fail: each made-up offence is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.script_kit import load_script

ROOT = Path(__file__).parents[2]


SCRIPT = load_script("check_imports")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small copy of the layout, to which a test adds one module."""
    for folder in (
        "sonar/protocol",
        "sonar/localchain",
        "sonar/demo",
        "sonar/store",
        "mine",
        "pysonar",
        "pysonar/keys",
    ):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "__init__.py").write_text("")
    for name in ("sonar/store/folder.py", "pysonar/keys/keys.py", "sonar/errors.py"):
        (tmp_path / name).write_text("")
    return tmp_path


def test_this_repository_keeps_the_rules() -> None:
    assert [str(offence) for offence in SCRIPT.check(ROOT)] == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("sonar/protocol/bad.py", "import time"),
        ("sonar/protocol/bad.py", "import os.path"),
        ("sonar/protocol/bad.py", "def f():\n    from random import random"),
        ("sonar/protocol/bad.py", "import secrets"),
        ("sonar/protocol/bad.py", "import httpx"),
        ("sonar/protocol/bad.py", "import sonar.chain"),
        ("sonar/protocol/bad.py", "from sonar import manifests"),
        ("sonar/protocol/bad.py", "from importlib.resources import files"),
        ("sonar/protocol/bad.py", "x = open('file')"),
        ("sonar/protocol/bad.py", "import numpy as np\nx = np.random.default_rng()"),
        ("sonar/protocol/bad.py", "from numpy import random"),
        ("sonar/protocol/bad.py", "import numpy.random"),
        ("sonar/data/bad.py", "import sonar.paillier.slots"),
        ("sonar/data/examples.py", "import importlib"),
        ("sonar/paillier/bad.py", "from sonar.families import quadratic"),
        ("sonar/paillier/bad.py", "import phe"),
        ("sonar/errors.py", "import sonar.protocol.ids"),
        ("sonar/chain/bad.py", "import sonar.localchain"),
        ("sonar/chain/bad.py", "import rich"),
        ("sonar/store/bad.py", "import sonar.chain"),
        ("sonar/home/journal.py", "import pysonar"),
        ("sonar/home/folder.py", "from sonar import localchain"),
        ("mine/bad.py", "import pysonar"),
        ("mine/bad.py", "from pysonar.keys.key import Key"),
        ("mine/bad.py", "from .. import pysonar"),
        ("mine/bad.py", "import importlib\nimportlib.import_module('pysonar.keys.key')"),
        ("mine/bad.py", "import importlib\nimportlib.import_module(name)"),
        ("mine/bad.py", "from sonar import localchain"),
        ("mine/bad.py", "import sonar.demo.launch"),
        ("mine/bad.py", "import phe"),
        ("mine/bad.py", "import sklearn.linear_model"),
        ("mine/bad.py", "import eth_tester"),
        ("mine/node.py", "from sonar.store.folder import FolderStore"),
        ("mine/bad.py", "import pickle"),
        ("mine/bad.py", "eval('1')"),
        ("pysonar/bad.py", "import mine.node"),
        ("pysonar/bad.py", "import sonar.localchain"),
        ("pysonar/bad.py", "import sonar.demo"),
        ("pysonar/wiring.py", "import sonar.demo"),
        ("sonar/demo/bad.py", "import mine.node"),
        ("sonar/demo/bad.py", "from pysonar import keys"),
        ("sonar/cli.py", "import pysonar.cli"),
        ("sonar/commands/bad.py", "import mine"),
        ("mine/bad.py", "import sonar.commands"),
        ("sonar/families/bad.py", "import sonar.manifests.model"),
        ("sonar/chain/contract/bad.py", "import sonar.chain.sending.outbox"),
        ("sonar/home/bad.py", "import sonar.chain.rpc"),
        ("mine/work/bad.py", "import mine.node"),
        ("pysonar/keys/bad.py", "from pysonar.bounty import design"),
        ("pysonar/bounty/bad.py", "import pysonar.campaign.rounds"),
    ],
)
def test_an_offence_is_found(tree: Path, capsys: pytest.CaptureFixture[str], path: str, source: str) -> None:
    (tree / path).parent.mkdir(parents=True, exist_ok=True)
    (tree / path).write_text(f"'''A docstring.'''\n{source}\n")
    assert SCRIPT.main([str(tree)]) == 1
    lines = capsys.readouterr().out.splitlines()
    last = len(source.splitlines()) + 1
    assert [line.split(": ")[0] for line in lines][-1:] == [f"{path}:{last}"]
    assert all(line.count(": ") >= 1 for line in lines)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (
            "sonar/protocol/good.py",
            "import hashlib, numpy\nfrom sonar.errors import SonarError\nfrom . import cid",
        ),
        ("sonar/data/examples.py", "from importlib import resources"),
        ("sonar/families/good.py", "from sonar.protocol import record"),
        ("sonar/chain/good.py", "import httpx, time\nimport sonar.protocol.ids"),
        ("mine/wiring.py", "from sonar.store.folder import FolderStore"),
        ("mine/good.py", "from sonar.paillier import affine\nfrom mine.node import Node"),
        ("pysonar/wiring.py", "import sonar.localchain"),
        ("pysonar/good.py", "import phe"),
        ("sonar/demo/good.py", "import subprocess, matplotlib\nimport sonar.localchain"),
    ],
)
def test_what_is_allowed_passes(tree: Path, path: str, source: str) -> None:
    (tree / path).parent.mkdir(parents=True, exist_ok=True)
    (tree / path).write_text(source + "\n")
    assert SCRIPT.check(tree) == []
