"""The stand-in as tests have it: a process of its own on a free port, and accounts apart from each other."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlplatform_tests.servers.ports import free_port
from mlplatform_tests.servers.process import listens, running


@dataclass(frozen=True)
class SageMakerAccount:
    """An account of the running server: `folder` has its `containers/`, `jobs/` and state.

    `aws_url`: where S3 and the other services are.
    """

    url: str
    key: str
    folder: Path
    aws_url: str

    @property
    def env(self) -> dict[str, str]:
        """The environment of who uses it: SageMaker here, all other services beside it."""
        return {
            "AWS_ENDPOINT_URL": self.aws_url,
            "AWS_ENDPOINT_URL_SAGEMAKER": self.url,
            "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": self.url,
            "AWS_ENDPOINT_URL_APPLICATION_AUTO_SCALING": self.url,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @property
    def client_options(self) -> dict[str, Any]:
        """Keyword arguments of ``boto3.client("sagemaker")``."""
        return {
            "endpoint_url": self.url,
            "region_name": "us-east-1",
            "aws_access_key_id": self.key,
            "aws_secret_access_key": "test",
        }

    def refuse(self, operation: str, code: str, **more: Any) -> None:
        """Answer `operation` (or ``*``) with an error: `status` (400), `times` (1), `message`."""
        self._admin("refuse", operation=operation, code=code, **more)

    def slow(self, operation: str, seconds: float, **more: Any) -> None:
        """Answer `operation` after so long, `times` (1)."""
        self._admin("slow", operation=operation, seconds=seconds, **more)

    def limit(self, operation: str, per_s: float) -> None:
        """Throttle calls that come faster."""
        self._admin("limit", operation=operation, per_s=per_s)

    def expect(self, misfortune: str, **more: Any) -> None:
        """Let what the stand-in calls `misfortune` happen, `times` (1)."""
        self._admin("expect", misfortune=misfortune, **more)

    def mend(self) -> None:
        """Nothing goes wrong any more."""
        self._admin("mend")

    @property
    def calls(self) -> list[str]:
        """Every operation asked, in order."""
        return list(self._admin("calls")["calls"])

    def _admin(self, call: str, **given: Any) -> dict[str, Any]:
        body = json.dumps({"account": self.key, **given}).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/_admin/{call}", body), timeout=60) as answer:  # noqa: S310
            return dict(json.loads(answer.read()))


@dataclass(frozen=True)
class SageMaker:
    """A running server."""

    port: int
    aws_url: str

    def account(self, folder: Path, key: str = "") -> SageMakerAccount:
        """An account with `folder`; a new one unless `key` says which."""
        url = f"http://127.0.0.1:{self.port}"
        found = SageMakerAccount(url, key or f"test-{uuid.uuid4().hex[:16]}", folder, self.aws_url)
        found._admin("open", folder=str(folder))
        return found


@contextlib.contextmanager
def sagemaker(folder: Path, aws_url: str) -> Iterator[SageMaker]:
    """A server of its own, without accounts; `folder` takes its log, `aws_url` has S3 and the other services."""
    port = free_port()
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    env = {**os.environ, **keys, "AWS_ENDPOINT_URL": aws_url, "AWS_EC2_METADATA_DISABLED": "true"}
    command = [sys.executable, "-m", "mlplatform_tests.servers.sagemaker", "--port", str(port), "--folder", str(folder)]
    with running(command, ready=lambda: listens(port), log=folder / "sagemaker.log", env=env):
        yield SageMaker(port, aws_url)
