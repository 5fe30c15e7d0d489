"""Benchmarks of the warehouses: both sides move the same rows, every engine has both, and the page has a place for them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks.catalogue import ALL, select
from benchmarks.options import Options
from benchmarks.render import FAMILIES
from benchmarks.warehouses.bench import opened, warehouse
from benchmarks.warehouses.data import memory_mib, schema, write_parquet
from benchmarks.warehouses.engines import ENGINES
from benchmarks.warehouses.long import executor_rows


def test_every_engine_is_a_benchmark_and_has_a_loader_of_its_own_beside_ours() -> None:
    measured = {b.argument for b in ALL if b.module == "benchmarks.warehouses.bench"}
    assert measured == set(ENGINES) == {"ducklake", "ducklake-team", "redshift", "snowflake", "hive"}
    for name in ENGINES:
        assert find_spec(f"benchmarks.warehouses.bare.{name.replace('-', '_')}") is not None


def test_ten_million_rows_and_executors_are_measured_when_named_or_asked_for() -> None:
    long = ["warehouses.memory.ducklake", "warehouses.memory.redshift", "warehouses.executors"]
    usual = [b.id for b in select([], full=False)]
    assert not set(long) & set(usual)
    assert [b.id for b in select(["warehouses"], full=False)][-3:] == long
    assert [b.id for b in select(["warehouses.ducklake"], full=False)] == ["warehouses.ducklake"]


def test_every_family_of_benchmarks_has_its_heading() -> None:
    assert {b.id.partition(".")[0] for b in ALL} == set(FAMILIES)


def test_the_object_has_the_columns_of_the_table_and_the_same_values_each_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_parquet(tmp_path / name, 1_500)
    table = pq.read_table(tmp_path / "a")
    assert table.column_names == list(schema("rows").names)
    assert table.num_rows == 1_500
    assert table.equals(pq.read_table(tmp_path / "b"))
    assert memory_mib(tmp_path / "a") == pytest.approx(table.nbytes / 2**20, rel=0.05)


def test_both_sides_load_unload_and_read_every_row(tmp_path: Path) -> None:
    with opened(Options(tmp_path, quick=True), "ducklake", 1_500) as both:
        seconds = [both.load_ours(), both.load_bare(), both.unload_ours(), both.unload_bare(), both.read_ours()]
        seconds += [both.read_bare(), both.sort_bare()]
    assert all(s > 0 for s in seconds)
    parts = list((tmp_path / "ducklake" / "objects" / "out").rglob("*.parquet"))
    assert [pq.read_metadata(part).num_rows for part in parts] == [1_500, 1_500]


def test_two_executors_are_to_take_two_thirds_of_the_time_of_one() -> None:
    pairs = [({"load": 9.0, "profile": 2.0}, {"load": 10.0, "profile": 3.2})]
    profile, load = executor_rows(pairs, 8_000)
    assert (profile.id, profile.ratio, profile.holds) == ("warehouses.executors.profile", 1.6, True)
    assert (load.id, load.holds, load.bar) == ("warehouses.executors.load", False, "peer / ours ≥ 1.5")


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["snowflake", "redshift"])
def test_an_engine_behind_a_server_is_measured_whole(engine: str, tmp_path: Path) -> None:
    rows = {r.id.rpartition(".")[2]: r for r in warehouse(Options(tmp_path, quick=True), engine)}
    assert list(rows) == ["load", "unload", "read", "pulled", "reader_start"]
    assert [rows[name].bar for name in ("load", "unload", "read", "pulled")] == [
        "ours / peer ≤ 1.25",
        "ours / peer ≤ 1.25",
        "ours / peer ≤ 1.15",
        "ours / peer ≤ 1.15",
    ]
    assert all("stands in" in r.note for r in rows.values())
