"""Endpoint configurations: which models on which machines, with which share of the calls."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from mlplatform_tests.servers.aws_protocol.shapes import AwsRefusedError
from mlplatform_tests.servers.sagemaker.account import Account, Operation
from mlplatform_tests.servers.sagemaker.listing import page
from mlplatform_tests.servers.sagemaker.models import known_model

KIND = "endpoint-config"


def known_config(account: Account, name: str) -> dict[str, Any]:
    """The configuration. Raises AwsRefusedError where there is none."""
    found = account.records.get(KIND, name)
    if found is None:
        raise AwsRefusedError(
            "ValidationException", f'Could not find endpoint configuration "{account.arn(KIND, name)}".'
        )
    return found


def _create(account: Account, given: dict[str, Any]) -> dict[str, Any]:
    name, variants = given["EndpointConfigName"], given["ProductionVariants"]
    names = [variant["VariantName"] for variant in variants + given.get("ShadowProductionVariants", [])]
    if len(set(names)) < len(names):
        raise AwsRefusedError("ValidationException", f"Variant names must be unique; found {', '.join(names)}.")
    for variant in variants:
        _check_variant(account, variant, captured="DataCaptureConfig" in given)
    arn = account.arn(KIND, name)
    if not account.records.add(KIND, name, {**given, "EndpointConfigArn": arn, "CreationTime": time.time()}):
        raise AwsRefusedError("ValidationException", f'Cannot create already existing endpoint configuration "{arn}".')
    return {"EndpointConfigArn": arn}


def _check_variant(account: Account, variant: Mapping[str, Any], *, captured: bool) -> None:
    known_model(account, variant.get("ModelName", ""))
    if "ServerlessConfig" in variant:
        if captured or "InstanceType" in variant:
            raise AwsRefusedError(
                "ValidationException",
                "A serverless variant takes no InstanceType, and no DataCaptureConfig is supported.",
            )
    elif "InstanceType" not in variant or "InitialInstanceCount" not in variant:
        raise AwsRefusedError("ValidationException", "InstanceType and InitialInstanceCount are required.")


def _describe(account: Account, given: dict[str, Any]) -> dict[str, Any]:
    found = known_config(account, given["EndpointConfigName"])
    return {name: value for name, value in found.items() if name != "Tags"}


def _delete(account: Account, given: dict[str, Any]) -> dict[str, Any]:
    known_config(account, given["EndpointConfigName"])
    account.records.delete(KIND, given["EndpointConfigName"])
    return {}


def _list(account: Account, given: dict[str, Any]) -> dict[str, Any]:
    keys = ("EndpointConfigName", "EndpointConfigArn", "CreationTime")
    found = ({key: config[key] for key in keys} for config in account.records.all(KIND))
    return page(found, given, key="EndpointConfigs", name="EndpointConfigName")


OPERATIONS: Mapping[str, Operation] = {
    "CreateEndpointConfig": _create,
    "DescribeEndpointConfig": _describe,
    "DeleteEndpointConfig": _delete,
    "ListEndpointConfigs": _list,
}
