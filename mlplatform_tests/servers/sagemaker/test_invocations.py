"""Calls on the stand-in: what a container is told and answers, what goes wrong, capture, and calls by way of S3."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from mlplatform_tests.servers.sagemaker.serving import ROLE, Serving


def capture(serving: Serving, **more: Any) -> dict[str, Any]:
    return {
        "DataCaptureConfig": {
            "EnableCapture": True,
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": f"s3://{serving.bucket}/captured",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            **more,
        }
    }


def test_a_call_has_its_headers_both_ways(serving: Serving) -> None:
    serving.served({"first": 1.0})
    answer = serving.runtime.invoke_endpoint(
        EndpointName="echo",
        Body=b"1,2\n",
        ContentType="text/csv",
        Accept="application/jsonlines",
        CustomAttributes="run=9",
        InferenceId="id-1",
    )
    assert answer["ContentType"] == "application/jsonlines"
    assert answer["CustomAttributes"] == "run=9"
    told = json.loads(answer["Body"].read())
    assert told["headers"] == {"x-amzn-sagemaker-custom-attributes": "run=9", "x-amzn-sagemaker-inference-id": "id-1"}


@pytest.mark.parametrize(("status", "kind"), [(400, "client"), (503, "server")])
def test_a_container_that_refuses_is_a_model_error(serving: Serving, status: int, kind: str) -> None:
    serving.served({"first": 1.0})
    with pytest.raises(ClientError) as caught:
        serving.runtime.invoke_endpoint(EndpointName="echo", Body=f"status {status}")
    answer = caught.value.response
    assert answer["Error"]["Code"] == "ModelError"
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert (answer["OriginalStatusCode"], answer["OriginalMessage"]) == (status, "as it was asked to")  # type: ignore[typeddict-item]
    assert answer["Error"]["Message"].startswith(f"Received {kind} error ({status}) from primary with message")


def test_a_body_that_is_too_large_is_refused(serving: Serving) -> None:
    serving.served({"first": 1.0})
    with pytest.raises(ClientError, match=r"ValidationError.*less than or equal to 6291456"):
        serving.runtime.invoke_endpoint(EndpointName="echo", Body=b"x" * 6_291_457)


def test_a_model_that_is_not_ready_is_throttled(serving: Serving) -> None:
    serving.served({"first": 1.0})
    serving.account.expect("not ready", times=9)
    client = boto3.client(
        "sagemaker-runtime", **serving.account.client_options, config=Config(retries={"total_max_attempts": 1})
    )
    with pytest.raises(ClientError) as caught:
        client.invoke_endpoint(EndpointName="echo", Body=b"x")
    assert caught.value.response["Error"]["Code"] == "ModelNotReadyException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429


def test_an_endpoint_that_nobody_made_is_not_found(serving: Serving) -> None:
    with pytest.raises(ClientError, match=r"ValidationError.*Endpoint absent of account \d+ not found"):
        serving.runtime.invoke_endpoint(EndpointName="absent", Body=b"x")


def test_what_is_captured_lies_as_sagemaker_lays_it(serving: Serving) -> None:
    types = {"CsvContentTypes": ["text/csv"]}
    serving.served({"first": 1.0}, **capture(serving, CaptureContentTypeHeader=types))
    serving.runtime.invoke_endpoint(
        EndpointName="echo", Body=b"1,2\n", ContentType="text/csv", InferenceId="id-1", CustomAttributes="run=9"
    )
    ((key, data),) = serving.objects("captured/").items()
    assert re.fullmatch(r"captured/echo/first/\d{4}/\d\d/\d\d/\d\d/\d\d-\d\d-\d{3}-[0-9a-f-]{36}\.jsonl", key)
    line = json.loads(data)
    assert line["captureData"]["endpointInput"] == {
        "observedContentType": "text/csv",
        "mode": "INPUT",
        "data": "1,2\n",
        "encoding": "CSV",
    }
    output = line["captureData"]["endpointOutput"]
    # Its type was not named.
    assert (output["encoding"], json.loads(base64.b64decode(output["data"]))["model"]) == ("BASE64", "first")
    event = line["eventMetadata"]
    assert (event["inferenceId"], event["customAttributes"]) == ("id-1", ["run=9"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", event["inferenceTime"])
    assert line["eventVersion"] == "0"


def asynchronous(serving: Serving) -> dict[str, Any]:
    places = {"S3OutputPath": f"s3://{serving.bucket}/out", "S3FailurePath": f"s3://{serving.bucket}/failed"}
    return {"AsyncInferenceConfig": {"OutputConfig": places}}


def test_a_call_by_way_of_s3_is_answered_there(serving: Serving) -> None:
    serving.served({"first": 1.0}, **asynchronous(serving))
    serving.s3.put_object(Bucket=serving.bucket, Key="in/1", Body=b"hello")
    told = serving.runtime.invoke_endpoint_async(
        EndpointName="echo", InputLocation=f"s3://{serving.bucket}/in/1", InferenceId="id-1"
    )
    assert told["InferenceId"] == "id-1"
    assert re.fullmatch(rf"s3://{serving.bucket}/out/[0-9a-f-]{{36}}\.out", told["OutputLocation"])
    ((key, data),) = serving.objects("out/").items()
    assert told["OutputLocation"].endswith(key)
    assert json.loads(data)["body"] == "hello"
    with pytest.raises(ClientError, match="takes InvokeEndpointAsync only"):
        serving.runtime.invoke_endpoint(EndpointName="echo", Body=b"x")


@pytest.mark.parametrize("why", ["refused", "missing"])
def test_a_call_by_way_of_s3_that_fails_says_so_there(serving: Serving, why: str) -> None:
    serving.served({"first": 1.0}, **asynchronous(serving))
    if why == "refused":
        told = serving.runtime.invoke_endpoint_async(EndpointName="echo", Body=b"status 500")
    else:
        told = serving.runtime.invoke_endpoint_async(EndpointName="echo", InputLocation=f"s3://{serving.bucket}/none")
    ((key, data),) = serving.objects("failed/").items()
    assert told["FailureLocation"].endswith(key)
    assert (b"as it was asked to" if why == "refused" else b"none") in data


def test_containers_one_behind_the_other_pass_a_call_on(serving: Serving) -> None:
    for name in ("first", "second"):
        serving.model(name, name, {"LEVEL": f"of {name}"})
    chain = [serving.container(name) for name in ("first", "second")]
    serving.control.create_model(ModelName="both", Containers=chain, ExecutionRoleArn=ROLE)
    serving.config("echo-1", {"both": 1.0})
    serving.control.create_endpoint(EndpointName="echo", EndpointConfigName="echo-1")
    serving.settled()
    outer = json.loads(serving.runtime.invoke_endpoint(EndpointName="echo", Body=b"x")["Body"].read())
    inner = json.loads(outer["body"])
    assert (outer["model"], inner["model"], inner["body"]) == ("second", "first", "x")


def test_an_update_by_canary_gives_the_new_fleet_a_part_of_the_calls_first(serving: Serving) -> None:
    serving.served({"first": 1.0})
    serving.model("second", "second")
    serving.config("echo-2", {"second": 1.0})
    routing = {
        "Type": "CANARY",
        "WaitIntervalInSeconds": 1,
        "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 50},
    }
    policy = {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}}
    serving.control.update_endpoint(EndpointName="echo", EndpointConfigName="echo-2", DeploymentConfig=policy)
    seen = []
    while serving.control.describe_endpoint(EndpointName="echo")["EndpointStatus"] == "Updating":
        seen.append(serving.runtime.invoke_endpoint(EndpointName="echo", Body=b"x")["InvokedProductionVariant"])
    assert set(seen) == {"first", "second"}
    assert seen.index("second") < len(seen) - 1 - seen[::-1].index("first")
    assert serving.runtime.invoke_endpoint(EndpointName="echo", Body=b"x")["InvokedProductionVariant"] == "second"


def test_an_endpoint_that_is_stuck_stays_so_until_it_is_mended(serving: Serving) -> None:
    serving.account.expect("stuck")
    serving.model("first", "first")
    serving.config("echo-1", {"first": 1.0})
    serving.control.create_endpoint(EndpointName="echo", EndpointConfigName="echo-1")
    with pytest.raises(AssertionError, match="Creating"):
        serving.settled(timeout_s=0.5)
    with pytest.raises(ClientError, match="in-progress"):
        serving.control.delete_endpoint(EndpointName="echo")
    serving.account.mend()
    assert serving.settled()["EndpointStatus"] == "InService"
