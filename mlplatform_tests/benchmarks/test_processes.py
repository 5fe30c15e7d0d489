"""Warm processes and servers: what they measure, and that nothing outlives its block."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import psutil
import pytest

from benchmarks.freshness.bench import Seen, latencies, percentile
from benchmarks.ingest.data import write_csv
from benchmarks.overhead.timeline import CAUSES, causes
from benchmarks.processes import free_port, server, warm


def test_a_warm_process_answers_with_seconds_and_its_peak(tmp_path: Path) -> None:
    csv = tmp_path / "rows.csv"
    write_csv(csv, 1_500)
    with warm("benchmarks.ingest.copy", log=tmp_path / "copy.log") as copy:
        copy.ask("open", file=str(tmp_path / "bare.duckdb"))
        copy.ask("prepare", table="rows")
        said = copy.ask("copy", table="rows", csv=str(csv))
    assert said["loaded"] == 1_500
    assert said["seconds"] > 0
    assert 1 < said["peak_mib"] < 4096


def test_our_load_of_the_same_rows_is_measured_and_balanced(tmp_path: Path) -> None:
    csv = tmp_path / "rows.csv"
    write_csv(csv, 1_500)
    with warm("benchmarks.ingest.ours", log=tmp_path / "ours.log") as ours:
        ours.ask("open", home=str(tmp_path / "home"))
        ours.ask("prepare", table="rows", csv=str(csv), keyed=True)
        said = ours.ask("load", table="rows")
    assert (said["loaded"], said["arrived"], said["balanced"]) == (1_500, 1_500, True)


def test_a_process_that_breaks_says_why(tmp_path: Path) -> None:
    with (
        warm("benchmarks.ingest.copy", log=tmp_path / "copy.log") as copy,
        pytest.raises(
            RuntimeError,
            match=r"'copy' of benchmarks.ingest.copy \(.*\) ended the process; its log ends:\n(.|\n)*AttributeError",
        ),
    ):
        copy.ask("copy", table="rows", csv="nowhere.csv")


def test_a_process_that_does_not_answer_is_ended_and_what_it_was_asked_is_named(tmp_path: Path) -> None:
    with (
        warm("benchmarks.ingest.copy", log=tmp_path / "copy.log", limit_s=0.01) as copy,
        pytest.raises(
            RuntimeError, match=r"'open' of benchmarks.ingest.copy \(file='.*bare.duckdb'\) did not answer in 0.01 s"
        ),
    ):
        copy.ask("open", file=str(tmp_path / "bare.duckdb"))


def test_rows_of_the_same_arguments_are_the_same_bytes(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", 300)
    write_csv(tmp_path / "b.csv", 300)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


def test_a_server_and_what_it_started_end_with_the_block(tmp_path: Path) -> None:
    port = free_port()
    code = f"import subprocess, sys, http.server; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); http.server.test(port={port}, bind='127.0.0.1')"

    def ready() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    with server([sys.executable, "-c", code], ready=ready, log=tmp_path / "server.log") as process:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        assert len(family) == 2
    _, alive = psutil.wait_procs(family, timeout=30)
    assert alive == []


def test_a_server_that_ends_at_once_is_told_with_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no model')"]
    with (
        pytest.raises(RuntimeError, match=r"it ended; its log ends:\nno model"),
        server(command, ready=lambda: False, log=tmp_path / "server.log"),
    ):
        pass


def test_a_record_is_as_stale_as_the_first_look_that_shows_it() -> None:
    # Ids 0 to 15 were put at 100.0, two of each key; the looks see the first of each, then all.
    seen = [Seen(100.5, (0, 1, 2, 3, 4, 5, 6, 7), None), Seen(101.0, (8, 9, 10, 11, 12, 13, 14, 15), None)]
    assert latencies([(100.0, 0, 15)], seen) == [0.5] * 8 + [1.0] * 8


def test_a_record_that_was_never_seen_has_no_latency() -> None:
    assert latencies([(100.0, 0, 8)], [Seen(100.5, (0, 1, 2, 3, 4, 5, 6, 7), None)]) == [0.5] * 8


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(v) for v in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.95, 1.0)] == [50.0, 95.0, 100.0]


def test_the_causes_of_a_refresh_add_up_to_the_whole() -> None:
    steps = {
        "bench_features": (7, 8),
        "bench_model_candidate": (8.5, 12),
        "bench_model": (12, 12.5),
        "bench_endpoint": (12.5, 14),
    }
    run = {"enqueued": 4.0, "starting": 5.0, "started": 6.5}
    run |= {f"{name} start": float(a) for name, (a, _) in steps.items()}
    run |= {f"{name} end": float(b) for name, (_, b) in steps.items()}
    found = causes(put=1.0, loaded=2.0, requested=3.0, run=run, live=13.5)
    assert found["whole"] == 12.5
    assert sum(found[cause] for cause in CAUSES) == pytest.approx(12.5)
    assert (found["load"], found["queue"], found["process"], found["training"], found["deploy"]) == (
        1.0,
        1.0,
        1.5,
        3.5,
        1.0,
    )
    assert found["between"] == pytest.approx(1.0)
