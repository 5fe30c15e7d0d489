"""The contract of the warehouse port: sessions that die, and callers that are stopped."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mlplatform.core.features.pull import Pull
from mlplatform.errors import TransientError
from mlplatform.ports.batches import batches
from mlplatform.stations.pulled_rows import standing
from mlplatform_tests.conformance.interruption import stopped
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.conformance.redshift_warehouse import redshift_server
from mlplatform_tests.conformance.warehouse_servers import WarehouseServer
from mlplatform_tests.conformance.warehouses import HEADER, PRICES, Case, case, counts, shared_ducklake
from mlplatform_tests.stations.crashing_store import EdgedStore

__all__ = ["case", "ministack_server", "redshift_server", "shared_ducklake"]

DEADLINE_S = 60.0


def until(found: Callable[[], bool]) -> None:
    """Waits for what must come."""
    deadline = time.monotonic() + DEADLINE_S
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_query_answers_although_its_session_died_before_it(case: Case, server: WarehouseServer) -> None:
    case.load("in/a.csv", HEADER + b"A,,1,,2020-01-01\n")
    for _ in range(2):
        assert case.count() == 1
        server.end_sessions(case.warehouse)
        assert case.count() == 1
        server.end_sessions(case.warehouse)
        assert case.warehouse.guard("prices", "objects/in/").last == "1"


def test_rows_come_in_batches_although_the_session_died_before_them(case: Case, server: WarehouseServer) -> None:
    case.load("in/a.csv", HEADER + b"A,,1,,2020-01-01\n")
    server.end_sessions(case.warehouse)
    assert sum(batch.num_rows for batch in batches(case.warehouse, "SELECT ticker FROM prices")) == 1


def test_a_load_whose_session_dies_in_the_middle_is_whole_or_not_there_and_comes_next_time(
    case: Case, server: WarehouseServer
) -> None:
    case.load("in/a.csv", HEADER + b"A,,1,,2020-01-01\n")
    plan = case.plan("in/b.csv", HEADER + b"A,,2,,2020-01-01\nB,,2,,2020-01-01\nC,,x,,2020-01-01\n")
    cuts: list[str] = []

    def cut(name: str) -> None:
        # Rows are staged by now; what comes next asks the server.
        if name.startswith("before head") and not cuts:
            cuts.append(name)
            server.end_sessions(case.warehouse)

    try:
        case.warehouse.load(plan, PRICES, EdgedStore(case.store, cut))
    except TransientError:
        assert case.rows("SELECT count(*) AS n FROM _ledger") == [(1,)]
        assert case.count() == 1
    assert len(cuts) == 1
    again = case.warehouse.load(plan, PRICES, case.store)
    assert (counts(again), again.position) == ((3, 1, 1, 1, 0), 2)
    assert case.rows("SELECT ticker, price FROM prices ORDER BY ticker") == [("A", 1.0), ("B", 2.0)]
    assert case.rows("SELECT count(*) AS n FROM _quarantine") == [(1,)]
    assert case.rows("SELECT count(*) AS n FROM _ledger") == [(2,)]


class RunEndedError(BaseException):
    """As Dagster ends a run: by an exception of its own, at SIGTERM."""


def end_run(_number: int, _frame: object) -> None:
    raise RunEndedError


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("by", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, RunEndedError)], ids=["caller", "run"]
)
def test_who_is_stopped_takes_his_query_along(case: Case, by: signal.Signals, error: type[BaseException]) -> None:
    server = case.server

    def running() -> bool:
        # An engine within this process has no server to look at.
        return server.working() > 0 if server is not None and server.works else time.monotonic() > started + 0.5

    case.rows("SELECT 1 AS one")
    started = time.monotonic()
    before = signal.signal(signal.SIGTERM, end_run)
    try:
        with pytest.raises(error), stopped(by, running):
            case.warehouse.query(case.slow)
    finally:
        signal.signal(signal.SIGTERM, before)
    gc.collect()
    if server is not None:
        until(lambda: server.working() == 0)
    assert case.rows("SELECT 1 AS one") == [(1,)]
    case.load("in/a.csv", HEADER + b"A,,1,,2020-01-01\n")
    assert case.count() == 1


def test_a_job_that_is_ended_takes_its_query_along(case: Case, server: WarehouseServer, tmp_path: Path) -> None:
    """The process that pulls rows for a training job, at SIGTERM."""
    assert case.source is not None
    source, query = tmp_path / "source.json", tmp_path / "query.json"
    source.write_text(json.dumps(case.source.document()))
    stands = standing(case.warehouse, case.slow)
    query.write_text(json.dumps(Pull(case.slow, ("n",), ("n",), 1, stands.version, stands.loads).to_json()))
    command = [sys.executable, "-m", "mlplatform.platform.reader", "rows", str(source), "0", "1", str(query)]
    env = {**os.environ, **case.source.env}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as reader:

        def working() -> bool:
            assert reader.poll() is None, reader.communicate()
            return server.working() > 0

        until(working)
        reader.terminate()
        _, said = reader.communicate(timeout=DEADLINE_S)
    assert (reader.returncode, said) == (-signal.SIGTERM, "")
    until(lambda: server.working() == 0)
