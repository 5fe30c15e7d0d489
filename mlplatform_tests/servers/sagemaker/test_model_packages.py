"""Groups of model packages: versions, approval, tags, what is refused, and the events."""

from __future__ import annotations

import json
import uuid
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.sagemaker.server import SageMakerAccount
from mlplatform_tests.serving.until import until

SPECIFICATION = {"Containers": [{"Image": "111122223333.dkr.ecr.us-east-1.amazonaws.com/serve:1"}]}


@pytest.fixture
def client(sagemaker_account: SageMakerAccount) -> Any:
    return boto3.client("sagemaker", **sagemaker_account.client_options)


@pytest.fixture
def group(client: Any) -> str:
    client.create_model_package_group(ModelPackageGroupName="prices", Tags=[{"Key": "team", "Value": "a"}])
    return "prices"


def _package(client: Any, **more: Any) -> str:
    request = {"ModelPackageGroupName": "prices", "InferenceSpecification": SPECIFICATION, **more}
    return str(client.create_model_package(**request)["ModelPackageArn"])


def test_versions_count_from_one_and_wait_for_approval(client: Any, group: str) -> None:
    arns = [_package(client, ModelPackageDescription=f"number {n}") for n in (1, 2)]
    assert [arn.rpartition(":")[2] for arn in arns] == ["model-package/prices/1", "model-package/prices/2"]
    found = client.list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"]
    assert [(p["ModelPackageVersion"], p["ModelPackageDescription"], p["ModelApprovalStatus"]) for p in found] == [
        (2, "number 2", "PendingManualApproval"),
        (1, "number 1", "PendingManualApproval"),
    ]
    assert client.describe_model_package(ModelPackageName=arns[0])["ModelPackageStatus"] == "Completed"


def test_a_number_is_not_given_twice(client: Any, group: str) -> None:
    client.delete_model_package(ModelPackageName=_package(client))
    assert _package(client).endswith("/2")


def test_one_client_token_makes_one_package(client: Any, group: str) -> None:
    assert _package(client, ClientToken="a") == _package(client, ClientToken="a")
    assert _package(client, ClientToken="b").endswith("/2")


def test_approval_and_properties_are_changed(client: Any, group: str) -> None:
    arn = _package(client, CustomerMetadataProperties={"a": "1", "b": "2"})
    client.update_model_package(
        ModelPackageArn=arn,
        ModelApprovalStatus="Approved",
        ApprovalDescription="as agreed",
        CustomerMetadataProperties={"c": "3"},
        CustomerMetadataPropertiesToRemove=["a"],
    )
    found = client.describe_model_package(ModelPackageName=arn)
    assert (found["ModelApprovalStatus"], found["ApprovalDescription"]) == ("Approved", "as agreed")
    assert found["CustomerMetadataProperties"] == {"b": "2", "c": "3"}
    assert found["LastModifiedTime"] >= found["CreationTime"]
    approved = client.list_model_packages(ModelPackageGroupName=group, ModelApprovalStatus="Approved")
    assert [p["ModelPackageArn"] for p in approved["ModelPackageSummaryList"]] == [arn]


def test_tags_are_the_groups(client: Any, group: str) -> None:
    arn = client.describe_model_package_group(ModelPackageGroupName=group)["ModelPackageGroupArn"]
    assert client.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "a"}]
    with pytest.raises(ClientError, match="takes the tags of its group"):
        _package(client, Tags=[{"Key": "a", "Value": "b"}])


def test_a_group_is_made_once_and_deleted_when_it_is_empty(client: Any, group: str) -> None:
    with pytest.raises(
        ClientError, match=r"ValidationException.*Model Package Group already exists: arn:aws:sagemaker"
    ):
        client.create_model_package_group(ModelPackageGroupName=group)
    arn = _package(client)
    with pytest.raises(ClientError, match="ConflictException"):
        client.delete_model_package_group(ModelPackageGroupName=group)
    client.delete_model_package(ModelPackageName=arn)
    client.delete_model_package_group(ModelPackageGroupName=group)
    assert client.list_model_package_groups()["ModelPackageGroupSummaryList"] == []


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"ModelApprovalStatus": "Perhaps"}, "Member must satisfy enum value set"),
        ({"CustomerMetadataProperties": {"a": "x" * 257}}, "less than or equal to 256"),
        ({"ModelPackageGroupName": "nobody"}, "does not exist"),
        (
            {"InferenceSpecification": {"Containers": [{"Image": "a", "ModelDataUrl": "s3://nobody-has-this/a"}]}},
            "Could not find model data",
        ),
    ],
)
def test_what_sagemaker_would_refuse_is_refused(client: Any, group: str, more: dict[str, Any], says: str) -> None:
    with pytest.raises(ClientError, match=says):
        _package(client, **more)


def test_what_is_not_there_is_refused(client: Any, group: str) -> None:
    for call, name in (
        (
            client.describe_model_package,
            {"ModelPackageName": f"arn:aws:sagemaker:us-east-1:111122223333:model-package/{group}/7"},
        ),
        (client.describe_model_package_group, {"ModelPackageGroupName": "nobody"}),
        (client.list_model_packages, {"ModelPackageGroupName": "nobody"}),
    ):
        with pytest.raises(ClientError, match=r"ValidationException.*does not exist"):
            call(**name)


def test_making_and_approving_each_send_an_event(client: Any, group: str, ministack_server: Ministack) -> None:
    sqs = boto3.client("sqs", **ministack_server.client_options)
    events = boto3.client("events", **ministack_server.client_options)
    name = f"packages-{uuid.uuid4().hex[:12]}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Model Package State Change"]}
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": queue}])
    client.update_model_package(ModelPackageArn=_package(client), ModelApprovalStatus="Approved")
    seen: list[tuple[int, str]] = []

    def came() -> bool:
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            detail = json.loads(message["Body"])["detail"]
            seen.append((detail["ModelPackageVersion"], detail["ModelApprovalStatus"]))
        return len(seen) == 2

    until(came)
    events.remove_targets(Rule=name, Ids=["queue"])
    events.delete_rule(Name=name)
    assert sorted(seen) == [(1, "Approved"), (1, "PendingManualApproval")]
