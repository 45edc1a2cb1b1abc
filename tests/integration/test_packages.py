"""What is published, built and installed as a user installs it: a mine gets nothing that decrypts."""

from __future__ import annotations

import json
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.packages_kit import (
    DECRYPTING,
    PARTS,
    ROOT,
    Environment,
    build,
    closure,
    install,
    project_of,
    what_decrypts,
)

pytestmark = pytest.mark.xdist_group("packages")

VERSION = project_of(".")["version"]
OPTIONAL = {"sonar.localchain.tester": "eth"}
"""What a module cannot be loaded without, and comes with an extra."""
IMPORT_ALL = """
import importlib, json, pkgutil, sys
missing = {}
for package in sys.argv[1:]:
    for found in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
        if not found.name.endswith(".__main__"):
            try:
                importlib.import_module(found.name)
            except ModuleNotFoundError as error:
                missing[found.name] = error.name
print(json.dumps([missing, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


PLANTED = [
    ("class Pool:\n    def decrypt(self): ...", "2: decrypt in a name"),
    ("_decrypt_some = pow", "1: decrypt in a name"),
    ("def f(key, c):\n    return key.decrypt(c)", "2: key.decrypt"),
    ("from eth_account import Account\nAccount.decrypt({}, '')", "2: Account.decrypt"),
    ("def f():\n    from pysonar.keys import keys", "2: imports pysonar.keys"),
    ("import pysonar.api as api", "1: imports pysonar.api"),
    ("from importlib import import_module\nimport_module('phe')", "2: imports phe"),
    ("import tenseal", "1: imports tenseal"),
    ("class Secret: ...", "1: class Secret"),
    ("def crt(c, p, q):\n    return c % p, c % q", "1: crt knows p and q"),
    ("def f(key):\n    return key._p * key._q", "1: f knows p and q"),
]
"""Code that decrypts, and what is found of it."""


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    for part in PARTS:
        build(ROOT / "packaging" / part, folder)
    return folder


def wheel(dist: Path, part: str) -> Path:
    (found,) = dist.glob(f"{project_of(part)['name'].replace('-', '_')}-{VERSION}-*.whl")
    return found


def asked(dist: Path, *parts: str) -> list[str]:
    """What the parts' wheels ask for that is not ours, without extras."""
    lines = []
    for part in parts:
        with zipfile.ZipFile(wheel(dist, part)) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            metadata = archive.read(name).decode()
        lines += [
            line.partition(": ")[2] for line in metadata.splitlines() if line.startswith("Requires-Dist:")
        ]
    return [line for line in lines if "extra ==" not in line and not line.startswith("sonar-network")]


