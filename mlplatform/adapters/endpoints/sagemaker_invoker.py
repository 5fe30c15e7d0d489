"""Calls of endpoints on SageMaker (InvokeEndpoint).

A prediction changes nothing, so that a call whose answer is lost is sent once more. What goes wrong between the gateway and
SageMaker is not the caller's to mend: it is logged, and told as *try again* or *tell who runs this*.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from typing import Any

from mlplatform.adapters.aws.client import CONNECT_TIMEOUT_S
from mlplatform.adapters.aws.errors import aws_mapped, error_code
from mlplatform.adapters.endpoints.sagemaker_names import endpoint_name
from mlplatform.adapters.endpoints.sagemaker_settings import SageMakerEndpointSettings
from mlplatform.errors import (
    DataError,
    JobError,
    NotFoundError,
    PlatformError,
    ThrottledError,
    TransientError,
    UnavailableError,
    UserError,
)
from mlplatform.ports.endpoints import Invoked

MOST_BYTES = 6_291_456
MOST_ATTEMPTS = 2
CONNECTIONS = 64
_LONGEST_ID = 64
_KINDS: Mapping[str, type[PlatformError]] = {
    "ModelNotReadyException": UnavailableError,
    "InternalDependencyException": UnavailableError,
    "ValidationError": NotFoundError,
}
log = logging.getLogger(__name__)


class SageMakerInvoker:
    """Safe for many threads."""

    def __init__(self, settings: SageMakerEndpointSettings, options: Mapping[str, Any] | None = None) -> None:
        from botocore.config import Config

        config = Config(
            read_timeout=settings.answer_s,
            connect_timeout=min(CONNECT_TIMEOUT_S, settings.answer_s),
            retries={"mode": "standard", "total_max_attempts": MOST_ATTEMPTS},
            max_pool_connections=CONNECTIONS,
        )
        given = dict(options or {})
        config = config.merge(given.pop("config")) if given.get("config") else config
        self._prefix = settings.name_prefix
        self._client = settings.client("sagemaker-runtime", {**given, "config": config})

    def invoke(self, endpoint: str, body: bytes, *, request_id: str) -> Invoked:
        """The answer to a call in JSON."""
        if len(body) > MOST_BYTES:
            raise DataError(
                f"The rows: SageMaker takes at most {MOST_BYTES} bytes of JSON, found {len(body)}.",
                next_step="Send fewer rows in several requests.",
            )
        name = endpoint_name(self._prefix, endpoint)
        try:
            with aws_mapped(f"Endpoint '{endpoint}'", service="SageMaker", kinds=_KINDS):
                answer = self._client.invoke_endpoint(
                    EndpointName=name,
                    Body=body,
                    ContentType="application/json",
                    Accept="application/json",
                    InferenceId=_id(request_id),
                )
                return Invoked(answer["Body"].read())
        except TransientError:
            raise
        except PlatformError as error:
            raise _told(endpoint, error) from error


def _told(endpoint: str, error: PlatformError) -> PlatformError:
    """The error as a caller of the gateway may read it."""
    cause = error.__cause__
    if isinstance(cause, Exception) and error_code(cause) == "ModelError":
        return _of_model(endpoint, getattr(cause, "response", {}))
    log.error("%s", error)
    return UnavailableError(
        f"Endpoint '{endpoint}' cannot be asked now.",
        next_step="Try again in a moment; then tell who runs this platform.",
    )


def _of_model(endpoint: str, answer: Mapping[str, Any]) -> PlatformError:
    """What the model's container said, which is what the gateway itself would say."""
    status, text = int(answer.get("OriginalStatusCode", 500)), str(answer.get("OriginalMessage", ""))
    try:
        said = json.loads(text)["error"]
        message, step = str(said["message"]), str(said.get("next_step", ""))
    except (ValueError, TypeError, KeyError):
        message, step = "", ""
    if status == 429:
        return ThrottledError(
            message or f"Endpoint '{endpoint}' has too much to do.", next_step="Try again in a moment."
        )
    if status == 503:
        return UnavailableError(message or f"Endpoint '{endpoint}' is not ready.", next_step="Try again in a moment.")
    if 400 <= status < 500:
        kind = DataError if message else UserError
        return kind(message or f"Endpoint '{endpoint}' refused the request with {status}.", next_step=step)
    log.error("endpoint %s: its container answered %d: %s", endpoint, status, text[:500])
    return JobError(
        f"The model of endpoint '{endpoint}' failed on this request.", next_step="Tell who runs this platform."
    )


def _id(request_id: str) -> str:
    """What SageMaker takes as an inference id: at most 64 characters."""
    if len(request_id) <= _LONGEST_ID:
        return request_id
    return hashlib.sha256(request_id.encode()).hexdigest()
