"""A capture over a real served model, for tests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from mlplatform.core.capture.masking import MASK_SECRET
from mlplatform.errors import NotFoundError
from mlplatform.ports.runtimes import Prediction
from mlplatform.serving.capture import Capture
from mlplatform.serving.inference_id import uuid7
from mlplatform.serving.model_server import ModelServer
from mlplatform.serving.served_model import ServedModel
from mlplatform_tests.gateway.site import NAME, ROW, Site
from mlplatform_tests.gateway.worker import ports


def served_model(root: Path, **settings: Any) -> ServedModel:
    """A loaded generation of the test endpoint."""
    site = Site(root)
    site.deploy(site.package(), version=5, **settings)
    found = ports(root)
    server = ModelServer(found.desk, found.runtimes, found.packages)
    asyncio.run(server.reconcile())
    return server.get(NAME)


def captured_lines(folder: Path) -> list[bytes]:
    """Requests that stand in a spool's segments, flushed or not; one that is closed meanwhile has another name, and is looked for
    anew."""
    while True:
        with contextlib.suppress(FileNotFoundError):
            segments = sorted(path for path in folder.rglob("*") if path.suffix in (".open", ".jsonl"))
            return [line for path in segments for line in _whole(path.read_bytes()) if not line.startswith(b'{"after"')]


def _whole(data: bytes) -> list[bytes]:
    """Lines with their end."""
    return data.split(b"\n")[:-1]


def secret(name: str) -> SecretStr:
    """The mask's key, and no other secret."""
    if name != MASK_SECRET:
        raise NotFoundError(f"There is no secret '{name}'.")
    return SecretStr("a long random text")


def no_secret(name: str) -> SecretStr:
    """No secret at all."""
    raise NotFoundError(f"There is no secret '{name}'.")


def record(
    capture: Capture, served: ServedModel, rows: Sequence[dict[str, Any]] = (ROW,), *, request_id: str = "r"
) -> str:
    """Capture one answered request; its inference id."""
    inference_id = served.id_prefix + uuid7()
    capture.record(
        served,
        inference_id=inference_id,
        request_id=request_id,
        content_type="application/json",
        rows=rows,
        predictions=[Prediction(1.5 + n) for n, _ in enumerate(rows)],
    )
    return inference_id