@pytest.fixture(scope="module")
def mine_alone(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    path = tmp_path_factory.mktemp("mine") / "environment"
    return install(path, [wheel(dist, part) for part in ("core", "mine")], asked(dist, "core", "mine"))


@pytest.fixture(scope="module")
def capsule_alone(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    path = tmp_path_factory.mktemp("capsule") / "environment"
    wheels = [wheel(dist, part) for part in ("core", "capsule")]
    return install(path, wheels, asked(dist, "core", "capsule"))


@pytest.fixture(scope="module")
def scientist(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    path = tmp_path_factory.mktemp("scientist") / "environment"
    wheels = [wheel(dist, part) for part in ("core", "scientist")]
    return install(path, wheels, asked(dist, "core", "scientist"))


@pytest.mark.parametrize(("part", "package"), PARTS.items())
def test_a_wheel_is_its_package_whole_and_nothing_else(dist: Path, part: str, package: str) -> None:
    tree = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel(dist, part)) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        assert any(name.endswith(".dist-info/licenses/LICENSE") for name in archive.namelist())
    assert names == tree


@pytest.mark.parametrize("part", PARTS)
def test_a_source_distribution_builds_the_same_files(dist: Path, part: str, tmp_path: Path) -> None:
    name = f"{project_of(part)['name'].replace('-', '_')}-{VERSION}"
    with tarfile.open(dist / f"{name}.tar.gz") as archive:
        assert not any(member.issym() or member.islnk() for member in archive)
        archive.extractall(tmp_path, filter="data")
    build(tmp_path / name, tmp_path)
    for built in (f"{name}.tar.gz", wheel(dist, part).name):
        assert (tmp_path / built).read_bytes() == (dist / built).read_bytes()


def test_core_and_mine_alone_hold_no_code_that_decrypts(dist: Path, mine_alone: Environment) -> None:
    ours = {path.name for path in mine_alone.ours}
    assert ours == {
        "sonar",
        "mine",
        f"sonar_network-{VERSION}.dist-info",
        f"sonar_network_mine-{VERSION}.dist-info",
    }
    assert len(list(mine_alone.packages.glob("sonar/**/*.py"))) > 50  # it looks where there is something
    assert what_decrypts(mine_alone.packages) == []
    opens_envelopes = [
        path for path in mine_alone.packages.glob("mine/**/*.py") if "EnvelopeKey" in path.read_text()
    ]
    assert opens_envelopes == []
    assert not closure(asked(dist, "core", "mine")) & {name.replace("_", "-") for name in DECRYPTING}


def test_core_and_mine_alone_load_nothing_that_decrypts(mine_alone: Environment) -> None:
    missing, loaded = json.loads(mine_alone.run("python", "-c", IMPORT_ALL, "sonar", "mine"))
    assert missing == OPTIONAL
    assert not DECRYPTING & set(loaded)
    assert {"sonar", "mine", "gmpy2"} <= set(loaded)


def test_core_and_capsule_alone_decrypt_no_update_and_read_no_data(
    dist: Path, capsule_alone: Environment
) -> None:
    """It opens envelopes, in one place; it has neither a key of Paillier's, nor a mine's way to data."""
    packages = capsule_alone.packages
    assert {path.name for path in capsule_alone.ours} == {
        "sonar",
        "capsule",
        f"sonar_network-{VERSION}.dist-info",
        f"sonar_network_capsule-{VERSION}.dist-info",
    }
    assert what_decrypts(packages) == []
    assert len(list(packages.glob("capsule/**/*.py"))) > 25
    opens = {path.name for path in packages.glob("capsule/**/*.py") if "EnvelopeKey" in path.read_text()}
    assert opens == {"keys.py"}
    missing, loaded = json.loads(capsule_alone.run("python", "-c", IMPORT_ALL, "sonar", "capsule"))
    assert missing == OPTIONAL
    assert not (DECRYPTING | {"mine", "pysonar", "pandas", "sklearn"}) & set(loaded)
    for path in packages.glob("capsule/**/*.py"):
        assert "sonar.data" not in path.read_text(), path


def test_code_that_decrypts_is_found_among_what_a_mine_installs(mine_alone: Environment) -> None:
    for number, (source, _) in enumerate(PLANTED):
        (mine_alone.packages / "mine" / f"planted_{number}.py").write_text(source + "\n")
    try:
        found = what_decrypts(mine_alone.packages)
    finally:
        for path in mine_alone.packages.glob("mine/planted_*.py"):
            path.unlink()
    wanted = [f"mine/planted_{number}.py:{what}" for number, (_, what) in enumerate(PLANTED)]
    assert [line for line in wanted if line not in found] == []


def test_what_the_scientist_installs_decrypts(scientist: Environment) -> None:
    found = {line.partition(":")[0] for line in what_decrypts(scientist.packages)}
    assert {"pysonar/keys/key.py", "pysonar/keys/phe_compat.py"} <= found
    assert all(path.startswith("pysonar/") for path in found)
    assert not (scientist.packages / "mine").exists()


def test_each_program_says_the_version_of_what_installed_it(
    mine_alone: Environment, capsule_alone: Environment, scientist: Environment
) -> None:
    for environment, programs in (
        (mine_alone, ["sonar", "mine"]),
        (capsule_alone, ["sonar", "capsule"]),
        (scientist, ["sonar", "pysonar"]),
    ):
        for program in programs:
            assert environment.run(program, "--version") == f"{program} {VERSION}\n"
        assert {path.name for path in (environment.path / "bin").glob("*[!0-9]")} & {*PARTS.values()} == {
            *programs
        }


def test_pip_refuses_a_mine_on_a_core_of_another_version(dist: Path, tmp_path: Path) -> None:
    other = tmp_path / "packaging" / "mine"
    other.parent.mkdir()
    with tarfile.open(dist / f"sonar_network_mine-{VERSION}.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    (tmp_path / f"sonar_network_mine-{VERSION}").rename(other)
    (other / "PKG-INFO").unlink()  # as in a checkout: the version is the workspace's
    (tmp_path / "pyproject.toml").write_text('version = "99.1"\n')
    build(other, tmp_path, "wheel")
    with pytest.raises(subprocess.CalledProcessError) as refused:
        install(
            tmp_path / "environment",
            [wheel(dist, "core"), *tmp_path.glob("*-99.1-*.whl")],
            asked(dist, "core"),
        )
    assert "Cannot install sonar-network" in refused.value.stderr
    assert "sonar-network-mine==99.1" in refused.value.stderr
