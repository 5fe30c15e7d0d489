"""Endpoints: calls that change them return at once, and the endpoint follows in the background (`endpoint_life`)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from mlplatform_tests.servers.aws_protocol.shapes import AwsRefusedError
from mlplatform_tests.servers.sagemaker import endpoint_life
from mlplatform_tests.servers.sagemaker.account import Account, Operation
from mlplatform_tests.servers.sagemaker.endpoint_configs import known_config
from mlplatform_tests.servers.sagemaker.endpoint_life import KIND
from mlplatform_tests.servers.sagemaker.listing import page

_BUSY = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")


def known_endpoint(account: Account, name: str) -> dict[str, Any]:
    """The endpoint. Raises AwsRefusedError where there is none."""
    found = account.records.get(KIND, name)
    if found is None:
        raise AwsRefusedError("ValidationException", f'Could not find endpoint "{account.arn(KIND, name)}".')
    return found


def _create(account: Account, given: dict[str, Any]) -> dict[str, Any]:
    name, now = given["EndpointName"], time.time()
    config, arn = known_config(account, given["EndpointConfigName"]), account.arn(KIND, name)
    pending = {"Config": config, "DeploymentConfig": given.get("DeploymentConfig", {}), "Since": now, "Retain": False}
    record = {
        "EndpointName": name,
        "EndpointArn": arn,
        "EndpointStatus": "Creating",
        "CreationTime": now,
        "LastModifiedTime": now,
        "Config": config,
        "Pending": pending,
        "Tags": given.get("Tags", []),
    }
    if not account.records.add(KIND, name, record):
        raise AwsRefusedError("ValidationException", f'Cannot create already existing endpoint "{arn}".')
    account.work(arn, endpoint_life.create, account, name)
    return {"EndpointArn": arn}


def _update(account: Account, given: dict[str, Any]) -> dict[str, Any]:
    name, config = given["EndpointName"], known_config(account, given["EndpointConfigName"])

    def change(record: dict[str, Any]) -> None:
        _check_free(record)
        now = time.time()
        record |= {
            "EndpointStatus": "Updating",
            "LastModifiedTime": now,
            "Pending": {
                "Config": config,
                "DeploymentConfig": given.get("DeploymentConfig", {}),
                "Since": now,
                "Retain": given.get("RetainAllVariantProperties", False),
            },
            "LastDeploymentConfig": given.get("DeploymentConfig", {}),
        }
        record.pop("FailureReason", None)

    arn = str(known_endpoint(account, name)["EndpointArn"])
    account.records.change(KIND, name, change)
    account.work(arn, endpoint_life.update, account, name)
    return {"EndpointArn": arn}


def _check_free(record: Mapping[str, Any]) -> None:
    if record["EndpointStatus"] in _BUSY:
        raise AwsRefusedError("ValidationException", f'Cannot update in-progress endpoint "{record["EndpointArn"]}".')
    if record["EndpointStatus"] == "Failed":
        raise AwsRefusedError("ValidationException", f'Cannot update failed endpoint "{record["EndpointArn"]}".')


def _weights(account: Account, given: dict[str, Any]) -> dict[str, Any]:
    record = known_endpoint(account, given["EndpointName"])
    _check_free(record)
    fleet, wanted = account.serving[record["EndpointName"]].fleet, given["DesiredWeightsAndCapacities"]
    for variant in wanted:
        if variant["VariantName"] not in fleet.chains:
            raise AwsRefusedError("ValidationException", f"Variant {variant['VariantName']} not found.")
    fleet.weights |= {v["VariantName"]: float(v["DesiredWeight"]) for v in wanted if "DesiredWeight" in v}

    def change(found: dict[str, Any]) -> None:
        found["LastModifiedTime"] = time.time()
        counts = {v["VariantName"]: v["DesiredInstanceCount"] for v in wanted if "DesiredInstanceCount" in v}
        found["Counts"] = {**found.get("Counts", {}), **counts}

    account.records.change(KIND, record["EndpointName"], change)
    return {"EndpointArn": record["EndpointArn"]}


def _delete(account: Account, given: dict[str, Any]) -> dict[str, Any]:
    name = given["EndpointName"]

    def change(record: dict[str, Any]) -> None:
        if record["EndpointStatus"] in _BUSY:
            raise AwsRefusedError(
                "ValidationException", f'Cannot update in-progress endpoint "{record["EndpointArn"]}".'
            )
        record["EndpointStatus"] = "Deleting"

    arn = known_endpoint(account, name)["EndpointArn"]
    account.records.change(KIND, name, change)
    account.work(arn, endpoint_life.delete, account, name)
    return {}


def _describe(account: Account, given: dict[str, Any]) -> dict[str, Any]:
    record = known_endpoint(account, given["EndpointName"])
    config, status = record["Config"], record["EndpointStatus"]
    traffic = account.serving.get(record["EndpointName"])
    kept = ("EndpointName", "EndpointArn", "EndpointStatus", "CreationTime", "LastModifiedTime", "FailureReason")
    told = {key: record[key] for key in (*kept, "LastDeploymentConfig") if record.get(key)}
    told["EndpointConfigName"] = config["EndpointConfigName"]
    if status not in ("Creating", "Failed"):
        counts = record.get("Counts", {})
        told["ProductionVariants"] = [
            _variant(v, traffic.fleet.weights if traffic else {}, counts) for v in config["ProductionVariants"]
        ]
    if "Pending" in record:
        waiting = record["Pending"]["Config"]
        told["PendingDeploymentSummary"] = {
            "EndpointConfigName": waiting["EndpointConfigName"],
            "StartTime": record["Pending"]["Since"],
            "ProductionVariants": [{"VariantName": v["VariantName"]} for v in waiting["ProductionVariants"]],
        }
    capture = config.get("DataCaptureConfig")
    if capture is not None:
        told["DataCaptureConfig"] = {
            "EnableCapture": capture.get("EnableCapture", False),
            "CaptureStatus": "Started" if capture.get("EnableCapture") else "Stopped",
            "CurrentSamplingPercentage": capture["InitialSamplingPercentage"],
            "DestinationS3Uri": capture["DestinationS3Uri"],
            "KmsKeyId": capture.get("KmsKeyId", ""),
        }
    if "AsyncInferenceConfig" in config:
        told["AsyncInferenceConfig"] = config["AsyncInferenceConfig"]
    return told


def _variant(given: Mapping[str, Any], weights: Mapping[str, float], counts: Mapping[str, int]) -> dict[str, Any]:
    name = given["VariantName"]
    weight = weights.get(name, given.get("InitialVariantWeight", 1.0))
    told = {"VariantName": name, "CurrentWeight": weight, "DesiredWeight": weight}
    if "ServerlessConfig" in given:
        return {**told, "CurrentServerlessConfig": given["ServerlessConfig"]}
    count = counts.get(name, given.get("InitialInstanceCount", 1))
    return {**told, "CurrentInstanceCount": count, "DesiredInstanceCount": count}


def _list(account: Account, given: dict[str, Any]) -> dict[str, Any]:
    keys = ("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus")
    found = ({key: record[key] for key in keys} for record in account.records.all(KIND))
    return page(found, given, key="Endpoints", name="EndpointName", status="EndpointStatus")


OPERATIONS: Mapping[str, Operation] = {
    "CreateEndpoint": _create,
    "UpdateEndpoint": _update,
    "UpdateEndpointWeightsAndCapacities": _weights,
    "DescribeEndpoint": _describe,
    "DeleteEndpoint": _delete,
    "ListEndpoints": _list,
}
