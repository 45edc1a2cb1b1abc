"""What the parts' packages say: one version, one licence, and all that their code imports."""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from sonar.telling.versions import DISTRIBUTIONS, WORKSPACE
from tests.packages_kit import PARTS, ROOT, imports_of, project_of

WORKSPACE_PROJECT = project_of(".")
VERSION = WORKSPACE_PROJECT["version"]
MODULES = {
    "eth": "py-evm",
    "IPython": "ipython",
    "sklearn": "scikit-learn",
    "Crypto": "pycryptodome",
}
"""Modules whose distribution has another name."""
WITH_AN_EXTRA = {
    "py-evm": {"sonar/localchain/tester.py"},
    "eth-tester": {"sonar/localchain/tester.py"},
    "ipython": {"pysonar/show/live.py"},
    "phe": {"pysonar/keys/phe_compat.py"},
    "setproctitle": {"sonar/processes/steps.py"},
}
"""What only an extra installs, and the only modules that may import it."""
WITH_AN_EXTRA_IN: dict[str, tuple[str, ...]] = {
    "scipy": ("pysonar/statistics/",),
    "scikit-learn": ("pysonar/estimators/", "pysonar/models/growing.py", "pysonar/models/pipeline.py"),
    "matplotlib": ("pysonar/statistics/", "pysonar/show/plots.py", "sonar/demo/plot.py", "sonar/stairs.py"),
    "onnx": ("pysonar/models/graph.py",),
    "safetensors": ("pysonar/models/tensors.py",),
}
"""What only an extra installs, and the only folders and modules that may import it; none needs to."""
LOOKED_FOR = {"sonar/localchain/__init__.py": {"eth", "eth_tester"}}
"""Where modules are looked for and not imported."""
FOR_OTHERS = {
    "coincurve": "eth-keys takes it for its arithmetic",
    "eth-hash": "eth-utils takes it for keccak",
    "jupyterlab": "what notebooks run in",
    "pandas": "what notebooks hold tables in",
    "scipy": "p-values of statistics",
}
"""What is asked for and not imported, and why."""


def metadata_of(part: str) -> ProjectMetadata[Any]:
    """What the build backend makes of a part, or of the workspace (".")."""
    folder = ROOT / "packaging" / part if part in PARTS else ROOT
    return ProjectMetadata(str(folder), PluginManager())


def names(requirements: Iterable[str]) -> set[str]:
    return {canonicalize_name(Requirement(each).name) for each in requirements}


def required(part: str) -> set[str]:
    """What is installed with a part, without its extras: what the core asks for too."""
    return names(metadata_of(part).core.dependencies) | names(metadata_of("core").core.dependencies)


def extras(part: str) -> set[str]:
    return names(each for listed in metadata_of(part).core.optional_dependencies.values() for each in listed)


