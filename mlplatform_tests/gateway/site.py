"""A small installation for gateway tests: packages, deployment records, keys, and workers as real processes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from mlplatform.adapters.endpoints import LocalEndpoints
from mlplatform.adapters.item_store.sqlite import SqliteItemStore
from mlplatform.ports.endpoints import Deployment
from mlplatform.serving.api_keys import ApiKeys
from mlplatform.serving.listening import listen
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform_tests.packages import make_package

NAME = "stock_prices/prices"
ROW = {"ticker_symbol": "AAPL", "sector": "Information Technology", "change": 1.5}
START_S = 120.0


def spec(**settings: Any) -> EndpointSpec:
    """The endpoint of these tests."""
    return EndpointSpec(
        **{"name": "prices", "model": "stock_model", "prediction": "price", "keys": ["trading_day"], **settings}
    )


def record(generation: int, digest: str, *, version: int, endpoint: str = NAME, **settings: Any) -> Deployment:
    """A deployment of the endpoint."""
    return Deployment(
        endpoint=endpoint,
        generation=generation,
        model="stock_prices.stock_model",
        version=version,
        digest=digest,
        reason="test",
        run_id="",
        created_at=datetime.now(UTC).isoformat(),
        settings=spec(name=endpoint.partition("/")[2], **settings).model_dump(mode="json"),
    )


@dataclass
class Site:
    """Folders under `root`, and the ports that tests use beside the gateway."""

    root: Path
    digests: dict[Any, str] = field(default_factory=dict)

    @property
    def endpoints(self) -> LocalEndpoints:
        return LocalEndpoints(self.root / "endpoints")

    @property
    def keys(self) -> ApiKeys:
        return ApiKeys(SqliteItemStore(self.root / "items.sqlite"))

    def package(self, seed: int = 0, **how: Any) -> str:
        """Digest of a package trained with `seed`, made once."""
        name = (seed, *sorted(how.items()))
        if name not in self.digests:
            folder = self.root / "packages"
            digest = make_package(folder / "new", seed=seed, **how)
            (folder / "new").rename(folder / digest)
            self.digests[name] = digest
        return self.digests[name]

    def deploy(self, digest: str, *, version: int = 1, endpoint: str = NAME, **settings: Any) -> int:
        """Make a deployment record; its generation."""
        current = self.endpoints.desired(endpoint)
        generation = current.generation + 1 if current else 1
        self.endpoints.deploy(record(generation, digest, version=version, endpoint=endpoint, **settings))
        return generation

    def key(self, endpoint: str = NAME) -> str:
        """A new API key's token."""
        return self.keys.create(endpoint, label="test", now=datetime.now(UTC))[0]

    @contextmanager
    def serve(self, *, workers: int = 1, env: dict[str, str] | None = None) -> Iterator[Served]:
        """Worker processes on one socket; ready when the block begins."""
        listening = listen("127.0.0.1", 0)
        served = Served(self.root, listening.fileno(), f"http://127.0.0.1:{listening.getsockname()[1]}", env)
        try:
            served.processes = [served.start() for _ in range(workers)]
            served.wait_ready(workers)
            yield served
        finally:
            for process in served.processes:
                process.terminate()
            for process in served.processes:
                process.wait(90)
            listening.close()


@dataclass
class Served:
    """Running workers."""

    root: Path
    fd: int
    url: str
    env: dict[str, str] | None
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> subprocess.Popen[bytes]:
        """One more worker on the same socket."""
        argv = [sys.executable, "-m", "mlplatform_tests.gateway.worker", str(self.root), str(self.fd)]
        with (self.root / "gateway.log").open("ab") as log:
            return subprocess.Popen(argv, pass_fds=[self.fd], stdout=log, stderr=log, env=self.env)

    def wait_ready(self, workers: int) -> None:
        """Wait until so many workers take calls."""
        endpoints = LocalEndpoints(self.root / "endpoints")
        deadline = time.monotonic() + START_S
        name = (endpoints.list() or [NAME])[0]
        while time.monotonic() < deadline:
            if not endpoints.list():
                if httpx.get(f"{self.url}/ping", timeout=START_S).status_code == 200:
                    return
            elif endpoints.state(name).workers >= workers:
                return
            time.sleep(0.05)
        raise AssertionError((self.root / "gateway.log").read_text())

    def client(self, token: str | None = None) -> httpx.Client:
        """A keep-alive client that does not retry."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=START_S)
