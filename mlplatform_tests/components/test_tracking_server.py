"""The line with its runs and versions on an MLflow server: what it trains is there, and another home finds it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlplatform.adapters.tracking.mlflow_settings import MlflowSettings
from mlplatform.cli.serve import _addresses, _tracker
from mlplatform.platform.checkup import checkup
from mlplatform_tests.components.site import SYSTEM, Site, errors, metadata
from mlplatform_tests.conformance.trackings import mlflow_servers, server_tracking
from mlplatform_tests.servers.mlflow.server import MlflowServer

__all__ = ["mlflow_servers"]


@pytest.mark.slow
def test_the_line_runs_on_a_server(
    mlflow_servers: MlflowServer,
    make_site: Callable[[], Site],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    site = make_site()
    site.profile("served", tracking={"settings": {"server": mlflow_servers.url}})
    monkeypatch.setenv("MLPLATFORM_PROFILE", "served")
    site.put_days(0, 300)
    assert site.materialize("stock_stream_landing", "stock_table").success
    first = site.refresh(site.ask().id)
    assert first.success, errors(first)
    assert site.generation() == 1
    assert str(metadata(first, "stock_model_candidate")["mlflow"].value).startswith(
        f"{mlflow_servers.url}/#/experiments/"
    )
    (version,) = server_tracking(MlflowSettings(server=mlflow_servers.url), tmp_path).versions(f"{SYSTEM}.stock_model")
    assert version.aliases == ("champion",)
    assert version.tags["dagster_run_url"].endswith(first.run_id)
    assert all(finding.ok for finding in checkup(site.platform) if finding.what.startswith("model "))
    assert [row["what"] for row in _addresses(site.platform, ui=True)] == ["Dagster UI", "Gateway's API docs"]
    assert _tracker(site.platform, {}) == []
    mlflow_servers.empty()