def imported(package: str) -> dict[str, set[str]]:
    """Other people's distributions that a package imports, and where."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in (ROOT / package).rglob("*.py"):
        shown = path.relative_to(ROOT).as_posix()
        tops = {module.partition(".")[0] for _, module in imports_of(ast.parse(path.read_text("utf-8")))}
        for top in tops - LOOKED_FOR.get(shown, set()) - sys.stdlib_module_names - DISTRIBUTIONS.keys():
            found[canonicalize_name(MODULES.get(top, top))].add(shown)
    return found


@pytest.mark.parametrize(("part", "package"), PARTS.items())
def test_a_part_asks_for_all_that_it_imports(part: str, package: str) -> None:
    found = imported(package)
    missing = found.keys() - required(part)
    for name in WITH_AN_EXTRA_IN.keys() & missing:
        assert all(path.startswith(WITH_AN_EXTRA_IN[name]) for path in found[name]), found[name]
        assert name in extras(part)
    missing -= WITH_AN_EXTRA_IN.keys()
    assert missing == {
        name for name, where in WITH_AN_EXTRA.items() if package in {_top(path) for path in where}
    }
    assert missing <= extras(part)
    for name in missing:
        assert found[name] == {path for path in WITH_AN_EXTRA[name] if _top(path) == package}, name


def test_a_part_that_asks_for_too_little_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "new.py").write_text("def f():\n    import duckdb.typing\n    from eth import vm\n")
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    assert imported("mine") == {"duckdb": {"mine/new.py"}, "py-evm": {"mine/new.py"}}


def test_nothing_is_asked_for_without_need() -> None:
    everything = {name for package in PARTS.values() for name in imported(package)}
    asked = {name for part in PARTS for name in required(part) | extras(part)}
    assert asked - everything - FOR_OTHERS.keys() - {*DISTRIBUTIONS.values()} == set()


def test_a_mine_asks_for_the_core_alone() -> None:
    assert metadata_of("mine").core.dependencies == [f"sonar-network=={VERSION}"]
    assert metadata_of("mine").core.optional_dependencies == {}


@pytest.mark.parametrize(("part", "package"), PARTS.items())
def test_a_part_has_the_workspace_s_version_and_asks_for_the_core_of_the_same(
    part: str, package: str
) -> None:
    metadata = metadata_of(part)
    assert metadata.version == VERSION
    assert metadata.core.raw_name == DISTRIBUTIONS[package]
    assert metadata.core.scripts == {package: f"{package}.__main__:main"}
    if part != "core":
        assert f"sonar-network=={VERSION}" in metadata.core.dependencies


def test_what_is_said_of_all_parts_is_the_same() -> None:
    core = project_of("core")
    for part in PARTS:
        project = project_of(part)
        for field in ("requires-python", "license", "license-files", "classifiers", "keywords", "readme"):
            assert project[field] == core[field], (part, field)
        assert (ROOT / "packaging" / part / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
        assert (ROOT / "packaging" / part / "README.md").read_text().startswith(f"# {project['name']}\n")
    assert core["requires-python"] == WORKSPACE_PROJECT["requires-python"]


def test_the_workspace_installs_what_its_parts_ask_for_and_is_published_nowhere() -> None:
    workspace = metadata_of(".").core
    ours = {*DISTRIBUTIONS.values()}
    assert workspace.raw_name == WORKSPACE
    assert workspace.classifiers == ["Private :: Do Not Upload"]
    assert workspace.scripts == {package: f"{package}.__main__:main" for package in PARTS.values()}
    assert names(workspace.dependencies) == {name for part in PARTS for name in required(part)} - ours
    assert {name for part in PARTS for name in extras(part)} - ours == extras(".")
    assert {"demo", "embedded", "notebook"} <= workspace.optional_dependencies.keys()


@pytest.mark.parametrize(
    ("lock", "asked"),
    [
        ("core", lambda: required("core") | required("mine")),
        ("capsule", lambda: required("capsule")),
        ("notebook", lambda: required("scientist") | _extra("scientist", "notebook")),
        ("demo", lambda: required("scientist") | _extra("core", "demo")),
        ("test", lambda: required("scientist") | extras("core")),
        ("bench", lambda: required("scientist")),
        ("build", lambda: names(metadata_of("core").build.requires)),
    ],
)
def test_a_lock_has_all_that_is_installed_by_it(lock: str, asked: Any) -> None:
    locked = set(re.findall(r"(?m)^([a-z0-9-]+)==", (ROOT / "requirements" / f"{lock}.lock").read_text()))
    assert asked() - {*DISTRIBUTIONS.values()} <= locked


def test_images_and_what_is_said_of_them_are_of_the_same_version() -> None:
    files = [ROOT / "Dockerfile", *ROOT.glob("*.yml"), *ROOT.glob("docs/*.md"), ROOT / "tests/docker/kit.py"]
    pattern = re.compile(r"sonar-network/[a-z{}]+:([0-9][\w.]*)|image\.version=\"(.+?)\"")
    found = {
        (path.name, one or other) for path in files for one, other in pattern.findall(path.read_text("utf-8"))
    }
    assert {name for name, _ in found} >= {"Dockerfile", "compose.mines.yml", "operate.md", "kit.py"}
    assert {version for _, version in found} == {VERSION}


def _extra(part: str, extra: str) -> set[str]:
    return names(metadata_of(part).core.optional_dependencies[extra])


def _top(path: str) -> str:
    return path.partition("/")[0]
