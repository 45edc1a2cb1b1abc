"""No shell's environment keeps `make demo` from installing, and installing shows that it moves."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.packages_kit import ROOT
from tests.script_kit import load_script

INSTALLING = ROOT / "scripts/installing.py"
installing = load_script("installing")

PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "stand-in"
version = "1"
"""
BACKEND = '''
"""Builds a wheel with one program, `sonar`, and needs nothing that is not here."""
import zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "stand_in-1-py3-none-any.whl"
    files = {
        "METADATA": "Metadata-Version: 2.1\\nName: stand-in\\nVersion: 1\\n",
        "WHEEL": "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        "entry_points.txt": "[console_scripts]\\nsonar = stand_in:main\\n",
    }
    program = "import sys\\ndef main():\\n    print('runs', *sys.argv[1:], sys.prefix)\\n"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        wheel.writestr("stand_in.py", program)
        record = "stand_in.py,,\\n"
        for file, text in files.items():
            wheel.writestr(f"stand_in-1.dist-info/{file}", text)
            record += f"stand_in-1.dist-info/{file},,\\n"
        wheel.writestr("stand_in-1.dist-info/RECORD", record)
    return name

build_editable = build_wheel
'''
HOSTILE = {
    "PIP_USER": "1",
    "PIP_TARGET": "elsewhere",
    "PIP_PREFIX": "elsewhere",
    "PIP_ROOT": "elsewhere",
    "PIP_REQUIRE_VIRTUALENV": "1",
    "PIP_REQUIRE_HASHES": "1",
    "PIP_DRY_RUN": "1",
    "PIP_CONSTRAINT": "none.txt",
    "PIP_PYTHON": "/nonexistent",
    "PYTHONPATH": "elsewhere",
    "PYTHONHOME": "/nonexistent",
    "PYTHONUSERBASE": "elsewhere",
    "PYTHONSAFEPATH": "1",
    "PYTHONWARNINGS": "error",
    "PYTHONINSPECT": "1",
    "PYTHONOPTIMIZE": "2",
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The Makefile, with a stand-in for our packages that installs without a network."""
    folder = tmp_path / "a checkout's"
    for name in ("Makefile", "scripts/installing.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "requirements").mkdir()
    (folder / "requirements/demo.lock").write_text("# nothing\n")
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "backend.py").write_text(BACKEND)
    return folder


def make_demo(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = ["make", "demo", "NODE=", f"PYTHON={sys.executable}", "DEMO_ARGS=--mines 3"]
    env = {**os.environ, **environment}
    for ours in ("MAKELEVEL", "MAKEFLAGS", "MFLAGS"):  # the tests may themselves be run by make
        env.pop(ours, None)
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


def test_no_shell_s_environment_breaks_the_demo(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("[install]\nuser = true\ntarget = elsewhere\n")
    done = make_demo(checkout, **HOSTILE, PIP_CONFIG_FILE=str(tmp_path / "pip.conf"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith(f"runs demo --mines 3 {checkout}/.venv\n")
    assert "Installing Python packages into .venv" in done.stderr
    assert not list(checkout.glob("elsewhere*"))


def test_an_installation_that_fails_says_why(checkout: Path) -> None:
    (checkout / "requirements/demo.lock").write_text("no-such-package==1 --hash=sha256:" + "0" * 64 + "\n")
    done = make_demo(checkout, PIP_NO_INDEX="1")
    assert done.returncode != 0
    assert "Installing Python packages into .venv: failed" in done.stderr
    assert "No matching distribution found for no-such-package==1" in done.stderr
    assert not (checkout / ".venv/.demo").exists()


def run(script: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    (tmp_path / "command.py").write_text(script)
    command = [sys.executable, str(INSTALLING), "Installing it", sys.executable, str(tmp_path / "command.py")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_tells_what_was_installed_and_nothing_more(tmp_path: Path) -> None:
    said = (
        "Collecting numpy==2.1.0 (from -r x)\\nCollecting a-b[c]\\nInstalling collected packages: numpy, a-b"
    )
    done = run(f"print('{said}')", tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines()[0] == "Installing it ..."
    assert done.stderr.splitlines()[1].startswith("Installing it: 2 packages, ")


def test_a_failure_keeps_its_code_and_its_last_words(tmp_path: Path) -> None:
    done = run(
        "import sys\nfor i in range(99): print('line', i)\nprint('why', file=sys.stderr)\nsys.exit(7)",
        tmp_path,
    )
    assert done.returncode == 7
    assert "Installing it: failed\nline 60\n" in done.stderr
    assert done.stderr.endswith("why\n")


@pytest.mark.parametrize(
    ("line", "package"),
    [
        ("Collecting numpy==2.1.0 (from -r requirements/demo.lock (line 3))", "numpy"),
        ("Requirement already satisfied: six in ./x", "six"),
        (
            "npm http fetch GET 200 https://r.example/solc/-/solc-0.8.37.tgz 31ms (cache miss)",
            "solc",
        ),
        (
            "npm http cache @uniswap/v4-core@https://r.example/@uniswap/v4-core/-/v4-core-1.0.2.tgz 0ms",
            "@uniswap/v4-core",
        ),
    ],
)
def test_a_package_is_known_by_its_name(line: str, package: str) -> None:
    watched = installing.Watched()
    watched.read([line + "\n"])
    assert package.rpartition("/")[2] in watched.told()


def test_ctrl_c_ends_it(tmp_path: Path) -> None:
    command = [
        sys.executable,
        str(INSTALLING),
        "Installing it",
        sys.executable,
        "-c",
        "import time; time.sleep(60)",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "Installing it ...\n"
        time.sleep(0.3)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(10) == 130
        assert "Traceback" not in process.stderr.read()
