"""Data capture: what went in and out, as JSON lines on S3 (as SageMaker lays them, but after a moment and not after minutes).

``<DestinationS3Uri>/<endpoint>/<variant>/yyyy/mm/dd/hh/<mm-ss-fff>-<uuid>.jsonl``
"""

from __future__ import annotations

import base64
import json
import random
import threading
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mlplatform_tests.servers.sagemaker.account import Account
from mlplatform_tests.servers.sagemaker.buckets import buckets_of, key_of
from mlplatform_tests.servers.sagemaker.model_server import Answered

BUFFER_S = 0.3
_DICE = random.Random()
_LOCK = threading.Lock()


def captured(
    account: Account,
    config: Mapping[str, Any],
    endpoint: str,
    variant: str,
    given: Mapping[str, Any],
    body: bytes,
    found: Answered,
) -> None:
    """Keep a call and its answer, where the configuration says so and the call is in the sample."""
    wanted = config.get("DataCaptureConfig", {})
    if not wanted.get("EnableCapture") or _DICE.random() * 100 >= wanted["InitialSamplingPercentage"]:
        return
    modes, data = {option["CaptureMode"] for option in wanted["CaptureOptions"]}, {}
    types = wanted.get("CaptureContentTypeHeader", {})
    if modes & {"Input", "InputAndOutput"}:
        data["endpointInput"] = _part("INPUT", given.get("ContentType", ""), body, types)
    if modes & {"Output", "InputAndOutput"}:
        data["endpointOutput"] = _part("OUTPUT", found.headers.get("content-type", ""), found.body, types)
    event: dict[str, Any] = {"eventId": str(uuid.uuid4())}
    if given.get("CustomAttributes"):
        event["customAttributes"] = [given["CustomAttributes"]]
    if given.get("InferenceId"):
        event["inferenceId"] = given["InferenceId"]
    event["inferenceTime"] = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    line = json.dumps({"captureData": data, "eventMetadata": event, "eventVersion": "0"})
    prefix = f"{key_of(wanted['DestinationS3Uri']).rstrip('/')}/{endpoint}/{variant}"
    with _LOCK:
        waiting = account.captured.setdefault(prefix, [])
        waiting.append(line)
        if len(waiting) == 1:
            timer = threading.Timer(BUFFER_S, _flush, (account, prefix))
            timer.daemon = True
            timer.start()


def _flush(account: Account, prefix: str) -> None:
    with _LOCK:
        lines = account.captured.pop(prefix)
    now = datetime.now(UTC)
    key = f"{prefix}/{now:%Y/%m/%d/%H}/{now:%M-%S}-{now.microsecond // 1000:03d}-{uuid.uuid4()}.jsonl"
    buckets_of(account).put(key, "".join(f"{line}\n" for line in lines).encode())


def _part(mode: str, content_type: str, body: bytes, types: Mapping[str, Any]) -> dict[str, str]:
    kind = content_type.partition(";")[0].strip().lower()
    encoding = "BASE64"
    for name, listed in (("CSV", "CsvContentTypes"), ("JSON", "JsonContentTypes")):
        if kind in types.get(listed, ()):
            encoding = name
    data = base64.b64encode(body).decode() if encoding == "BASE64" else body.decode()
    return {"observedContentType": content_type, "mode": mode, "data": data, "encoding": encoding}
