"""A container with an environment of its own: trained in it, judged beside a model of another runtime, and kept by digest."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from mlplatform.adapters.runtimes import PackageRuntimes
from mlplatform.core.packages.manifest import read_package
from mlplatform.errors import UnavailableError
from mlplatform.stations.feature_snapshot import FeatureSnapshot
from mlplatform.stations.training import Trained
from mlplatform_tests.packages import LINEAR
from mlplatform_tests.stations.line import Line

NAME = "stock_prices.stock_model"
State = tuple[Line, FeatureSnapshot, Trained, list[str]]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> State:
    """A quarter of prices, learnt by least squares in `containers/linear`."""
    line = Line(tmp_path_factory.mktemp("process_training"))
    line.load_days(7600, 7679)
    (line.root / "containers").mkdir()
    (line.root / "containers" / "linear").symlink_to(LINEAR)
    line.model_spec |= {"container": "linear", "hyperparameters": {}}
    snapshot, said = line.build(), []
    return line, snapshot, line.training.train(snapshot, code_version="c" * 40, on_log=said.append), said


def test_the_job_ran_in_the_environment_of_the_containers_lock(trained: State) -> None:
    line, _, done, said = trained
    cache = os.environ["MLPLATFORM_CACHE"]
    assert any(entry.startswith(f"trained by {cache}/environments/") for entry in said)
    assert line.compute.prepare("linear").made is False
    manifest = read_package(line.tracking.package(NAME, done.candidate.digest))
    assert manifest.runtime == "process"
    assert {"scorer.py", "requirements.lock", "weights.json"} <= manifest.files.keys()


def test_what_it_chose_from_comes_with_the_candidate(trained: State) -> None:
    done = trained[2]
    assert [row["model"] for row in done.leaderboard] == ["linear"]
    assert done.leaderboard[0]["r2"] == done.metrics["r2"]


def test_it_answers_as_its_job_measured(trained: State) -> None:
    line, snapshot, done, _ = trained
    model = PackageRuntimes().load(line.tracking.package(NAME, done.candidate.digest), digest=done.candidate.digest)
    verdict = line.gate.judge(done.candidate, snapshot)
    assert verdict.passed, verdict.reason
    assert verdict.figures["metrics"]["r2"] == pytest.approx(model.manifest.metrics["r2"], rel=1e-6)
    unseen = {"ticker_symbol": "NEW", "sector": "Energy", "change": None}
    assert model.predict_rows([unseen])[0].flags == ("unseen:ticker_symbol",)


def test_it_and_trees_in_this_process_are_judged_on_the_same_rows(trained: State) -> None:
    line, snapshot, done, _ = trained
    line.gate.judge(done.candidate, snapshot)
    line.deploy(line.registry.register(done.candidate.digest))
    line.model_spec |= {"container": "xgboost", "hyperparameters": {"num_round": 40}}
    verdict = line.gate.judge(line.train(snapshot).candidate, snapshot)
    assert verdict.champion_digest == done.candidate.digest
    assert verdict.figures["comparison"]["champion"] == pytest.approx(done.metrics["r2"], rel=1e-6)
    line.model_spec |= {"container": "linear", "hyperparameters": {}}


def test_an_environment_that_cannot_be_made_fails_the_job_with_what_to_do(
    trained: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, snapshot, _, _ = trained
    own = line.root / "containers" / "away"
    own.mkdir()
    (own / "Dockerfile").write_text('FROM python\nENTRYPOINT ["python", "train.py"]\n')
    (own / "requirements.lock").write_text(f"nothing-there==1.0 --hash=sha256:{'0' * 64}\n")
    monkeypatch.setenv("UV_OFFLINE", "1")
    line.model_spec["container"] = "away"
    with pytest.raises(UnavailableError, match="Container 'away': its environment cannot be set up") as refused:
        line.train(snapshot)
    assert refused.value.retryable
    log = sorted((line.root / "jobs").glob("*/job.log"), key=lambda path: path.stat().st_mtime)[-1].read_text()
    assert "Container 'away': setting up its environment" in log
    state = json.loads(Path(sorted((line.root / "jobs").glob("*/describe.json"), key=os.path.getmtime)[-1]).read_text())
    assert state["TrainingJobStatus"] == "Failed"
    line.model_spec["container"] = "linear"
