"""State changes as events in a queue, and jobs that are awaited by them."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import boto3
import pytest

from mlplatform.adapters.object_store.s3 import S3ObjectStore
from mlplatform.errors import NotFoundError
from mlplatform_tests.conformance.computes import bucket_store
from mlplatform_tests.servers.ministack.faults import faults_before
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.sagemaker.events import fits
from mlplatform_tests.servers.sagemaker.server import SageMakerAccount
from mlplatform_tests.servers.sagemaker.test_compute import adapter, compute, job
from mlplatform_tests.serving.until import until

__all__ = ["compute"]


@pytest.fixture
def store(ministack_server: Ministack) -> S3ObjectStore:
    return bucket_store(ministack_server)


@pytest.fixture
def sqs(ministack_server: Ministack) -> Any:
    return boto3.client("sqs", **ministack_server.client_options)


@pytest.fixture
def queue(sqs: Any, ministack_server: Ministack) -> str:
    """A queue that EventBridge sends SageMaker's state changes to."""
    name = f"jobs-{uuid.uuid4().hex[:12]}"
    url = str(sqs.create_queue(QueueName=name)["QueueUrl"])
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    bridge = boto3.client("events", **ministack_server.client_options)
    bridge.put_rule(Name=name, EventPattern=json.dumps({"source": ["aws.sagemaker"]}))
    bridge.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn}])
    return url


@pytest.mark.usefixtures("compute")
def test_each_change_of_a_job_is_an_event_with_its_description(
    sagemaker_account: SageMakerAccount, store: S3ObjectStore, tmp_path: Path, sqs: Any, queue: str
) -> None:
    adapter(sagemaker_account, tmp_path, store).run(job())
    bodies: list[Any] = []

    def told() -> bool:
        """The last event may come behind what a look at the job shows."""
        messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", ())
        bodies.extend(json.loads(message["Body"]) for message in messages)
        return "Completed" in {body["detail"]["TrainingJobStatus"] for body in bodies}

    until(told)
    assert {body["source"] for body in bodies} == {"aws.sagemaker"}
    assert {body["detail"]["TrainingJobName"] for body in bodies} == {"job-1"}
    assert bodies[0]["resources"] == [bodies[0]["detail"]["TrainingJobArn"]]


@pytest.mark.usefixtures("compute")
def test_a_job_awaited_by_events_is_looked_at_when_it_changes_and_not_before(
    sagemaker_account: SageMakerAccount, store: S3ObjectStore, tmp_path: Path, queue: str
) -> None:
    # A poll would come after the test's own time.
    waits = adapter(sagemaker_account, tmp_path, store, events_queue=queue, poll_s=3600.0)
    assert waits.run(job()).status == "Completed"
    assert sagemaker_account.calls.count("DescribeTrainingJob") <= 8


@pytest.mark.usefixtures("compute")
def test_a_job_whose_events_are_lost_is_found_ended_by_polling(
    sagemaker_account: SageMakerAccount, store: S3ObjectStore, tmp_path: Path, queue: str
) -> None:
    sagemaker_account.expect("event lost", times=20)
    assert adapter(sagemaker_account, tmp_path, store, events_queue=queue, poll_s=1.0).run(job()).status == "Completed"


@pytest.mark.usefixtures("compute")
def test_events_that_come_twice_and_those_of_other_jobs_change_nothing(
    sagemaker_account: SageMakerAccount, store: S3ObjectStore, tmp_path: Path, sqs: Any, queue: str
) -> None:
    for body in ("no JSON", json.dumps({"detail": {"TrainingJobName": "other"}}), json.dumps({"detail": None})):
        sqs.send_message(QueueUrl=queue, MessageBody=body)
    sagemaker_account.expect("event twice", times=20)
    waits = adapter(sagemaker_account, tmp_path, store, events_queue=queue, poll_s=5.0)
    assert waits.run(job()).status == "Completed"


@pytest.mark.usefixtures("compute")
def test_a_queue_that_is_away_is_not_waited_for(
    sagemaker_account: SageMakerAccount,
    store: S3ObjectStore,
    tmp_path: Path,
    queue: str,
    ministack_server: Ministack,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with faults_before(ministack_server.port) as faults:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", faults.client_options["endpoint_url"])
        # Each look asks five times, with pauses between.
        faults.refuse("ReceiveMessage", "ServiceUnavailable", status=503, times=5)
        waits = adapter(sagemaker_account, tmp_path, store, events_queue=queue, poll_s=2.0)
        assert waits.run(job()).status == "Completed"
        assert faults.calls.count("ReceiveMessage") >= 5


@pytest.mark.usefixtures("compute")
def test_a_queue_that_is_not_there_is_named_and_the_job_runs_on(
    sagemaker_account: SageMakerAccount, store: S3ObjectStore, tmp_path: Path, queue: str
) -> None:
    waits = adapter(sagemaker_account, tmp_path, store, events_queue=f"{queue}-none")
    with pytest.raises(NotFoundError, match=r"Queue '.*-none'.*take events_queue out"):
        waits.run(job("gated", environment={"GATE": str(tmp_path / "gate")}))
    (tmp_path / "gate").touch()
    assert adapter(sagemaker_account, tmp_path, store).run(job("gated")).status == "Completed"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ({"source": ["aws.sagemaker"]}, True),
        ({"source": ["aws.s3"]}, False),
        ({"detail": {"status": ["Failed", "Completed"]}}, True),
        ({"detail": {"status": [{"anything-but": ["Completed"]}]}}, False),
        ({"detail": {"name": [{"prefix": "job-"}]}}, True),
        ({"detail": {"gone": [{"exists": False}], "status": [{"exists": True}]}}, True),
        ({"detail": {"inner": {"status": ["x"]}}}, False),
        ({"resources": ["arn:b"]}, True),
    ],
)
def test_an_event_fits_a_pattern_as_eventbridge_says(pattern: dict[str, Any], expected: bool) -> None:
    event = {
        "source": "aws.sagemaker",
        "resources": ["arn:a", "arn:b"],
        "detail": {"status": "Completed", "name": "job-1"},
    }
    assert fits(pattern, event) is expected
