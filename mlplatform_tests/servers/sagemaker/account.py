"""One account of the stand-in: what it has, where its jobs run, and the AWS services beside SageMaker that it uses.

An account is who an access key belongs to. Its folder: `state/` (records), `jobs/`, `containers/<name>` (its images).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from mlplatform.adapters.compute.container import container_folders
from mlplatform_tests.servers.aws_protocol.shapes import AwsRefusedError
from mlplatform_tests.servers.sagemaker.faults import Faults
from mlplatform_tests.servers.sagemaker.records import Records

NUMBER = "111122223333"
REGION = "us-east-1"


@dataclass
class Account:
    """`url`: of the stand-in. `environment`: what its jobs inherit, and where the other services are. `grace_s`: between
    SIGTERM and SIGKILL (SageMaker: 120)."""

    key: str
    folder: Path
    url: str
    environment: Mapping[str, str]
    grace_s: float = 2.0
    faults: Faults = field(default_factory=Faults)
    records: Records = field(init=False)
    running: dict[str, threading.Thread] = field(default_factory=dict)
    """What works on a thing in the background, by its ARN."""
    serving: dict[str, Any] = field(default_factory=dict)
    """What answers for an endpoint, by its name."""
    captured: dict[str, list[str]] = field(default_factory=dict)
    """What data capture keeps until it is written, by the prefix that it goes to."""

    def __post_init__(self) -> None:
        self.records = Records(self.folder / "state")

    @property
    def containers(self) -> tuple[Path, ...]:
        """Folders that an image's name is looked up in: the account's own before the package's."""
        return (self.folder / "containers", *container_folders())

    def arn(self, kind: str, name: str) -> str:
        return f"arn:aws:sagemaker:{REGION}:{NUMBER}:{kind}/{name}"

    @property
    def role_variables(self) -> dict[str, str]:
        """How a job's processes come by the credentials of their role, and where AWS is."""
        return {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self.url}/_role/{self.key}",
            "AWS_ENDPOINT_URL": self.environment["AWS_ENDPOINT_URL"],
            "AWS_DEFAULT_REGION": REGION,
        }

    def client(self, service: str) -> Any:
        """boto3's client of another service of this account (S3, EventBridge, CloudWatch Logs …)."""
        return _client(service, tuple(sorted(self.environment.items())))

    def known(self, kind: str, name: str) -> dict[str, Any]:
        """The thing. Raises AwsRefusedError as SageMaker does where there is none."""
        found = self.records.get(kind, name)
        if found is None:
            raise AwsRefusedError("ValidationException", f"Requested resource not found: {self.arn(kind, name)}.")
        return found

    def work(self, arn: str, target: Any, *arguments: Any) -> None:
        """Run `target` in the background, under the thing's ARN."""
        thread = threading.Thread(target=target, args=arguments, name=arn, daemon=True)
        self.running[arn] = thread
        thread.start()


@cache
def _client(service: str, environment: tuple[tuple[str, str], ...]) -> Any:
    import boto3

    known = dict(environment)
    return boto3.client(
        service,
        endpoint_url=known.get(f"AWS_ENDPOINT_URL_{service.upper()}") or known["AWS_ENDPOINT_URL"],
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


Operation = Callable[[Account, dict[str, Any]], dict[str, Any]]
"""An operation: an account and a checked request to an answer. Raises AwsRefusedError."""
