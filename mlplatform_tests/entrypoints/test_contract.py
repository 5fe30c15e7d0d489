"""The training contract as SageMaker itself lays it: files under the tree, and of the variables only those of the image."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mlplatform.entrypoints.contract import MASTER_PORT, Job, run_job

RESOURCES = {"current_host": "algo-2", "hosts": ["algo-1", "algo-2"], "network_interface_name": "eth0"}


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """What the image's ENV lines say, and SageMaker itself."""
    ml = tmp_path / "ml"
    (ml / "input/config").mkdir(parents=True)
    (ml / "input/data/train").mkdir(parents=True)
    (ml / "input/config/hyperparameters.json").write_text('{"eta": "0.1"}')
    (ml / "input/config/resourceconfig.json").write_text(json.dumps(RESOURCES))
    return {
        "SM_INPUT_DIR": str(ml / "input"),
        "SM_INPUT_CONFIG_DIR": str(ml / "input/config"),
        "SM_MODEL_DIR": str(ml / "model"),
        "SM_OUTPUT_DIR": str(ml / "output"),
        "SM_OUTPUT_DATA_DIR": str(ml / "output/data"),
        "TRAINING_JOB_NAME": "job-1",
    }


def test_a_host_on_sagemaker_may_keep_all_its_machine_busy(env: dict[str, str]) -> None:
    machines = Job.from_environment(env).machines
    assert (machines.names, machines.rank, machines.local) == (("algo-1", "algo-2"), 1, False)
    assert (machines.port, machines.cpus) == (MASTER_PORT, os.cpu_count())
    assert Job.from_environment({**env, "SM_NUM_CPUS": "3"}).machines.cpus == 3


def test_channels_checkpoints_and_hyperparameters_are_found_by_their_files(env: dict[str, str]) -> None:
    config = Path(env["SM_INPUT_CONFIG_DIR"])
    (config / "checkpointconfig.json").write_text('{"S3Uri": "s3://b/k", "LocalPath": "/opt/ml/checkpoints"}')
    job = Job.from_environment(env)
    assert (job.name, job.hyperparameters, list(job.channels)) == ("job-1", {"eta": "0.1"}, ["train"])
    assert job.checkpoint_dir == Path("/opt/ml/checkpoints")


def test_work_that_is_done_ends_the_log_with_the_line_that_is_asked_for(
    env: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    def work(job: Job) -> None:
        print(job.name)

    assert run_job(work, {**env, "MLPLATFORM_END_OF_LOG": "that was all"}) == 0
    assert run_job(work, env) == 0
    assert capsys.readouterr().out.splitlines() == ["job-1", "that was all", "job-1"]


def test_work_that_fails_says_no_end(env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    def work(_: Job) -> None:
        raise ValueError("no")

    assert run_job(work, {**env, "MLPLATFORM_END_OF_LOG": "that was all"}) != 0
    assert "that was all" not in "".join(capsys.readouterr())
