"""Our gateway as it ships: its own worker processes over a home, with validation, API key and capture on."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.processes import free_port, server
from benchmarks.serving.load import Call
from benchmarks.serving.model import BenchModel, instances
from mlplatform.platform import open_platform
from mlplatform.ports.endpoints import Deployment
from mlplatform.serving.api_keys import ApiKeys
from mlplatform.spec.endpoint import EndpointSpec

ENDPOINT = "bench/bench_endpoint"


@contextlib.contextmanager
def gateway(model: BenchModel, scratch: Path, *, workers: int) -> Iterator[Call]:
    """A running gateway that serves `model`, and the call to send it."""
    port = free_port()
    env = {
        **os.environ,
        "MLPLATFORM_HOME": str(scratch / "home"),
        "MLPLATFORM_PROFILE": "local",
        "MLPLATFORM_GATEWAY_PORT": str(port),
        "MLPLATFORM_GATEWAY_WORKERS": str(workers),
    }
    token = deploy(model, env)
    platform = open_platform(env)
    command = [sys.executable, "-m", "benchmarks.serving.supervised"]

    def ready() -> bool:
        return platform.endpoints.state(ENDPOINT).workers == workers

    with server(command, ready=ready, log=scratch / "gateway.log", env=env):
        name = ENDPOINT.partition("/")[2]
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        yield Call(f"http://127.0.0.1:{port}/predict/{name}", instances(model.row), headers)


def deploy(model: BenchModel, env: dict[str, str]) -> str:
    """Put the package into the home, a deployment record beside it, and make a key; the key's token."""
    platform = open_platform(env)
    shutil.copytree(model.folder, platform.home.packages / model.digest)
    now = datetime.now(UTC)
    spec = EndpointSpec(name=ENDPOINT.partition("/")[2], model="bench_model", prediction="target")
    platform.endpoints.deploy(
        Deployment(
            endpoint=ENDPOINT,
            generation=1,
            model="bench.bench_model",
            version=1,
            digest=model.digest,
            reason="benchmark",
            run_id="",
            created_at=now.isoformat(),
            settings=spec.model_dump(mode="json"),
        )
    )
    return ApiKeys(platform.items).create(ENDPOINT, label="benchmark", now=now)[0]
