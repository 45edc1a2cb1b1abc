"""Models with scikit-learn's habits: fitted on mines that are parts of a table here, or on a network's."""

from __future__ import annotations

from typing import Any

from sonar.errors import ClientMissing


def found(name: str) -> Any:
    """Return an estimator's class by its name. Raises ClientMissing where scikit-learn is not installed."""
    try:
        from pysonar.estimators import classifier, cox, glm, regressor
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "sklearn":
            raise
        hint = "pip install 'sonar-network-scientist[sklearn]'"
        raise ClientMissing(f"{name} needs the package scikit-learn", hint=hint) from error
    known = (classifier.SonarClassifier, cox.SonarCox, glm.SonarGLM, regressor.SonarRegressor)
    return {one.__name__: one for one in known}[name]
