"""Write tests/vectors/quadratic.json, whose answers implementations in any language must reproduce.

    python scripts/make_vectors_quadratic.py            write the file
    python scripts/make_vectors_quadratic.py --check    only compare; exit 1 when it differs

Floats have as many digits as they need to read back. phi and z of another implementation may differ from them
in the last bits, and A and b in the last place where a product of them lies at half; answers follow from A
and b exactly.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonar.data.fixed import to_q32
from sonar.families.quadratic.answer import local_map, moments
from sonar.families.quadratic.losses.base import mapped
from sonar.families.quadratic.spec import QuadraticSpec

PATH = Path(__file__).resolve().parent.parent / "tests" / "vectors" / "quadratic.json"
DATA_FRAC, WEIGHT_FRAC = 24, 30
TABLE = np.array(
    [
        [59.0, 2.0, 32.1, 151.0, 0.5],
        [48.0, 1.0, 21.6, 75.0, -0.25],
        [72.0, 2.0, 30.5, 141.0, 3.0],
        [24.0, 1.0, 25.3, 206.0, 0.125],
        [50.0, 1.0, 23.0, 135.0, -7.5],
        [23.0, 2.0, 22.6, 9000.0, 0.0],
    ]
)
STANDARD: dict[str, Any] = {
    "kind": "standard",
    "mean_q32": [to_q32(48.5), to_q32(1.5), to_q32(26.4)],
    "std_q32": [to_q32(13.1), to_q32(0.5), to_q32(4.4)],
    "clip_q32": to_q32(1.75),
}
POLYNOMIAL = {"kind": "polynomial", "degree": 2}
FOURIER = {
    "kind": "fourier",
    "weights_q32": [[to_q32(x) for x in row] for row in ([0.5, -1.25, 0.75], [2.0, 0.0, -0.5])],
    "phases_q32": [to_q32(0.25), to_q32(3.5)],
}
BESIDE = {**FOURIER, "beside": True}
KINDS = {"kind": "category", "name": "kind", "levels": ["low", "mid", "top"], "missing": False}
CODES = [0.0, 1.0, 2.0, 1.0, 0.0, 1.0]
LEAVES = {
    "kind": "leaves",
    "leaves": [
        [{"column": 0, "above_q32": None, "upto_q32": to_q32(50.0)}],
        [
            {"column": 0, "above_q32": to_q32(24.0), "upto_q32": to_q32(59.0)},
            {"column": 2, "above_q32": to_q32(22.3), "upto_q32": None},
        ],
    ],
}
OF_LEAVES = {
    "kind": "standard",
    "mean_q32": [*STANDARD["mean_q32"], to_q32(0.75), to_q32(0.5)],
    "std_q32": [*STANDARD["std_q32"], to_q32(0.4375), to_q32(0.5)],
    "clip_q32": STANDARD["clip_q32"],
}


def target(name: str, centre: float, scale: float, clip: float) -> dict[str, Any]:
    """Return a target as it is published."""
    fields = {"centre_q32": to_q32(centre), "scale_q32": to_q32(scale), "clip_q32": to_q32(clip)}
    return {"name": name, **fields}


PROGRESSION, CHANGE = target("progression", 152.0, 77.0, 8.0), target("change", -0.5, 2.5, 8.0)
CASES: dict[str, dict[str, Any]] = {
    "columns as they are": {"targets": [PROGRESSION]},
    "standardised and clipped": {"targets": [PROGRESSION], "stages": [STANDARD]},
    "cut off": {"targets": [PROGRESSION], "stages": [{"kind": "clip", "clip_q32": to_q32(25.0)}]},
    "products": {"targets": [PROGRESSION], "stages": [STANDARD, POLYNOMIAL]},
    "cosines": {"targets": [PROGRESSION], "stages": [STANDARD, FOURIER]},
    "leaves": {"targets": [PROGRESSION], "stages": [LEAVES, OF_LEAVES]},
    "two targets": {"targets": [PROGRESSION, CHANGE], "stages": [STANDARD]},
    "labels": {"targets": [target("ill", -0.25, 1.0, 2.0)], "stages": [STANDARD], "loss": "logistic-taylor"},
    "three local steps": {
        "targets": [PROGRESSION],
        "stages": [STANDARD],
        "local_steps": 3,
        "local_rate_q32": to_q32(0.25),
    },
    "bent columns": {"targets": [PROGRESSION], "stages": [STANDARD, {"kind": "bent"}]},
    "cosines beside columns": {"targets": [PROGRESSION], "stages": [STANDARD, BESIDE]},
    "three classes of one column": {
        "targets": [
            target("low", -1 / 3, 1.0, 2.0),
            target("mid", 0.0, 1.0, 2.0),
            target("top", -2 / 3, 1.0, 2.0),
        ],
        "stages": [STANDARD],
        "loss": "logistic-taylor",
        "labels": KINDS,
    },
    "two classes of one column": {
        "targets": [target("mid", 0.25, 1.0, 2.0)],
        "stages": [STANDARD],
        "loss": "logistic-taylor",
        "labels": {**KINDS, "levels": ["low", "mid"]},
    },
}


def vectors() -> dict[str, Any]:
    """Return the document: for each case a spec, raw columns, and all that follows from them."""
    return {
        "data_frac": DATA_FRAC,
        "weight_frac": WEIGHT_FRAC,
        "cases": [_case(name, fields) for name, fields in CASES.items()],
    }


def _case(name: str, fields: dict[str, Any]) -> dict[str, Any]:
    wanted = {"features": ["age", "sex", "bmi"], "loss": "squared", "rows_min": 10, **fields}
    spec = QuadraticSpec.parse(wanted)
    x, y = TABLE[:, :3], TABLE[:, 3 : 3 + spec.outputs]
    if spec.labels is not None:
        y = np.minimum(np.array(CODES), len(spec.labels.levels) - 1.0)[:, None]
    elif spec.loss == "logistic-taylor":
        y = np.where(y > 140.0, 1.0, -1.0)
    phi = spec.transform(x)
    z = np.column_stack(
        [mapped(one, column) for one, column in zip(spec.targets, spec.learned(y).T, strict=True)]
    )
    own = local_map(spec, moments(phi, z), DATA_FRAC)
    weights = [(-1) ** i * (12_345 + 67_891 * i) * 127 for i in range(spec.weights)]
    return {
        "name": name,
        "spec": spec.model_dump(mode="json", exclude_none=True),
        "weight_names": list(spec.weight_names),
        "least_rows": spec.least_rows,
        "x": x.tolist(),
        "y": y.tolist(),
        "phi": phi.tolist(),
        "z": z.tolist(),
        "a": _texts(own.a_int),
        "b": _texts(own.b_int),
        "weights": [str(w) for w in weights],
        "answer": [str(u) for u in own.answer(weights, WEIGHT_FRAC)],
    }


def _texts(matrix: NDArray[Any]) -> list[list[str]]:
    return [[str(int(value)) for value in row] for row in matrix]


def main(arguments: list[str]) -> int:
    """Write or compare."""
    text = json.dumps(vectors(), indent=1, ensure_ascii=False) + "\n"
    if arguments == ["--check"]:
        same = PATH.is_file() and PATH.read_text(encoding="utf-8") == text
        print(f"{PATH.name} {'is up to date' if same else 'differs: run scripts/make_vectors_quadratic.py'}")
        return 0 if same else 1
    PATH.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
