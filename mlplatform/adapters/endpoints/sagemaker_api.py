"""SageMaker's control plane, as far as endpoints need it. Whatever is there already, or gone already, is no error.

What an endpoint is made of is named by its content (`sagemaker_names`), so that what is there already is what was asked for.
SageMaker tells both apart from other refusals by words only.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mlplatform.adapters.aws.errors import ACTION, aws_mapped
from mlplatform.adapters.endpoints.sagemaker_names import generation_of
from mlplatform.adapters.endpoints.sagemaker_requests import SCALED, VARIANT, scaling_requests
from mlplatform.adapters.endpoints.sagemaker_settings import SageMakerEndpointSettings, Scaling
from mlplatform.errors import ConflictError, NotFoundError, PermissionDeniedError, PlatformError, ThrottledError

_KINDS: Mapping[str, type[PlatformError]] = {
    "ResourceNotFound": NotFoundError,
    "ObjectNotFoundException": NotFoundError,
    "ResourceInUse": ConflictError,
    "ResourceLimitExceeded": ThrottledError,
}
_STEPS: Mapping[type[PlatformError], str] = {
    PermissionDeniedError: f"Allow {ACTION} on it to who runs this, and to make one, iam:PassRole on the connection's role_arn.",
    ThrottledError: "Try again later; for a quota, ask AWS for a higher one or remove endpoints that nobody needs.",
}
log = logging.getLogger(__name__)


class SageMakerApi:
    """Calls of one account and region; `options` are further arguments of ``boto3.client``."""

    def __init__(self, settings: SageMakerEndpointSettings, options: Mapping[str, Any] | None = None) -> None:
        self._settings = settings
        self._options = options
        self._client = settings.client("sagemaker", options)

    def endpoint(self, name: str) -> dict[str, Any] | None:
        """DescribeEndpoint's answer, None where there is no such endpoint."""
        with _asking(f"Endpoint '{name}'"):
            try:
                found: dict[str, Any] = self._client.describe_endpoint(EndpointName=name)
            except self._client.exceptions.ClientError as error:
                if _says(error, "could not find"):
                    return None
                raise
            return found

    def tags(self, arn: str) -> dict[str, str]:
        """Tags of what has that ARN, by their keys."""
        with _asking(f"Tags of '{arn}'"):
            found = self._client.list_tags(ResourceArn=arn, MaxResults=100)["Tags"]
        return {tag["Key"]: tag["Value"] for tag in found}

    def create_model(self, request: Mapping[str, Any]) -> None:
        self._created("create_model", request, f"Model '{request['ModelName']}'")

    def create_config(self, request: Mapping[str, Any]) -> None:
        self._created("create_endpoint_config", request, f"Configuration '{request['EndpointConfigName']}'")

    def create_endpoint(self, request: Mapping[str, Any]) -> None:
        self._created("create_endpoint", request, f"Endpoint '{request['EndpointName']}'")

    def update_endpoint(self, request: Mapping[str, Any]) -> None:
        """Ask for another configuration; where the endpoint changes just now, nothing."""
        with _asking(f"Endpoint '{request['EndpointName']}'"):
            try:
                self._client.update_endpoint(**request)
            except self._client.exceptions.ClientError as error:
                if not _says(error, "in-progress"):
                    raise

    def delete_endpoint(self, name: str) -> bool:
        """Begin to delete the endpoint; whether SageMaker does (False: it changes just now)."""
        with _asking(f"Endpoint '{name}'"):
            try:
                self._client.delete_endpoint(EndpointName=name)
            except self._client.exceptions.ClientError as error:
                if _says(error, "in-progress"):
                    return False
                if not _says(error, "could not find"):
                    raise
            return True

    def delete_parts(self, name: str, *, before: int) -> None:
        """Delete the endpoint's configurations and models of generations below `before`."""
        for kind, key in (("endpoint_config", "EndpointConfigName"), ("model", "ModelName")):
            for part in list(self._parts(kind, key, name)):
                if 0 < generation_of(name, part) < before:
                    self._deleted(kind, key, part)

    def scale(self, name: str, scaling: Scaling) -> None:
        """Set target and policy; the same again changes nothing."""
        target, policy = scaling_requests(name, scaling)
        client = self._settings.client("application-autoscaling", self._options)
        with _asking(f"Scaling of endpoint '{name}'", service="Application Auto Scaling"):
            client.register_scalable_target(**target)
            client.put_scaling_policy(**policy)

    def unscale(self, name: str, *, certain: bool) -> None:
        """Take the target away, and its policies with it. Unless it is `certain` that there is one, a refusal is no error: who never
        had an endpoint scaled needs no permission of Application Auto Scaling's."""
        client = self._settings.client("application-autoscaling", self._options)
        place = f"endpoint/{name}/variant/{VARIANT}"
        try:
            with _asking(f"Scaling of endpoint '{name}'", service="Application Auto Scaling"):
                client.deregister_scalable_target(
                    ServiceNamespace="sagemaker", ResourceId=place, ScalableDimension=SCALED
                )
        except NotFoundError:
            return
        except PermissionDeniedError as error:
            if certain:
                raise
            log.info("%s", error)

    def _created(self, call: str, request: Mapping[str, Any], what: str) -> None:
        with _asking(what):
            try:
                getattr(self._client, call)(**request)
            except self._client.exceptions.ClientError as error:
                if not _says(error, "already existing"):
                    raise

    def _parts(self, kind: str, key: str, name: str) -> Iterator[str]:
        with _asking(f"What endpoint '{name}' is made of"):
            for page in self._client.get_paginator(f"list_{kind}s").paginate(NameContains=name):
                for found in page[f"{'EndpointConfigs' if kind == 'endpoint_config' else 'Models'}"]:
                    yield found[key]

    def _deleted(self, kind: str, key: str, part: str) -> None:
        with _asking(f"'{part}'"):
            try:
                getattr(self._client, f"delete_{kind}")(**{key: part})
            except self._client.exceptions.ClientError as error:
                if not _says(error, "could not find"):
                    raise


@contextmanager
def _asking(what: str, *, service: str = "SageMaker") -> Iterator[None]:
    with aws_mapped(what, service=service, kinds=_KINDS, steps=_STEPS):
        yield


def _says(error: Any, words: str) -> bool:
    told = error.response.get("Error", {})
    return told.get("Code") == "ValidationException" and words in told.get("Message", "").lower()
