"""The Model Registry: groups of model packages, versions that count from 1 in each, approval by a person.

(https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry.html.) Packages outside groups are not there, and are refused.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from mlplatform_tests.servers.aws_protocol.shapes import AwsRefusedError
from mlplatform_tests.servers.sagemaker import events
from mlplatform_tests.servers.sagemaker.account import Account, Operation
from mlplatform_tests.servers.sagemaker.listing import page
from mlplatform_tests.servers.sagemaker.models import data_is_there

GROUP, PACKAGE = "model-package-group", "model-package"
CHANGED = "SageMaker Model Package State Change"
_ANSWERED_LESS = ("ClientToken", "Tags")
_TOLD = (
    "ModelPackageGroupName",
    "ModelPackageVersion",
    "ModelPackageArn",
    "InferenceSpecification",
    "ModelPackageStatus",
    "ModelPackageStatusDetails",
    "CertifyForMarketplace",
    "ModelApprovalStatus",
    "MetadataProperties",
    "ModelMetrics",
)


def _known_group(account: Account, given: str) -> dict[str, Any]:
    """The group, by its name or ARN. Raises AwsRefusedError where there is none."""
    name = given.rpartition("/")[2]
    found = account.records.get(GROUP, name)
    if found is None:
        raise AwsRefusedError("ValidationException", f"ModelPackageGroup {account.arn(GROUP, name)} does not exist.")
    return found


def _key_of(given: str) -> str:
    """What a package's record is called: its ARN, or group/version."""
    parts = given.rpartition(f":{PACKAGE}/")[2].split("/")
    return "-".join(parts[-2:])


def _known(account: Account, given: str) -> dict[str, Any]:
    found = account.records.get(PACKAGE, _key_of(given))
    if found is None:
        arn = given if given.startswith("arn:") else account.arn(PACKAGE, given)
        raise AwsRefusedError("ValidationException", f"ModelPackage {arn} does not exist.")
    return found


def _create_group(account: Account, given: dict[str, Any]) -> dict[str, Any]:
    name = given["ModelPackageGroupName"]
    arn = account.arn(GROUP, name)
    made = {"ModelPackageGroupArn": arn, "CreationTime": time.time(), "ModelPackageGroupStatus": "Completed"}
    if not account.records.add(GROUP, name, {**given, **made, "CreatedBy": {}, "Versions": 0}):
        raise AwsRefusedError("ValidationException", f"Model Package Group already exists: {arn}")
    return {"ModelPackageGroupArn": arn}


def _describe_group(account: Account, given: dict[str, Any]) -> dict[str, Any]:
    found = _known_group(account, given["ModelPackageGroupName"])
    return {name: value for name, value in found.items() if name not in ("Tags", "Versions")}


def _delete_group(account: Account, given: dict[str, Any]) -> dict[str, Any]:
    name = _known_group(account, given["ModelPackageGroupName"])["ModelPackageGroupName"]
    if any(package["ModelPackageGroupName"] == name for package in account.records.all(PACKAGE)):
        raise AwsRefusedError("ConflictException", f"{account.arn(GROUP, name)} still contains model packages.")
    account.records.delete(GROUP, name)
    return {}


def _list_groups(account: Account, given: dict[str, Any]) -> dict[str, Any]:
    keys = ("Name", "Arn", "Description", "Status")
    found = (_summary(group, *(f"ModelPackageGroup{key}" for key in keys)) for group in account.records.all(GROUP))
    return page(found, given, key="ModelPackageGroupSummaryList", name="ModelPackageGroupName")


