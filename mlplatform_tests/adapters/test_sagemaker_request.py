"""Jobs as requests: golden, and as SageMaker's own model has them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from mlplatform.adapters.compute.sagemaker_request import training_request
from mlplatform.adapters.compute.sagemaker_settings import SageMakerComputeSettings
from mlplatform.errors import ProfileError
from mlplatform.ports.compute import Channel, JobSpec
from mlplatform_tests.servers.aws_protocol.shapes import AwsRefusedError, check, operation_of

ROLE = "arn:aws:iam::111122223333:role/trainer"
IMAGE = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/{container}:7"
JOB = JobSpec(
    "stock-prices-a1",
    "xgboost",
    {"eta": "0.1"},
    (Channel("train", "unload/a/"), Channel("spec", "jobs/k/spec/", "application/json")),
    "jobs/k/",
    timeout_s=600,
    tags={"system": "stock_prices"},
)


def _url(key: str) -> str:
    return f"s3://lake/dev/{key}"


def _request(job: JobSpec = JOB, **settings: Any) -> dict[str, Any]:
    made = SageMakerComputeSettings.model_validate({"role_arn": ROLE, "image": IMAGE, **settings})
    request = training_request(job, made, url=_url)
    check(operation_of("sagemaker", "CreateTrainingJob").input_shape, request, "ValidationException")
    return request


def _channel(name: str, prefix: str, content_type: str) -> dict[str, Any]:
    return {
        "ChannelName": name,
        "ContentType": content_type,
        "InputMode": "File",
        "CompressionType": "None",
        "RecordWrapperType": "None",
        "DataSource": {
            "S3DataSource": {
                "S3DataType": "S3Prefix",
                "S3Uri": f"s3://lake/dev/{prefix}",
                "S3DataDistributionType": "FullyReplicated",
            }
        },
    }


def test_a_job_on_one_machine_is_this_request() -> None:
    assert _request() == {
        "TrainingJobName": "stock-prices-a1",
        "AlgorithmSpecification": {
            "TrainingImage": "111122223333.dkr.ecr.eu-west-1.amazonaws.com/xgboost:7",
            "TrainingInputMode": "File",
        },
        "RoleArn": ROLE,
        "HyperParameters": {"eta": "0.1"},
        "InputDataConfig": [
            _channel("train", "unload/a/", "application/x-parquet"),
            _channel("spec", "jobs/k/spec/", "application/json"),
        ],
        "OutputDataConfig": {"S3OutputPath": "s3://lake/dev/jobs/k"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        "Tags": [{"Key": "mlplatform", "Value": "s3://lake/dev/"}, {"Key": "system", "Value": "stock_prices"}],
        "EnableManagedSpotTraining": False,
        "EnableNetworkIsolation": False,
        "EnableInterContainerTrafficEncryption": False,
    }


def test_hosts_spot_and_checkpoints_are_asked_for_together() -> None:
    job = replace(JOB, hosts=3, checkpoint_prefix="jobs/k/checkpoints/")
    found = _request(job, spot=True, spot_wait_s=60, instance_types={"xgboost": "ml.c5.xlarge"}, retries=2)
    assert found["EnableManagedSpotTraining"] is True
    assert found["StoppingCondition"] == {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 660}
    assert found["CheckpointConfig"] == {
        "S3Uri": "s3://lake/dev/jobs/k/checkpoints/",
        "LocalPath": "/opt/ml/checkpoints",
    }
    assert found["ResourceConfig"] == {"InstanceType": "ml.c5.xlarge", "InstanceCount": 3, "VolumeSizeInGB": 30}
    assert found["RetryStrategy"] == {"MaximumRetryAttempts": 2}


def test_a_network_keys_tags_variables_metrics_and_a_warm_pool_are_the_settings() -> None:
    found = _request(
        replace(JOB, environment={"B": "job"}),
        subnets=["subnet-0a"],
        security_groups=["sg-0b"],
        network_isolation=True,
        encrypt_traffic=True,
        kms_key="alias/lake",
        volume_kms_key="alias/disk",
        keep_alive_s=600,
        environment={"A": "all", "B": "all"},
        tags={"team": "ml"},
        metrics={"test:rmse": "test:rmse: ([0-9.]+)"},
    )
    assert found["VpcConfig"] == {"Subnets": ["subnet-0a"], "SecurityGroupIds": ["sg-0b"]}
    assert found["EnableNetworkIsolation"] is found["EnableInterContainerTrafficEncryption"] is True
    assert found["OutputDataConfig"]["KmsKeyId"] == "alias/lake"
    assert found["ResourceConfig"]["VolumeKmsKeyId"] == "alias/disk"
    assert found["ResourceConfig"]["KeepAlivePeriodInSeconds"] == 600
    assert found["Environment"] == {"A": "all", "B": "job"}
    assert {"Key": "team", "Value": "ml"} in found["Tags"]
    assert found["AlgorithmSpecification"]["MetricDefinitions"] == [
        {"Name": "test:rmse", "Regex": "test:rmse: ([0-9.]+)"}
    ]


def test_a_job_without_channels_asks_for_none() -> None:
    assert "InputDataConfig" not in _request(replace(JOB, channels=()))


def test_names_of_secrets_and_their_values_are_in_no_request() -> None:
    assert "db-password" not in str(_request(replace(JOB, secrets=("db-password",), aws=True)))


def test_one_container_may_have_an_image_of_its_own_and_one_without_is_named() -> None:
    found = _request(images={"xgboost": "eu.example/boosted@sha256:" + "a" * 64})
    assert found["AlgorithmSpecification"]["TrainingImage"].startswith("eu.example/boosted@")
    with pytest.raises(ProfileError, match=r"No image is known for container 'xgboost'\. Set image"):
        _request(image="")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"subnets": ["subnet-0a"]}, "subnets and security_groups: a job in a VPC needs both"),
        ({"image": "repository/image:1"}, "expected {container} in it, found 'repository/image:1'"),
        ({"spot": True, "keep_alive_s": 60}, "SageMaker keeps no spot machine"),
        ({"role_arn": "trainer"}, "role_arn"),
    ],
)
def test_settings_that_contradict_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        _request(**settings)


def test_what_botocore_lets_through_and_sagemaker_refuses_is_found_by_the_model() -> None:
    with pytest.raises(AwsRefusedError, match=r"Member must satisfy enum value set: \[ml\."):
        _request(instance_type="ml.none")
    with pytest.raises(AwsRefusedError, match="Member must have length less than or equal to 63"):
        _request(replace(JOB, name="n" * 64))
