"""XGBoost on several hosts, each a real process that holds its share of the rows."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlplatform.adapters.compute.container import container_folders
from mlplatform.adapters.compute.subprocess import SubprocessCompute
from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.runtimes import PackageRuntimes
from mlplatform.core.features.fitted import read_transforms
from mlplatform.core.packages.manifest import InputField
from mlplatform.core.training.metrics import measure_all
from mlplatform.core.training.plan import FILE, Search, SearchRange, TrainingPlan
from mlplatform.errors import JobError
from mlplatform.ports.compute import Channel, JobResult, JobSpec

INPUTS = (
    InputField("a", "double", missing="median"),
    InputField("b", "double", missing="keep"),
    InputField("kind", "varchar"),
)
PLAN = TrainingPlan(
    model="s.m", task="regression", target="y", inputs=INPUTS, metric="rmse", higher_is_better=False,
    snapshot={"id": "x"}, split={"by": "time", "column": "day", "holdout": 0.1, "validation": 0.1}, code_version="c",
    window_column="day", search=Search(2, 600, 0, {"max_depth": SearchRange(2, 4)}),
)  # fmt: skip
ROWS = {"train": 4000, "validation": 800, "test": 800}
KINDS = [f"kind {n}" for n in range(12)]


def _rows(name: str, count: int) -> pa.Table:
    rng = np.random.default_rng(len(name))
    a, b, kind = rng.normal(size=count), rng.normal(size=count), rng.integers(0, len(KINDS), count)
    # A kind that one row has is known to one host only.
    kind[0] = 11
    y = 3 * np.sin(2 * a) + b * (kind % 3) + kind / 4 + rng.normal(0, 0.5, count)
    columns: dict[str, Any] = {
        "a": pa.array(a, mask=rng.random(count) < 0.1), "b": b, "kind": [KINDS[k] for k in kind], "y": y,
        "day": rng.integers(0, 100, count) if name != "test" else rng.integers(0, 120, count),
    }  # fmt: skip
    return pa.table({**columns, "high": np.where(y > 2, "yes", "no")})


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("objects")
    store = DirectoryObjectStore(root)
    for name, count in ROWS.items():
        table = _rows(name, count)
        for part, share in enumerate((table.slice(0, count // 3), table.slice(count // 3))):
            sink = io.BytesIO()
            pq.write_table(share, sink)
            store.put(f"unload/{name}/part-{part}.parquet", sink.getvalue())
    classes = replace(PLAN, search=Search(), task="binary", target="high", metric="roc_auc", higher_is_better=True)
    for key, plan in (("spec", PLAN), ("spec alone", replace(PLAN, search=Search())), ("spec classes", classes)):
        store.put(f"{key}/{FILE}", json.dumps(plan.to_json()).encode())
    return root


@pytest.fixture
def compute(tmp_path: Path, objects: Path) -> SubprocessCompute:
    return SubprocessCompute(
        tmp_path / "jobs", DirectoryObjectStore(objects), containers=container_folders(), grace_s=2
    )


def _job(hosts: int, spec: str = "spec", **parameters: str) -> JobSpec:
    given = {"num_round": "80", "eta": "0.2", "max_depth": "4", "nthread": "1", **parameters}
    channels = (*(Channel(name, f"unload/{name}/") for name in ROWS), Channel("spec", f"{spec}/"))
    return JobSpec(f"job-{hosts}", "xgboost", given, channels, f"models/{hosts}/", hosts=hosts, timeout_s=600)


def _rmse(result: JobResult) -> float:
    assert result.model_dir is not None
    model = PackageRuntimes().load(result.model_dir)
    held_out = _rows("test", ROWS["test"])
    truth = held_out.column("y").to_numpy()
    found = float(np.sqrt(np.mean((truth - model.predict_table(held_out)) ** 2)))
    # What the hosts found together is what the package says, and what it answers.
    assert model.manifest.metrics["rmse"] == pytest.approx(found, rel=1e-4)
    assert model.manifest.trained_to == str(held_out.column("day").to_numpy().max())
    return found


def _check_package(result: JobResult) -> None:
    """Everything that is told of the rows is told of all."""
    assert result.model_dir is not None
    both = pa.concat_tables([_rows("train", 4000), _rows("validation", 800)])
    numbers, _, kinds = read_transforms(result.model_dir)
    values = np.array([v for v in both.column("a").to_pylist() if v is not None])
    assert numbers.median == np.median(values)
    assert kinds.categories == tuple(sorted(KINDS))
    baseline = json.loads((result.model_dir / "baseline.json").read_text())
    assert baseline["rows"] == both.num_rows
    assert baseline["features"][0]["mean"] == pytest.approx(values.mean())
    evaluation = json.loads((result.model_dir / "evaluation.json").read_text())
    assert evaluation["rows"] == ROWS
    assert len(evaluation["trials"]) == 3
    assert json.loads((result.model_dir / "split.json").read_text())["fitted_to"] == "99"


def test_two_hosts_make_a_model_as_good_as_one_s(compute: SubprocessCompute) -> None:
    lines: list[str] = []
    one = compute.run(_job(1))
    two = compute.run(_job(2), on_log=lines.append)
    _check_package(one)
    _check_package(two)
    # The noise of the rows is 0.5; their standard deviation 2.6. Hosts agree on bins of their own: never the very same trees.
    assert _rmse(two) == pytest.approx(_rmse(one), rel=0.02)
    assert {"algo-1 | train: 2000 rows", "algo-2 | train: 2000 rows", "algo-2 | test: 400 rows"} <= set(lines)
    assert not [line for line in lines if line.startswith("algo-2 | [0] validation")]
    trials = [line for line in lines if re.match(r"algo-1 \| \[\d\] validation:rmse", line)]
    assert len(trials) == 3
    assert two.output_dir is not None
    held_out = two.output_dir.parents[2] / "hosts/algo-2/opt/ml/output/data/held_out.parquet"
    assert pq.read_table(held_out).num_rows == 400


@pytest.mark.slow
def test_four_hosts_make_a_model_as_good_as_one_s(compute: SubprocessCompute) -> None:
    four = compute.run(_job(4))
    _check_package(four)
    assert _rmse(four) == pytest.approx(_rmse(compute.run(_job(1))), rel=0.02)


@pytest.mark.slow
def test_classes_are_told_apart_by_all_hosts_together(compute: SubprocessCompute) -> None:
    result = compute.run(_job(2, "spec classes"))
    assert result.model_dir is not None
    model = PackageRuntimes().load(result.model_dir)
    held_out = _rows("test", ROWS["test"])
    truth = (np.array(held_out.column("high").to_pylist()) == "yes").astype(float)
    found = measure_all("binary", truth, model.score_table(held_out))
    assert model.manifest.signature.classes == ("no", "yes")
    assert model.manifest.metrics == pytest.approx(found, rel=1e-4)
    assert found["roc_auc"] > 0.95


def _kill_host(compute: SubprocessCompute, job: str, name: str) -> None:
    os.kill(compute.describe(job)["Local"]["Hosts"][name]["Session"]["pid"], signal.SIGKILL)


def _run_until(compute: SubprocessCompute, job: JobSpec, reached: Callable[[], bool], name: str) -> str:
    """Run `job`, kill host `name` when `reached` says so; how the job failed."""
    failure: list[str] = []

    def run() -> None:
        with contextlib.suppress(JobError):
            compute.run(job)
            return
        failure.append(str(compute.describe(job.name)["FailureReason"]))

    thread = threading.Thread(target=run)
    thread.start()
    pause = threading.Event()
    while thread.is_alive() and not reached():
        pause.wait(0.05)
    _kill_host(compute, job.name, name)
    thread.join(60)
    return failure[0]


def test_a_killed_host_fails_the_job_by_name_and_the_next_attempt_keeps_its_trees(
    compute: SubprocessCompute, objects: Path, tmp_path: Path
) -> None:
    store, prefix = DirectoryObjectStore(objects), f"checkpoints/{tmp_path.name}/"
    # Long enough that the fastest machine still trains when the host is killed.
    long = _job(2, "spec alone", checkpoint_s="0.05", num_round="600", eta="0.0125")
    job = replace(long, checkpoint_prefix=prefix)

    def numbers() -> list[int]:
        return sorted(int(info.key.rpartition(".")[2]) for info in store.list(prefix))

    failure = _run_until(compute, job, lambda: bool(numbers()) and numbers()[-1] > 50, "algo-2")
    assert re.match(r"AlgorithmError: Host algo-2: .*, killed by signal 9", failure, re.DOTALL)
    kept = numbers()
    assert 1 <= len(kept) <= 5
    local = compute.describe(job.name)["Local"]["Hosts"]
    assert not any(psutil.pid_exists(host["Session"]["pid"]) for host in local.values())

    lines: list[str] = []
    again = compute.run(replace(job, name="job-2-a2"), on_log=lines.append)
    told = [
        re.match(r"algo-1 \| xgboost-checkpoint\.(\d+): goes on behind (\d+) finished trainings, (\d+) trees", x)
        for x in lines
    ]
    (resumed,) = [match for match in told if match]
    assert int(resumed[1]) == kept[-1]
    assert int(resumed[3]) > 0
    # One host that is not disturbed comes to 0.91.
    assert _rmse(again) < 0.95


def test_fewer_rows_than_hosts_are_refused_by_channel_and_host(compute: SubprocessCompute, objects: Path) -> None:
    sink = io.BytesIO()
    pq.write_table(_rows("test", 1), sink)
    DirectoryObjectStore(objects).put("few/part-0.parquet", sink.getvalue())
    channels = tuple(Channel("test", "few/") if c.name == "test" else c for c in _job(2).channels)
    with pytest.raises(JobError, match="Channel 'test' has no row for host algo-2 of 2"):
        compute.run(replace(_job(2), channels=channels))