def _create(account: Account, given: dict[str, Any]) -> dict[str, Any]:
    if "ModelPackageGroupName" not in given or "ModelPackageName" in given:
        raise AwsRefusedError("ValidationException", "The stand-in has model packages in groups only.")
    if "Tags" in given:
        raise AwsRefusedError("ValidationException", "A model package in a group takes the tags of its group.")
    if "InferenceSpecification" not in given and "SourceUri" not in given:
        raise AwsRefusedError("ValidationException", "InferenceSpecification or SourceUri is required.")
    for container in given.get("InferenceSpecification", {}).get("Containers", ()):
        url = container.get("ModelDataUrl", "")
        if url and not data_is_there(account, url):
            raise AwsRefusedError("ValidationException", f"Could not find model data at {url}.")
    group = _known_group(account, given["ModelPackageGroupName"])["ModelPackageGroupName"]
    with account.records.lock:
        before = _of_token(account, group, given.get("ClientToken"))
        if before is not None:
            return {"ModelPackageArn": before["ModelPackageArn"]}
        count = account.records.change(GROUP, group, lambda found: found.update(Versions=found["Versions"] + 1))
        version = count["Versions"]
        arn = account.arn(PACKAGE, f"{group}/{version}")
        record = {
            "ModelApprovalStatus": "PendingManualApproval",
            "CertifyForMarketplace": False,
            **given,
            "ModelPackageGroupName": group,
            "ModelPackageName": group,
            "ModelPackageVersion": version,
            "ModelPackageArn": arn,
            "ModelPackageStatus": "Completed",
            "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
            "CreationTime": time.time(),
        }
        account.records.put(PACKAGE, _key_of(arn), record)
    _tell(account, record)
    return {"ModelPackageArn": arn}


def _of_token(account: Account, group: str, token: str | None) -> dict[str, Any] | None:
    if token is None:
        return None
    packages = (p for p in account.records.all(PACKAGE) if p["ModelPackageGroupName"] == group)
    return next((p for p in packages if p.get("ClientToken") == token), None)


def _describe(account: Account, given: dict[str, Any]) -> dict[str, Any]:
    found = _known(account, given["ModelPackageName"])
    return {name: value for name, value in found.items() if name not in _ANSWERED_LESS}


def _update(account: Account, given: dict[str, Any]) -> dict[str, Any]:
    arn = _known(account, given["ModelPackageArn"])["ModelPackageArn"]
    added, removed = (
        given.get("CustomerMetadataProperties", {}),
        given.get("CustomerMetadataPropertiesToRemove", ()),
    )
    whole = ("ModelApprovalStatus", "ApprovalDescription", "InferenceSpecification", "SourceUri", "ModelLifeCycle")

    def change(package: dict[str, Any]) -> None:
        package.update({name: given[name] for name in whole if name in given})
        kept = {**package.get("CustomerMetadataProperties", {}), **added}
        kept = {name: value for name, value in kept.items() if name not in removed}
        package.pop("CustomerMetadataProperties", None)
        package.update({"CustomerMetadataProperties": kept} if kept else {})
        package["LastModifiedTime"] = time.time()

    _tell(account, account.records.change(PACKAGE, _key_of(arn), change))
    return {"ModelPackageArn": arn}


def _delete(account: Account, given: dict[str, Any]) -> dict[str, Any]:
    account.records.delete(PACKAGE, _key_of(_known(account, given["ModelPackageName"])["ModelPackageArn"]))
    return {}


def _list(account: Account, given: dict[str, Any]) -> dict[str, Any]:
    group = given.get("ModelPackageGroupName", "").rpartition("/")[2]
    if group:
        _known_group(account, group)
    approval = given.get("ModelApprovalStatus")
    keys = ("GroupName", "Version", "Arn", "Description", "Status")
    found = (
        _summary(package, *(f"ModelPackage{key}" for key in keys), "ModelApprovalStatus", "ModelLifeCycle")
        for package in account.records.all(PACKAGE)
        if group in ("", package["ModelPackageGroupName"]) and approval in (None, package["ModelApprovalStatus"])
    )
    return page(found, given, key="ModelPackageSummaryList", name="ModelPackageArn")


def _summary(thing: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: thing[name] for name in (*names, "CreationTime") if name in thing}


def _tell(account: Account, package: Mapping[str, Any]) -> None:
    times = {
        name: datetime.fromtimestamp(package[name], UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        for name in ("CreationTime", "LastModifiedTime")
        if name in package
    }
    told = {name: package[name] for name in _TOLD if name in package}
    events.send(account, CHANGED, package["ModelPackageArn"], {**told, **times})


OPERATIONS: Mapping[str, Operation] = {
    "CreateModelPackageGroup": _create_group,
    "DescribeModelPackageGroup": _describe_group,
    "DeleteModelPackageGroup": _delete_group,
    "ListModelPackageGroups": _list_groups,
    "CreateModelPackage": _create,
    "DescribeModelPackage": _describe,
    "UpdateModelPackage": _update,
    "DeleteModelPackage": _delete,
    "ListModelPackages": _list,
}
