"""SageMaker's own training toolkit runs our programs in its layout, and gives a script what our entrypoint gives it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from mlplatform.core.packages.manifest import read_package
from mlplatform.core.training.plan import FILE
from mlplatform_tests.conformance.test_script_mode import HYPERPARAMETERS, MODEL, SCRIPT
from mlplatform_tests.entrypoints.test_train_xgboost import PLAN
from mlplatform_tests.packages import make_table
from mlplatform_tests.servers.environment import environment

ROOT = Path(__file__).parents[3]
HOST = "127.0.0.1"
"""The toolkit waits until it finds each host by its name."""


def laid(root: Path, hyperparameters: dict[str, str], channels: dict[str, dict[str, str]]) -> Path:
    """The tree that SageMaker lays for a container, below `root`."""
    ml = root / "opt" / "ml"
    config = ml / "input" / "config"
    for folder in (config, ml / "model", ml / "output" / "data", ml / "code"):
        folder.mkdir(parents=True)
    group = {"instance_group_name": "homogeneousCluster", "instance_type": "ml.m5.large", "hosts": [HOST]}
    documents = {
        "hyperparameters": hyperparameters,
        "inputdataconfig": {name: {"TrainingInputMode": "File", "ContentType": "text/csv"} for name in channels},
        "resourceconfig": {
            "current_host": HOST,
            "hosts": [HOST],
            "network_interface_name": "lo",
            "current_instance_type": "ml.m5.large",
            "current_group_name": "homogeneousCluster",
            "instance_groups": [group],
        },
    }
    for name, content in documents.items():
        (config / f"{name}.json").write_text(json.dumps(content))
    for name, files in channels.items():
        for file, text in files.items():
            path = ml / "input" / "data" / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return ml


def trained(
    ml: Path, source: Path, program: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """What AWS's images run: the toolkit's own command."""
    given = {
        "PATH": f"{environment('sagemaker_training')}:/usr/bin:/bin",
        "SAGEMAKER_BASE_DIR": str(ml),
        "SAGEMAKER_PROGRAM": program,
        "SAGEMAKER_SUBMIT_DIRECTORY": str(source),
        "SAGEMAKER_REGION": "us-east-1",
        "TRAINING_JOB_NAME": "job-1",
        **(env or {}),
    }
    command = [str(environment("sagemaker_training") / "train")]
    return subprocess.run(command, env=given, cwd=ml, capture_output=True, text=True, timeout=250, check=False)


@pytest.mark.slow
def test_a_script_makes_the_same_of_the_toolkit_as_of_our_entrypoint(tmp_path: Path) -> None:
    ml = laid(tmp_path, HYPERPARAMETERS, {"train": {"part-0.csv": "1,2\n", "deep/part-1.csv": "3,4\n"}})
    shutil.copyfile(SCRIPT / "train.py", ml / "code" / "train.py")
    done = trained(ml, ml / "code", "train.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((ml / "model" / "model.json").read_text()) == MODEL


@pytest.mark.slow
def test_a_program_of_ours_reads_the_toolkits_layout(tmp_path: Path) -> None:
    channels = ("train", "validation", "test", "spec")
    ml = laid(tmp_path, {"num_round": "5", "nthread": "1"}, {name: {} for name in channels})
    for seed, name in enumerate(channels[:3]):
        (ml / "input" / "data" / name).mkdir(parents=True)
        pq.write_table(make_table(200, seed=seed), ml / "input" / "data" / name / "part-0.parquet")
    (ml / "input" / "data" / "spec").mkdir()
    (ml / "input" / "data" / "spec" / FILE).write_text(json.dumps(PLAN.to_json()))
    (ml / "code" / "run.py").write_text(
        "import os, sys\n"
        "from mlplatform.entrypoints.train_xgboost import main\n"
        "sys.exit(main(sys.argv[1:], os.environ))\n"
    )
    ours = {"PYTHONPATH": ":".join([str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))])}
    done = trained(ml, ml / "code", "run.py", ours)
    assert done.returncode == 0, done.stdout + done.stderr
    manifest = read_package(ml / "model")
    assert (manifest.training_job, manifest.parameters["num_round"]) == ("job-1", "5")
    assert (ml / "output" / "data" / "held_out.parquet").is_file()


@pytest.mark.slow
def test_what_a_program_of_ours_says_of_its_failure_the_toolkit_leaves(tmp_path: Path) -> None:
    ml = laid(tmp_path, HYPERPARAMETERS, {"train": {"part-0.csv": "1,2\n"}})
    (ml / "code" / "run.py").write_text(
        "import os, sys\nfrom mlplatform.entrypoints.train_xgboost import main\nsys.exit(main([], os.environ))\n"
    )
    done = trained(ml, ml / "code", "run.py", {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 1
    assert (ml / "output" / "failure").read_text() == "The job has no channel 'spec'; it has: train."
