"""Calls of endpoints, at once (InvokeEndpoint) and by way of S3 (InvokeEndpointAsync)."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Mapping
from typing import Any

from mlplatform.errors import PlatformError
from mlplatform_tests.servers.aws_protocol.shapes import AwsRefusedError
from mlplatform_tests.servers.sagemaker.account import NUMBER, REGION, Account, Operation
from mlplatform_tests.servers.sagemaker.buckets import buckets_of, key_of
from mlplatform_tests.servers.sagemaker.captured import captured
from mlplatform_tests.servers.sagemaker.endpoint_life import KIND
from mlplatform_tests.servers.sagemaker.fleets import Fleet, Traffic
from mlplatform_tests.servers.sagemaker.model_server import LONGEST_ANSWER_S, Answered

MOST_BYTES = 6_291_456
_DICE = random.Random()
_PASSED_ON = {
    "ContentType": "Content-Type",
    "Accept": "Accept",
    "CustomAttributes": "X-Amzn-SageMaker-Custom-Attributes",
    "TargetModel": "X-Amzn-SageMaker-Target-Model",
    "TargetVariant": "X-Amzn-SageMaker-Target-Variant",
    "InferenceId": "X-Amzn-SageMaker-Inference-Id",
}
"""All that the container is told beside the body."""


def in_service(account: Account, name: str, *, asynchronous: bool) -> tuple[dict[str, Any], Traffic]:
    """The endpoint, and who answers for it. Raises AwsRefusedError where nobody does, or not in this way."""
    record, traffic = account.records.get(KIND, name), account.serving.get(name)
    if record is None or not isinstance(traffic, Traffic):
        raise AwsRefusedError("ValidationError", f"Endpoint {name} of account {NUMBER} not found.")
    if ("AsyncInferenceConfig" in record["Config"]) != asynchronous:
        other = "InvokeEndpoint" if asynchronous else "InvokeEndpointAsync"
        raise AwsRefusedError("ValidationError", f"Endpoint {name} of account {NUMBER} takes {other} only.")
    return record, traffic


def _invoke(account: Account, given: dict[str, Any]) -> dict[str, Any]:
    name = given["EndpointName"]
    _, traffic = in_service(account, name, asynchronous=False)
    fleet = traffic.chosen()
    variant = given.get("TargetVariant") or fleet.choose(_DICE)
    if variant not in fleet.chains:
        raise AwsRefusedError("ValidationError", f"Variant {variant} not found for Request.")
    body = given.get("Body", b"")
    found = answer(account, name, fleet, variant, given, body)
    captured(account, fleet.config, name, variant, given, body, found)
    told = {
        "Body": found.body,
        "ContentType": found.headers.get("content-type", "application/octet-stream"),
        "InvokedProductionVariant": variant,
    }
    attributes = found.headers.get("x-amzn-sagemaker-custom-attributes")
    return {**told, **({"CustomAttributes": attributes} if attributes else {})}


def answer(
    account: Account,
    name: str,
    fleet: Fleet,
    variant: str,
    given: Mapping[str, Any],
    body: bytes,
    timeout_s: float = LONGEST_ANSWER_S,
) -> Answered:
    """What the container answers with 200. Raises AwsRefusedError with SageMaker's words for anything else."""
    if account.faults.takes("not ready"):
        raise AwsRefusedError("ModelNotReadyException", "Model is not ready for inference yet.", 429)
    headers = {wire: str(given[key]) for key, wire in _PASSED_ON.items() if given.get(key)}
    found = fleet.ask(variant, body, headers, timeout_s)
    if found.status == 200 and len(found.body) <= MOST_BYTES:
        return found
    if found.status == 0 and found.body == b"gone":
        raise AwsRefusedError("ServiceUnavailable", "The service is unavailable. Try your call again.", 503)
    text = found.body.decode(errors="replace") if found.status != 200 else "The response is larger than 6291456 bytes."
    if found.status == 0:
        text = "Your invocation timed out while waiting for a response from container primary."
    kind = "client" if 400 <= found.status < 500 else "server"
    log = f"arn:aws:logs:{REGION}:{NUMBER}:log-group:/aws/sagemaker/Endpoints/{name}"
    raise AwsRefusedError(
        "ModelError",
        f'Received {kind} error ({found.status}) from primary with message "{text[:1024]}".',
        424,
        {"OriginalStatusCode": found.status or 500, "OriginalMessage": text, "LogStreamArn": log},
    )


def _invoke_later(account: Account, given: dict[str, Any]) -> dict[str, Any]:
    name = given["EndpointName"]
    record, _ = in_service(account, name, asynchronous=True)
    if ("InputLocation" in given) == ("Body" in given):
        raise AwsRefusedError("ValidationError", "Expected one of InputLocation and Body.")
    output, call = record["Config"]["AsyncInferenceConfig"]["OutputConfig"], str(uuid.uuid4())
    inference = given.get("InferenceId") or str(uuid.uuid4())
    extension = given.get("S3OutputPathExtension", "").strip("/")
    folder = "/".join(part for part in (output["S3OutputPath"].rstrip("/"), extension) if part)
    told = {
        "InferenceId": inference,
        "OutputLocation": f"{folder}/{given.get('Filename') or f'{call}.out'}",
    }
    if "S3FailurePath" in output:
        told["FailureLocation"] = f"{output['S3FailurePath'].rstrip('/')}/{call}-error.out"
    account.work(
        f"{record['EndpointArn']}/{call}", _answer_later, account, name, {**given, "InferenceId": inference}, told
    )
    return told


def _answer_later(account: Account, name: str, given: dict[str, Any], told: Mapping[str, str]) -> None:
    record, traffic = in_service(account, name, asynchronous=True)
    fleet, store = traffic.chosen(), buckets_of(account)
    variant, location = fleet.choose(_DICE), given.get("InputLocation", "")
    try:
        body = store.open(key_of(location)).read() if location else given["Body"]
        found = answer(account, name, fleet, variant, given, body, given.get("InvocationTimeoutSeconds", 900))
    except (AwsRefusedError, PlatformError) as error:
        if "FailureLocation" in told:
            store.put(key_of(told["FailureLocation"]), str(error).encode())
        _tell(account, record, "ErrorTopic", told, given, "")
        return
    captured(account, fleet.config, name, variant, given, body, found)
    store.put(key_of(told["OutputLocation"]), found.body)
    _tell(account, record, "SuccessTopic", told, given, found.headers.get("content-type", ""))


def _tell(
    account: Account,
    record: Mapping[str, Any],
    topic: str,
    told: Mapping[str, str],
    given: Mapping[str, Any],
    kind: str,
) -> None:
    """Publish what became of a call, where a topic wants to know."""
    arn = record["Config"]["AsyncInferenceConfig"]["OutputConfig"].get("NotificationConfig", {}).get(topic)
    if not arn:
        return
    failed = topic == "ErrorTopic"
    where = "failureLocation" if failed else "outputLocation"
    message = {
        "awsRegion": REGION,
        "invocationStatus": "Failed" if failed else "Completed",
        "requestParameters": {
            "contentType": given.get("ContentType", ""),
            "endpointName": record["EndpointName"],
            "inputLocation": given.get("InputLocation", ""),
        },
        "responseParameters": {"contentType": kind, where: told.get(where[0].upper() + where[1:], "")},
        "inferenceId": told["InferenceId"],
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }
    account.client("sns").publish(TopicArn=arn, Message=json.dumps(message))


OPERATIONS: Mapping[str, Operation] = {
    "InvokeEndpoint": _invoke,
    "InvokeEndpointAsync": _invoke_later,
}
