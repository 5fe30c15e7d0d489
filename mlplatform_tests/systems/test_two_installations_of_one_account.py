"""Two installations that train the same rows by the same code in one account of SageMaker: each has a job and a model of its own."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import pyarrow.csv as pacsv
import pytest
import yaml

from mlplatform.platform import open_platform
from mlplatform.platform.line import build_features, train_candidate
from mlplatform_tests.components.site import PACKAGE, SYSTEM
from mlplatform_tests.conformance.endpoint_places import IMAGES, SageMakerPlace, sagemaker_place
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.prices import price_rows
from mlplatform_tests.servers.sagemaker.fixtures import sagemaker_server
from mlplatform_tests.systems.test_stock_prices_on_sagemaker_endpoints import _project as project

__all__ = ["ministack_server", "sagemaker_place", "sagemaker_server"]


@pytest.mark.slow
def test_none_takes_the_others_job(
    sagemaker_place: SageMakerPlace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in sagemaker_place.account.env.items():
        monkeypatch.setenv(name, value)
    # boto3 keeps a session, which read the environment when it was made.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    assert sagemaker_place.store
    first, second = (trained(installation(tmp_path / stage, sagemaker_place, stage)) for stage in ("test", "prod"))
    assert first[1] == second[1]
    jobs = sagemaker_place.control.list_training_jobs()["TrainingJobSummaries"]
    assert {job["TrainingJobName"]: job["TrainingJobStatus"] for job in jobs} == {
        first[0]: "Completed",
        second[0]: "Completed",
    }
    assert first[0] != second[0]


def installation(root: Path, place: SageMakerPlace, stage: str) -> dict[str, str]:
    """One on this machine, but for objects, in a place of their own, and jobs."""
    env = {**project(root), "MLPLATFORM_PROFILE": "jobs"}
    profile: dict[str, Any] = yaml.safe_load((PACKAGE.parent / "profiles" / "local.yaml").read_text("utf-8"))
    profile["name"] = "jobs"
    role = "arn:aws:iam::111122223333:role/jobs"
    profile["connections"] |= {
        "objects": {"port": "object_store", "adapter": "s3", "settings": {"bucket": place.bucket, "prefix": stage}},
        "jobs": {
            "port": "compute",
            "adapter": "sagemaker",
            "settings": {"role_arn": role, "image": f"{IMAGES}/{{container}}:1", "poll_s": 1},
        },
    }
    (root / "profiles").mkdir()
    prices = "currency: USD\nas_of: 2026-10-01\nper_hour: {ml.m5.large: 0.115}\n"
    (root / "profiles" / "prices").mkdir()
    (root / "profiles" / "prices" / "us-east-1.yaml").write_text(prices, "utf-8")
    (root / "profiles" / "jobs.yaml").write_text(
        yaml.safe_dump({**profile, "prices": "prices/us-east-1.yaml"}), "utf-8"
    )
    return env


def trained(env: Mapping[str, str]) -> tuple[str, float]:
    """The candidate's job and metric."""
    with closing(open_platform(env)) as platform:
        stations = platform.system(SYSTEM)
        stations.prepare()
        file = io.BytesIO()
        pacsv.write_csv(price_rows(0, 120), file)
        platform.store.put(f"{SYSTEM}/base/days.csv", file.getvalue())
        stations.ingest("stock_table").run()
        build_features(stations, "stock_features", parameters={}, run_id="run-1", request=None)
        step = train_candidate(stations, "stock_model", run_id="run-1", request=None, on_log=lambda _: None)
        assert step.metadata["cost_usd"] == round(0.115 * step.metadata["billable_s"] / 3600, 6) > 0
        assert step.metadata["prices_as_of"].startswith("2026-10-01")
        return str(step.metadata["training_job"]), float(step.metadata["r2"])
