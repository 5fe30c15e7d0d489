"""A system's YAML is one cross-checked object; every fault names file, line, key path and what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlplatform.errors import SpecError
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.spec.loader import fingerprint, load_system, load_systems
from mlplatform.spec.scaffold import write_system
from mlplatform.spec.table import TableSpec
from mlplatform_tests.spec.editing import EXAMPLES, edit


def test_the_example_system_loads_with_its_stations_in_order() -> None:
    system = load_systems(EXAMPLES)["stock_prices"]
    assert [s.name for s in system.stations] == [
        "stock_stream",
        "stock_table",
        "stock_features",
        "stock_model",
        "stock_prices",
        "stock_monitor",
        "stock_refresh",
        "stock_notifications",
    ]
    assert system.get(TableSpec, "stock_table").schema_().names == (
        "ticker_symbol",
        "sector",
        "change",
        "price",
        "trading_day",
    )


@pytest.mark.parametrize(
    ("before", "after", "key", "message"),
    [
        ("shards: 2", "shard: 2", "attributes.shard", "there is no such key; did you mean 'shards'?"),
        ("type: double, nullable", "type: dubble, nullable", "attributes.columns[3].type", "'dubble' is no type; expected"),
        ("size: 63", "size: 0", "attributes.window.size", "input should be greater than 0, found 0"),
        ("by: hash", "by: hsh", "attributes.split.by", "input should be 'hash' or 'time', found 'hsh'"),
        ("  name: stock_stream", "  name: Stock-Stream", "attributes.name", "'Stock-Stream' is no name"),
        (
            "  table: stock_table\n  query",
            "  table: stock_tabel\n  query",
            "attributes.table",
            "no mlplatform.Table is called 'stock_tabel'; this system has: stock_table",
        ),
        ("target: price", "target: prize", "attributes.target", "selects no column 'prize'; it selects: trading_day"),
        ("segments: [sector]", "segments: [sektor]", "attributes.gate.segments[0]", "selects no column 'sektor'"),
        ("metric: r2, threshold: 0.6, by", "metric: f1, threshold: 0.6, by", "attributes.gate.metric", "does not fit task 'regression'"),
        ("partition_key: ticker_symbol", "partition_key: ticker", "attributes.partition_key", "has no column 'ticker'"),
        ("prefix: stock_prices/base/,", "prefix: stock_prices/base,", "attributes.sources[2]", "must end in '/'"),
        ("type: mlplatform.Model", "type: mlplatform.Modle", "type", "there is no 'mlplatform.Modle'; did you mean 'mlplatform.Model'?"),
        ("window: {column: trading_day, size: 63}", "window: {column: price, size: 63}", "attributes.window.column", "expected 'trading_day', the window column of feature set 'stock_features', found 'price'"),
        ("query: features.sql", "query: feature.sql", "attributes.query", "there is no file 'feature.sql' beside the YAML"),
    ],
)  # fmt: skip
def test_a_fault_names_file_line_key_and_what_would_be_right(
    system: Path, before: str, after: str, key: str, message: str
) -> None:
    line = edit(system, before, after)
    with pytest.raises(SpecError) as caught:
        load_system(system)
    lines = str(caught.value).splitlines()
    assert any(found.startswith(f"{system}:{line}: {key}: ") and message in found for found in lines), lines


def test_a_missing_key_points_at_its_station(system: Path) -> None:
    line = edit(system, "  partition_key: ticker_symbol\n", "")
    with pytest.raises(SpecError, match=r"attributes\.partition_key: this key is required and missing") as caught:
        load_system(system)
    assert f"{system}:{line - 3}:" in str(caught.value)


def test_broken_yaml_names_the_line(system: Path) -> None:
    line = edit(system, "  shards: 2", "  shards: [2")
    with pytest.raises(SpecError, match=rf"defs\.yaml:{line + 1}: not readable as YAML"):
        load_system(system)


def test_a_key_that_stands_twice_names_both_lines(system: Path) -> None:
    lines = system.read_text().splitlines(keepends=True)
    place = next(n for n, line in enumerate(lines) if line.startswith("  name: "))
    system.write_text("".join([*lines[: place + 1], "  name: other\n", *lines[place + 1 :]]))
    words = rf"defs\.yaml:{place + 2}: attributes\.name: expected once, found in line {place + 1} too"
    with pytest.raises(SpecError, match=words):
        load_system(system)


def test_an_empty_document_is_left_out_and_a_circle_is_no_trap(system: Path) -> None:
    system.write_text(f"---\n---\n{system.read_text()}\n---\ntype: other.Kind\nround: &a [*a]\n")
    assert len(load_system(system).stations) == 8


def test_a_file_that_is_no_text_is_named(system: Path) -> None:
    system.write_bytes(system.read_bytes() + "# caf\u00e9".encode("latin-1"))
    with pytest.raises(SpecError, match=r"defs\.yaml: expected UTF-8, found .*0xe9"):
        load_system(system)


def test_every_fault_of_a_file_is_told_at_once(system: Path) -> None:
    edit(system, "shards: 2", "shards: 0")
    edit(system, "size: 63", "size: 0")
    with pytest.raises(SpecError) as caught:
        load_system(system)
    assert len(str(caught.value).splitlines()) == 2


def test_a_monitor_that_asks_needs_a_refresh_that_answers(system: Path) -> None:
    edit(system, "  endpoint: stock_prices\n  schedule", "  model: stock_model\n  schedule")
    with pytest.raises(SpecError, match=r"attributes\.retrain: no mlplatform\.Refresh has endpoint 'stock_prices'"):
        load_system(system)


def test_a_model_is_served_by_one_endpoint(system: Path) -> None:
    second = "---\ntype: mlplatform.Endpoint\nattributes: {name: canary, model: stock_model, prediction: price}\n"
    system.write_text(system.read_text() + second)
    with pytest.raises(SpecError, match="endpoint 'stock_prices' serves model 'stock_model' already"):
        load_system(system)


def test_a_query_that_is_no_select_is_refused(system: Path) -> None:
    (system.parent / "features.sql").write_text("DROP TABLE stock_table")
    with pytest.raises(SpecError, match="expected exactly one SELECT"):
        load_system(system)


def test_two_systems_cannot_share_a_route(system: Path) -> None:
    other = system.parent.parent / "other"
    other.mkdir()
    for name in ("defs.yaml", "features.sql"):
        (other / name).write_text((system.parent / name).read_text())
    with pytest.raises(SpecError, match="has the route /predict/stock_prices, which system 'other' has already"):
        load_systems(system.parent.parent)


def test_a_fingerprint_follows_the_yaml_and_the_query(system: Path) -> None:
    first = fingerprint(load_system(system))
    assert fingerprint(load_system(system)) == first
    edit(system, "max_depth: 6, eta", "max_depth: 7, eta")
    second = fingerprint(load_system(system))
    query = system.parent / "features.sql"
    query.write_text(query.read_text() + "WHERE price > 1\n")
    assert len({first, second, fingerprint(load_system(system))}) == 3


def test_a_scaffolded_system_is_whole(tmp_path: Path) -> None:
    write_system(tmp_path / "loans")
    system = load_system(tmp_path / "loans" / "defs.yaml")
    assert system.get(EndpointSpec, "loans").model == "loans_model"


def test_captured_predictions_cannot_be_joined_by_a_key_that_is_masked(system: Path) -> None:
    edit(
        system, "quality: {metric: r2, threshold: 0.6}", "quality: {metric: r2, threshold: 0.6, predictions: captured}"
    )
    load_system(system)
    edit(system, "keys: [trading_day]", "keys: [trading_day]\n  capture: {mask: [trading_day]}")
    with pytest.raises(SpecError, match="joined by key 'trading_day', which endpoint 'stock_prices' masks or drops"):
        load_system(system)
