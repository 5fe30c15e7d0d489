"""The shipped system whose endpoint SageMaker serves: from rows to a release, calls by the gateway, and their capture as rows."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
import yaml

from mlplatform.platform import Platform, SystemStations, open_platform
from mlplatform.platform.line import build_features, load_capture, register_candidate, release, train_candidate
from mlplatform.platform.status import platform_status
from mlplatform.platform.stray_endpoints import end_stray
from mlplatform.ports.endpoints import SelfServing
from mlplatform.worker.main import serving
from mlplatform_tests.components.site import PACKAGE, SMALL, SYSTEM
from mlplatform_tests.conformance.endpoint_places import IMAGES, ROLE, SageMakerPlace, sagemaker_place
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.gateway.test_main import command
from mlplatform_tests.prices import price_rows
from mlplatform_tests.servers.ports import free_port
from mlplatform_tests.servers.process import running
from mlplatform_tests.servers.sagemaker.fixtures import sagemaker_server
from mlplatform_tests.serving.until import until

__all__ = ["ministack_server", "sagemaker_place", "sagemaker_server"]

ROW = {"ticker_symbol": "AAPL", "sector": "Information Technology", "change": 1.5, "trading_day": "2026-01-02"}


@pytest.fixture
def env(sagemaker_place: SageMakerPlace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, str]:
    """A project of the system alone; what points a process at it."""
    found = {**sagemaker_place.account.env, **_project(tmp_path)}
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    # boto3 keeps a session, which read the environment when it was made.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    return {**os.environ, **found}


def _project(root: Path) -> dict[str, str]:
    shutil.copytree(PACKAGE / "defs" / SYSTEM, root / "shop" / "defs" / SYSTEM)
    path = root / "shop" / "defs" / SYSTEM / "defs.yaml"
    documents = list(yaml.safe_load_all(path.read_text("utf-8")))
    changes: dict[str, dict[str, Any]] = {
        "stock_features": {"expectations": [], "window": {"column": "trading_day", "last": 200}},
        "stock_model": {**SMALL, "gate": {"metric": "r2", "threshold": 0.3, "by": "trading_day"}},
        SYSTEM: {"public": True},
    }
    for document in documents:
        document["attributes"].update(changes.get(document["attributes"]["name"], {}))
    path.write_text(yaml.safe_dump_all(documents, sort_keys=False), "utf-8")
    (root / "shop" / "__init__.py").touch()
    (root / "pyproject.toml").write_text('[tool.dg.project]\nroot_module = "shop"\n')
    return {
        "MLPLATFORM_HOME": str(root / "home"),
        "MLPLATFORM_DEFS": str(root / "shop" / "defs"),
        "MLPLATFORM_PROFILE": "serving",
    }


def write_profile(place: SageMakerPlace, **settings: Any) -> None:
    """The embedded profile, but for objects and endpoints."""
    assert place.store
    profile = yaml.safe_load((PACKAGE.parent / "profiles" / "local.yaml").read_text("utf-8"))
    profile["name"] = "serving"
    profile["connections"] |= {
        "objects": {"port": "object_store", "adapter": "s3", "settings": {"bucket": place.bucket, "prefix": "lake"}},
        "endpoints": {
            "port": "endpoints",
            "adapter": "sagemaker",
            "settings": {"role_arn": ROLE, "image": f"{IMAGES}/serve:1", "poll_s": 0.1, "follow_s": 0.01, **settings},
        },
    }
    (place.root / "profiles").mkdir(exist_ok=True)
    (place.root / "profiles" / "serving.yaml").write_text(yaml.safe_dump(profile), "utf-8")


def released(stations: SystemStations, run: str) -> dict[str, Any]:
    """Train a model, register it, and deploy it."""
    build_features(stations, "stock_features", parameters={}, run_id=run, request=None)
    train_candidate(stations, "stock_model", run_id=run, request=None, on_log=lambda _: None)
    register_candidate(stations, "stock_model", run_id=run)
    return dict(release(stations, SYSTEM, run_id=run, request=None).metadata)


@contextmanager
def gateway(platform: Platform) -> Iterator[httpx.Client]:
    """The worker's own command."""
    port = free_port()
    argv, env = command("--port", str(port), home=platform.home.root, **platform.env)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:

        def ready() -> bool:
            try:
                return client.get("/ping").status_code == 200
            except httpx.TransportError:
                return False

        with running(argv, ready=ready, log=platform.home.root.parent / "gateway.log", env=env):
            yield client


