"""An installation whose gateway is a function: records and keys in DynamoDB, objects in S3, models on SageMaker's stand-in."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import yaml

from mlplatform.adapters.endpoints.sagemaker import SageMakerEndpoints
from mlplatform.adapters.endpoints.sagemaker_settings import SageMakerEndpointSettings
from mlplatform.adapters.item_store.dynamodb import DynamoDbItemStore, DynamoDbSettings
from mlplatform.adapters.object_store.s3 import S3ObjectStore
from mlplatform.serving.api_keys import ApiKeys
from mlplatform_tests.conformance.endpoint_places import IMAGES
from mlplatform_tests.conformance.endpoint_places import ROLE as SERVING_ROLE
from mlplatform_tests.gateway.site import NAME, record
from mlplatform_tests.servers.ministack.functions import ACCOUNT, INSTALLED, Function, archived, function
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.sagemaker.server import SageMaker, SageMakerAccount

HANDLER = "mlplatform.gateway.aws_lambda.handler"


@dataclass
class LambdaSite:
    """`packages`: digest → folder. `key`: SageMaker's account, by the access key that asks it."""

    ministack: Ministack
    sagemaker: SageMaker
    root: Path
    packages: dict[str, Path]
    settings: dict[str, Any] = field(default_factory=dict)
    key: str = ACCOUNT
    name: str = field(default_factory=lambda: f"test-{uuid.uuid4().hex[:16]}")

    @cached_property
    def account(self) -> SageMakerAccount:
        return self.sagemaker.account(self.root / "account", self.key)

    @cached_property
    def s3(self) -> Any:
        return boto3.client("s3", **self.ministack.client_options)

    @cached_property
    def store(self) -> S3ObjectStore:
        self.s3.create_bucket(Bucket=self.name)
        return S3ObjectStore(self.name, "lake", client_options=self.ministack.client_options)

    @cached_property
    def items(self) -> DynamoDbItemStore:
        return DynamoDbItemStore(
            DynamoDbSettings(table=self.name, create=True), client_options=self.ministack.client_options
        )

    @cached_property
    def endpoints(self) -> SageMakerEndpoints:
        settings = SageMakerEndpointSettings.model_validate(self._endpoints)
        options = self.account.client_options
        return SageMakerEndpoints(settings, self.items, self.store, lambda _, d: self.packages[d], options=options)

    @property
    def _endpoints(self) -> dict[str, Any]:
        quick = {"poll_s": 0.05, "follow_s": 0.2, "image": f"{IMAGES}/serve:1", "role_arn": SERVING_ROLE}
        return {**quick, "name_prefix": self.name[:15], **self.settings}

    def deploy(self, generation: int, digest: str, **settings: Any) -> None:
        """A generation that is live when this returns; its version is 10 more."""
        self.endpoints.deploy(record(generation, digest, version=generation + 10, **settings))
        self.endpoints.wait(NAME, generation, timeout_s=60)

    @property
    def keys(self) -> ApiKeys:
        return ApiKeys(self.items)

    def captured(self) -> dict[str, bytes]:
        """Landing objects of the endpoint's capture."""
        found = {}
        for info in self.store.list(f"capture/{NAME}/"):
            with self.store.open(info.key) as file:
                found[info.key] = file.read()
        return found

    @property
    def project(self) -> dict[str, str]:
        """What a function's archive has beside packages: a profile."""
        place = {"region": "us-east-1"}
        connections = {
            "objects": {"port": "object_store", "adapter": "s3", "settings": {"bucket": self.name, "prefix": "lake"}},
            "items": {"port": "item_store", "adapter": "dynamodb", "settings": {**place, "table": self.name}},
            "secrets": {"port": "secrets", "adapter": "ssm", "settings": {**place, "prefix": f"/{self.name}/"}},
            "endpoints": {"port": "endpoints", "adapter": "sagemaker", "settings": self._endpoints},
        }
        return {
            "pyproject.toml": '[tool.dg.project]\nroot_module = "shop"\n',
            "profiles/function.yaml": yaml.safe_dump({"name": "function", "connections": connections}),
        }

    @property
    def variables(self) -> dict[str, str]:
        """A function's environment."""
        services = {name: url for name, url in self.account.env.items() if name.startswith("AWS_ENDPOINT_URL")}
        return {**services, "MLPLATFORM_PROFILE": "function", "MLPLATFORM_HOME": str(self.root / "function")}

    @contextmanager
    def function(self, handler: str = HANDLER, **more: str) -> Iterator[Function]:
        """The gateway's function, its packages those of the tests; `more` are further variables."""
        variables = {**self.variables, "PYTHONPATH": INSTALLED, **more}
        with function(self.ministack, handler, archived(self.project), variables) as found:
            yield found

    def close(self) -> None:
        """Remove the endpoint."""
        self.account.mend()
        self.endpoints.remove(NAME)
