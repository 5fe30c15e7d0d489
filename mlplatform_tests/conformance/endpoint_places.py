"""SageMaker's endpoints for tests: an account of the stand-in, a bucket, an item store, and model packages by digest."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from mlplatform.adapters.endpoints.sagemaker import SageMakerEndpoints
from mlplatform.adapters.endpoints.sagemaker_settings import SageMakerEndpointSettings
from mlplatform.adapters.item_store.sqlite import SqliteItemStore
from mlplatform.adapters.object_store.s3 import S3ObjectStore
from mlplatform.errors import NotFoundError
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.sagemaker.server import SageMaker, SageMakerAccount

ROLE = "arn:aws:iam::111122223333:role/serving"
IMAGES = "111122223333.dkr.ecr.us-east-1.amazonaws.com"


@dataclass
class SageMakerPlace:
    """Packages are folders below `root` that are named by their digest; of another digest there is an empty model."""

    account: SageMakerAccount
    ministack: Ministack
    root: Path
    bucket: str = field(default_factory=lambda: f"test-{uuid.uuid4().hex}")

    @cached_property
    def s3(self) -> Any:
        return boto3.client("s3", **self.ministack.client_options)

    @cached_property
    def store(self) -> S3ObjectStore:
        self.s3.create_bucket(Bucket=self.bucket)
        return S3ObjectStore(self.bucket, "lake", client_options=self.ministack.client_options)

    @cached_property
    def control(self) -> Any:
        return boto3.client("sagemaker", **self.account.client_options)

    def open(self, **settings: Any) -> SageMakerEndpoints:
        """The adapter, as another process would open it; it looks often."""
        quick = {"poll_s": 0.05, "follow_s": 1e-6, "image": f"{IMAGES}/serve:1"}
        return SageMakerEndpoints(
            SageMakerEndpointSettings.model_validate({"role_arn": ROLE, **quick, **settings}),
            SqliteItemStore(self.root / "items.sqlite"),
            self.store,
            self.package,
            options=self.account.client_options,
        )

    def package(self, model: str, digest: str) -> Path:
        """The package's folder."""
        folder = self.root / "packages" / digest
        if not folder.is_dir():
            raise NotFoundError(f"Model '{model}' has no package {digest[:12]}….")
        return folder

    def empty_packages(self, *digests: str) -> None:
        """Packages that nothing can serve."""
        for digest in digests:
            folder = self.root / "packages" / digest
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "model.json").write_text("{}")

    def clear(self) -> None:
        """Delete the endpoints that are left, as far as they can be now."""
        self.account.mend()
        for found in self.control.list_endpoints(MaxResults=100)["Endpoints"]:
            with suppress(ClientError):
                self.control.delete_endpoint(EndpointName=found["EndpointName"])


@pytest.fixture
def sagemaker_place(
    sagemaker_server: SageMaker, ministack_server: Ministack, tmp_path: Path
) -> Iterator[SageMakerPlace]:
    found = SageMakerPlace(sagemaker_server.account(tmp_path / "account"), ministack_server, tmp_path)
    yield found
    found.clear()
