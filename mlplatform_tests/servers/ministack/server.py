"""ministack: AWS's protocols in one process, for the S3 (and later stream and event) adapters."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlplatform_tests.servers.environment import environment
from mlplatform_tests.servers.ports import free_port
from mlplatform_tests.servers.process import listens, running


@dataclass(frozen=True)
class Ministack:
    """A running server; any credentials will do."""

    port: int

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def client_options(self) -> dict[str, Any]:
        """Keyword arguments of ``boto3.client``."""
        return {
            "endpoint_url": self.endpoint_url,
            "region_name": "us-east-1",
            "aws_access_key_id": "test",
            "aws_secret_access_key": "test",
        }


@contextlib.contextmanager
def ministack(folder: Path, *, permissions: bool = False) -> Iterator[Ministack]:
    """A server of its own, with nothing in it; `folder` takes its log. `permissions`: it lets nobody do what IAM does not allow."""
    bin_folder = environment("ministack")
    port = free_port()
    env = {
        "PATH": f"{bin_folder}:/usr/bin:/bin",
        "HOME": str(folder),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "AUTH": "true" if permissions else "false",
    }
    command = [str(bin_folder / "ministack")]
    with running(command, ready=lambda: listens(port), log=folder / "ministack.log", env=env):
        yield Ministack(port)
