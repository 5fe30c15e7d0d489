"""How waiting for a job ends on the stand-in: with its last lines, or with an interrupt that leaves nothing to pay for."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import boto3
import pytest

from mlplatform.adapters.compute.sagemaker import SageMakerCompute
from mlplatform.adapters.compute.sagemaker_logs import GROUP
from mlplatform.adapters.object_store.s3 import S3ObjectStore
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.sagemaker.server import SageMakerAccount
from mlplatform_tests.servers.sagemaker.test_compute import adapter, compute, job, store

__all__ = ["compute", "store"]


def test_lines_that_come_behind_the_job_s_end_are_read(
    compute: SageMakerCompute,
    sagemaker_account: SageMakerAccount,
    ministack_server: Ministack,
    store: S3ObjectStore,
    tmp_path: Path,
) -> None:
    patient = adapter(sagemaker_account, tmp_path, store, poll_s=2)
    logs: Any = boto3.client("logs", **ministack_server.client_options)
    has_ended, said = False, False

    def look(parsed: dict[str, Any], **_: Any) -> None:
        nonlocal has_ended
        has_ended = has_ended or parsed["TrainingJobStatus"] == "Completed"

    def say(parsed: dict[str, Any], **_: Any) -> None:
        """The line comes when the log was read to its end; with it, the stream of a host that began anew."""
        nonlocal said
        if has_ended and not parsed["events"] and not said:
            said = True
            # In a thread: what calls from within the adapter is taken for its own.
            writer = threading.Thread(target=write)
            writer.start()
            writer.join()

    def write() -> None:
        name = "job-1/algo-1-9999999999"
        logs.create_log_stream(logGroupName=GROUP, logStreamName=name)
        event = {"timestamp": int(time.time() * 1000), "message": "[9] validation:late: 0.5"}
        logs.put_log_events(logGroupName=GROUP, logStreamName=name, logEvents=[event])

    patient._clients.sagemaker.meta.events.register("after-call.sagemaker.DescribeTrainingJob", look)
    patient._clients.logs.meta.events.register("after-call.cloudwatch-logs.GetLogEvents", say)
    lines: list[str] = []
    found = patient.run(job(), on_log=lines.append)
    assert lines == ["done", "[9] validation:late: 0.5"]
    assert found.metrics == {"validation:late": 0.5}


def test_a_log_that_says_its_end_is_waited_for_no_longer(
    compute: SageMakerCompute, sagemaker_account: SageMakerAccount, store: S3ObjectStore, tmp_path: Path
) -> None:
    def looks(container: str) -> int:
        """At the log of a job in the container, after its end."""
        ended, found = False, 0

        def look(parsed: dict[str, Any], **_: Any) -> None:
            nonlocal ended
            ended = parsed["TrainingJobStatus"] == "Completed"

        def read(**_: Any) -> None:
            nonlocal found
            found += ended

        patient = adapter(sagemaker_account, tmp_path, store, poll_s=2)
        patient._clients.sagemaker.meta.events.register("after-call.sagemaker.DescribeTrainingJob", look)
        patient._clients.logs.meta.events.register("after-call.cloudwatch-logs.DescribeLogStreams", read)
        lines: list[str] = []
        patient.run(job(container, name=f"job-{container}"), on_log=lines.append)
        assert lines == ["done"]
        return found

    assert looks("quick") > 1
    assert looks("ending") == 1


def test_an_interrupt_while_the_job_is_asked_for_leaves_none(
    compute: SageMakerCompute, sagemaker_account: SageMakerAccount, tmp_path: Path
) -> None:
    def interrupt(**_: Any) -> None:
        raise KeyboardInterrupt

    compute._clients.sagemaker.meta.events.register("after-call.sagemaker.CreateTrainingJob", interrupt)
    with pytest.raises(KeyboardInterrupt):
        compute.run(job("gated", environment={"GATE": str(tmp_path / "gate")}))
    assert compute.describe("job-1")["TrainingJobStatus"] == "Stopped"


def test_an_interrupt_before_the_job_is_asked_for_is_what_is_told(
    compute: SageMakerCompute, sagemaker_account: SageMakerAccount
) -> None:
    def interrupt(**_: Any) -> None:
        raise KeyboardInterrupt

    compute._clients.sagemaker.meta.events.register("before-call.sagemaker.CreateTrainingJob", interrupt)
    with pytest.raises(KeyboardInterrupt):
        compute.run(job())
    assert compute.list() == []


def test_what_fails_on_this_machine_leaves_the_job_to_who_comes_next(
    compute: SageMakerCompute, sagemaker_account: SageMakerAccount, tmp_path: Path
) -> None:
    def full(_: str) -> None:
        raise OSError(28, "No space left on device")

    wanted = job("gated", environment={"GATE": str(tmp_path / "gate")})
    with pytest.raises(OSError, match="No space left"):
        compute.run(wanted, on_log=full)
    assert compute.describe("job-1")["TrainingJobStatus"] == "InProgress"
    (tmp_path / "gate").touch()
    assert compute.run(wanted).status == "Completed"
