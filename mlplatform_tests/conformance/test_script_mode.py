"""A script for SageMaker's script mode, unchanged, is a training container here: on this machine and on the stand-in."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlplatform.entrypoints.script import arguments
from mlplatform.errors import JobError
from mlplatform.ports.compute import Channel, Compute, JobSpec
from mlplatform.ports.object_store import ObjectStore
from mlplatform_tests.conformance.computes import backend, compute_of, sagemaker_server, store

__all__ = ["backend", "sagemaker_server", "store"]

SCRIPT = Path(__file__).parents[1] / "containers" / "script_mode"
HYPERPARAMETERS = {"max-depth": "6", "eta": "0.5", "columns": '["a", "b"]', "verbose": "true", "k": "3"}
MODEL = {
    "weights": [1.0, 1.5],
    "depth": 6,
    "columns": "['a', 'b']",
    "verbose": "True",
    "k": 3,
    "hyperparameters": {"max-depth": 6, "eta": 0.5, "columns": ["a", "b"], "verbose": True, "k": 3},
    "first": True,
    "channels": ["train"],
    "cpus": True,
    "gpus": 0,
    "module": "train",
    "arguments": ["--columns", "['a', 'b']", "--eta", "0.5", "-k", "3", "--max-depth", "6", "--verbose", "True"],
}
"""What it makes of the store's rows."""


@pytest.fixture
def compute(backend: str, tmp_path: Path, store: ObjectStore) -> Compute:
    shutil.copytree(SCRIPT, tmp_path / "containers" / "scripted", ignore=shutil.ignore_patterns("__pycache__"))
    return compute_of(backend, tmp_path, store)


def job(**changes: Any) -> JobSpec:
    made = JobSpec("job-1", "scripted", HYPERPARAMETERS, (Channel("train", "unload/a/"),), "models/")
    return replace(made, **changes)


def test_it_trains_with_its_hyperparameters_as_arguments(compute: Compute) -> None:
    done = compute.run(job())
    assert done.status == "Completed"
    assert done.metrics == {"validation:r2": 0.5}
    assert done.model_dir is not None
    assert done.output_dir is not None
    assert json.loads((done.model_dir / "model.json").read_text()) == MODEL
    assert (done.output_dir / "data" / "rows.txt").read_text() == "2"


def test_what_it_raises_is_the_reason_that_the_job_failed(compute: Compute) -> None:
    with pytest.raises(JobError, match="ValueError: max-depth is too large"):
        compute.run(job(hyperparameters={"max-depth": "9"}))


def test_an_argument_that_it_does_not_know_ends_it(compute: Compute) -> None:
    with pytest.raises(JobError, match=r"'train.py' ended with 2"):
        compute.run(job(hyperparameters={"depth-max": "9"}))


def test_what_is_sagemakers_is_none_of_the_scripts() -> None:
    given = {"sagemaker_program": '"train.py"', "b": "null", "name": "a b", "list": "[1, 2.5]"}
    assert arguments(given) == ["-b", "", "--list", "[1, 2.5]", "--name", "a b"]
