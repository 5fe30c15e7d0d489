"""A gateway worker as a process of a test, before endpoints that SageMaker's stand-in serves.

python -m mlplatform_tests.gateway.forwarding <root> <fd> <bucket> <settings as JSON>
"""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from mlplatform.adapters.endpoints.sagemaker import SageMakerEndpoints
from mlplatform.adapters.endpoints.sagemaker_settings import SageMakerEndpointSettings
from mlplatform.adapters.item_store.sqlite import SqliteItemStore
from mlplatform.adapters.object_store.s3 import S3ObjectStore
from mlplatform.adapters.runtimes import PackageRuntimes
from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.gateway.app import GatewayPorts
from mlplatform.gateway.main import serve
from mlplatform.serving.listening import listen
from mlplatform_tests.conformance.endpoint_places import SageMakerPlace
from mlplatform_tests.serving.until import until


def ports(root: Path, bucket: str, settings: dict[str, Any]) -> GatewayPorts:
    """Everything under `root` but the models; where SageMaker and S3 are, the environment says."""
    items = SqliteItemStore(root / "items.sqlite")
    endpoints = SageMakerEndpoints(
        SageMakerEndpointSettings.model_validate(settings),
        items,
        S3ObjectStore(bucket, "lake"),
        lambda _, digest: root / "packages" / digest,
    )
    return GatewayPorts(
        endpoints=endpoints,
        desk=endpoints.follower(),
        runtimes=PackageRuntimes(),
        packages=lambda _, digest: root / "packages" / digest,
        items=items,
        capture=root / "capture",
        secret=EnvironmentSecrets(os.environ).get,
        forward=endpoints,
    )


@contextmanager
def forwarding(place: SageMakerPlace, endpoints: SageMakerEndpoints) -> Iterator[str]:
    """The address of a worker that follows `endpoints`; ready when the block begins."""
    listening = listen("127.0.0.1", 0)
    url, fd = f"http://127.0.0.1:{listening.getsockname()[1]}", listening.fileno()
    settings = endpoints.settings.model_dump_json(exclude_none=True)
    argv = [
        sys.executable,
        "-m",
        "mlplatform_tests.gateway.forwarding",
        str(place.root),
        str(fd),
        place.bucket,
        settings,
    ]
    log = (place.root / "gateway.log").open("ab")
    process = subprocess.Popen(argv, pass_fds=[fd], stdout=log, stderr=log, env={**os.environ, **place.account.env})
    try:
        until(lambda: httpx.get(f"{url}/ping", timeout=60).status_code == 200, timeout_s=60)
        yield url
    finally:
        process.terminate()
        process.wait(90)
        listening.close()
        log.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    _, root_, fd_, bucket_, settings_ = sys.argv
    serve(ports(Path(root_), bucket_, json.loads(settings_)), socket.socket(fileno=int(fd_)))
