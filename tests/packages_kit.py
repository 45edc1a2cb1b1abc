"""Our packages as a user gets them: built, installed beside what they ask for alone, and looked through."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PARTS = {"core": "sonar", "mine": "mine", "scientist": "pysonar", "capsule": "capsule"}
"""Our packages, by the folder below packaging/ that builds them."""

DECRYPTING = frozenset(["pysonar", "phe", "tenseal", "sf_heu", "heu", "fate_utils", "pypaillier"])
"""Modules with which one could decrypt."""
SECRETS = frozenset(["secret", "key", "secretkey", "privatekey"])
"""Names of classes, in lower case, that hold what decrypts."""
ACCOUNTS = ("sonar/home/keystore.py", "Account.decrypt")
"""Takes a password off the key of an Ethereum account: no update and no weights."""
ENVELOPES = ("sonar/veil/envelopes.py", "_SUITE.decrypt")
"""Opens an envelope with the key of the capsule that it is for, which no mine has. In it are seeds of masks:
who has them all, and not the scientist's key, reads no update.
"""
OWN_KEYS = ("capsule/home/keys.py", "AESGCM(_wrapping_key(account)).decrypt")
"""Takes the account's cover off a capsule's own key for envelopes, which is on its disk."""
_IMPORTERS = frozenset(["import_module", "__import__", "find_spec"])


def project_of(part: str) -> dict[str, Any]:
    """The `[project]` table of a part, or, for ".", of the workspace."""
    path = ROOT / "packaging" / part if part in PARTS else ROOT
    found: dict[str, Any] = tomllib.loads((path / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


def build(folder: Path, into: Path, *targets: str) -> None:
    """Build the distributions of a folder with a pyproject.toml, offline."""
    flags = [flag for target in targets for flag in ("-t", target)]
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(into), *flags]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


@dataclass(frozen=True)
class Environment:
    """A virtual environment with some of our wheels and what they ask for."""

    path: Path

    @property
    def packages(self) -> Path:
        """Where modules are."""
        return next(self.path.glob("lib/python3*/site-packages"))

    @property
    def ours(self) -> list[Path]:
        """What is installed here of our own; everything else is linked."""
        return sorted(each for each in self.packages.iterdir() if not each.is_symlink())

    def run(self, program: str, *args: str) -> str:
        """Return what a program of this environment prints."""
        command = [str(self.path / "bin" / program), *args]
        return subprocess.run(command, check=True, capture_output=True, text=True, cwd=self.path).stdout


def install(path: Path, wheels: Iterable[Path], requirements: Iterable[str]) -> Environment:
    """Make an environment of wheels and of all that `requirements` lead to, linked from where we run.

    pip refuses a wheel whose requirements are not met by that: it may not look elsewhere.
    """
    venv.create(path, symlinks=True)
    made = Environment(path)
    for name in closure(requirements):
        found = distribution(name)
        for top in {
            file.parts[0] for file in found.files or () if file.parts[0] not in ("..", "__pycache__")
        }:
            link = made.packages / top
            if not link.exists():
                link.symlink_to(Path(str(found.locate_file(top))))
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(path / "bin" / "python"),
        "--disable-pip-version-check",
    ]
    files = [str(wheel) for wheel in wheels]
    subprocess.run(
        [*pip, "install", "--quiet", "--no-index", *files], check=True, capture_output=True, text=True
    )
    return made


def closure(requirements: Iterable[str]) -> set[str]:
    """Return the distributions that requirements lead to, as those say that are installed here."""
    found: set[str] = set()
    asked: set[tuple[str, str]] = set()
    waiting = [(Requirement(each), "") for each in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        found.add(name)
        for wanted in {"", *requirement.extras}:
            if (name, wanted) not in asked:
                asked.add((name, wanted))
                waiting += [(Requirement(each), wanted) for each in distribution(name).requires or ()]
    return found


def what_decrypts(root: Path) -> list[str]:
    """Return `file:line: what` for all code below a folder that decrypts, or gets what does.

    That is an import of a module with which one could; a name with "decrypt" in it, or that of a class which
    holds a key; and a function or class that knows both `p` and `q`. What is linked is not ours.
    """
    files = sorted(path for path in root.rglob("*.py") if not path.is_symlink())
    return [
        f"{path.relative_to(root)}:{line}: {what}"
        for path in files
        for line, what in sorted(set(_findings(ast.parse(path.read_text(encoding="utf-8")))))
        if (path.relative_to(root).as_posix(), what) not in (ACCOUNTS, ENVELOPES, OWN_KEYS)
    ]


def imports_of(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Where a module imports what, absolutely; by name too, as `import_module` does."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module
        elif isinstance(node, ast.Call) and _last(ast.unparse(node.func)) in _IMPORTERS:
            yield from (
                (node.lineno, str(each.value)) for each in node.args if isinstance(each, ast.Constant)
            )


def _findings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for line, module in imports_of(tree):
        if module.partition(".")[0] in DECRYPTING:
            yield line, f"imports {module}"
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if any("decrypt" in name.lower() for name in _names(node)):
            yield line, ast.unparse(node) if isinstance(node, ast.Attribute) else "decrypt in a name"
        if isinstance(node, ast.ClassDef) and node.name.lower().strip("_") in SECRETS:
            yield line, f"class {node.name}"
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            known = {name.strip("_") for each in ast.walk(node) for name in _names(each)}
            if {"p", "q"} <= known:
                yield line, f"{node.name} knows p and q"


def _names(node: ast.AST) -> Iterator[str]:
    for field in ("id", "attr", "name", "asname", "arg"):
        if isinstance(name := getattr(node, field, None), str):
            yield name


def _last(name: str) -> str:
    return name.rpartition(".")[2]
