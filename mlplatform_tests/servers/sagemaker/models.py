"""Models: what an endpoint's containers are, and where their data lies."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from mlplatform.errors import PlatformError
from mlplatform_tests.servers.aws_protocol.shapes import AwsRefusedError
from mlplatform_tests.servers.sagemaker.account import Account, Operation
from mlplatform_tests.servers.sagemaker.buckets import buckets_of, key_of
from mlplatform_tests.servers.sagemaker.listing import page

KIND = "model"


def known_model(account: Account, name: str) -> dict[str, Any]:
    """The model. Raises AwsRefusedError where there is none."""
    found = account.records.get(KIND, name) if name else None
    if found is None:
        raise AwsRefusedError("ValidationException", f'Could not find model "{account.arn(KIND, name)}".')
    return found


def containers_of(model: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The model's containers, in the order in which a request goes through them."""
    return list(model.get("Containers") or [model.get("PrimaryContainer", {})])


def _create(account: Account, given: dict[str, Any]) -> dict[str, Any]:
    name = given["ModelName"]
    if ("PrimaryContainer" in given) == ("Containers" in given):
        raise AwsRefusedError("ValidationException", "Expected one of PrimaryContainer and Containers.")
    if "ExecutionRoleArn" not in given:
        raise AwsRefusedError("ValidationException", "ExecutionRoleArn is required.")
    for container in containers_of(given):
        url = container.get("ModelDataUrl", "")
        if url and not data_is_there(account, url):
            raise AwsRefusedError("ValidationException", f"Could not find model data at {url}.")
    record = {**given, "ModelArn": account.arn(KIND, name), "CreationTime": time.time()}
    if not account.records.add(KIND, name, record):
        raise AwsRefusedError("ValidationException", f'Cannot create already existing model "{record["ModelArn"]}".')
    return {"ModelArn": record["ModelArn"]}


def data_is_there(account: Account, url: str) -> bool:
    """Whether anything lies at the ``s3://`` place."""
    try:
        return next(buckets_of(account).list(key_of(url)), None) is not None
    except PlatformError:
        return False


def _describe(account: Account, given: dict[str, Any]) -> dict[str, Any]:
    found = known_model(account, given["ModelName"])
    return {name: value for name, value in found.items() if name != "Tags"}


def _delete(account: Account, given: dict[str, Any]) -> dict[str, Any]:
    known_model(account, given["ModelName"])
    account.records.delete(KIND, given["ModelName"])
    return {}


def _list(account: Account, given: dict[str, Any]) -> dict[str, Any]:
    keys = ("ModelName", "ModelArn", "CreationTime")
    found = ({key: model[key] for key in keys} for model in account.records.all(KIND))
    return page(found, given, key="Models", name="ModelName")


OPERATIONS: Mapping[str, Operation] = {
    "CreateModel": _create,
    "DescribeModel": _describe,
    "DeleteModel": _delete,
    "ListModels": _list,
}
