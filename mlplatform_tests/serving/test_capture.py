"""Capture keeps what was asked and answered, masks it before it reaches a disk, and counts what it could not keep."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.core.capture.spool import GIVEN_AT, NUMBER, WRITTEN_AT
from mlplatform.errors import ProfileError
from mlplatform.serving.capture import FLUSH_S, Capture
from mlplatform.serving.inference_id import named_uuid, uuid7
from mlplatform.stations.capture import Capture as CaptureStation
from mlplatform.stations.capture import read_segment
from mlplatform_tests.gateway.site import NAME, ROW, Site, spec
from mlplatform_tests.serving.capturing import captured_lines, no_secret, record, secret, served_model
from mlplatform_tests.serving.until import until


def spooled(root: Path) -> list[dict[str, Any]]:
    """All lines but headers, in order."""
    lines = [line for path in sorted((root / "spool").rglob("*.jsonl")) for line in path.read_text().splitlines()[1:]]
    return [json.loads(line) for line in lines]


def counts(root: Path) -> tuple[int, int]:
    """Last sequence given out, and last one written."""
    (path,) = (root / "spool").rglob("*.count")
    data = path.read_bytes()
    return NUMBER.unpack_from(data, GIVEN_AT)[0], NUMBER.unpack_from(data, WRITTEN_AT)[0]


def test_a_request_is_kept_with_its_answer_and_whence_it_came(tmp_path: Path) -> None:
    served = served_model(tmp_path)
    capture = Capture(tmp_path / "spool", secret=no_secret)
    capture.prepare(served)
    capture.start()
    row = {**ROW, "trading_day": "2020-07-01"}
    inference_id = record(capture, served, [row, ROW])
    capture.close()
    (line,) = spooled(tmp_path)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line.pop("captured_at"))
    assert line == {
        "sequence": 1,
        "inference_id": inference_id,
        "request_id": "r",
        "endpoint": NAME,
        "variant": "main",
        "generation": 1,
        "version": 5,
        "digest": served.deployment.digest,
        "content_type": "application/json",
        "rows": [row, ROW],
        "predictions": [
            {"value": 1.5, "probabilities": None, "flags": []},
            {"value": 2.5, "probabilities": None, "flags": []},
        ],
    }
    assert counts(tmp_path) == (1, 1)


def test_masked_fields_are_hashed_under_a_key_and_dropped_ones_are_gone(tmp_path: Path) -> None:
    served = served_model(tmp_path, capture={"mask": ["ticker_symbol", "trading_day"], "drop": ["sector"]})
    capture = Capture(tmp_path / "spool", secret=secret)
    capture.prepare(served)
    record(capture, served, [{**ROW, "trading_day": None}, ROW, {**ROW, "ticker_symbol": "JPM"}])
    capture.close()
    (line,) = spooled(tmp_path)
    first, same, other = line["rows"]
    assert first["trading_day"] is None
    assert first["change"] == 1.5
    assert re.fullmatch(r"[0-9a-f]{32}", first["ticker_symbol"])
    assert first["ticker_symbol"] == same["ticker_symbol"] != other["ticker_symbol"]
    assert "sector" not in first
    assert b"AAPL" not in b"".join(p.read_bytes() for p in (tmp_path / "spool").rglob("*") if p.is_file())


def test_a_mask_without_a_key_is_refused_before_anything_is_served(tmp_path: Path) -> None:
    served = served_model(tmp_path, capture={"mask": ["ticker_symbol"]})
    with pytest.raises(
        ProfileError, match=r"masks ticker_symbol in what it captures, and there is no secret 'capture_mask_key'"
    ):
        Capture(tmp_path / "spool", secret=no_secret).prepare(served)


def test_no_request_outside_the_sample_is_kept_and_none_of_them_is_a_gap(tmp_path: Path) -> None:
    served = served_model(tmp_path, capture={"sample": 0.0})
    capture = Capture(tmp_path / "spool", secret=no_secret)
    capture.prepare(served)
    for _ in range(10):
        record(capture, served)
    capture.close()
    assert spooled(tmp_path) == []
    assert counts(tmp_path) == (0, 0)


def test_half_a_sample_keeps_about_half(tmp_path: Path) -> None:
    served = served_model(tmp_path, capture={"sample": 0.5})
    capture = Capture(tmp_path / "spool", secret=no_secret)
    capture.prepare(served)
    for _ in range(1000):
        record(capture, served)
    capture.close()
    kept = len(spooled(tmp_path))
    assert 400 < kept < 600  # six standard deviations
    assert counts(tmp_path) == (kept, kept)


def test_a_full_queue_never_blocks_and_what_it_drops_is_missing_by_number(tmp_path: Path) -> None:
    served = served_model(tmp_path)
    capture = Capture(tmp_path / "spool", secret=no_secret, queue_requests=3)
    capture.prepare(served)
    for _ in range(5):
        record(capture, served)
    capture.flush()
    record(capture, served)
    capture.close()
    assert [line["sequence"] for line in spooled(tmp_path)] == [1, 2, 3, 6]
    drained = CaptureStation(
        DirectoryObjectStore(tmp_path / "store"), tmp_path / "spool", spec(), system="stock_prices"
    ).drain()
    assert (drained.requests, drained.gap) == (4, 2)


def test_segments_follow_each_other_by_what_came_before(tmp_path: Path) -> None:
    served = served_model(tmp_path)
    capture = Capture(tmp_path / "spool", secret=no_secret)
    capture.prepare(served)
    for _ in range(2):
        record(capture, served)
        capture.flush()
        for lane in capture._lanes.values():
            lane.spool.close_when_due(now=0.0, force=True)
    capture.close()
    paths = sorted((tmp_path / "spool").rglob("*.jsonl"))
    assert [read_segment(path)[0] for path in paths] == [0, 1]
    assert [[r.sequence for r in read_segment(path)[1]] for path in paths] == [[1], [2]]


def test_an_answer_is_on_disk_within_fifty_milliseconds_and_what_writing_takes(tmp_path: Path) -> None:
    served = served_model(tmp_path)
    capture = Capture(tmp_path / "spool", secret=no_secret)
    capture.prepare(served)
    capture.start()
    delays, writes = [], []
    try:
        for number in range(1, 21):
            record(capture, served)
            began = time.monotonic()
            until(lambda n=number: len(captured_lines(tmp_path / "spool")) == n)
            delays.append(time.monotonic() - began)
            began = time.monotonic()
            with (tmp_path / "beside").open("ab", buffering=0) as file:
                file.write(bytes(1000))
                os.fdatasync(file.fileno())
            writes.append(time.monotonic() - began)
    finally:
        capture.close()
    assert FLUSH_S <= 0.05
    # Each begins when the one before was written, so that the shortest is a whole pause too, whatever else the machine does.
    assert min(delays) < 2 * FLUSH_S + max(writes)


def test_a_kill_loses_at_most_what_was_not_yet_written_and_counts_it(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.deploy(site.package(), public=True)
    store = DirectoryObjectStore(tmp_path / "store")
    station = CaptureStation(store, tmp_path / "capture", spec(), system="stock_prices")
    answered = []
    with site.serve() as served:
        with served.client() as client:
            for number in range(200):
                if number == 100:
                    until(lambda: len(captured_lines(tmp_path / "capture")) == 100)
                answered.append(client.post("/predict/prices", json=ROW).json()["inference_id"])
        os.kill(served.processes[0].pid, signal.SIGKILL)
        served.processes[0].wait()
    drained = station.drain()
    kept = []
    for info in store.list(station.prefix):
        with store.open(info.key) as file:
            kept += [json.loads(line)["inference_id"] for line in file]
    assert kept == answered[: len(kept)]
    assert len(kept) >= 100
    assert drained.rows == len(kept)
    assert drained.gap == len(answered) - len(kept)
    assert station.gap() == drained.gap
    assert not any(p.is_file() for p in (tmp_path / "capture").rglob("*"))


@pytest.mark.slow
def test_what_a_kill_loses_was_answered_within_the_last_fifty_milliseconds_and_what_writing_takes(
    tmp_path: Path,
) -> None:
    ages, writes = [], []
    for number in range(9):
        folder = tmp_path / str(number)
        site = Site(folder)
        site.deploy(site.package(), public=True)
        answered: list[tuple[str, float]] = []
        with site.serve() as served:
            with served.client() as client:
                began = time.monotonic()
                # A kill falls anywhere between two writes.
                while time.monotonic() - began < 1 + 0.017 * number:
                    found = client.post("/predict/prices", json=ROW).json()["inference_id"]
                    answered.append((found, time.monotonic()))
            killed = time.monotonic()
            os.kill(served.processes[0].pid, signal.SIGKILL)
            served.processes[0].wait()
        kept = {json.loads(line)["inference_id"] for line in captured_lines(folder / "capture")}
        lost = [at for found, at in answered if found not in kept]
        ages.append(killed - min(lost) if lost else 0.0)
        began = time.monotonic()
        with (folder / "beside").open("ab", buffering=0) as file:
            file.write(bytes(100_000))
            os.fdatasync(file.fileno())
        writes.append(time.monotonic() - began)
    assert sorted(ages)[len(ages) // 2] < FLUSH_S + 0.05 + max(writes), ages


def test_a_worker_that_ends_by_sigterm_loses_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.deploy(site.package(), public=True)
    store = DirectoryObjectStore(tmp_path / "store")
    station = CaptureStation(store, tmp_path / "capture", spec(), system="stock_prices")
    with site.serve() as served, served.client() as client:
        for _ in range(50):
            client.post("/predict/prices", json=ROW)
    drained = station.drain()
    assert (drained.requests, drained.gap) == (50, 0)


def test_closed_segments_are_drained_while_the_worker_goes_on(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.deploy(site.package(), public=True)
    station = CaptureStation(
        DirectoryObjectStore(tmp_path / "store"), tmp_path / "capture", spec(), system="stock_prices"
    )
    with site.serve() as served, served.client() as client:
        for _ in range(3):
            client.post("/predict/prices", json=ROW)
        moved: list[int] = []

        def drained() -> int:
            moved.append(station.drain().requests)
            return sum(moved)

        until(lambda: drained() == 3)
        client.post("/predict/prices", json=ROW)
    rest = station.drain()
    assert (rest.requests, rest.gap) == (1, 0)


def test_ids_are_uuids_of_their_version() -> None:
    ids = [uuid7() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert all(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", i) for i in ids)
    named = named_uuid("order-17", b"{}")
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", named)
    assert named == named_uuid("order-17", b"{}")
    assert len({named, named_uuid("order-18", b"{}"), named_uuid("order-17", b"[]")}) == 3
