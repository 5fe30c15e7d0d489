"""Rows that are never unloaded: jobs pull them out of the warehouse, as they stood when the feature set was built."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlplatform.core.packages.manifest import read_package
from mlplatform.errors import JobError, NotFoundError
from mlplatform.spec.feature_set import FeatureSetSpec
from mlplatform.stations.feature_snapshot import FeatureSnapshot
from mlplatform.stations.pinned import built
from mlplatform_tests.stations.line import FEATURES, MODEL, Line

PULLED = {**FEATURES, "channel": "warehouse"}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Line:
    line = Line(tmp_path_factory.mktemp("pulled"))
    line.load_days(7419, 7679)
    return line


@pytest.fixture
def line(loaded: Line) -> Iterator[Line]:
    loaded.features_spec = dict(PULLED)
    yield loaded
    loaded.model_spec = dict(MODEL)


def _rows(line: Line, snapshot: FeatureSnapshot, channel: str) -> list[dict[str, Any]]:
    return line.features.read(snapshot, channel).to_pylist()


def test_a_build_moves_nothing_and_says_the_same_rows_as_an_unload(line: Line) -> None:
    pulled = line.build()
    keys = [info.key for prefix in pulled.channels.values() for info in line.store.list(prefix)]
    assert sorted(key.rpartition("/")[2] for key in keys) == ["query.json"] * 3
    line.features_spec = dict(FEATURES)
    unloaded = line.build()
    assert pulled.rows == unloaded.rows
    assert pulled.ref.engine_version == unloaded.ref.engine_version
    assert pulled.ref.rows == unloaded.ref.rows
    for channel in pulled.channels:
        assert _rows(line, pulled, channel) == _rows(line, unloaded, channel)


def test_the_same_state_is_the_same_snapshot(line: Line) -> None:
    assert line.build().ref.id == line.build().ref.id


def test_a_job_pulls_its_rows_and_learns_what_it_learns_from_files(line: Line) -> None:
    trained = line.train(line.build())
    package = line.tracking.package("stock_prices.stock_model", trained.candidate.digest)
    baseline = json.loads((package / "baseline.json").read_text())
    line.features_spec = dict(FEATURES)
    staged = line.train(line.build())
    assert trained.metrics == pytest.approx(staged.metrics)
    theirs = json.loads(
        (line.tracking.package("stock_prices.stock_model", staged.candidate.digest) / "baseline.json").read_text()
    )
    assert baseline["rows"] == theirs["rows"]
    assert baseline["features"][0] == theirs["features"][0]
    assert [f["present"] for f in baseline["features"]] == [f["present"] for f in theirs["features"]]


def test_hosts_pull_disjoint_shares_that_together_are_all(line: Line) -> None:
    line.model_spec = {**MODEL, "hosts": 2}
    lines: list[str] = []
    snapshot = line.build()
    trained = line.training.train(snapshot, run_id="run-1", code_version="c" * 40, on_log=lines.append)
    told = [line.split(" | train: ")[1] for line in lines if " | train: " in line]
    counts = [int(text.removesuffix(" rows")) for text in told]
    assert sum(counts) == snapshot.rows["train"]
    assert len(counts) == 2
    assert min(counts) > 0.4 * snapshot.rows["train"]
    manifest = read_package(line.tracking.package("stock_prices.stock_model", trained.candidate.digest))
    assert manifest.metrics["r2"] > 0.93
    verdict = line.gate.judge(trained.candidate, snapshot)
    assert verdict.passed
    assert verdict.figures["rows"] == snapshot.rows["test"]


def test_a_run_repeated_after_the_table_grew_reads_the_same_rows(tmp_path: Path) -> None:
    line = Line(tmp_path, features_spec=dict(PULLED))
    line.load_days(7600, 7650)
    before = line.build()
    rows = _rows(line, before, "train")
    line.load_days(7650, 7679)
    assert _rows(line, before, "train") == rows
    assert Line(tmp_path, features_spec=dict(PULLED), minutes=5).build().ref.id != before.ref.id
    late = datetime.now(UTC) + timedelta(days=400)
    line.warehouse.maintain(now=late, keep=timedelta(0), pinned=[str(before.ref.engine_version)])
    assert _rows(line, before, "train") == rows
    line.warehouse.maintain(now=late, keep=timedelta(0))
    line = Line(tmp_path, features_spec=dict(PULLED))
    with pytest.raises(NotFoundError, match="version"):
        _rows(line, before, "train")
    with pytest.raises(JobError, match="version"):
        line.train(before)


def test_a_sample_takes_the_same_keys_for_a_seed_and_leaves_held_out_rows_alone(line: Line) -> None:
    whole = line.build()
    days = {}
    for name, sample in (("share", {"share": 0.5}), ("again", {"share": 0.5}), ("other", {"share": 0.5, "seed": 1})):
        line.features_spec = {**PULLED, "sample": sample}
        snapshot = line.build()
        assert snapshot.rows["test"] == whole.rows["test"]
        assert 0.3 < snapshot.rows["train"] / whole.rows["train"] < 0.7
        days[name] = {row["trading_day"] for row in _rows(line, snapshot, "train")}
    assert days["share"] == days["again"] != days["other"]
    line.features_spec = {**FEATURES, "sample": {"rows": 1000}}
    staged = line.build()
    assert 600 < staged.rows["train"] + staged.rows["validation"] < 1400


@pytest.mark.parametrize("more", [{"channel": "warehouse"}, {"sample": {"share": 0.5}}])
def test_rows_that_are_chosen_by_key_need_one(more: dict[str, Any]) -> None:
    split = {"by": "time", "holdout": 0.1, "validation": 0.1}
    with pytest.raises(ValueError, match="needs the split's 'key'"):
        FeatureSetSpec.model_validate({**FEATURES, **more, "split": split})


def test_the_state_of_a_build_outlives_upkeep_as_long_as_the_build(line: Line) -> None:
    build = line.build()
    before = _rows(line, build, "test")
    line.load_days(7680, 7681)
    kept = built(line.store, system="stock_prices", feature_set="stock_features")
    assert build.ref.engine_version in kept
    for hours in (1, 3):
        now = datetime.now(UTC) + timedelta(hours=hours)
        line.warehouse.maintain(now=now, keep=timedelta(0), pinned=kept)
    assert _rows(line, build, "test") == before
