"""The training station, unchanged, with its jobs on SageMaker: the same model as from this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlplatform.adapters.compute.sagemaker import SageMakerCompute
from mlplatform.adapters.compute.sagemaker_settings import SageMakerComputeSettings
from mlplatform_tests.conformance.computes import SETTINGS, bucket_store
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.sagemaker.server import SageMakerAccount
from mlplatform_tests.stations.line import Line


@pytest.mark.slow
def test_a_model_trained_on_sagemaker_has_the_metrics_of_one_trained_here(
    sagemaker_account: SageMakerAccount, ministack_server: Ministack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in sagemaker_account.env.items():
        monkeypatch.setenv(name, value)
    line = Line(tmp_path / "line")
    line.load_days(7600, 7679)
    here = line.train(line.build())
    line.store = bucket_store(ministack_server)  # type: ignore[assignment]
    line.compute = SageMakerCompute(  # type: ignore[assignment]
        SageMakerComputeSettings.model_validate(SETTINGS),
        tmp_path / "local",
        line.store,
        containers=line.containers,
        client_options={"aws_access_key_id": sagemaker_account.key, "aws_secret_access_key": "test"},
    )
    there = line.train(line.build())
    metrics = {name: value for name, value in here.metrics.items() if not name.endswith("_s")}
    assert {name: there.metrics[name] for name in metrics} == metrics
    assert there.billable_s is not None
    assert there.billable_s >= 1
    assert here.billable_s is None
    described = line.compute.describe(there.job)
    assert described["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"].startswith("s3://")
    assert {"Key": "system", "Value": "stock_prices"} in described["Tags"]
