"""The training station, unchanged, with its jobs on SageMaker: the same model as from this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlplatform.adapters.compute.sagemaker import SageMakerCompute
from mlplatform.adapters.compute.sagemaker_settings import SageMakerComputeSettings
from mlplatform.core.packages.manifest import read_package
from mlplatform_tests.conformance.computes import SETTINGS, bucket_store
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.sagemaker.server import SageMakerAccount
from mlplatform_tests.stations.line import Line


def on_sagemaker(line: Line, account: SageMakerAccount, server: Ministack, **settings: Any) -> None:
    """Let the line's jobs and objects be on the stand-in from now on."""
    line.store = bucket_store(server)  # type: ignore[assignment]
    line.compute = SageMakerCompute(  # type: ignore[assignment]
        SageMakerComputeSettings.model_validate({**SETTINGS, **settings}),
        line.root / "local",
        line.store,
        containers=line.containers,
        client_options={"aws_access_key_id": account.key, "aws_secret_access_key": "test"},
    )


@pytest.fixture
def line(sagemaker_account: SageMakerAccount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Line:
    for name, value in sagemaker_account.env.items():
        monkeypatch.setenv(name, value)
    found = Line(tmp_path / "line")
    found.load_days(7600, 7679)
    return found


@pytest.mark.slow
def test_a_model_trained_on_sagemaker_has_the_metrics_of_one_trained_here(
    line: Line, sagemaker_account: SageMakerAccount, ministack_server: Ministack
) -> None:
    here = line.train(line.build())
    on_sagemaker(line, sagemaker_account, ministack_server)
    there = line.train(line.build())
    metrics = {name: value for name, value in here.metrics.items() if not name.endswith("_s")}
    assert {name: there.metrics[name] for name in metrics} == metrics
    assert there.billable_s is not None
    assert there.billable_s >= 1
    assert here.billable_s is None
    described = line.compute.describe(there.job)
    assert described["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"].startswith("s3://")
    assert {"Key": "system", "Value": "stock_prices"} in described["Tags"]


def test_a_model_s_search_is_a_tuning_job_whose_best_trial_is_the_candidate(
    line: Line, sagemaker_account: SageMakerAccount, ministack_server: Ministack
) -> None:
    on_sagemaker(line, sagemaker_account, ministack_server, search="tuning", search_strategy="Random")
    line.model_spec["hyperparameters"] = {"num_round": 5, "nthread": 1, "eta": 0.3}
    line.model_spec["search"] = {"trials": 2, "ranges": {"eta": {"low": 0.05, "high": 0.5, "log": True}}}
    snapshot = line.build()
    trained = line.train(snapshot)
    best = max(trained.trials, key=lambda trial: trial["r2"])
    manifest = read_package(line.tracking.package("stock_prices.stock_model", trained.candidate.digest))
    assert trained.job == manifest.training_job == best["job"]
    assert manifest.parameters["eta"] == best["parameters"]["eta"] != "0.3"
    assert all(0.05 <= float(trial["parameters"]["eta"]) <= 0.5 for trial in trained.trials)
    assert [trial["status"] for trial in trained.trials] == ["Completed"] * 2
    assert trained.billable_s is not None
    assert trained.billable_s >= 2
    assert line.gate.judge(trained.candidate, snapshot).passed is (trained.metrics["r2"] >= 0.6)
    assert line.train(snapshot).candidate.digest == trained.candidate.digest
    assert len(line.compute.list()) == 3


@pytest.mark.slow
def test_a_search_without_ranges_stays_the_container_s(
    line: Line, sagemaker_account: SageMakerAccount, ministack_server: Ministack
) -> None:
    on_sagemaker(line, sagemaker_account, ministack_server, search="tuning")
    line.model_spec["hyperparameters"] = {"num_round": 3, "nthread": 1}
    line.model_spec["search"] = {"trials": 1}
    trained = line.train(line.build())
    assert len(trained.trials) == 2
    assert all({"parameters", "r2"} <= set(trial) for trial in trained.trials)
    assert line.compute.list() == [trained.job]
    assert sagemaker_account.calls.count("CreateHyperParameterTuningJob") == 0
