"""Registered versions as model packages: what a package says, aliases, approval, and what goes wrong between two calls."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.object_store.s3 import S3ObjectStore
from mlplatform.adapters.tracking.mlflow import MlflowTracking
from mlplatform.adapters.tracking.sagemaker_packages import PackagedTracking
from mlplatform.adapters.tracking.sagemaker_packages_requests import group_name
from mlplatform.errors import ConflictError, PermissionDeniedError, ProfileError, ThrottledError
from mlplatform.ports.tracking import Approval, SelfHosted
from mlplatform_tests.conformance.object_stores import ministack_server, s3_store
from mlplatform_tests.conformance.trackings import (
    IMAGE,
    MODEL,
    home_tracking,
    mlflow_home,
    packaged_tracking,
    packages,
    passed,
    stage,
)
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.sagemaker.fixtures import sagemaker_account, sagemaker_server
from mlplatform_tests.servers.sagemaker.server import SageMakerAccount

__all__ = ["home_tracking", "ministack_server", "mlflow_home", "packages", "sagemaker_account", "sagemaker_server"]

GROUP = group_name("mlplatform", MODEL)
VERDICT = {
    "outcome": "better",
    "reason": "r2 0.91 is at least 0.8,\nand better than the champion's.",
    "figures": {"metric": "r2", "value": 0.91},
}


@pytest.fixture
def store(ministack_server: Ministack) -> Iterator[S3ObjectStore]:
    made = s3_store(ministack_server)
    yield made
    made.close()


@pytest.fixture
def tracking(
    home_tracking: MlflowTracking, sagemaker_account: SageMakerAccount, store: S3ObjectStore
) -> PackagedTracking:
    return packaged_tracking(home_tracking, sagemaker_account, store, approval=True, approvers="the risk team")


@pytest.fixture
def client(sagemaker_account: SageMakerAccount) -> Any:
    return boto3.client("sagemaker", **sagemaker_account.client_options)


def _registered(tracking: PackagedTracking, packages: dict[str, Path], index: int = 0) -> str:
    digest = stage(tracking, packages, index)
    tracking.register(MODEL, digest, verdict={**passed(digest), **VERDICT})
    return digest


def _packages(client: Any) -> list[dict[str, Any]]:
    """Described, oldest first."""
    found = client.list_model_packages(ModelPackageGroupName=GROUP, SortOrder="Ascending")["ModelPackageSummaryList"]
    return [client.describe_model_package(ModelPackageName=p["ModelPackageArn"]) for p in found]


def test_a_package_says_what_the_version_is(
    tracking: PackagedTracking, packages: dict[str, Path], client: Any, store: S3ObjectStore
) -> None:
    digest = _registered(tracking, packages)
    (version,), (package,) = tracking.versions(MODEL), _packages(client)
    assert package["ModelPackageDescription"] == (
        f"Version 1 of {MODEL}. Gate: better: r2 0.91 is at least 0.8, and better than the champion's. "
        f"digest {digest} run {version.run_id}"
    )
    (container,) = package["InferenceSpecification"]["Containers"]
    assert container == {"Image": IMAGE, "ModelDataUrl": store.url(f"_models/{digest}/model.tar.gz")}
    properties = package["CustomerMetadataProperties"]
    assert properties["mlplatform:digest"] == digest
    assert properties["mlplatform:snapshot"] == "s" * 64
    assert properties["mlplatform:gate"] == "better"
    assert properties["metric:r2"] == "0.9"
    assert package["MetadataProperties"] == {"CommitId": "c" * 40, "GeneratedBy": "job-1"}
    quality = package["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    with store.open(quality.removeprefix(store.url(""))) as stream:
        assert json.load(stream)["regression_metrics"]["r2"] == {"value": 0.9, "standard_deviation": "NaN"}


def test_packages_follow_the_aliases(tracking: PackagedTracking, packages: dict[str, Path], client: Any) -> None:
    for index in range(2):
        _registered(tracking, packages, index)
    tracking.set_alias(MODEL, "champion", 1)
    tracking.set_alias(MODEL, "challenger", 2)
    tracking.set_alias(MODEL, "champion", 2)
    said = [package["CustomerMetadataProperties"].get("mlplatform:aliases") for package in _packages(client)]
    assert said == [None, "challenger champion"]


def test_a_version_waits_until_a_person_decides(
    tracking: PackagedTracking, packages: dict[str, Path], client: Any
) -> None:
    _registered(tracking, packages)
    (version,), (package,) = tracking.versions(MODEL), _packages(client)
    arn = package["ModelPackageArn"]
    waiting = tracking.approval(version)
    assert waiting.status == "pending"
    assert waiting.how.startswith(f"the risk team: approve '{arn}'")
    assert waiting.how.endswith(f"--model-package-arn {arn} --model-approval-status Approved")
    for status, expected in (("Rejected", "rejected"), ("Approved", "approved")):
        client.update_model_package(ModelPackageArn=arn, ModelApprovalStatus=status, ApprovalDescription="as agreed")
        decided = tracking.approval(version)
        assert (decided.status, decided.said) == (expected, "as agreed")


def test_where_nobody_is_asked_what_passed_the_gate_is_approved(
    home_tracking: MlflowTracking,
    sagemaker_account: SageMakerAccount,
    store: S3ObjectStore,
    packages: dict[str, Path],
    client: Any,
) -> None:
    tracking = packaged_tracking(home_tracking, sagemaker_account, store)
    _registered(tracking, packages)
    (version,), (package,) = tracking.versions(MODEL), _packages(client)
    assert package["ModelApprovalStatus"] == "Approved"
    client.update_model_package(ModelPackageArn=package["ModelPackageArn"], ModelApprovalStatus="Rejected")
    assert tracking.approval(version) == Approval("approved")


def test_resume_after_a_kill_between_version_and_package(
    tracking: PackagedTracking, home_tracking: MlflowTracking, packages: dict[str, Path], client: Any
) -> None:
    digest = stage(tracking, packages)
    home_tracking.register(MODEL, digest, verdict=passed(digest))
    for _ in range(2):
        tracking.register(MODEL, digest, verdict={**passed(digest), **VERDICT})
    assert len(_packages(client)) == 1


def test_a_version_from_before_packages_gets_one_when_it_is_asked_for(
    tracking: PackagedTracking, home_tracking: MlflowTracking, packages: dict[str, Path], client: Any
) -> None:
    digest = stage(tracking, packages)
    version = home_tracking.register(MODEL, digest, verdict=passed(digest))
    assert tracking.approval(version).status == "pending"
    assert len(_packages(client)) == 1


def test_throttled_after_the_version_was_made_the_same_call_makes_the_package(
    tracking: PackagedTracking, packages: dict[str, Path], client: Any, sagemaker_account: SageMakerAccount
) -> None:
    sagemaker_account.refuse("CreateModelPackage", "ThrottlingException", times=20)
    with pytest.raises(ThrottledError, match=f"A model package in group '{GROUP}'"):
        _registered(tracking, packages)
    sagemaker_account.mend()
    _registered(tracking, packages)
    assert [v.version for v in tracking.versions(MODEL)] == [1]
    assert len(_packages(client)) == 1


def test_an_alias_that_could_not_be_told_is_set_nowhere(
    tracking: PackagedTracking, packages: dict[str, Path], sagemaker_account: SageMakerAccount
) -> None:
    _registered(tracking, packages)
    sagemaker_account.refuse("UpdateModelPackage", "AccessDeniedException")
    with pytest.raises(PermissionDeniedError, match="Allow sagemaker:UpdateModelPackage on it"):
        tracking.set_alias(MODEL, "champion", 1)
    assert tracking.versions(MODEL)[0].aliases == ()


def test_packages_of_a_removed_system_are_rejected_and_its_name_starts_anew(
    tracking: PackagedTracking, packages: dict[str, Path], client: Any
) -> None:
    _registered(tracking, packages)
    tracking.archive(MODEL, mark="destroyed-1-")
    (archived,) = _packages(client)
    assert archived["ModelApprovalStatus"] == "Rejected"
    assert archived["CustomerMetadataProperties"]["mlplatform:archived"] == "destroyed-1-"
    _registered(tracking, packages)
    (version,) = tracking.versions(MODEL)
    assert tracking.approval(version).status == "pending"
    assert len(_packages(client)) == 2


def test_a_group_of_another_installation_is_left_alone(
    tracking: PackagedTracking, packages: dict[str, Path], client: Any
) -> None:
    client.create_model_package_group(
        ModelPackageGroupName=GROUP, Tags=[{"Key": "mlplatform", "Value": "s3://elsewhere/lake/"}]
    )
    with pytest.raises(
        ConflictError, match=r"is of the installation whose objects are at 's3://elsewhere/lake/'.*name_prefix"
    ):
        _registered(tracking, packages)
    assert _packages(client) == []


def test_objects_on_this_machine_are_refused(
    home_tracking: MlflowTracking, sagemaker_account: SageMakerAccount, tmp_path: Path, packages: dict[str, Path]
) -> None:
    tracking = packaged_tracking(home_tracking, sagemaker_account, DirectoryObjectStore(tmp_path / "objects"))
    with pytest.raises(ProfileError, match="Let the connection 'objects' be one of adapter s3"):
        _registered(tracking, packages)


def test_pages_are_served_as_before(tracking: PackagedTracking, home_tracking: MlflowTracking) -> None:
    assert isinstance(tracking, SelfHosted)
    assert tracking.ui_command("127.0.0.1", 1) == home_tracking.ui_command("127.0.0.1", 1)
