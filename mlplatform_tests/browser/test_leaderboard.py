"""What AutoML chose from, as the UI shows it: the candidate's leaderboard."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from mlplatform_tests.servers.ports import free_port
from mlplatform_tests.serving.until import until
from mlplatform_tests.systems.automl import refreshed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of Dagster's UI over a project whose model AutoGluon trained."""
    with refreshed(tmp_path_factory.mktemp("leaderboard")) as found:
        assert found.result.success
        port = free_port()
        home = str(Path(found.env["MLPLATFORM_HOME"]) / "dagster")
        command = [
            sys.executable,
            "-m",
            "dagster_webserver",
            "-w",
            "workspace.yaml",
            "-h",
            "127.0.0.1",
            "-p",
            str(port),
        ]
        with (
            (found.folder / "ui.log").open("wb") as log,
            subprocess.Popen(
                command, cwd=found.folder, env={**os.environ, **found.env, "DAGSTER_HOME": home}, stdout=log, stderr=log
            ) as process,
        ):
            try:
                until(lambda: process.poll() is not None or answers(port), timeout_s=120)
                assert process.poll() is None, (found.folder / "ui.log").read_text()
                yield f"http://127.0.0.1:{port}"
            finally:
                process.send_signal(signal.SIGTERM)


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/server_info", timeout=10).status_code == 200
    except httpx.TransportError:
        return False


def test_the_leaderboard_is_a_table_on_the_candidates_page(ui: str, page: Page, pictures: Path) -> None:
    page.set_viewport_size({"width": 2300, "height": 1500})
    page.goto(f"{ui}/assets/passengers/survival_candidate?view=events")
    board = page.locator("table").filter(has_text="score_held_out").last
    for name in ("model", "score_val", "score_held_out", "fit_s", "predict_s", "stack_level", "chosen"):
        expect(board.get_by_text(name, exact=True)).to_be_visible()
    expect(board.get_by_text("WeightedEnsemble_L2_FULL", exact=True)).to_be_visible()
    board.screenshot(path=pictures / "leaderboard.png")