@pytest.mark.slow
@pytest.mark.parametrize("owner", ["gateway", "sagemaker"])
def test_it_is_released_called_captured_and_removed(
    sagemaker_place: SageMakerPlace, env: dict[str, str], owner: str
) -> None:
    write_profile(sagemaker_place, **({"capture": {}} if owner == "sagemaker" else {}))
    with closing(open_platform(env)) as platform:
        stations = platform.system(SYSTEM)
        table = stations.ingest("stock_table")
        table.create()
        platform.store.put(f"{SYSTEM}/base/0.csv", _csv(0, 300))
        table.run()
        told = released(stations, "run-1")
        assert (told["generation"], told["live_generation"], told["status"], told["workers"]) == (1, 1, "InService", 1)
        with gateway(platform) as client:
            answers = [client.post("/predict/stock_prices", json={**ROW, "change": n / 10}).json() for n in range(5)]
        assert {answer["model"]["generation"] for answer in answers} == {1}
        rows = _captured(stations, 5)
        assert {row["inference_id"] for row in rows} == {answer["inference_id"] for answer in answers}
        by_id = {answer["inference_id"]: answer["predictions"][0]["price"] for answer in answers}
        assert {row["inference_id"]: row["prediction"] for row in rows} == by_id
        trace = platform.trace(answers[0]["inference_id"])
        assert trace.version == 1
        sagemaker_place.account.refuse("DescribeEndpoint", "AccessDeniedException", status=403)
        [shown] = platform_status(platform, programs=[], now=datetime.now(UTC)).endpoints
        assert (shown["endpoint"], shown["status"]) == (f"{SYSTEM}/{SYSTEM}", "Unknown")
        [shown] = platform_status(platform, programs=[], now=datetime.now(UTC)).endpoints
        assert (shown["status"], shown["workers"], shown["machine"]) == ("InService", 1, "ml.m5.large")
        if owner == "sagemaker":
            _moves_what_is_left(sagemaker_place, env)
        rollout = stations.rollout(SYSTEM)
        assert rollout.apply_settings() == platform.endpoints.desired(rollout.name)
        [task] = serving(platform)
        assert (task.name, task.work()) == (f"serve {SYSTEM}/{SYSTEM}", False)
        shutil.rmtree(platform.defs / SYSTEM)
    with closing(open_platform(env)) as platform:
        status = platform_status(platform, programs=[], now=datetime.now(UTC))
        assert [(row["endpoint"], row["message"]) for row in status.endpoints] == [(rollout.name, "not in the YAML")]
        assert (
            f"endpoint {rollout.name} is not in the YAML, but still deployed and paid for; "
            f"to end it: mlplatform destroy {rollout.name}"
        ) in status.troubles
        end_stray(platform, rollout.name)
        assert sagemaker_place.control.list_endpoints()["Endpoints"] == []


def _moves_what_is_left(place: SageMakerPlace, env: dict[str, str]) -> None:
    """The gateway is to capture from now on; SageMaker does until the next deployment."""
    write_profile(place)
    with closing(open_platform(env)) as platform:
        assert isinstance(platform.endpoints, SelfServing)
        body = json.dumps({"instances": [ROW]}).encode()
        platform.endpoints.invoke(f"{SYSTEM}/{SYSTEM}", body, request_id="req-1")
        until(lambda: list(platform.store.list("_captured/")) != [])
        _captured(platform.system(SYSTEM), 6)
        assert list(platform.store.list("_captured/")) == []


def _csv(first: int, last: int) -> bytes:
    import io

    import pyarrow.csv as pacsv

    file = io.BytesIO()
    pacsv.write_csv(price_rows(first, last), file)
    return file.getvalue()


def _captured(stations: SystemStations, wanted: int) -> list[dict[str, Any]]:
    """The captured rows, when so many are loaded."""
    found: list[dict[str, Any]] = []

    def loaded() -> bool:
        load_capture(stations, SYSTEM)
        query = "SELECT inference_id, prediction, generation FROM stock_prices_capture"
        found[:] = stations.warehouse().query(query).to_pylist()
        return len(found) >= wanted

    until(loaded)
    return found
