"""PySonar: the scientist's side. It holds the key, posts bounties, and aggregates, evaluates and settles.

`pysonar.api` has what a notebook needs; its names can be taken from here. So can estimators, and a function
for each statistic (`pysonar.asking`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pysonar.api import Bounty, Campaign, Key, LinearModel, Session, Study, connect, explain
    from pysonar.estimators.classifier import SonarClassifier
    from pysonar.estimators.cox import SonarCox
    from pysonar.estimators.glm import SonarGLM
    from pysonar.estimators.regressor import SonarRegressor
    from pysonar.frames.schema import category, columns_of, number
    from pysonar.show.plots import plot_calibration, plot_coefficients, plot_losses

_ESTIMATORS = ("SonarClassifier", "SonarCox", "SonarGLM", "SonarRegressor")
_PLOTS = ("plot_calibration", "plot_coefficients", "plot_losses")
_COLUMNS = ("category", "columns_of", "number")
__all__ = [
    "Bounty",
    "Campaign",
    "Key",
    "LinearModel",
    "Session",
    "SonarClassifier",
    "SonarCox",
    "SonarGLM",
    "SonarRegressor",
    "Study",
    "category",
    "columns_of",
    "connect",
    "explain",
    "number",
    "plot_calibration",
    "plot_coefficients",
    "plot_losses",
]


def __getattr__(name: str) -> Any:
    # Loaded when first asked for: the command line starts without them.
    if name in _COLUMNS:
        from pysonar.frames import schema

        return getattr(schema, name)
    if name in _PLOTS:
        from pysonar.show import plots

        return getattr(plots, name)
    if name in _ESTIMATORS:
        from pysonar import estimators

        return estimators.found(name)
    if name in __all__:
        from pysonar import api

        return getattr(api, name)
    if name == "__version__":
        from sonar.telling.versions import version_of

        return version_of(__name__)
    if not name.startswith("_"):
        from pysonar.asking import functions

        if name in functions.names():
            return functions.function(name)
    raise AttributeError(f"module 'pysonar' has no attribute {name!r}")


def __dir__() -> list[str]:
    from pysonar.asking import functions

    return sorted({*globals(), *__all__, *functions.names()})  # what a notebook completes `pysonar.` with
