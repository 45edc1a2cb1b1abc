"""Figures of the code: the lengths of its files and functions, the sizes of its classes and folders.

    python scripts/house.py [--check] [--json] [ROOT]

Prints a table of figures with their limits, then every offence as `file:line: what is wrong`; with --check it
exits with 1 when there is one. It reads what is shipped, not tests and scripts, and runs nothing.

- A file is as long as it is, docstrings and comments included; so is a function, from `def` to its end.
- A class has the methods that are written in it; a folder the files in it, whatever their kind.
- Of the parts of a folder, none imports another that imports it back, on whatever way. A part is a module or
  a folder; imports for types alone, and those within functions, count as any other.
- Who catches every exception and goes on says why: in a comment on that line, or on the one above. Whoever
  raises the same exception again, goes on with nothing.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import math
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from check_imports import imports_of, module_name

PACKAGES = ("sonar", "mine", "pysonar", "capsule")
FILE_LINES, CLASS_METHODS, FOLDER_FILES = 400, 25, 15
FUNCTION_LINES, FUNCTION_MEDIAN, FUNCTION_P90 = 60, 7, 20
_EVERYTHING = frozenset({"Exception", "BaseException"})
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, order=True)
class Offence:
    """One thing that breaks a limit; line 0 if it is about the whole."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}" if self.line else f"{self.path}: {self.text}"


