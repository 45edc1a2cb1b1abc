"""Write tests/vectors/sums.json, whose answers implementations in any language must reproduce.

    python scripts/make_vectors_sums.py            write the file
    python scripts/make_vectors_sums.py --check    only compare; exit 1 when it differs

Standard values are multiples of 1/64, so that sums of their products and powers are exact in floats. A
logarithm's last bits may differ elsewhere; the answers have room for that.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from sonar.data.coding import Coder
from sonar.data.fixed import to_q32
from sonar.data.schema import CategoryColumn, Column, NumberColumn
from sonar.families.question import write_visible
from sonar.families.sums.guards import least_rows
from sonar.families.sums.spec import SumsSpec
from sonar.families.sums.totals import folded, parameters_from_integers, plan_of, to_integers, totals

PATH = Path(__file__).resolve().parent.parent / "tests" / "vectors" / "sums.json"
KEY_BITS, MINES_MAX = 2048, 10
COLUMNS: tuple[Column, ...] = (
    NumberColumn(name="age", low_q32=0, high_q32=to_q32(128.0), unit="years"),
    NumberColumn(name="score", low_q32=to_q32(-1.0), high_q32=to_q32(1.0), missing=True),
    NumberColumn(name="weight", low_q32=0, high_q32=to_q32(4.0)),
    NumberColumn(name="months", low_q32=to_q32(0.5), high_q32=to_q32(16.0)),
    CategoryColumn(name="ill", levels=("False", "True")),
    CategoryColumn(name="arm", levels=("none", "low", "1"), missing=True),
)
CELLS = (
    ("17", "0.5", "1", "3", "true", "low"),
    ("64", " -0.25", "0", "12", "0", "1.0"),
    ("130", "", "4", "0.5", "FALSE", "none"),
    ("-2", "1.5", "2.5", "16", "1", "low"),
    ("99", "0.75", "1.5", "7.25", "True", "NA"),
    ("64", "NA", "3", "3", "False", "none"),
    ("31", "-1", "4", "20", "True", "1"),
)
"""Rows as people write them; the schema makes them codes."""
_GLM = {
    "kind": "glm-step",
    "columns": ["age", "arm"],
    "mu_low_q32": to_q32(0.05),
    "mu_high_q32": to_q32(20.0),
}
_COX = {
    "kind": "cox-step",
    "time": "months",
    "event": "ill",
    "columns": ["score"],
    "grid_q32": [to_q32(time) for time in (2.0, 5.0, 12.0)],
    "risk_max_q32": to_q32(1.5),
}
_SCORES = {"kind": "scores", "edges_q32": [to_q32(edge) for edge in (0.25, 0.5, 0.75)]}
_AT = [1.0, 0.25, -0.5, 1.0, 0.75, -0.125, 0.5, 0.25, -1.0]
CASES: dict[str, tuple[list[dict[str, Any]], list[float]]] = {
    "cells that are missing or beyond bounds": (
        [{"kind": "outside", "columns": ["age", "score", "arm"]}],
        [],
    ),
    "products of two": ([{"kind": "moments", "columns": ["age", "score", "arm"]}], []),
    "products by group": ([{"kind": "moments", "columns": ["age"], "by": "arm"}], []),
    "weighted products": ([{"kind": "moments", "columns": ["age", "ill"], "weight": "weight"}], []),
    "powers": (
        [
            {"kind": "powers", "column": "age", "order": 4},
            {"kind": "powers", "column": "score", "order": 2, "by": "ill"},
        ],
        [],
    ),
    "logarithms": ([{"kind": "logs", "column": "months", "columns": ["score"]}], []),
    "counts": (
        [
            {"kind": "cells", "by": ["arm", "ill"]},
            {"kind": "cells", "columns": ["score", "arm"]},
            {"kind": "histogram", "column": "age", "bins": 4},
            {"kind": "histogram", "column": "score", "bins": 2, "by": "ill"},
        ],
        [],
    ),
    "counts in brackets": (
        [{"kind": "brackets", "column": "age", "brackets": 2, "bins": 3}],
        [0.0, 128.0, 32.0, 64.0],
    ),
    "a first step": ([_GLM | {"family": "binomial", "target": "ill"}], [0.0] * 9),
    "a logistic step": (
        [_GLM | {"family": "binomial", "target": "ill", "weights": "weight", "beside_q32": [to_q32(0.5)]}],
        _AT,
    ),
    "a Poisson step": ([_GLM | {"family": "poisson", "target": "weight", "exposure": "months"}], _AT),
    "a gamma step": ([_GLM | {"family": "gamma", "target": "months", "beside_q32": [to_q32(2.0)]}], _AT),
    "events on a grid": (
        [{"kind": "at-risk", "time": "months", "event": "ill", "grid_q32": _COX["grid_q32"], "by": "arm"}],
        [],
    ),
    "a Cox step": ([_COX], [0.125, 0.75, 0.5, 0.25, 1.0, 0.0, 0.125, 0.5]),
    "a Cox step by stratum": (
        [_COX | {"ties": "breslow", "strata": "arm", "columns": ["age"]}],
        [0.0, -0.5, *(place / 16 for place in range(9))],
    ),
    "scores of a regression": (
        [_SCORES | {"task": "regression", "target": "age", "columns": ["score"], "by": "ill"}],
        [0.25, 1.5],
    ),
    "scores of a logistic model": (
        [_SCORES | {"task": "logistic", "target": "ill", "columns": ["age", "score"]}],
        [0.5, -1.0, 3.0],
    ),
    "scores of classes": (
        [_SCORES | {"task": "classes", "target": "arm", "columns": ["age"]}],
        [0.0, 0.0, 0.5, -1.0, -0.25, 2.0],
    ),
}


def vectors() -> dict[str, Any]:
    """Return the document: cells, their codes, and for each case a spec, a question and the answer."""
    coders = [Coder(column) for column in COLUMNS]
    codes = np.array([[coder.code(cell) for coder, cell in zip(coders, row, strict=True)] for row in CELLS])
    return {
        "key_bits": KEY_BITS,
        "mines_max": MINES_MAX,
        "cells": [list(row) for row in CELLS],
        "codes": [[None if np.isnan(value) else value for value in row] for row in codes.tolist()],
        "cases": [_case(name, *asked, codes) for name, asked in CASES.items()],
    }


def _case(name: str, terms: list[dict[str, Any]], at: list[float], codes: Any) -> dict[str, Any]:
    named = [{"name": f"term {place}"} | term for place, term in enumerate(terms)]
    fields = {"columns": COLUMNS, "parameters": len(at), "rows_min": 10, "rows_max": 1 << 20}
    spec = SumsSpec.parse({"terms": named} | fields)
    plan, question = plan_of(spec, KEY_BITS, MINES_MAX), [to_q32(number) for number in at]
    found = totals(spec, [codes], parameters_from_integers(question))
    answer = to_integers(spec, plan, folded(found))
    return {
        "name": name,
        "spec": spec.model_dump(mode="json", exclude_none=True),
        "shapes": {term: list(shape) for term, shape in spec.shapes.items()},
        "bounds": spec.bounds.tolist(),
        "least_rows": least_rows(spec),
        "plan": plan.to_dict(),
        "question": [str(number) for number in question],
        "blob": write_visible(question).hex(),
        "answer": [str(number) for number in answer],
    }


def main(arguments: list[str]) -> int:
    """Write or compare."""
    text = json.dumps(vectors(), indent=1, ensure_ascii=False) + "\n"
    if arguments == ["--check"]:
        same = PATH.is_file() and PATH.read_text(encoding="utf-8") == text
        print(f"{PATH.name} {'is up to date' if same else 'differs: run scripts/make_vectors_sums.py'}")
        return 0 if same else 1
    PATH.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
