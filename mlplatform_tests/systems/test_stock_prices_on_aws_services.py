"""The shipped system under the shipped profile `aws`: S3, Kinesis, DynamoDB, Parameter Store, SNS, Redshift by its Data API, and
SageMaker's jobs and endpoints."""

from __future__ import annotations

import io
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pyarrow.csv as pacsv
import pytest

from mlplatform.platform import open_platform
from mlplatform_tests.prices import price_rows
from mlplatform_tests.servers.process import running
from mlplatform_tests.systems.aws_profile import SYSTEM, AwsProject
from mlplatform_tests.systems.demo import whole_loop


def tick(number: int) -> bytes:
    record = {
        "trading_day": (date(2025, 1, 1) + timedelta(days=number)).isoformat(),
        "ticker_symbol": f"T{number % 5:02d}",
        "sector": "Energy",
        "change": 0.5,
        "price": 100.0 + number,
    }
    return json.dumps(record).encode()


def test_records_reach_the_table_and_people_the_word(aws: AwsProject) -> None:
    with closing(open_platform(aws.env)) as platform:
        stations = platform.system(SYSTEM)
        stations.prepare()
        [stream] = {source.stream for source in stations.ingest("stock_table").spec.sources if source.stream}
        results = stations.producer(stream).put([tick(number) for number in range(300)])
        assert [r.error_code for r in results] == [""] * 300
        delivered = stations.delivery(stream).deliver(datetime.now(UTC) + timedelta(hours=1))
        assert sum(d.records for d in delivered) == 300
        receipts = stations.ingest("stock_table").run()
        assert (sum(r.arrived for r in receipts), sum(r.loaded for r in receipts)) == (300, 300)
        [people] = stations.notifies()
        assert people.gate_failed("stock_model", "0123", "It is worse") is True
        home = platform.home
    assert [message["Subject"] for message in aws.topic.told()] == [
        f"[{SYSTEM}] A candidate of stock_model did not pass its gate"
    ]
    assert not home.items.exists()
    assert not home.streams.exists()


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_worker_loads_what_s3_tells_of_and_tells_cloudwatch(aws: AwsProject, tmp_path: Path) -> None:
    with closing(open_platform(aws.env)) as platform:
        stations = platform.system(SYSTEM)
        stations.prepare()
        platform.asset_events.prepare()
        ingest = stations.ingest("stock_table")
        worker = [sys.executable, "-m", "mlplatform.worker.main"]
        with running(worker, ready=platform.worker_alive, log=tmp_path / "worker.log", env={**os.environ, **aws.env}):
            file = io.BytesIO()
            pacsv.write_csv(price_rows(0, 10), file)
            platform.store.put("stock_prices/base/days.csv", file.getvalue())
            stations.producer("stock_stream").put([tick(number) for number in range(50)])
            wait_for(lambda: ingest.status().loaded == 250, "250 rows")
            assert list(platform.items.list("arrivals"))
            client = boto3.client("cloudwatch")
            wait_for(lambda: client.list_metrics(Namespace=aws.bucket)["Metrics"] != [], "metrics")
            client.close()
    assert "no notices of arrivals" not in (tmp_path / "worker.log").read_text()


def wait_for(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 180
    while not condition():
        assert time.monotonic() < end, f"there are no {what}"
        time.sleep(0.5)


@pytest.mark.slow
@pytest.mark.timeout(2700)
def test_the_whole_loop_comes_to_the_figures_of_what_is_embedded(aws: AwsProject, tmp_path: Path) -> None:
    facts: dict[str, Any] = whole_loop({**os.environ, **aws.env}, tmp_path / "report.json", timeout_s=1700)
    assert facts["rows"] == 153_580 + 10 + 12_680
    assert facts["sample_rows"] == [10, 0, 0]
    assert facts["unload_loads"] == 0
    found = [facts[f"quarter_{n}"]["r2"] for n in range(1, 6)]
    assert found == pytest.approx([0.88, 0.84, 0.77, 0.68, 0.57], abs=0.03)
    assert [facts[f"quarter_{n}"]["passed"] for n in range(1, 6)] == [True, True, True, True, False]
    assert facts["retrainings_in_quiet_quarter"] == 0
    assert facts["retraining"]["request"]["evaluation_id"] == facts["quarter_5"]["evaluation"]
    assert facts["retraining"]["verdict"]["outcome"] == "better"
    assert facts["failed_calls"] == 0
    assert set(facts["answers_by_generation"]) == {"1", "2"}
    assert any("serves version" in message["Subject"] for message in aws.topic.told())
    client = boto3.client("sagemaker", **aws.account.client_options)
    jobs, endpoints = client.list_training_jobs()["TrainingJobSummaries"], client.list_endpoints()["Endpoints"]
    client.close()
    assert [job["TrainingJobStatus"] for job in jobs] == ["Completed", "Completed"]
    assert [endpoint["EndpointStatus"] for endpoint in endpoints] == ["InService"]
    embedded = whole_loop({**os.environ, "MLPLATFORM_HOME": str(tmp_path / "embedded")}, tmp_path / "embedded.json")
    assert figures(facts) == pytest.approx(figures(embedded), rel=1e-9)


def figures(facts: dict[str, Any]) -> dict[str, float]:
    """Rows, metrics and the verdict of one run of the loop, by name."""
    judged = facts["retraining"]["verdict"]["figures"]
    return {
        "rows": facts["rows"],
        **{f"first {name}": value for name, value in facts["first"].items()},
        **{f"quarter {n}": facts[f"quarter_{n}"]["r2"] for n in range(1, 6)},
        "second": judged["value"],
        **{name: judged["comparison"][name] for name in ("champion", "challenger", "improvement", "low", "high")},
    }
