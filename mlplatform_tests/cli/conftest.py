"""One installation with rows, two deployed versions and a running gateway, for the tests that read; the others copy or make their own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from mlplatform.platform.line import build_features, register_candidate, release, train_candidate
from mlplatform.ports.tracking import TrackedRun
from mlplatform.serving.listening import listen
from mlplatform_tests.cli.commands import Shell, make_shell
from mlplatform_tests.packages import make_package

DAYS = 260


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Two systems and no state."""
    return make_shell(tmp_path)


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Version 1 trained on real rows and deployed; version 2, of another package with a verdict, registered."""
    shell = make_shell(tmp_path_factory.mktemp("live"))
    assert shell.load_days(0, DAYS) == DAYS * 20
    platform = shell.platform()
    stations = platform.system("stock_prices")
    build_features(stations, "stock_features", parameters={}, run_id="run-1", request=None)
    train_candidate(stations, "stock_model", run_id="run-1", request=None, on_log=lambda _: None)
    register_candidate(stations, "stock_model", run_id="run-1")
    release(stations, "stock_prices", run_id="run-1", request=None)
    package = shell.root / "second"
    digest, model = make_package(package, rounds=2), "stock_prices.stock_model"
    tracked = TrackedRun(
        experiment="stock_prices", name="second", parameters={}, metrics={"r2": 0.5}, tags={}, package=package
    )
    platform.tracking.stage(tracked, model=model, digest=digest)
    platform.tracking.register(model, digest, verdict={"passed": True, "digest": digest})
    platform.items.put("verdicts", digest, {"passed": True, "digest": digest, "reason": "for a test"})
    return shell


@dataclass(frozen=True)
class Gateway:
    """A running gateway on the live installation, and a key to it."""

    url: str
    token: str


@pytest.fixture(scope="session")
def gateway(live: Shell) -> Iterator[Gateway]:
    token = live.run("keys", "create", "stock_prices/stock_prices", "session", "--json").json["token"]
    listening = listen("127.0.0.1", 0)
    argv = [sys.executable, "-m", "mlplatform.gateway.main", "--fd", str(listening.fileno())]
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    with (live.root / "gateway.log").open("wb") as log:
        process = subprocess.Popen(argv, env=live.env, pass_fds=[listening.fileno()], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while live.platform().endpoints.state("stock_prices/stock_prices").workers == 0:
            assert time.monotonic() < deadline, (live.root / "gateway.log").read_text()
            assert process.poll() is None, (live.root / "gateway.log").read_text()
            time.sleep(0.1)
        assert httpx.get(f"{url}/ping", timeout=30).status_code == 200
        yield Gateway(url, token)
    finally:
        process.terminate()
        process.wait(40)
        listening.close()
