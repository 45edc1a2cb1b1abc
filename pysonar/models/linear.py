"""A trained linear model in the clear: the result of a campaign."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysonar.frames.labels import label_map, values_of
from pysonar.frames.named import cells_of, columns_of, is_frame, targets_in
from pysonar.given import require_type
from pysonar.models.exports import Exports
from sonar.data.frame import columns_in, numbers, require_finite, stacked
from sonar.data.schema import CategoryColumn
from sonar.data.table import MAX_CSV_BYTES, parse_csv
from sonar.errors import ConfigError, DataError, ManifestError, UsageError
from sonar.families.quadratic.course import Course
from sonar.families.quadratic.design import Design
from sonar.families.quadratic.holdout import calibrated
from sonar.families.quadratic.losses.classes import log_probabilities
from sonar.families.quadratic.losses.registry import LOSSES
from sonar.families.quadratic.slopes import Slope, levels_of, slopes_of
from sonar.families.quadratic.spec import QuadraticSpec, by_output
from sonar.home.files import expanded, read_bytes, text_of
from sonar.home.keystore import write_private
from sonar.protocol.wording import other_version
from sonar.telling.figures import in_words
from sonar.telling.text import count

Array = NDArray[np.float64]

FORMAT = 2
_SAVED = "give a file that `pysonar predict --save` or `LinearModel.save` wrote"
_OLD = "train it again, or use the version of Sonar that wrote it"
_KIND = "sonar-linear-model"
_MAX_BYTES = 1 << 24


@dataclass(frozen=True, eq=False, repr=False)
class LinearModel(Exports):
    """What a column is predicted to be: a published map of the features, times weights.

    `weights` float64[spec.weights], output by output, the bias last in each. `loss` on the holdout is in
    millionths of the null model's, by the bounty's metric; `figures` are R² and MSE, or log loss, AUC and
    accuracy. `levels` are the two values of each column that had two on the holdout.
    """

    spec: QuadraticSpec
    weights: Array
    loss: int
    figures: Mapping[str, float] = field(default_factory=dict)
    levels: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, design: Design, course: Course) -> LinearModel:
        """Return the best point of a course as a model."""
        best = course.best
        return cls.at(design, best.weights(design.plan), best.loss)

    @classmethod
    def at(cls, design: Design, weights: Array, loss: int, *, calibrate: bool = True) -> LinearModel:
        """Return the model of weights float64[spec.weights], told by the design's holdout.

        Of classes with a label map, the weights are calibrated on it (`calibrated`), unless they say
        probabilities as they are.
        """
        weights = calibrated(design.holdout, weights) if calibrate else weights
        figures, levels = design.holdout.told(weights), levels_of(design.spec.features, design.holdout.x)
        return cls(design.spec, weights, loss, figures, levels)

    def __repr__(self) -> str:
        what = f"{', '.join(map(repr, self.targets))} from {len(self.features)} columns"
        return f"<LinearModel: {what}, {in_words(self.figures)}>"

    @property
    def features(self) -> tuple[str, ...]:
        """The columns that it reads, in order."""
        return self.spec.features

    @property
    def targets(self) -> tuple[str, ...]:
        """The columns that it predicts, in order."""
        if self.spec.labels is not None:
            return (self.spec.labels.name,)
        return tuple(target.name for target in self.spec.targets)

    @property
    def levels_known(self) -> tuple[str, ...]:
        """The classes that it tells apart, as its bounty published them; none without a label map."""
        return self.spec.labels.levels if self.spec.labels is not None else ()

    @property
    def classes(self) -> NDArray[Any]:
        """The classes that it tells apart, [classes], as `predict` gives them. Raises ConfigError."""
        if self.spec.labels is not None:
            return values_of(self.spec.labels.levels)
        labels = LOSSES[self.spec.loss].labels
        if not labels:
            hint = "use `predict`, which gives the target in its own unit"
            raise ConfigError("loss", f"is {self.spec.loss!r}, which has no classes", hint=hint)
        return np.array(labels)

    @property
    def slopes(self) -> dict[str, Slope]:
        """By how much `decision_function` moves per unit of a column, and the range in which that holds."""
        return slopes_of(self.spec, self.weights, self.levels)

    @property
    def coefficients(self) -> dict[str, float]:
        """By how much `decision_function` moves per unit of each column, and the constant as "(bias)".

        It holds in the column's range (see `ranges`). Of a column that had two values on the holdout, 0 and 1
        say: between these two, whatever is clipped.
        Of a polynomial, of each product of standardised columns, as "age^2" or "age bmi"; of Fourier
        features, of each cosine. Of several targets, as "target: column".
        """
        return {name: slope.per_unit for name, slope in self.slopes.items()}

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """The range in which each coefficient holds: beyond it, the model cuts the column off."""
        return {name: (slope.low, slope.high) for name, slope in self.slopes.items() if slope.bounded}

    def decision_function(self, x: Any) -> Array:
        """Return the model's output for each row, float64[n], or [n, targets] for several targets.

        In the target's own unit; of classes, the log odds of the last one. Of several classes [n, classes],
        whose softmax is `predict_proba`. Raises DataError.
        """
        loss, phi = LOSSES[self.spec.loss], self.spec.transform(self._matrix(x))
        raw = phi @ by_output(self.spec, self.weights)
        if len(self.levels_known) > 2:
            return log_probabilities(self.spec.targets, np.asarray(raw))
        told = [loss.predict(target, s) for target, s in zip(self.spec.targets, raw.T, strict=True)]
        return told[0] if len(told) == 1 else np.column_stack(told)

    def predict(self, x: Any) -> NDArray[Any]:
        """Return predictions [n] for an array [n, f], or a mapping from column name to values.

        In the target's own unit, float64; of classes, the likeliest label, as the holdout had them: texts,
        numbers or booleans. Of several targets [n, targets]. Raises DataError.
        """
        said = self.decision_function(x)
        if self.spec.labels is None:
            return LOSSES[self.spec.loss].decide(said)
        codes = said.argmax(axis=1) if said.ndim == 2 else (said > 0).astype(np.intp)
        return np.asarray(self.classes[codes])

    def predict_proba(self, x: Any) -> Array:
        """Return the probability of each class, float64[n, classes], in the order of `classes`.

        With a label map they are calibrated on the holdout. Raises DataError, and ConfigError for a model
        without classes, or of several targets.
        """
        _ = self.classes
        if self.spec.labels is None and len(self.targets) > 1:
            hint = "use `probability`, which gives that of label 1 for each target"
            raise ConfigError("target", f"is {len(self.targets)} columns of labels", hint=hint)
        said = self.decision_function(x)
        if said.ndim == 2:
            return np.asarray(np.exp(said))
        last = self.probability(x)
        return np.column_stack([1.0 - last, last])

    def probability(self, x: Any) -> Array:
        """Return for each row the probability of the last class, [n]; of several classes `predict_proba`.

        Raises DataError, and ConfigError for a model without classes.
        """
        _ = self.classes
        if len(self.levels_known) > 2:
            return self.predict_proba(x)
        return np.asarray(1.0 / (1.0 + np.exp(-self.decision_function(x))))

    def score(self, x: Any, y: Any = None) -> float:
        """Return R² of `predict(x)` against y, [n] or [n, targets]: 1 at best, 0 for the mean of y.

        Of classes, the part of the rows whose label is right. Of several targets, the mean of theirs. As in
        scikit-learn; y may also be a mapping or a frame with the targets' names. Raises DataError, and
        UsageError without y.
        """
        if y is None:
            hint = "score(x, y) measures predictions against y; for the raw outputs, decision_function(x)"
            raise UsageError("score needs the true values y besides x", hint=hint)
        if self.spec.labels is not None:
            return self._accuracy(x, y, self.spec.labels)
        predicted = self.predict(x).reshape(-1, len(self.targets))
        wanted, loss = self._wanted(y, len(predicted)), LOSSES[self.spec.loss]
        if loss.labels:
            return float(np.mean(predicted == wanted))
        return float(np.mean([_r2(*pair) for pair in zip(wanted.T, predicted.T, strict=True)]))

    def _accuracy(self, x: Any, y: Any, labels: CategoryColumn) -> float:
        """Return the part of the rows whose label is right. Raises DataError."""
        said = self.decision_function(x)
        given = cells_of(y, self.targets)[labels.name] if is_frame(y) else y
        _, wanted = label_map(labels.name, given, labels.levels)
        if len(wanted) != len(said):
            problem = f"has {count(len(wanted), 'row')}, and x has {len(said):,}"
            raise DataError("y", problem, hint="give both for the same rows, in the same order")
        codes = said.argmax(axis=1) if said.ndim == 2 else (said > 0).astype(np.intp)
        return float(np.mean(codes == wanted))

    def _wanted(self, y: Any, rows: int) -> Array:
        """Return true values as float64[rows, targets]. Raises DataError."""
        loss, columns = LOSSES[self.spec.loss], targets_in(y, self.targets)
        wanted = stacked(columns)
        if len(wanted) != rows:
            problem = f"has {count(len(wanted), 'row')}, and x has {rows:,}"
            raise DataError("y", problem, hint="give both for the same rows, in the same order")
        if rows < (least := 1 if loss.labels else 2):
            problem = f"has {count(rows, 'row')}; at least {least} are needed for a score"
            raise DataError("y", problem, hint="give more rows")
        require_finite(wanted, self.targets)
        for name, column in zip(self.targets, wanted.T, strict=True):
            loss.check(name, column)
        return wanted

    def read_csv(self, path: Path | str) -> Array:
        """Return the model's columns of a CSV with a header line, float64[n, f].

        Raises DataError, ConfigError.
        """
        require_type(path, Path | str, "csv", 'name a file: "patients.csv"')
        return parse_csv(read_bytes(path, "csv", MAX_CSV_BYTES), str(path), self.features).values

    def predict_csv(self, path: Path | str) -> NDArray[Any]:
        """Return predictions for the rows of a CSV with a header line. Raises DataError, ConfigError."""
        return self.predict(self.read_csv(path))

    def _matrix(self, x: Any) -> Array:
        """Return the model's columns of x, float64[n, f]; one row may come as [f]. Raises DataError."""
        if is_frame(x):
            columns = columns_of(x, self.features)
        else:
            rows = numbers(x, "x")
            columns = columns_in(rows[np.newaxis] if rows.ndim == 1 else rows, self.features)
        matrix = stacked(columns)
        require_finite(matrix, self.features)
        return matrix

    def to_bytes(self) -> bytes:
        """Return the model as JSON."""
        document = {
            "v": FORMAT,
            "kind": _KIND,
            "spec": self.spec.model_dump(mode="json"),
            "weights": self.weights.tolist(),
            "loss": self.loss,
            "figures": dict(self.figures),
            "levels": {name: list(values) for name, values in self.levels.items()},
        }
        return json.dumps(document, indent=1, allow_nan=False).encode()

    @classmethod
    def from_bytes(cls, data: bytes, name: str) -> LinearModel:
        """Return the model that `to_bytes` wrote; errors call it `name`. Raises ConfigError."""
        try:
            return cls._parsed(json.loads(text_of(data, name)), name)
        except KeyError as error:
            raise ConfigError(name, f"is not a complete model: it has no {error}", hint=_SAVED) from error
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError, ManifestError) as error:
            raise ConfigError(name, f"is not a model file of this program: {error}", hint=_SAVED) from error

    @classmethod
    def _parsed(cls, document: Any, name: str) -> LinearModel:
        kind = document.get("kind") if isinstance(document, dict) else None
        if kind != _KIND:
            found = "it has no kind" if kind is None else f"its kind is {kind!r}"[:200]
            raise ConfigError(name, f"is not a model: {found}, and {_KIND!r} is expected", hint=_SAVED)
        if document["v"] != FORMAT:
            problem, hint = other_version(document["v"], FORMAT, _OLD)
            raise ConfigError(name, problem, hint=hint)
        spec = QuadraticSpec.parse(document["spec"])
        weights = np.asarray(document["weights"], dtype=np.float64)
        loss, figures = document["loss"], {str(k): float(v) for k, v in document["figures"].items()}
        levels = {str(k): (float(a), float(b)) for k, (a, b) in document["levels"].items()}
        if weights.shape != (spec.weights,) or not isinstance(loss, int) or loss < 0:
            raise ConfigError(name, f"is not a model of {spec.weights} weights, with their loss")
        numbers = [*weights, *figures.values(), *(each for pair in levels.values() for each in pair)]
        if not np.isfinite(numbers).all():
            raise ConfigError(name, "has a weight or figure that is not finite")
        return cls(spec, weights, loss, figures, levels)

    def save(self, path: Path | str) -> None:
        """Write the model as JSON, whole or not at all, readable only by its owner. Raises KeyFileError."""
        require_type(path, Path | str, "path", 'name a file: model.save("model.json")')
        write_private(expanded(path, "model"), self.to_bytes())

    @classmethod
    def load(cls, path: Path | str, name: str = "model") -> LinearModel:
        """Read what `save` wrote. Raises ConfigError by `name` for a file that cannot be read."""
        require_type(path, Path | str, "path", 'name a file: LinearModel.load("model.json")')
        return cls.from_bytes(read_bytes(path, name, _MAX_BYTES), str(path))


def _r2(wanted: Array, predicted: Array) -> float:
    """Return R², both float64[n]; of constant values 1 where they are predicted exactly, else 0."""
    if np.ptp(wanted) == 0:
        return float(np.array_equal(wanted, predicted))
    return float(1.0 - np.sum((wanted - predicted) ** 2) / np.sum((wanted - wanted.mean()) ** 2))
