"""The figures of the house are counted as they are said to be, and each kind of offence is found."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from tests.script_kit import load_script

ROOT = Path(__file__).parents[2]


def load_house(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))  # it imports its neighbour
    return load_script("house")


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load_house(monkeypatch)


def write(root: Path, sources: dict[str, str]) -> None:
    """Write modules, named by their paths without `.py`. Folders get an empty `__init__.py`."""
    for name, source in sources.items():
        path = root / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        for folder in path.parents:
            if folder == root:
                break
            (folder / "__init__.py").touch()
        path.write_text(source)


def found(script: ModuleType, root: Path) -> list[str]:
    return sorted(str(one) for figure in script.survey(root) for one in figure.offences)


def values(script: ModuleType, root: Path) -> dict[str, int]:
    return {figure.name: figure.value for figure in script.survey(root)}


def function(name: str, lines: int) -> str:
    return f"def {name}():\n" + "    pass\n" * (lines - 1)


def test_this_repository_is_measured_to_the_end(script: ModuleType) -> None:
    measured = values(script, ROOT)
    assert len(measured) == 8
    assert 100 < measured["lines of a file"] < 1000
    assert measured["methods of a class"] > 5
    assert 3 <= measured["median lines of functions"] <= measured["lines of nine in ten functions"]
    assert measured["lines of nine in ten functions"] <= measured["lines of a function"]


@pytest.mark.parametrize("package", ["sonar", "mine", "pysonar", "capsule"])
def test_a_file_may_have_400_lines_docstrings_included(
    script: ModuleType, tmp_path: Path, package: str
) -> None:
    source = '"""A docstring\n\nof three lines."""\n' + "x = 1\n" * 397
    write(tmp_path, {f"{package}/long": source})
    assert found(script, tmp_path) == []
    write(tmp_path, {f"{package}/long": source + "# one more\n"})
    assert found(script, tmp_path) == [f"{package}/long.py: 401 lines, more than 400"]


def test_a_class_may_have_25_methods_and_those_of_inner_classes_are_their_own(
    script: ModuleType, tmp_path: Path
) -> None:
    inner = "    class Inner:\n" + "".join(f"        def g{i}(self): pass\n" for i in range(20))
    methods = "".join(f"    @property\n    def f{i}(self): pass\n" for i in range(25))
    write(tmp_path, {"mine/one": f"class Full:\n{inner}{methods}"})
    assert found(script, tmp_path) == []
    write(tmp_path, {"mine/one": f"class Full:\n{inner}{methods}    async def more(self): pass\n"})
    assert found(script, tmp_path) == ["mine/one.py:1: 26 methods in class Full, more than 25"]


def test_a_folder_may_have_15_files_of_whatever_kind(script: ModuleType, tmp_path: Path) -> None:
    write(tmp_path, {f"sonar/full/m{i}": "" for i in range(13)})
    (tmp_path / "sonar/full/py.typed").touch()
    cache = tmp_path / "sonar/full/__pycache__"
    cache.mkdir()
    for i in range(20):
        (cache / f"m{i}.pyc").touch()
    assert found(script, tmp_path) == []
    (tmp_path / "sonar/full/more.json").touch()
    assert found(script, tmp_path) == ["sonar/full: 16 files in the folder, more than 15"]


def test_a_function_may_have_60_lines_from_def_with_its_docstring(script: ModuleType, tmp_path: Path) -> None:
    short = "".join(function(f"f{i}", 2) for i in range(20))
    decorated = "@property\n@property\n"
    write(tmp_path, {"pysonar/one": short + decorated + function("long", 60)})
    assert found(script, tmp_path) == []
    long = 'def long():\n    """Say.\n\n    """\n' + "    pass\n" * 57
    write(tmp_path, {"pysonar/one": short + decorated + long})
    assert found(script, tmp_path) == ["pysonar/one.py:43: 61 lines in long, more than 60"]


@pytest.mark.parametrize(
    ("lengths", "offences"),
    [
        ([7] * 6 + [8] * 4, []),
        ([7] * 4 + [8] * 6, ["functions: median lines of functions: 8, more than 7"]),
        ([2] * 18 + [21] * 2, []),
        ([2] * 17 + [21] * 3, ["functions: lines of nine in ten functions: 21, more than 20"]),
    ],
)
def test_the_median_is_7_at_most_and_nine_of_ten_have_20(
    script: ModuleType, tmp_path: Path, lengths: list[int], offences: list[str]
) -> None:
    write(tmp_path, {"sonar/many": "".join(function(f"f{i}", size) for i, size in enumerate(lengths))})
    assert found(script, tmp_path) == offences


CIRCLES = {
    "packages": ({"mine/one": "import pysonar.two", "pysonar/two": "import mine.one"}, "."),
    "folders": (
        {
            "sonar/a/x": "from sonar.b import y",
            "sonar/a/z": "",
            "sonar/b/y": "",
            "sonar/b/w": "def f():\n    from sonar.a.z import name",
        },
        "sonar",
    ),
    "modules": (
        {"sonar/chain/a": "from . import b", "sonar/chain/b": "import sonar.chain.a"},
        "sonar.chain",
    ),
    "for types alone": (
        {"mine/a": "from mine.b import B", "mine/b": "if TYPE_CHECKING:\n    from mine import a"},
        "mine",
    ),
    "over three": (
        {"mine/a": "import mine.b", "mine/b": "import mine.c", "mine/c": "from mine.a import A"},
        "mine",
    ),
    "with the folder itself": (
        {"mine/work/__init__": "from mine.work.a import A", "mine/work/a": "from mine.work import name"},
        "mine.work",
    ),
}


@pytest.mark.parametrize("name", CIRCLES)
def test_parts_that_import_each_other_are_found(script: ModuleType, tmp_path: Path, name: str) -> None:
    sources, level = CIRCLES[name]
    write(tmp_path, sources)
    offences = found(script, tmp_path)
    assert len(offences) == (3 if name == "over three" else 2)
    assert all(offence.endswith(f", in {level}") for offence in offences)


def test_one_way_is_no_circle(script: ModuleType, tmp_path: Path) -> None:
    sources = {
        "sonar/a/x": "from sonar.b import y\nfrom sonar.a import w\nimport sonar.errors",
        "sonar/a/w": "import json, sonar.errors",
        "sonar/b/y": "from sonar import errors",
        "sonar/errors": "",
        "mine/x": "from sonar.a.x import name",
    }
    write(tmp_path, sources)
    assert found(script, tmp_path) == []


@pytest.mark.parametrize(
    ("source", "line", "what"),
    [
        ("try:\n    f()\nexcept Exception:\n    g()", 3, "except Exception"),
        ("try:\n    f()\nexcept BaseException as e:\n    g()", 3, "except BaseException"),
        ("try:\n    f()\nexcept:\n    g()", 3, "bare except"),
        ("try:\n    f()\nexcept (OSError, Exception):\n    g()", 3, "except (OSError, Exception)"),
        ("try:\n    f()\nexcept builtins.Exception:\n    g()", 3, "except builtins.Exception"),
        ("try:\n    f()\nexcept Exception as e:\n    raise Other from e", 3, "except Exception"),
        ("try:\n    f()\nexcept Exception:  # noqa: BLE001\n    g()", 3, "except Exception"),
        ("try:\n    f()\nexcept Exception:\n    # here it is too late\n    g()", 3, "except Exception"),
        ("with suppress(Exception):\n    f()", 1, "suppress(Exception)"),
        ("with contextlib.suppress(Exception):\n    f()", 1, "contextlib.suppress(Exception)"),
    ],
)
def test_a_catch_of_everything_without_a_reason_is_found(
    script: ModuleType, tmp_path: Path, source: str, line: int, what: str
) -> None:
    write(tmp_path, {"sonar/one": source})
    assert found(script, tmp_path) == [f"sonar/one.py:{line}: {what} without a reason in a comment"]


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    f()\nexcept Exception:  # a peer's fault must not end the service\n    g()",
        "try:\n    f()\nexcept Exception:  # noqa: BLE001 - a peer's fault must not end the service\n    g()",
        "try:\n    f()\n# a peer's fault must not end the service\nexcept Exception:\n    g()",
        "try:\n    f()\nexcept BaseException:\n    g()\n    raise",
        "try:\n    f()\nexcept OSError:\n    g()",
        "with suppress(OSError):\n    f()",
    ],
)
def test_a_reason_or_a_narrow_catch_is_no_offence(script: ModuleType, tmp_path: Path, source: str) -> None:
    write(tmp_path, {"sonar/one": source})
    assert found(script, tmp_path) == []


def test_only_check_fails_and_a_root_without_packages_is_refused(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, {"sonar/one": "try:\n    f()\nexcept:\n    g()"})
    assert script.main([str(tmp_path)]) == 0
    assert script.main(["--check", str(tmp_path)]) == 1
    assert "sonar/one.py:3: bare except" in capsys.readouterr().out
    write(tmp_path, {"sonar/one": ""})
    assert script.main(["--check", str(tmp_path)]) == 0
    (tmp_path / "elsewhere").mkdir()
    for root, told in ((tmp_path / "elsewhere", "name the repository's root"), (tmp_path, "one.py")):
        (tmp_path / "sonar/one.py").write_text("def (")
        with pytest.raises(SystemExit) as ended:
            script.main([str(root)])
        assert ended.value.code == 2
        assert told in capsys.readouterr().err
