"""The hot path: ``POST /predict/<endpoint>`` and ``POST /invocations`` as a raw ASGI app.

In order: headers, model, key, length, body, rows, answer, capture. The model's reference is taken once; the request is
answered by that generation, whatever is deployed meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

from mlplatform.core.codecs import Codec, answer_codec, codec_for
from mlplatform.errors import BugError, PermissionDeniedError, PlatformError
from mlplatform.gateway.refusal import BodyTooLargeError, Headers, MethodNotAllowedError, refusal
from mlplatform.gateway.request_head import RequestHead, read_head
from mlplatform.serving.capture import Capture
from mlplatform.serving.inference_id import named_uuid, uuid7
from mlplatform.serving.key_ring import KeyRing
from mlplatform.serving.served_model import ServedModel

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PREDICT = "/predict/"
INVOCATIONS = "/invocations"
DISCARD_BYTES = 64 * 1024 * 1024
"""An oversized body up to this is let pass unread, so that the caller sees the answer; beyond, the connection closes."""

log = logging.getLogger(__name__)


class ClientGoneError(Exception):
    """The caller hung up before its body was complete."""


class Models(Protocol):
    """What is served here; both raise as `serving.model_server.ModelServer` does."""

    def get(self, route: str) -> ServedModel: ...

    def only(self) -> ServedModel: ...


class Predict:
    """The ASGI app of the predict routes. Without `keys` whoever reaches it may call; without `capture` nothing is kept."""

    def __init__(self, models: Models, keys: KeyRing | None, capture: Capture | None) -> None:
        self._models = models
        self._keys = keys
        self._capture = capture
        self._codecs: dict[str | None, Codec] = {"application/json": codec_for("application/json")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = RequestHead()
        try:
            head = read_head(scope["headers"])
            status, headers, body = await self._answer(scope, head, receive)
        except PlatformError as error:
            status, headers, body = refusal(error, head.request_id or uuid7())
            if isinstance(error, BodyTooLargeError) and head.content_length > DISCARD_BYTES:
                headers.append((b"connection", b"close"))
        except ClientGoneError:
            return
        except Exception:
            request_id = head.request_id or uuid7()
            log.exception("request %s", request_id)
            bug = BugError(
                "The gateway failed on this request.", next_step=f"Look for request {request_id} in the gateway's log."
            )
            status, headers, body = refusal(bug, request_id)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, head: RequestHead, receive: Receive) -> tuple[int, Headers, bytes]:
        if scope["method"] != "POST":
            raise MethodNotAllowedError(f"{scope['path']} takes POST, found {scope['method']}.")
        served = self._served(scope["path"], head)
        if self._keys is not None and not served.spec.public:
            await self._admit(self._keys, head, served)
        codec = self._codecs.get(head.content_type) or codec_for(head.content_type)
        encoder = codec if head.accept in (None, "*/*") else answer_codec(head.accept, codec)
        body = await _read_body(head, receive, served.max_body_bytes)

        rows = codec.decode(body, served.fields)
        if served.forwarded is not None:
            answer = await served.forwarded.forward(rows, head.request_id or uuid7())
            served, predictions, inference_id = (
                served.told_as(answer.deployment),
                answer.predictions,
                answer.inference_id,
            )
            request_id = head.request_id or inference_id.rpartition(".")[2]
        else:
            if served.threads is None:
                predictions = served.model.predict_rows(rows)
            else:
                predictions = await served.threads.predict(rows)
            uuid = uuid7() if head.request_id is None else named_uuid(head.request_id, body)
            request_id = head.request_id or uuid
            inference_id = served.id_prefix + uuid
        envelope = {"inference_id": inference_id, "model": served.envelope}
        content = encoder.encode(served.spec.prediction, predictions, envelope)
        headers = [
            (b"content-type", encoder.content_type.encode()),
            (b"content-length", str(len(content)).encode()),
            (b"x-request-id", request_id.encode()),
            (b"x-inference-id", inference_id.encode()),
            *served.headers,
        ]
        if head.custom_attributes is not None:
            headers.append((b"x-amzn-sagemaker-custom-attributes", head.custom_attributes))
        # One that the service captures, too, is one row: who is not sure captures.
        if self._capture is not None and not (served.forwarded and served.forwarded.is_captured):
            self._capture.record(
                served,
                inference_id=inference_id,
                request_id=request_id,
                content_type=head.content_type or "",
                rows=rows,
                predictions=predictions,
            )
        return 200, headers, content

    def _served(self, path: str, head: RequestHead) -> ServedModel:
        if path.startswith(PREDICT):
            return self._models.get(path[len(PREDICT) :].rstrip("/"))
        return self._models.get(head.target_model) if head.target_model else self._models.only()

    @staticmethod
    async def _admit(keys: KeyRing, head: RequestHead, served: ServedModel) -> None:
        if head.token is None:
            raise PermissionDeniedError(
                f"Endpoint '{served.spec.name}' needs an API key, and the request has none.",
                next_step="Send 'Authorization: Bearer <key>' or 'X-Api-Key: <key>'.",
            )
        if keys.knows(head.token, served.name) or await keys.learns(head.token, served.name):
            return
        raise PermissionDeniedError(
            f"The API key sent is not valid for endpoint '{served.spec.name}' (unknown, expired or revoked).",
            next_step="Ask who runs this platform for a key.",
        )


async def _read_body(head: RequestHead, receive: Receive, limit: int) -> bytes:
    """The body, refused as soon as it is known to be larger than `limit`: by its header before any of it is read."""
    if head.content_length > limit:
        raise _too_large(limit, f"{head.content_length} bytes")
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        parts, size = [body], len(body)
        while message.get("more_body"):
            if size > limit:
                raise _too_large(limit, "more")
            message = await receive()
            parts.append(message.get("body", b""))
            size += len(parts[-1])
        body = b"".join(parts)
    if message["type"] == "http.disconnect":
        raise ClientGoneError
    if len(body) > limit:
        raise _too_large(limit, f"{len(body)} bytes")
    return body


def _too_large(limit: int, found: str) -> BodyTooLargeError:
    return BodyTooLargeError(
        f"The body: expected at most {limit} bytes, found {found}.", next_step="Send fewer rows in several requests."
    )