@dataclass(frozen=True)
class Figure:
    """A measure of all the code, its limit, and what breaks it."""

    name: str
    value: int
    limit: int
    offences: tuple[Offence, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether it is within the limit."""
        return self.value <= self.limit


@dataclass(frozen=True)
class Source:
    """A source file."""

    path: str
    module: str
    text: str
    tree: ast.Module

    @classmethod
    def read(cls, path: Path, root: Path) -> Source:
        """Raises SyntaxError and UnicodeError if it is not Python."""
        text = path.read_text(encoding="utf-8")
        return cls(str(path.relative_to(root)), module_name(path, root), text, ast.parse(text, str(path)))

    def nodes(self, *kinds: type[ast.AST]) -> Iterator[ast.AST]:
        """Its nodes of these kinds."""
        return (node for node in ast.walk(self.tree) if isinstance(node, kinds))


def survey(root: Path) -> list[Figure]:
    """Measure the packages below `root`. Raises ValueError where there is none."""
    found = [root / package for package in PACKAGES if (root / package).is_dir()]
    if not found:
        raise ValueError(f"{root} has none of the folders {', '.join(PACKAGES)}; name the repository's root")
    sources = [Source.read(path, root) for package in found for path in sorted(package.rglob("*.py"))]
    return [
        files(sources),
        classes(sources),
        folders(found, root),
        *functions(sources),
        circles(sources),
        catches(sources),
    ]


def files(sources: Iterable[Source]) -> Figure:
    """Lines of the longest file."""
    sizes = [(Offence(source.path, 0, "lines"), len(source.text.splitlines())) for source in sources]
    return _largest("lines of a file", FILE_LINES, sizes)


def classes(sources: Iterable[Source]) -> Figure:
    """Methods of the largest class."""
    sizes = [
        (Offence(source.path, node.lineno, f"methods in class {node.name}"), _methods(node))
        for source in sources
        for node in source.nodes(ast.ClassDef)
        if isinstance(node, ast.ClassDef)
    ]
    return _largest("methods of a class", CLASS_METHODS, sizes)


def _methods(node: ast.ClassDef) -> int:
    return len({child.name for child in node.body if isinstance(child, _FUNCTIONS)})


def folders(packages: Iterable[Path], root: Path) -> Figure:
    """Files in the fullest folder."""
    sizes = [
        (
            Offence(str(folder.relative_to(root)), 0, "files in the folder"),
            sum(path.is_file() and path.suffix != ".pyc" for path in folder.iterdir()),
        )
        for package in packages
        for folder in sorted([package, *(path for path in package.rglob("*") if path.is_dir())])
    ]
    return _largest("files of a folder", FOLDER_FILES, sizes)


def functions(sources: Iterable[Source]) -> list[Figure]:
    """Lines of functions: the longest, the median, and what nine of ten have at most."""
    sizes = [
        (Offence(source.path, node.lineno, f"lines in {node.name}"), (node.end_lineno or 0) - node.lineno + 1)
        for source in sources
        for node in source.nodes(*_FUNCTIONS)
        if isinstance(node, _FUNCTIONS)
    ]
    lines = sorted(size for _, size in sizes) or [0]
    return [
        _largest("lines of a function", FUNCTION_LINES, sizes),
        _of_all("median lines of functions", _rank(lines, 0.5), FUNCTION_MEDIAN),
        _of_all("lines of nine in ten functions", _rank(lines, 0.9), FUNCTION_P90),
    ]


def _rank(ordered: Sequence[int], part: float) -> int:
    """The smallest value that `part` of them are not above."""
    return ordered[math.ceil(part * len(ordered)) - 1]


def _of_all(name: str, value: int, limit: int) -> Figure:
    broken = Offence("functions", 0, f"{name}: {value}, more than {limit}")
    return Figure(name, value, limit, (broken,) if value > limit else ())


def _largest(name: str, limit: int, sizes: Sequence[tuple[Offence, int]]) -> Figure:
    """The largest of these sizes; each above the limit is an offence, with its size in its words."""
    offences = [
        Offence(at.path, at.line, f"{size} {at.text}, more than {limit}")
        for at, size in sizes
        if size > limit
    ]
    return Figure(name, max((size for _, size in sizes), default=0), limit, tuple(offences))


def circles(sources: Sequence[Source]) -> Figure:
    """Parts of a folder that import each other, directly or by way of others."""
    offences = []
    for level, graph in sorted(_levels(sources).items()):
        for ring in _rings({part: set(imports) for part, imports in graph.items()}):
            for part in ring:
                for other in sorted(ring & graph[part].keys()):
                    where = graph[part][other]
                    text = f"{part} imports {other}, and {other} {part} again, in {'.'.join(level) or '.'}"
                    offences.append(Offence(where.path, where.line, text))
    return Figure("imports that go round", len(offences), 0, tuple(offences))


def _levels(sources: Sequence[Source]) -> dict[tuple[str, ...], dict[str, dict[str, Offence]]]:
    """For every folder: which of its parts imports which other one, and where it does so first."""
    modules = {source.module: _parts(source) for source in sources}
    levels: dict[tuple[str, ...], dict[str, dict[str, Offence]]] = defaultdict(lambda: defaultdict(dict))
    for source in sources:
        here, path = modules[source.module], Path(source.path)
        for found in imports_of(source.module, path, source.tree, frozenset(modules)):
            there = modules.get(found.module)
            if there is None or there == here:
                continue
            depth = next(i for i, (a, b) in enumerate(zip(here, there, strict=False)) if a != b)
            graph = levels[here[:depth]]
            graph[here[depth]].setdefault(there[depth], Offence(source.path, found.line, ""))
    return levels


def _parts(source: Source) -> tuple[str, ...]:
    parts = tuple(source.module.split("."))
    return (*parts, "__init__") if source.path.endswith("__init__.py") else parts


def _rings(graph: dict[str, set[str]]) -> list[set[str]]:
    """The sets of nodes that are all reached from each other, of two nodes or more."""
    reached = {node: _reached(graph, node) for node in graph}
    rings = {frozenset(b for b in reached[a] if a in reached.get(b, ())) for a in graph}
    return sorted((set(ring) for ring in rings if len(ring) > 1), key=sorted)


def _reached(graph: dict[str, set[str]], start: str) -> set[str]:
    reached, todo = set[str](), [start]
    while todo:
        new = graph.get(todo.pop(), set()) - reached
        reached |= new
        todo.extend(new)
    return reached


def catches(sources: Iterable[Source]) -> Figure:
    """Places that catch every exception and do not say why."""
    offences = []
    for source in sources:
        comments = _comments(source.text)
        for line, what in _broad(source):
            if not (comments.get(line) or comments.get(line - 1)):
                offences.append(Offence(source.path, line, f"{what} without a reason in a comment"))
    return Figure("catches without a reason", len(offences), 0, tuple(offences))


def _broad(source: Source) -> Iterator[tuple[int, str]]:
    for node in source.nodes(ast.ExceptHandler, ast.Call):
        if isinstance(node, ast.ExceptHandler):
            last = node.body[-1]
            raises = isinstance(last, ast.Raise) and last.exc is None
            if not raises and (node.type is None or _names(node.type) & _EVERYTHING):
                yield node.lineno, f"except {ast.unparse(node.type)}" if node.type else "bare except"
        elif isinstance(node, ast.Call) and _names(node.func) == {"suppress"}:
            suppressed = [argument for argument in node.args if _names(argument) & _EVERYTHING]
            yield from ((argument.lineno, ast.unparse(node)) for argument in suppressed[:1])


def _names(node: ast.expr) -> set[str]:
    """The last parts of the names in an exception's expression: `X`, `module.X`, `(X, Y)`."""
    if isinstance(node, ast.Tuple):
        return {name for element in node.elts for name in _names(element)}
    return {node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")}


def _comments(text: str) -> dict[int, str]:
    """Each line's comment, without what it tells a linter."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    found = {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
    return {line: _reason(comment) for line, comment in found.items()}


def _reason(comment: str) -> str:
    """`noqa: BLE001 - why` says why, `noqa: BLE001` does not."""
    if comment.startswith(("noqa", "type: ignore", "pragma")):
        return comment.partition(" - ")[2].strip()
    return comment.strip()


def main(arguments: Sequence[str]) -> int:
    """Print the figures and the offences."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="exit with 1 if a limit is broken")
    parser.add_argument("--json", action="store_true", help="print JSON for programs")
    parser.add_argument("root", nargs="?", type=Path, default=Path(__file__).resolve().parent.parent)
    asked = parser.parse_args(arguments)
    try:
        figures = survey(asked.root)
    except (SyntaxError, ValueError) as fault:
        parser.error(str(fault))
    offences = sorted(offence for figure in figures for offence in figure.offences)
    if asked.json:
        told = {figure.name: {"value": figure.value, "limit": figure.limit} for figure in figures}
        print(json.dumps({"figures": told, "offences": [str(one) for one in offences]}, indent=1))
    else:
        for figure in figures:
            mark = "" if figure.holds else f"  broken {len(figure.offences)} times"
            print(f"{figure.name:<32}{figure.value:>5}  limit {figure.limit:>3}{mark}")
        for offence in offences:
            print(offence)
    return int(asked.check and bool(offences))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
