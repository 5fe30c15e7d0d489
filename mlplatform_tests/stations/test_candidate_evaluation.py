"""A candidate evaluated in a container of the user's own, on both back ends."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest

from mlplatform.errors import DataError, JobError, SpecError
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.tracking import Candidate, TrackedRun
from mlplatform.spec.model import EvaluationSpec, ModelSpec
from mlplatform.stations.candidate_evaluation import CandidateEvaluation
from mlplatform.stations.feature_snapshot import FeatureSnapshot
from mlplatform_tests.conformance.computes import backend, compute_of, sagemaker_server, store
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.packages import make_package
from mlplatform_tests.stations.line import ENDPOINT, MODEL, SYSTEM, Line

__all__ = ["backend", "ministack_server", "sagemaker_server", "store"]

NAME = "stock_prices.stock_model"
LOOKS = """
    import json, os, pathlib, sys
    import pyarrow.parquet as pq
    folder = lambda name: pathlib.Path(os.environ["MLPLATFORM_INPUT_" + name])
    about = json.loads((folder("SPEC") / "evaluation.json").read_text())
    rows = sum(pq.ParquetFile(p).metadata.num_rows for p in folder("TEST").rglob("*.parquet"))
    out = pathlib.Path(os.environ["MLPLATFORM_OUTPUT_EVALUATION"])
    champion = folder("CHAMPION") / "model.json" if about["champion"] else None
    (out / "report.json").write_text(json.dumps([about, sys.argv[1:], champion is not None and champion.is_file()]))
    manifest = json.loads((folder("MODEL") / "model.json").read_text())
    (out / "metrics.json").write_text(json.dumps({"rows": rows, "parts": len(manifest["files"])}))
    print("looked at", rows, "rows")
"""
PROGRAMS = {
    "looks": LOOKS,
    "refuses": "raise SystemExit('worse than a coin')",
    "silent": "print('nothing')",
    "wordy": """
        import os, pathlib
        pathlib.Path(os.environ["MLPLATFORM_OUTPUT_EVALUATION"], "metrics.json").write_text('{"f1": "good"}')
    """,
}
World = tuple[Line, FeatureSnapshot, dict[int, Candidate]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Rows that were split, and two staged candidates, the first of which serves."""
    root = tmp_path_factory.mktemp("evaluated")
    line, found = Line(root / "line"), {}
    line.load_days(7600, 7640)
    snapshot = line.build()
    for seed in (1, 2):
        package = root / f"package-{seed}"
        digest = make_package(package, seed=seed, model=NAME)
        found[seed] = line.tracking.stage(
            TrackedRun(SYSTEM, f"run-{seed}", {}, {}, {}, package), model=NAME, digest=digest
        )
    digest = found[1].digest
    line.deploy(line.tracking.register(NAME, digest, verdict={"passed": True, "digest": digest, "model": NAME}))
    return line, snapshot, found


@pytest.fixture
def evaluation(world: World, backend: str, store: ObjectStore, tmp_path: Path) -> Any:
    """Makes the station, by the container's name; the rows lie where the back end reads."""
    line, snapshot, _ = world
    for info in line.store.list(snapshot.channels["test"]):
        with line.store.open(info.key) as stream:
            store.put(info.key, stream.read())
    for name, text in PROGRAMS.items():
        folder = tmp_path / "containers" / name
        folder.mkdir(parents=True)
        (folder / "Dockerfile").write_text('FROM python\nENTRYPOINT ["python", "job.py"]\n')
        (folder / "job.py").write_text(textwrap.dedent(text))
    compute = compute_of(backend, tmp_path, store)

    def made(container: str) -> CandidateEvaluation:
        spec = EvaluationSpec(container=container, arguments=["--top", "5"])
        model = ModelSpec.model_validate({**MODEL, "evaluation": spec.model_dump()})
        parts = (compute, line.tracking, line.endpoints, store, model, spec)
        return CandidateEvaluation(*parts, system=SYSTEM, endpoint=ENDPOINT)

    return made


def test_a_container_reads_candidate_champion_and_held_out_rows_and_its_metrics_are_kept(
    world: World, evaluation: Any, store: ObjectStore
) -> None:
    _, snapshot, candidates = world
    lines: list[str] = []
    done = evaluation("looks").evaluate(candidates[2], snapshot, on_log=lines.append)
    assert done.metrics["rows"] == snapshot.rows["test"]
    assert done.metrics["parts"] >= 3
    assert lines == [f"looked at {snapshot.rows['test']} rows"]
    with store.open(f"{done.prefix}report.json") as stream:
        about, arguments, has_champion = json.loads(stream.read())
    assert (about["digest"], about["champion"]["version"]) == (candidates[2].digest, 1)
    assert (about["target"], about["task"], about["snapshot"]) == ("price", "regression", snapshot.ref.id)
    assert (arguments, has_champion) == (["--top", "5"], True)
    assert done.prefix.startswith(f"reports/{SYSTEM}/stock_model/evaluations/")
    again: list[str] = []
    assert evaluation("looks").evaluate(candidates[2], snapshot, on_log=again.append) == done


def test_the_champion_itself_is_compared_with_nobody(world: World, evaluation: Any, store: ObjectStore) -> None:
    _, snapshot, candidates = world
    done = evaluation("looks").evaluate(candidates[1], snapshot)
    with store.open(f"{done.prefix}report.json") as stream:
        about, _, has_champion = json.loads(stream.read())
    assert (about["champion"], has_champion) == (None, False)


def test_a_container_that_fails_refuses_the_candidate_and_is_asked_anew_the_next_time(
    world: World, evaluation: Any
) -> None:
    _, snapshot, candidates = world
    for attempt in ("p1", "p2"):
        with pytest.raises(JobError, match=rf"-{attempt}' is Failed: AlgorithmError: worse than a coin, exit code: 1"):
            evaluation("refuses").evaluate(candidates[2], snapshot)


@pytest.mark.parametrize("backend", ["subprocess"], indirect=True)
@pytest.mark.parametrize(
    ("container", "said"),
    [("silent", "left no 'metrics.json'"), ("wordy", "expected numbers in 'metrics.json'; 'f1' is none")],
)
def test_metrics_that_are_none_are_refused_by_name(world: World, evaluation: Any, container: str, said: str) -> None:
    _, snapshot, candidates = world
    with pytest.raises(DataError, match=rf"by container '{container}'.*{said}.*MLPLATFORM_OUTPUT_EVALUATION"):
        evaluation(container).evaluate(candidates[2], snapshot)


@pytest.mark.parametrize("backend", ["subprocess"], indirect=True)
def test_rows_that_stay_in_the_warehouse_are_refused(world: World, evaluation: Any, store: ObjectStore) -> None:
    _, snapshot, candidates = world
    store.put(f"{snapshot.channels['test']}query.json", b"{}")
    with pytest.raises(SpecError, match=r"reads files: its feature set unloads none.*channel: files"):
        evaluation("looks").evaluate(candidates[2], snapshot)
