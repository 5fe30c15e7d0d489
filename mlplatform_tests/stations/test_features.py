"""Features: window and split in the warehouse, unloaded at one snapshot, content-named."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.compute as pc
import pytest

from mlplatform.core.training.split import HashSplit, TimeSplit
from mlplatform.errors import DataError, NotFoundError, SpecError
from mlplatform_tests.stations.line import FEATURES, Line


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Line:
    """400 trading days of prices in the warehouse."""
    line = Line(tmp_path_factory.mktemp("features"))
    assert line.load_days(7279, 7679) == 8000
    return line


@pytest.fixture
def line(loaded: Line) -> Iterator[Line]:
    yield loaded
    loaded.features_spec = dict(FEATURES)


def test_channels_hold_the_newest_window_split_by_the_key_s_hash(line: Line) -> None:
    snapshot = line.build()
    rule = HashSplit(("trading_day",), 0.15, 0.15, "stock_prices")
    days = set()
    for channel in ("train", "validation", "test"):
        table = line.features.read(snapshot, channel)
        assert table.num_rows == snapshot.rows[channel]
        assert table.column_names == ["trading_day", "ticker_symbol", "sector", "change", "price"]
        assert {rule.channel([day]) for day in table.column("trading_day").to_pylist()} == {channel}
        days |= set(table.column("trading_day").to_pylist())
    assert len(days) == 250
    assert max(days).isoformat() == "2020-06-23"
    assert snapshot.rows == {"train": 3380, "validation": 940, "test": 680}
    assert snapshot.ref.rows == 5000
    assert snapshot.window_column == "trading_day"


def test_the_same_rows_give_the_same_snapshot_and_other_rows_another(tmp_path: Path) -> None:
    line = Line(tmp_path)
    line.load_days(7379, 7669)
    first, again = line.build(), line.build()
    assert first.ref.id == again.ref.id
    assert first.ref.manifest != again.ref.manifest
    line.load_days(7669, 7679)
    assert line.build().ref.id != first.ref.id
    assert line.features.read(first, "train").num_rows == first.rows["train"]


def test_as_of_and_window_override_the_run(line: Line) -> None:
    snapshot = line.build(as_of="2020-01-31", window_last=100)
    days = set(line.features.read(snapshot, "train").column("trading_day").to_pylist())
    held = set(line.features.read(snapshot, "test").column("trading_day").to_pylist())
    validation = set(line.features.read(snapshot, "validation").column("trading_day").to_pylist())
    assert len(days | held | validation) == 100
    assert max(days | held | validation).isoformat() == "2020-01-31"
    assert snapshot.parameters == {"as_of": "2020-01-31", "window_last": 100}


def test_what_is_held_out_stays_so_in_every_window(line: Line) -> None:
    early, late = line.build(as_of="2020-03-31"), line.build()
    held = set(line.features.read(early, "test").column("trading_day").to_pylist())
    trained = set(line.features.read(late, "train").column("trading_day").to_pylist())
    assert not held & trained


def test_a_split_by_time_holds_the_newest_days_out(line: Line) -> None:
    line.features_spec["split"] = {"by": "time", "holdout": 0.2, "validation": 0.25}
    snapshot = line.build()
    days = {c: line.features.read(snapshot, c).column("trading_day") for c in ("train", "validation", "test")}
    assert pc.max(days["train"]).as_py() < pc.min(days["validation"]).as_py()
    assert pc.max(days["validation"]).as_py() < pc.min(days["test"]).as_py()
    assert [len(set(d.to_pylist())) for d in days.values()] == list(TimeSplit("trading_day", 0.2, 0.25).counts(250))


def test_rows_without_a_target_are_left_out_and_counted(line: Line) -> None:
    line.features_spec["target"] = "change"
    line.features_spec["features"] = [{"name": "ticker_symbol", "transform": "category"}]
    query = line.query
    try:
        line.query = "SELECT *, CASE WHEN ticker_symbol = 'AAPL' THEN NULL ELSE change END AS ch FROM stock_table; "
        line.features_spec["target"] = "ch"
        snapshot = line.build()
    finally:
        line.query = query
    assert snapshot.without_target == 250
    assert snapshot.ref.rows == 4750


def test_a_snapshot_is_found_by_run_and_the_newest_otherwise(line: Line) -> None:
    from mlplatform_tests.stations.line import START

    mine = line.features.build(START, {"window_last": 50}, run_id="mine")
    newest = line.build()
    assert line.features.latest(run_id="mine") == mine
    assert line.features.latest(run_id="unknown") == newest == line.features.latest()
    assert mine.summary()["parameter_window_last"] == 50
    assert mine.summary()["rows"] == 1000


def test_before_the_first_build_there_is_no_snapshot(tmp_path: Path) -> None:
    with pytest.raises(
        NotFoundError, match=r"Feature set 'stock_features' of system 'stock_prices' was never built\. Materialize"
    ):
        Line(tmp_path).features.latest()


def test_rows_of_the_future_are_in_no_window_though_the_table_has_them(line: Line) -> None:
    query = line.query
    try:
        line.query = f"{query} UNION ALL SELECT CAST('2999-01-01' AS DATE), ticker_symbol, sector, change, price FROM stock_table"
        snapshot = line.features.build(datetime(2026, 1, 1, tzinfo=UTC))
    finally:
        line.query = query
    days = line.features.read(snapshot, "train").column("trading_day").to_pylist()
    assert max(days).year < 2026
    assert snapshot.ref.rows == 5000


def test_a_missing_column_is_named_with_those_there_are(line: Line) -> None:
    line.features_spec["target"] = "prise"
    with pytest.raises(DataError, match=r"'features.sql' selects no column 'prise'; it selects: trading_day, ticker"):
        line.build()


def test_too_few_rows_are_refused_before_training(line: Line) -> None:
    line.features_spec["minimum_rows"] = 5000
    with pytest.raises(DataError, match="'stock_features' has 3380 training rows; expected at least 5000"):
        line.build()
    line.features_spec["minimum_rows"] = 1
    with pytest.raises(DataError, match="has 0 training rows; expected at least 1"):
        line.build(as_of="1980-01-01")
    with pytest.raises(DataError, match=r"has no (validation|test) rows beside \d+ training rows"):
        line.build(window_last=1, as_of="2020-06-22")


def test_unknown_parameters_and_parameters_without_a_window_are_refused(line: Line) -> None:
    with pytest.raises(SpecError, match="There is no parameter 'asof'; there are: as_of, window_last"):
        line.build(asof="2020-01-01")
    line.features_spec["window"] = None
    with pytest.raises(SpecError, match="'as_of' needs a window, and feature set 'stock_features' has none"):
        line.build(as_of="2020-01-01")


def test_a_query_over_a_table_that_is_not_there_is_a_not_found_error(line: Line) -> None:
    query = line.query
    try:
        line.query = "SELECT * FROM stok_table"
        with pytest.raises(NotFoundError, match="stok_table"):
            line.build()
    finally:
        line.query = query
