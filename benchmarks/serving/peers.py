"""The other servers: how each is started, called and read. Their own settings stand in `peers/<name>/serve.py`."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.peers.environment import environment
from benchmarks.processes import free_port, server
from benchmarks.serving.load import Call
from benchmarks.serving.model import FEATURES, NAMES, BenchModel, instances

Row = tuple[float, ...]


@dataclass(frozen=True)
class Peer:
    """A server.

    Attributes:
        title: as the results name it.
        path: of the route. body: the row as this server takes it. read: the prediction in its answer.
        own_environment: False where it runs on what mlplatform itself needs.
    """

    name: str
    title: str
    path: str
    body: Callable[[Row], bytes]
    read: Callable[[Any], float]
    package: str
    own_environment: bool = True

    @contextlib.contextmanager
    def serve(self, model: BenchModel, scratch: Path, *, workers: int) -> Iterator[Call]:
        """The running server, and the call to send it."""
        python = environment(self.name) / "python" if self.own_environment else Path(sys.executable)
        port = free_port()
        module = f"benchmarks.peers.{self.name}.serve"
        command = [str(python), "-m", module, str(model.folder), str(scratch), str(port), str(workers)]
        call = Call(f"http://127.0.0.1:{port}{self.path}", self.body(model.row), {"Content-Type": "application/json"})
        with server(command, ready=lambda: answers(call), log=scratch / f"{self.name}.log"):
            yield call


def answers(call: Call) -> bool:
    """Whether the call succeeds."""
    try:
        return httpx.post(call.url, content=call.body, headers=dict(call.headers), timeout=10).status_code == 200
    except httpx.HTTPError:
        return False


def _v2(row: Row) -> bytes:
    tensor = {"name": "input", "shape": [1, FEATURES], "datatype": "FP32", "data": list(row)}
    return json.dumps({"inputs": [tensor]}).encode()


def _split(row: Row) -> bytes:
    return json.dumps({"dataframe_split": {"columns": NAMES, "data": [list(row)]}}).encode()


def _rows(row: Row) -> bytes:
    return json.dumps({"rows": [list(row)]}).encode()


PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            "mlserver",
            "MLServer",
            "/v2/models/bench/infer",
            _v2,
            lambda said: float(said["outputs"][0]["data"][0]),
            "mlserver",
        ),
        Peer("mlflow", "MLflow", "/invocations", _split, lambda said: float(said["predictions"][0]), "mlflow"),
        Peer("bentoml", "BentoML", "/predict", _rows, lambda said: float(said[0]), "bentoml"),
        Peer("ray", "Ray Serve, tuned", "/", _rows, lambda said: float(said["predictions"][0]), "ray"),
        Peer(
            "asgi",
            "bare ASGI app, same ONNX session",
            "/",
            instances,
            lambda said: float(said["predictions"][0]),
            "uvicorn",
            own_environment=False,
        ),
    )
}
