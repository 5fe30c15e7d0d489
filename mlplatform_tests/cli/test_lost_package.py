"""A registered version whose package the tracker lost: found, worked around, and mended as the messages say."""

from __future__ import annotations

import re
import shutil
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlplatform.adapters.endpoints import LocalEndpoints
from mlplatform.errors import StateError
from mlplatform.platform.housekeeping import housekeeping
from mlplatform.platform.line import train_candidate
from mlplatform.platform.status import platform_status
from mlplatform.ports.endpoints import Served
from mlplatform_tests.cli.commands import Shell
from mlplatform_tests.cli.test_state import bad, copied

__all__ = ["copied"]

LATER = timedelta(days=30)


@pytest.fixture
def lost(copied: Shell) -> Shell:
    """Version 1, which is deployed, has lost its package; the one that was trained and deployed here."""
    (package,) = [m.parent for m in _manifests(copied) if '"training_job":"test-' not in m.read_text()]
    shutil.rmtree(package)
    return copied


def _manifests(shell: Shell) -> list[Path]:
    return sorted((shell.home / "tracking" / "artifacts").rglob("model.json"))


def builds(shell: Shell) -> int:
    return len(list((shell.home / "objects" / "unload").rglob("manifest.json")))


def test_check_finds_it_at_the_tracker(lost: Shell) -> None:
    assert bad(lost) == ["model stock_prices.stock_model version 1"]


def test_housekeeping_does_all_else_keeps_its_rows_and_says_so(lost: Shell) -> None:
    stations = lost.platform().system("stock_prices")
    for build in range(2):
        stations.features("stock_features").build(datetime.now(UTC), {"window_last": 200 + build})
    assert builds(lost) == 3
    with pytest.raises(StateError, match=r"cannot be read: stock_prices\.stock_model version 1: .*Their rows are kept"):
        housekeeping(stations, datetime.now(UTC) + LATER)
    assert builds(lost) == 2
    (trained_on,) = stations.pinned_versions()
    assert stations.maintenance("warehouse").run(datetime.now(UTC) + LATER).kept_versions == (trained_on,)


def test_nothing_is_trained_that_could_not_be_judged_and_what_helps_is_said(lost: Shell) -> None:
    stations = lost.platform().system("stock_prices")
    jobs = sorted((lost.home / "jobs").iterdir())
    with pytest.raises(StateError, match="cannot be judged beside the champion, version 1: no readable") as error:
        train_candidate(stations, "stock_model", run_id="run-2", request=None, on_log=lambda _: None)
    assert sorted((lost.home / "jobs").iterdir()) == jobs
    (folder,) = re.findall(r"at '([^']+)'", error.value.message)
    (key,) = re.findall(r"the object '([^']+)'", error.value.next_step)
    with tarfile.open(lost.home / "objects" / key) as left:
        left.extractall(folder, filter="data")
    assert bad(lost) == []
    stations.gate("stock_model").require_champion()


def test_going_back_helps_where_another_version_was_served(lost: Shell) -> None:
    route = "stock_prices/stock_prices"
    assert lost.run("promote", route, "2", "--allow-signature-change").code == 0
    gate = lost.platform().system("stock_prices").gate("stock_model")
    gate.require_champion()
    (package,) = [m.parent for m in _manifests(lost)]
    shutil.rmtree(package)
    shutil.rmtree(lost.home / "packages", ignore_errors=True)
    with pytest.raises(StateError, match=f"mlplatform rollback {route}"):
        gate.require_champion()


def test_an_endpoint_where_nothing_serves_is_a_trouble_of_the_status(lost: Shell) -> None:
    platform, route = lost.platform(), "stock_prices/stock_prices"
    desired = platform.endpoints.desired(route)
    assert desired is not None
    desk = LocalEndpoints(lost.home / "endpoints").desk()
    desk.acknowledge({route: Served(0, desired.generation, "no readable model package")}, ready=True)
    status = platform_status(platform, programs=[], now=datetime.now(UTC))
    desk.leave()
    (endpoint,) = [e for e in status.endpoints if e["endpoint"] == route]
    assert (endpoint["status"], endpoint["generation"]) == ("Failed", 0)
    assert "no readable model package" in endpoint["message"]
    assert f"endpoint {route}: {endpoint['message']}" in status.troubles
