"""The whole platform under one supervisor with a trained and watched system, and a browser to look at it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from mlplatform_tests.cli.commands import Shell
from mlplatform_tests.prices import price_rows
from mlplatform_tests.servers.ports import free_port
from mlplatform_tests.serving.until import until
from mlplatform_tests.spec.editing import EXAMPLES

ARGUMENTS = ["--no-sandbox", "--headless", "--disable-gpu", "--disable-background-networking"]
PATIENCE_MS = 120_000
TRAINED_DAYS, STREAMED_DAYS, ALL_DAYS = 260, 65, 455
"""Three windows of 63 days behind the training are streamed and judged."""
WINDOW_ROWS = 63 * 20


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """`mlplatform serve --ui`, after the first training and two judged windows."""
    shell = Shell(tmp_path_factory.mktemp("browsed"))
    shell.more = {
        "MLPLATFORM_DEFS": str(EXAMPLES),
        "MLPLATFORM_GATEWAY_PORT": str(free_port()),
        "MLPLATFORM_UI_PORT": str(free_port()),
        "MLPLATFORM_TRACKER_PORT": str(free_port()),
        "MLPLATFORM_GATEWAY_WORKERS": "1",
    }
    shell.load_days(0, TRAINED_DAYS)
    log = shell.root / "serve.log"
    with log.open("wb") as file:
        command = [sys.executable, "-m", "mlplatform.cli.main", "serve", "--ui"]
        process = subprocess.Popen(command, env=shell.env, stdout=file, stderr=file)
    try:
        until(lambda: "Ready." in log.read_text() or process.poll() is not None, timeout_s=240)
        assert process.poll() is None, log.read_text()
        endpoints = shell.platform().endpoints
        until(lambda: endpoints.state("stock_prices/stock_prices").live_generation == 1, timeout_s=300)
        stations = shell.platform().system("stock_prices")
        for windows, last in enumerate(range(TRAINED_DAYS, ALL_DAYS, STREAMED_DAYS), 1):
            stream_days(shell, last, last + STREAMED_DAYS)
            until(lambda n=windows: len(stations.evaluations("stock_monitor")) >= n, timeout_s=120)
        assert {e.rows for e in stations.evaluations("stock_monitor")} == {WINDOW_ROWS}
        _call(shell)
        yield shell
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(90)


def stream_days(shell: Shell, first: int, last: int, *, dearer: float = 1.0) -> None:
    """Put trading days on the stream, their prices so many times what they were."""
    rows = price_rows(first, last)
    prices = pc.multiply(rows.column("price"), dearer)
    lines = shell.root / f"days-{first}-{last}.csv"
    pacsv.write_csv(rows.set_column(rows.column_names.index("price"), "price", prices), lines)
    done = shell.run("put", "stock_prices/stock_stream", str(lines))
    assert done.code == 0, done.err


def _call(shell: Shell) -> None:
    """Ask for a few predictions, and wait until they are captured."""
    key = shell.run("keys", "create", "stock_prices/stock_prices", "browser", "--json").json["token"]
    row = json.dumps({"ticker_symbol": "AAPL", "sector": "Information Technology", "change": 0.5})
    for _ in range(5):
        done = shell.run("predict", "stock_prices", row, MLPLATFORM_API_KEY=key)
        assert done.code == 0, done.err
    captured = "SELECT count(*) AS n FROM stock_prices_capture"
    until(
        lambda: json.loads(shell.run("query", "stock_prices", captured, "--json").out)["rows"][0]["n"] == 5,
        timeout_s=120,
    )


@pytest.fixture(scope="session")
def pictures() -> Path:
    """Where screenshots go: ``$MLPLATFORM_PICTURES`` (``docs/images/ui``, say), or a folder of the checkout's scratch."""
    folder = Path(os.environ.get("MLPLATFORM_PICTURES", ".test-env/pictures"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def page() -> Iterator[Page]:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    assert found, "There is no Chromium; 'make system-chromium' installs Debian's, as 'make test-all' does."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        opened = browser.new_page(viewport={"width": 1600, "height": 1000})
        opened.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        yield opened
        browser.close()
