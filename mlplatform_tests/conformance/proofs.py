"""Ports and adapters as data: what each is shown on, by which tests, and what only AWS itself can show.

`docs/profiles.md` is written from this. Warehouses have a page of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

MINISTACK = "ministack, a server that speaks AWS's protocols"
STAND_IN = "SageMaker's [stand-in](how-to/test-with-sagemaker-stand-in.md), which does the work"
LINE = "aws/test_line.py"


@dataclass(frozen=True)
class Proof:
    """One adapter.

    Attributes:
        shown_on: the server; "": itself.
        tests: files below mlplatform_tests, the suite of the port first.
        only_aws: what its server cannot show.
        on_aws: the file that `make test-aws` runs on AWS; "": none.
    """

    port: str
    adapter: str
    tests: tuple[str, ...]
    shown_on: str = ""
    only_aws: str = ""
    on_aws: str = ""


PROOFS = (
    Proof("object_store", "directory", ("conformance/test_object_store.py", "adapters/test_directory_object_store.py")),
    Proof(
        "object_store",
        "s3",
        ("conformance/test_object_store.py", "adapters/test_s3_object_store.py", "adapters/test_s3_faults.py"),
        MINISTACK,
        "roles and bucket policies, KMS keys, how fast it is",
        "aws/test_object_store.py",
    ),
    Proof(
        "arrivals",
        "sqs",
        ("adapters/test_sqs_arrivals.py", "stations/test_noticed_arrivals.py"),
        MINISTACK,
        "how soon a notice comes; that the queue's policy lets the bucket send",
    ),
    Proof("stream", "sqlite", ("conformance/test_stream.py", "conformance/test_stream_processes.py")),
    Proof(
        "stream",
        "kinesis",
        ("conformance/test_stream.py", "adapters/test_kinesis_stream.py", "adapters/test_kinesis_shards.py"),
        "a server of the tests' own with shards, resharding and limits; the whole loop on ministack",
        "limits of an account; how long resharding takes",
    ),
    Proof(
        "stream",
        "kinesis, delivered by Firehose",
        ("platform/test_firehose_delivery.py", "adapters/test_firehose_check.py"),
        MINISTACK,
        "when its buffers end; its role",
    ),
    Proof("warehouse", "ducklake", ("conformance/test_warehouse_loads.py",), "see [Warehouses](warehouses.md)"),
    Proof(
        "warehouse",
        "redshift",
        ("conformance/test_warehouse_loads.py", "servers/redshift/test_data_api.py", "servers/redshift/test_ways.py"),
        "see [Warehouses](warehouses.md)",
        "see [Warehouses](warehouses.md#amazon-redshift)",
        LINE,
    ),
    Proof("warehouse", "snowflake", ("conformance/test_warehouse_loads.py",), "see [Warehouses](warehouses.md)"),
    Proof("warehouse", "hive", ("conformance/test_warehouse_loads.py",), "see [Warehouses](warehouses.md)"),
    Proof(
        "compute",
        "subprocess",
        (
            "conformance/test_compute.py",
            "conformance/test_compute_hosts.py",
            "conformance/test_processing.py",
            "conformance/test_transforms.py",
        ),
    ),
    Proof(
        "compute",
        "sagemaker",
        (
            "conformance/test_compute.py",
            "conformance/test_compute_hosts.py",
            "conformance/test_processing.py",
            "conformance/test_transforms.py",
            "servers/sagemaker/test_compute.py",
            "servers/sagemaker/test_search.py",
            "servers/sagemaker/test_scores.py",
        ),
        STAND_IN,
        "roles, VPCs, KMS keys, quotas, spot machines, the words of its errors, images in ECR",
        LINE,
    ),
    Proof("endpoints", "local", ("conformance/test_endpoints.py", "gateway/test_replacement.py")),
    Proof(
        "endpoints",
        "sagemaker",
        ("conformance/test_endpoints.py", "adapters/test_sagemaker_endpoints.py", "gateway/test_forwarding.py"),
        STAND_IN,
        "roles, quotas, traffic that is moved over minutes, instances that are added and taken away, the words of its errors",
        LINE,
    ),
    Proof(
        "tracking",
        "mlflow",
        ("conformance/test_tracking.py", "adapters/test_mlflow_home.py", "servers/mlflow/test_server.py"),
        "itself, and `mlflow server`",
    ),
    Proof(
        "tracking",
        "model packages",
        ("conformance/test_tracking.py", "adapters/test_model_packages.py", "servers/sagemaker/test_model_packages.py"),
        STAND_IN,
        "roles, how the console shows packages, the words by which it says that a group is there",
    ),
    Proof(
        "tracking",
        "mlflow, managed by SageMaker",
        ("servers/mlflow/test_managed.py",),
        "`mlflow server` behind a front that checks AWS's signatures, its packages in ministack",
        "roles, the versions of MLflow that SageMaker has, how its servers refuse",
    ),
    Proof("item_store", "sqlite", ("conformance/test_item_store.py",)),
    Proof(
        "item_store",
        "dynamodb",
        ("conformance/test_item_store.py", "adapters/test_dynamodb_item_store.py"),
        MINISTACK,
        "throttling by its own measure",
        "aws/test_item_store.py",
    ),
    Proof("secrets", "environment", ("conformance/test_secrets.py",)),
    Proof(
        "secrets",
        "ssm",
        ("conformance/test_secrets.py", "adapters/test_aws_secrets.py"),
        MINISTACK,
        "KMS keys",
        "aws/test_secrets.py",
    ),
    Proof(
        "secrets",
        "secrets_manager",
        ("conformance/test_secrets.py", "adapters/test_aws_secrets.py"),
        MINISTACK,
        "KMS keys, rotation",
    ),
    Proof("notifications", "apprise", ("conformance/test_notifications.py",)),
    Proof(
        "notifications",
        "sns",
        ("conformance/test_notifications.py", "adapters/test_sns_notifications.py"),
        MINISTACK,
        "that mail and messages reach people",
    ),
    Proof(
        "metrics",
        "cloudwatch",
        ("worker/test_meter.py", "platform/test_aws_connections.py"),
        MINISTACK,
        "how soon an alarm is raised",
    ),
    Proof("asset_events", "dagster", ("adapters/test_asset_events.py",)),
    Proof(
        "gateway",
        "as a Lambda",
        ("gateway/test_aws_lambda.py", "gateway/test_lambda_how_to.py"),
        "Lambda and API Gateway of ministack, and SageMaker's stand-in",
        "the freeze between two calls, cold starts, limits of an account, the image",
    ),
    Proof(
        "transformation",
        "as a Lambda",
        ("entrypoints/test_firehose_lambda.py", "platform/test_firehose_delivery.py"),
        "Lambda and Firehose of ministack",
        "Firehose's retries",
    ),
)
