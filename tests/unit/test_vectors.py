"""The committed test vectors are what this code makes, and its readers keep to them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sonar.errors import ManifestError
from sonar.protocol.ids import Cid
from tests.script_kit import load_script

ROOT = Path(__file__).parents[2]


SCRIPT = load_script("make_vectors")


@pytest.mark.parametrize("name", SCRIPT.FILES)
def test_the_committed_file_is_what_the_code_makes(name: str) -> None:
    committed = (ROOT / "tests" / "vectors" / name).read_text(encoding="utf-8")
    assert committed == SCRIPT.render(SCRIPT.FILES[name])


def test_the_check_notices_a_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(SCRIPT, "FOLDER", tmp_path)
    assert SCRIPT.main([]) == 0
    assert SCRIPT.main(["--check"]) == 0
    (tmp_path / "cids.json").write_text("{}")
    assert SCRIPT.main(["--check"]) == 1
    assert "cids.json" in capsys.readouterr().out


def test_refused_cids() -> None:
    for text in json.loads((ROOT / "tests" / "vectors" / "cids.json").read_text())["refused"]:
        with pytest.raises(ManifestError):
            Cid.parse(text)
