"""Columns that no model can use are told all at once, and left out where the scientist says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pysonar.bounty.request import Bounty
from sonar.errors import ConfigError, ConsentError, DataError
from sonar.families.quadratic.prepare import prepare

RNG = np.random.default_rng(2)
ROWS = 120
Y = RNG.normal(size=ROWS)
RARE = np.where(np.arange(ROWS) < 3, 1.0, 0.0)
TABLE: dict[str, Any] = {
    "good": RNG.normal(size=ROWS),
    "fine": RNG.normal(size=ROWS),
    "still": np.full(ROWS, 7.0),
    "rare": RARE,
    "words": [f"word{i % 3}" for i in range(ROWS)],
    "gaps": [None, *RNG.normal(size=ROWS - 1).tolist()],
    "y": Y,
}


def bounty(table: dict[str, Any] = TABLE, **settings: Any) -> Bounty:
    return Bounty.of(table, target="y", name="u", key_bits=2048, **settings)


def test_all_are_told_at_once_with_reasons() -> None:
    with pytest.raises(DataError) as caught:
        bounty()
    said = str(caught.value)
    assert "columns: 4 of 6 cannot be used: " in said
    assert "'still' is constant: 7 in every held-out row" in said
    assert (
        "'rare' is 0 but for few rows: only 3 rows differ in 120, and mines refuse what singles rows" in said
    )
    assert "'words' row 1 is the text 'word0'; a number is expected" in said
    assert "'gaps' row 1 is missing" in said
    assert "drop = true" in caught.value.hint


def test_those_are_left_out_that_cannot_be_used() -> None:
    one = bounty(drop=True)
    assert one.features == ("good", "fine")
    assert sorted(one.held_out.dropped) == ["gaps", "rare", "still", "words"]
    assert "is constant" in one.held_out.dropped["still"]
    assert one.digest != bounty({name: TABLE[name] for name in ("good", "fine", "y")}).digest


def test_those_that_are_named_are_left_out_and_others_are_told() -> None:
    named = bounty(drop=["still", "rare", "words", "gaps"])
    assert named.features == ("good", "fine")
    assert bounty(drop=["still", "rare", "words", "gaps", "fine"]).features == ("good",)
    with pytest.raises(DataError, match="column 'gaps': row 1 is missing"):
        bounty(drop=["still", "rare", "words"])
    with pytest.raises(ConfigError, match="drop: names 'nonsense', which is none of them"):
        bounty(drop=["nonsense"])
    with pytest.raises(DataError, match="has no feature column left: 'still' is constant"):
        bounty({"still": TABLE["still"], "y": Y}, drop=True)


def test_columns_of_a_file_are_told_with_their_lines(tmp_path: Path) -> None:
    lines = ["good,id,still,y"] + [
        f"{g},row{i},7,{y}" for i, (g, y) in enumerate(zip(TABLE["good"], Y, strict=True))
    ]
    (tmp_path / "h.csv").write_text("\n".join(lines) + "\n")
    text = 'name = "u"\nkey_bits = 2048\nDROP[holdout]\ncsv = "h.csv"\ntarget = "y"\n'
    path = tmp_path / "b.toml"
    path.write_text(text.replace("DROP", ""))
    with pytest.raises(DataError, match="2 of 3 cannot be used: 'id' column 'id': 'row0' is not a number"):
        Bounty.from_toml(path)
    path.write_text(text.replace("DROP", "drop = true\n"))
    assert Bounty.from_toml(path).features == ("good",)
    path.write_text(text.replace("DROP", 'drop = ["id", "still"]\n'))
    assert Bounty.from_toml(path).features == ("good",)


def test_a_mine_names_all_of_its_columns_that_would_single_rows_out() -> None:
    one = Bounty.of(
        {
            "a": Y,
            "b": RNG.integers(0, 2, ROWS),
            "c": RNG.integers(0, 2, ROWS),
            "y": Y + RNG.normal(size=ROWS),
        },
        target="y",
        name="m",
        key_bits=2048,
    )
    rows = np.column_stack([RNG.normal(size=ROWS), RARE, 1.0 - RARE, RNG.normal(size=ROWS)])
    with pytest.raises(ConsentError) as caught:
        prepare(one.design.spec, one.design.plan, [rows])
    said = str(caught.value)
    assert "columns: 2 would single rows out: 'b': only 3 rows differ" in said
    assert "'c': only 3 rows differ" in said
