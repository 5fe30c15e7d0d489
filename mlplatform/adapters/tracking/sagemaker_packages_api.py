"""SageMaker's Model Registry, as far as versions need it. SageMaker says by words only that a group is there already, or none.

(https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry.html.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mlplatform.adapters.aws.errors import aws_mapped
from mlplatform.adapters.tracking.sagemaker_packages_requests import OWNER
from mlplatform.adapters.tracking.sagemaker_packages_settings import ModelPackageSettings
from mlplatform.errors import ConflictError, NotFoundError, PlatformError, ThrottledError

_KINDS: Mapping[str, type[PlatformError]] = {
    "ResourceNotFound": NotFoundError,
    "ConflictException": ConflictError,
    "ResourceLimitExceeded": ThrottledError,
}


class ModelPackageApi:
    """Calls of one account and region; `options` are further arguments of ``boto3.client``."""

    def __init__(self, settings: ModelPackageSettings, options: Mapping[str, Any] | None = None) -> None:
        self._settings = settings
        self._options = options
        self._made: Any = None

    @property
    def _client(self) -> Any:
        if self._made is None:
            self._made = self._settings.client("sagemaker", self._options)
        return self._made

    def create_group(self, request: Mapping[str, Any]) -> None:
        """Make the group unless it is there. Raises ConflictError where another installation made it."""
        name = request["ModelPackageGroupName"]
        with _asking(f"Model package group '{name}'"):
            try:
                self._client.create_model_package_group(**request)
            except self._client.exceptions.ClientError as error:
                if not _says(error, "already exist"):
                    raise
            else:
                return
            arn = self._client.describe_model_package_group(ModelPackageGroupName=name)["ModelPackageGroupArn"]
            tags = {tag["Key"]: tag["Value"] for tag in self._client.list_tags(ResourceArn=arn)["Tags"]}
        ours = next(tag["Value"] for tag in request["Tags"] if tag["Key"] == OWNER)
        if tags.get(OWNER) != ours:
            whose = f"is of the installation whose objects are at '{tags[OWNER]}'" if OWNER in tags else "is another's"
            raise ConflictError(
                f"SageMaker's model package group '{name}' {whose}; the objects here are at '{ours}'.",
                next_step="Set a name_prefix of its own under model_packages, in the tracking connection of each installation "
                "that shares the account.",
            )

    def packages(self, group: str) -> Iterator[dict[str, Any]]:
        """Summaries of the group's packages, newest first; none where there is no such group."""
        with _asking(f"Packages of group '{group}'"):
            try:
                pages = self._client.get_paginator("list_model_packages").paginate(
                    ModelPackageGroupName=group, PaginationConfig={"PageSize": 100}
                )
                for page in pages:
                    yield from page["ModelPackageSummaryList"]
            except self._client.exceptions.ClientError as error:
                if not _says(error, "does not exist"):
                    raise

    def create(self, request: Mapping[str, Any]) -> str:
        """Make a package; its ARN."""
        with _asking(f"A model package in group '{request['ModelPackageGroupName']}'"):
            return str(self._client.create_model_package(**request)["ModelPackageArn"])

    def describe(self, arn: str) -> dict[str, Any]:
        with _asking(f"Model package '{arn}'"):
            return dict(self._client.describe_model_package(ModelPackageName=arn))

    def update(self, request: Mapping[str, Any]) -> None:
        with _asking(f"Model package '{request['ModelPackageArn']}'"):
            self._client.update_model_package(**request)


@contextmanager
def _asking(what: str) -> Iterator[None]:
    with aws_mapped(what, service="SageMaker", kinds=_KINDS):
        yield


def _says(error: Any, words: str) -> bool:
    told = error.response.get("Error", {})
    return told.get("Code") in ("ValidationException", "ConflictException") and words in told.get("Message", "").lower()
