"""Rows of a rehearsal: from files or made up, through each kind of source, with what does not fit named."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlplatform.rehearsal import Wishes
from mlplatform_tests.rehearsal.houses import House, stage

COLUMNS = """
  columns:
    - {name: id, type: bigint, nullable: false}
    - {name: at, type: timestamp, nullable: false}
    - {name: kind, nullable: false, domain: [a, b]}
    - {name: amount, type: "decimal(8,2)", minimum: 0, maximum: 500}
    - {name: paid, type: boolean}
    - {name: note, type: json}
    - {name: due, type: date}
  unique_key: [id]
  event_time: at
"""
ORDERS = f"""
type: mlplatform.Stream
attributes:
  name: order_stream
  partition_key: kind
  delivery: {{prefix: shop/stream/}}
---
type: mlplatform.Table
attributes:
  name: orders{COLUMNS}
  sources: SOURCES
"""
MANY = """
    - {stream: order_stream}
    - {prefix: shop/csv/, suffix: .csv, format: {delimiter: ";", "null": NA}}
    - {prefix: shop/lines/, suffix: .jsonl.gz, format: {type: jsonl}}
    - {prefix: shop/parquet/, format: {type: parquet}}
"""


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_made_up_rows_of_every_type_arrive_by_every_kind_of_source_and_load(house: House) -> None:
    house.write("shop", ORDERS.replace("SOURCES", MANY))
    report = house.rehearse("shop")
    assert [(s.stage, s.status) for s in report.stages] == [
        ("yaml", "passed"),
        ("sample", "passed"),
        ("arrive", "passed"),
        ("load", "passed"),
        ("quarantine", "passed"),
    ]
    assert (report.passed, stage(report, "load").rows) == (True, 360)
    assert stage(report, "arrive").detail.startswith("90 on stream order_stream, 90 in shop/csv/rehearsal-001.csv")


def test_records_that_break_a_rule_each_are_all_kept_out(house: House) -> None:
    house.write("shop", ORDERS.replace("SOURCES", MANY))
    kept_out = stage(house.rehearse("shop"), "quarantine")
    assert kept_out.rows == 12
    for rule in ("kind: not in its domain", "amount: more than 500", "at: in the future", "due: not of type date"):
        assert rule in kept_out.detail


def test_a_table_with_a_stream_alone_is_rehearsed_through_it(house: House) -> None:
    house.write("shop", ORDERS.replace("SOURCES", "[{stream: order_stream}]"))
    report = house.rehearse("shop")
    assert stage(report, "arrive").detail == "360 on stream order_stream"
    assert (stage(report, "load").rows, stage(report, "quarantine").rows) == (360, 12)


def test_a_table_that_others_load_is_filled_under_the_name_it_has_there(house: House) -> None:
    yaml = ORDERS.replace("sources: SOURCES", "existing: crm_orders")
    house.write("shop", yaml)
    report = house.rehearse("shop")
    assert (report.passed, stage(report, "load").rows) == (True, 360)


def test_the_systems_own_sample_is_taken_where_there_is_one(house: House) -> None:
    folder = house.write("shop", ORDERS.replace("SOURCES", MANY)) / "sample"
    folder.mkdir()
    (folder / "orders.csv").write_text("id;at;kind;amount\n1;2024-05-01 10:00:00;a;NA\n1;2024-05-01 10:00:00;a;NA\n")
    report = house.rehearse("shop")
    assert report.sample == (str(folder / "orders.csv"),)
    assert (stage(report, "load").rows, stage(report, "load").detail) == (1, "2 arrived in 1 object, 1 duplicates")


def test_files_may_be_named_and_packed(house: House, tmp_path: Path) -> None:
    house.write("shop", ORDERS.replace("SOURCES", MANY))
    parquet, lines = tmp_path / "orders.parquet", tmp_path / "order_stream.jsonl.gz"
    pq.write_table(pa.table({"id": [1, 2], "at": ["2024-05-01 10:00:00"] * 2, "kind": ["a", "b"]}), parquet)
    lines.write_bytes(gzip.compress(b'{"id": 3, "at": "2024-05-01T10:00:00", "kind": "b", "note": {"a": 1}}\n'))
    report = house.rehearse("shop", Wishes(files=(parquet, lines)))
    assert (
        stage(report, "arrive").detail
        == "'orders.parquet' as shop/parquet/rehearsal-001.parquet, 1 on stream order_stream"
    )
    assert stage(report, "load").rows == 3


def test_a_sample_row_that_does_not_fit_fails_with_its_place_and_reason(house: House) -> None:
    folder = house.write("shop", ORDERS.replace("SOURCES", MANY)) / "sample"
    folder.mkdir()
    (folder / "orders.csv").write_text("id;at;kind;amount\n1;2024-05-01 10:00:00;a;5\n2;2024-05-01 10:00:00;c;900\n")
    report = house.rehearse("shop")
    failed = stage(report, "load")
    assert (report.passed, failed.status) == (False, "failed")
    assert failed.error is not None
    assert failed.error["exit_code"] == 5
    assert failed.error["message"] == (
        "1 of 2 sample records do not fit table 'orders': record 2 of 'shop/csv/rehearsal-001.csv': "
        "column 'kind': expected one of a, b, found 'c'; column 'amount': expected from 0.0 to 500.0, found '900'."
    )
    assert stage(report, "quarantine").detail == "needs load of orders"


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("orders.xlsx", 5, "ends in '.xlsx'; expected .csv, .jsonl, .parquet"),
        ("none.csv", 6, "There is no file"),
        ("order_stream.csv", 5, "is refused"),
    ],
)
def test_a_sample_that_cannot_be_used_is_told(house: House, tmp_path: Path, name: str, code: int, said: str) -> None:
    house.write("shop", ORDERS.replace("SOURCES", MANY))
    if name != "none.csv":
        (tmp_path / name).write_text("id\n1\n")
    report = house.rehearse("shop", Wishes(files=(tmp_path / name,)))
    (failed,) = report.failed
    assert failed.error is not None
    assert failed.error["exit_code"] == code
    assert said in failed.error["message"].replace("are refused", "is refused")


def test_rows_for_a_stream_that_transforms_cannot_be_made_up(house: House) -> None:
    yaml = ORDERS.replace("SOURCES", "[{stream: order_stream}]")
    house.write("shop", yaml.replace("shop/stream/}", "shop/stream/, transform: 'json:dumps'}"))
    (failed,) = house.rehearse("shop").failed
    assert failed.error is not None
    assert "its stream transforms what is put on it" in failed.error["message"]
    assert "sample/order_stream.jsonl" in failed.error["next_step"]


def test_two_tables_each_have_files_of_their_own_name(house: House, tmp_path: Path) -> None:
    yaml = ORDERS.replace("SOURCES", MANY)
    second = yaml.rpartition("---")[2].replace("name: orders", "name: returns").replace("shop/", "back/")
    house.write("shop", f"{yaml}---{second}")
    file = tmp_path / "rows.csv"
    file.write_text("id;at;kind\n1;2024-05-01 10:00:00;a\n")
    (failed,) = house.rehearse("shop", Wishes(files=(file,))).failed
    assert failed.error is not None
    assert failed.error["next_step"] == "Name the file after one: orders.csv, returns.csv, order_stream.csv."
