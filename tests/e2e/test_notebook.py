"""The notebook, run as it is on an embedded network: its figures, interrupts, and its kernel's death."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from tests.e2e.clear import rounded_losses

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "diabetes.ipynb"
FIGURES = """
import json
print(json.dumps({
    "summary": campaign.summary(),
    "learned": campaign.learned(),
    "pooled_mse": pooled_mse,
    "predicted": model.predict(my_x).tolist(),
    "by_pooled": pooled.predict(my_x).tolist(),
}))
"""
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


class Running:
    """The notebook in a kernel of its own, cell by cell."""

    def __init__(self, client: NotebookClient) -> None:
        self.client, self.cells = client, client.nb.cells

    @property
    def kernel(self) -> AsyncKernelManager:
        assert isinstance(self.client.km, AsyncKernelManager)
        return self.client.km

    @property
    def pid(self) -> int:
        provisioner: Any = self.kernel.provisioner
        return int(provisioner.pid)

    def index(self, text: str) -> int:
        (found,) = (i for i, c in enumerate(self.cells) if c.cell_type == "code" and text in c.source)
        return found

    def run(self, *indices: int) -> None:
        for index in indices:
            self.client.execute_cell(self.cells[index], index)

    async def interrupt(self) -> None:
        await self.kernel.interrupt_kernel()

    def figures(self) -> dict[str, Any]:
        self.cells.append(nbformat.v4.new_code_cell(FIGURES))
        self.run(len(self.cells) - 1)
        figures: dict[str, Any] = json.loads(self.text(-1))
        return figures

    def text(self, index: int) -> str:
        outputs = self.cells[index].get("outputs", [])
        return "\n".join(o.get("text") or o.get("data", {}).get("text/plain", "") for o in outputs)

    def run_and_interrupt(self, index: int, after_s: float, shown: str = "") -> bool:
        """Run a cell and press ■ a while after it showed a text; return whether that came before its end."""
        cell, ended = self.cells[index], threading.Event()
        cell.metadata["tags"] = ["raises-exception"]
        cell.outputs = []

        def press() -> None:
            # Not before it shows something: what is interrupted before it starts is skipped without an error.
            while not (self.text(index) and shown in self.text(index)) and not ended.wait(0.02):
                pass
            if not ended.wait(after_s):
                asyncio.run(self.interrupt())

        watch = threading.Thread(target=press)
        watch.start()
        self.run(index)
        ended.set()
        watch.join()
        errors = [output.ename for output in cell.outputs if output.output_type == "error"]
        assert errors in ([], ["KeyboardInterrupt"]), "\n".join(cell.outputs[-1].traceback)
        return bool(errors)


@contextmanager
def running(folder: Path, monkeypatch: pytest.MonkeyPatch, mines: int) -> Iterator[Running]:
    for name in [name for name in os.environ if name.startswith("SONAR_") and name != "SONAR_ANVIL"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "data"))
    monkeypatch.setenv("TMPDIR", str(folder))  # a killed kernel cannot clean up
    monkeypatch.setenv("MINES", str(mines))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(notebook, timeout=200, resources={"metadata": {"path": str(folder)}})
    with client.setup_kernel():
        yield Running(client)


def test_its_figures_and_nothing_outlives_its_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(tmp_path, monkeypatch, mines=10) as notebook:
        notebook.run(*range(len(notebook.cells)))
        figures = notebook.figures()
        images = [o for c in notebook.cells for o in c.get("outputs", []) if "image/png" in o.get("data", {})]
        assert len(images) == 4

        summary = figures["summary"]
        expected = rounded_losses(10, 7)
        assert summary["final_loss"] == pytest.approx(min(expected), rel=1e-6)
        assert summary["final"]["mse"] < 2_620 < summary["initial"]["mse"]
        assert figures["pooled_mse"] == pytest.approx(2_505.272, rel=1e-6)
        assert [r["loss"] for r in summary["rounds"]] == pytest.approx(expected[1:], rel=1e-6)
        assert len(summary["payouts"]) == 10
        assert all(paid["reward_units"] > 0 and paid["fee_units"] > 0 for paid in summary["payouts"].values())
        assert summary["paid_units"] + summary["refunded_units"] == summary["escrow_units"]
        errors = [abs(a - b) for a, b in zip(figures["predicted"], figures["by_pooled"], strict=True)]
        assert sum(errors) / len(errors) < 5  # of targets from 25 to 346
        assert max(errors) < 25
        assert figures["learned"]["sums over one mine's data"]["you, with this program"].startswith(
            "112 bits"
        )

        started = psutil.Process(notebook.pid).children(recursive=True)
        names = [" ".join(process.cmdline()) for process in started]
        assert sum("mine run" in name for name in names) == 10
        assert sum("sonar chain" in name for name in names) == 1
        os.kill(notebook.pid, signal.SIGKILL)
        _, alive = psutil.wait_procs(started, timeout=60)
        assert alive == []


def test_interrupted_again_and_again_and_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(7)
    with running(tmp_path, monkeypatch, mines=3) as notebook:
        fit, resume = notebook.index("campaign.fit()"), notebook.index("campaign.resume()")
        notebook.run(*range(fit))
        assert notebook.run_and_interrupt(fit, 0.1, shown="waiting for mines to commit")
        interrupts = 1
        while notebook.run_and_interrupt(resume, draw.uniform(0.1, 0.6)):
            interrupts += 1
        assert interrupts >= 4
        notebook.run(*range(resume + 1, len(notebook.cells)))
        summary = notebook.figures()["summary"]
        assert [r["loss"] for r in summary["rounds"]] == pytest.approx(rounded_losses(3, 7)[1:], rel=1e-6)
        assert summary["paid_units"] + summary["refunded_units"] == summary["escrow_units"]
        assert all(len(r["accepted"]) == 3 for r in summary["rounds"])
