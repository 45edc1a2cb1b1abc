"""A trained linear model, in the clear: what the scientist keeps of a campaign."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonar.data.table import parse_csv
from sonar.errors import ConfigError, DataError, ManifestError
from sonar.families.quadratic.course import Course
from sonar.families.quadratic.design import Design
from sonar.families.quadratic.losses.registry import LOSSES
from sonar.families.quadratic.maps.standard import Standard
from sonar.families.quadratic.spec import QuadraticSpec, by_output
from sonar.home.keystore import write_private

Array = NDArray[np.float64]

_MAX_BYTES = 1 << 24


@dataclass(frozen=True, eq=False, repr=False)
class LinearModel:
    """prediction = phi(x) w. `weights` float64[d], the bias last; `loss` as measured on the holdout."""

    spec: QuadraticSpec
    weights: Array
    loss: float

    @classmethod
    def of(cls, design: Design, course: Course) -> LinearModel:
        """Return the best point of a course as a model."""
        best = course.best
        return cls(design.spec, best.weights(design.plan), best.loss)

    def __repr__(self) -> str:
        named = ", ".join(one.name for one in self.spec.targets)
        return f"<LinearModel: {named!r} from {len(self.features)} columns, loss {self.loss:g}>"

    @property
    def features(self) -> tuple[str, ...]:
        """The columns that it reads, in order."""
        return self.spec.features

    @property
    def coefficients(self) -> dict[str, float]:
        """The weight of each column in its own unit, and the constant as "(bias)".

        Of a polynomial, the weight of each product of standardised columns, as "age^2" or "age bmi"; of
        Fourier features, of each cosine. Raises DataError if two have one name.
        """
        target = self.spec.targets[0]
        slopes, bias = (
            target.scale * self.weights[:-1],
            target.centre + target.scale * float(self.weights[-1]),
        )
        if self.spec.stages and isinstance(last := self.spec.stages[-1], Standard):
            mean, std = (np.array(q, dtype=np.float64) / 2**32 for q in (last.mean_q32, last.std_q32))
            slopes = slopes / std
            bias -= float(slopes @ mean)
        names = self.spec.weight_names
        if len(set(names)) < len(names):
            hint = "`weights` has them in order; or rename a column"
            raise DataError("coefficients", "two columns of the feature map have one name", hint=hint)
        return dict(zip(names, [*slopes.tolist(), bias], strict=True))

    def predict(self, x: Any) -> Array:
        """Return predictions float64[n] for an array [n, f], or a mapping from column name to values.

        For loss = "logistic-taylor" a positive prediction stands for label 1. Raises DataError.
        """
        if hasattr(x, "keys"):
            missing = [name for name in self.features if name not in x]
            if missing:
                raise DataError(f"column {missing[0]}", "is missing", hint=f"give {', '.join(self.features)}")
        try:
            if hasattr(x, "keys"):
                x = np.column_stack([np.asarray(x[name], dtype=np.float64) for name in self.features])
            matrix = np.atleast_2d(np.asarray(x, dtype=np.float64))
        except (TypeError, ValueError, OverflowError) as error:
            raise DataError("x", f"is not numbers in columns of one length: {error}") from error
        if matrix.ndim != 2 or matrix.shape[1] != len(self.features):
            hint = f"give the columns {', '.join(self.features)}, in this order"
            raise DataError(
                "x",
                f"has shape {list(matrix.shape)}; the model takes [rows, {len(self.features)}]",
                hint=hint,
            )
        s = self.spec.transform(matrix) @ by_output(self.spec, self.weights)
        predict = LOSSES[self.spec.loss].predict
        return np.squeeze(np.column_stack([predict(*p) for p in zip(self.spec.targets, s.T, strict=True)]), 1)

    def predict_csv(self, path: Path | str) -> Array:
        """Return predictions for the rows of a CSV with a header line. Raises DataError."""
        path = Path(path)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise DataError(str(path), f"cannot be read: {error.strerror}") from error
        return self.predict(parse_csv(data, str(path), self.features).values)

    def save(self, path: Path | str) -> None:
        """Write the model as JSON, whole or not at all, for its owner's eyes only. Raises KeyFileError."""
        document = {
            "v": 1,
            "kind": "sonar-linear-model",
            "spec": self.spec.model_dump(mode="json"),
            "weights": self.weights.tolist(),
            "loss": self.loss,
        }
        write_private(Path(path), json.dumps(document, indent=1, allow_nan=False).encode())

    @classmethod
    def load(cls, path: Path | str) -> LinearModel:
        """Read what `save` wrote. Raises ConfigError."""
        path = Path(path)
        try:
            if path.stat().st_size > _MAX_BYTES:
                raise ConfigError(str(path), f"is larger than {_MAX_BYTES} bytes; it is not a model")
            document = json.loads(path.read_bytes())
            spec = QuadraticSpec.parse(document["spec"])
            weights = np.asarray(document["weights"], dtype=np.float64)
            if document["kind"] != "sonar-linear-model" or weights.shape != (spec.weights,):
                raise ConfigError(str(path), f"is not a model of {spec.weights} weights")
            if not np.isfinite([*weights, loss := float(document["loss"])]).all():
                raise ConfigError(str(path), "has a weight or loss that is not finite")
            return cls(spec, weights, loss)
        except OSError as error:
            raise ConfigError(str(path), f"cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError, ManifestError) as error:
            raise ConfigError(str(path), f"is not a model that this program wrote: {error}") from error
