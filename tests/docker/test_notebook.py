"""The notebook, unchanged, in the scientist's container, against the containers' mines."""

from __future__ import annotations

import json

import pytest

from tests.docker.kit import Project, wait_until
from tests.e2e.clear import rounded_losses

pytestmark = pytest.mark.timeout(400)
EXECUTE = "cd /tmp && jupyter nbconvert --to notebook --execute --stdout $SONAR_HOME/notebooks/diabetes.ipynb"


def test_the_notebook_reaches_the_demos_figures() -> None:
    with Project("sonar-test-notebook") as project:
        project.run("up", "-d", "sonar", "mine", "pysonar")
        wait_until("ten mines", 120, lambda: project.logs("mine").count("waiting for a bounty") == 10)
        done = project.run("exec", "-T", "pysonar", "sh", "-c", EXECUTE, timeout_s=240)
        outputs = [out for cell in json.loads(done.stdout)["cells"] for out in cell.get("outputs", [])]
        shown = (out.get("text") or out.get("data", {}).get("text/plain", []) for out in outputs)
        printed = "\n".join("".join(lines) for lines in shown)
        assert f"R² {1 - min(rounded_losses(10, 7)) / 1e6:.4f}" in printed, printed[-3000:]
        assert sum("image/png" in out.get("data", {}) for out in outputs) >= 4
