"""Clients of AWS services: boto3 loaded late, with bounded retries (throttled ones too, with jitter) and timeouts.

Where a service is found, and with which credentials, is boto3's own configuration (environment, profile, role;
``AWS_ENDPOINT_URL``, ``AWS_ENDPOINT_URL_<SERVICE>``), unless a connection's settings say it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from mlplatform.adapters.driver_imports import DRIVER_IMPORTS
from mlplatform.errors import ProfileError

CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 60
MAX_ATTEMPTS = 5


class AwsSettings(BaseModel):
    """Where a service is; what is not given, boto3 finds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    region: str | None = Field(default=None, description="As AWS calls it; else AWS_DEFAULT_REGION or the profile's.")
    endpoint_url: str | None = Field(default=None, description="Of a server that speaks AWS's protocol; else AWS.")

    def client(self, service: str, options: Mapping[str, Any] | None = None) -> Any:
        """boto3's client of `service` there."""
        place = {"endpoint_url": self.endpoint_url, "region_name": self.region}
        return aws_client(service, {**place, **(options or {})})


def aws_client(service: str, options: Mapping[str, Any]) -> Any:
    """boto3's client of `service`; `options` are further arguments of ``boto3.client``.

    Raises:
        ProfileError: no region, or a profile of AWS's that is not there.
    """
    try:
        with DRIVER_IMPORTS:
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise ImportError(f"An adapter of AWS ({service}) needs boto3: pip install 'mlplatform[aws]'") from error
    config = Config(
        retries={"mode": "standard", "total_max_attempts": MAX_ATTEMPTS},
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
    )
    config = config.merge(options.get("config") or Config())
    make: Any = boto3.client
    try:
        # boto3's session makes one client at a time.
        with DRIVER_IMPORTS:
            client = make(service, **{**options, "config": config})
    except (BotoCoreError, ValueError) as error:
        raise ProfileError(
            f"A client of AWS's {service} cannot be made: {error}",
            next_step="Check the connection's region and endpoint_url, AWS_DEFAULT_REGION and AWS_PROFILE.",
        ) from error
    client.meta.events.register("after-call", _note_region(client.meta.region_name))
    return client


def _note_region(region: str | None) -> Callable[..., None]:
    """Has each answer bear where it was asked for: what is missing there may be elsewhere."""

    def note(parsed: dict[str, Any], **_: Any) -> None:
        if region:
            parsed.setdefault("ResponseMetadata", {})["Region"] = region

    return note
