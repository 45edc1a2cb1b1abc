"""scikit-learn's own checks of estimators, all of them, on ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.utils.estimator_checks import parametrize_with_checks

from pysonar.estimators.classifier import SonarClassifier
from pysonar.estimators.cox import SonarCox
from pysonar.estimators.glm import SonarGLM
from pysonar.estimators.regressor import SonarRegressor

ESTIMATORS = [SonarRegressor(), SonarClassifier(), SonarGLM("poisson"), SonarGLM("gamma"), SonarCox()]
"""Not SonarGLM("binomial"): the checks give regressors targets beyond 0 to 1, which it must refuse."""


@parametrize_with_checks(ESTIMATORS)  # type: ignore[untyped-decorator]
def test_an_estimator_keeps_scikit_learn_s_habits(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)
