"""Linear models fitted elsewhere, as weights of a Sonar model: scikit-learn's estimators, by their
attributes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pysonar.frames.cells import level_text
from sonar.errors import ConfigError
from sonar.families.quadratic.losses.registry import LOSSES
from sonar.families.quadratic.slopes import Levels, weights_from
from sonar.families.quadratic.spec import QuadraticSpec

Array = NDArray[np.float64]


def weights_of(estimator: Any, spec: QuadraticSpec, levels: Levels) -> Array:
    """Return weights float64[spec.weights] that say what a fitted linear estimator says, within the clip.

    `levels` are the two values of each column that has two (`levels_of`). The estimator has `intercept_` and
    `coef_` [features], or [targets, features]; `feature_names_in_`, if there, are the bounty's features in
    any order. Raises ConfigError naming what it cannot be taken for.
    """
    kind = type(estimator).__name__
    if not hasattr(estimator, "coef_") or not hasattr(estimator, "intercept_"):
        raise _not_linear(estimator, kind)
    _check_classes(estimator, kind, spec)
    outputs, columns = spec.outputs, len(spec.features)
    try:
        coefficients = np.asarray(estimator.coef_, dtype=np.float64)
        intercepts = np.broadcast_to(np.asarray(estimator.intercept_, dtype=np.float64), (outputs,))
        coefficients = coefficients.reshape(outputs, columns)
    except (TypeError, ValueError) as error:
        problem = f"{kind} has coefficients of shape {list(np.shape(estimator.coef_))}"
        hint = f"fit it on these columns alone: {', '.join(spec.features)}"
        raise ConfigError("start", f"{problem}; [{outputs}, {columns}] are needed", hint=hint) from error
    if not (np.isfinite(coefficients).all() and np.isfinite(intercepts).all()):
        raise ConfigError("start", f"{kind} has a coefficient that is not finite", hint="fit it again")
    order = _order(getattr(estimator, "feature_names_in_", spec.features), kind, spec)
    return weights_from(spec, coefficients[:, order], intercepts, levels)


def _not_linear(estimator: Any, kind: str) -> ConfigError:
    """Return the error for an object without coefficients: a pipeline, an unfitted estimator, or anything
    else.
    """
    wanted = "a fitted linear estimator (LinearRegression, LogisticRegression) or a LinearModel"
    if hasattr(estimator, "steps"):
        hint = "fit a linear estimator on the columns themselves; the bounty standardises them"
        return ConfigError("start", f"is a {kind}; {wanted} is expected", hint=hint)
    if isinstance(estimator, type):
        return ConfigError(
            "start", f"is the class {estimator.__name__}; {wanted} is expected", hint="fit one"
        )
    if hasattr(estimator, "fit") and not any(_learned(name) for name in vars(estimator)):
        return ConfigError("start", f"{kind} is not fitted; {wanted} is expected", hint="call its fit first")
    problem = f"{kind} has no coef_ and intercept_; {wanted} is expected"
    return ConfigError("start", problem, hint="or leave it out, to start from the null model")


def _learned(attribute: str) -> bool:
    """Tell whether scikit-learn names so what an estimator has learned."""
    return attribute.endswith("_") and not attribute.startswith("_")


def _check_classes(estimator: Any, kind: str, spec: QuadraticSpec) -> None:
    """A regression predicts amounts and a classifier log odds; neither can replace the other."""
    labels = LOSSES[spec.loss].labels
    found = getattr(estimator, "classes_", None)
    if spec.labels is not None and found is not None:
        if [level_text(one) for one in found] != list(spec.labels.levels):
            told = ", ".join(spec.labels.levels)
            problem = f"{kind} knows the classes {', '.join(map(str, found))[:100]}, and the bounty {told}"
            raise ConfigError("start", problem[:300], hint="fit it on the labels that the bounty has")
        return
    if (found is None) == bool(labels):
        said = "amounts, and the bounty asks for classes" if labels else "classes, and not amounts"
        hint = f"the bounty has loss = {spec.loss!r}; start from a model of the same kind, or from none"
        raise ConfigError("start", f"{kind} predicts {said}", hint=hint)
    if found is not None and list(found) != list(labels):
        told = ", ".join(f"{label:g}" for label in labels)
        problem = f"{kind} knows the classes {', '.join(map(str, found))[:100]}, and the bounty {told}"
        raise ConfigError("start", problem, hint="fit it on the labels that the bounty has")


def _order(given: Any, kind: str, spec: QuadraticSpec) -> list[int]:
    """Return where each feature of the bounty stands among the estimator's."""
    names = [str(name) for name in given]
    if sorted(names) != sorted(spec.features):
        odd = sorted(set(names) ^ set(spec.features))
        problem = f"{kind} was fitted on other columns than the bounty's: {', '.join(odd)[:200]}"
        raise ConfigError("start", problem, hint="name the same ones: features = [...]")
    return [names.index(name) for name in spec.features]
