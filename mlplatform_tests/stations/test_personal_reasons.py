"""Why a record of a table with a personal column did not fit, and how it is listed: without a value, in every format."""

from __future__ import annotations

import io
from dataclasses import asdict

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.warehouse.ducklake import DuckLakeWarehouse
from mlplatform.core.capture.masking import Masking
from mlplatform.core.loads.plan import QuarantinedRecord
from mlplatform.spec.table import TableSpec
from mlplatform.stations.ingest import Ingest
from mlplatform.stations.quarantine import Quarantine
from mlplatform_tests.personal.people import DEFS, MARK, RICH, lines, lists, people, wrong_people

TABLE = TableSpec.model_validate(
    next(d["attributes"] for d in yaml.safe_load_all(DEFS) if d["attributes"]["name"] == "people")
    | {
        "sources": [
            {"prefix": "csv/", "suffix": ".csv"},
            {"prefix": "json/", "suffix": ".jsonl", "format": {"type": "jsonl"}},
            {"prefix": "parquet/", "suffix": ".parquet", "format": {"type": "parquet"}},
        ]
    }
)


def parquet() -> bytes:
    good = people(0, 1)[:2]
    rows = pa.Table.from_pylist([good[0], {**good[1], "salary": float(f"{RICH}0")}])
    file = io.BytesIO()
    pq.write_table(rows, file)
    return file.getvalue()


OBJECTS = {
    **{f"csv/{name}": data for name, data in lists().items()},
    "json/wrong.jsonl": lines(people(1, 1)[:1] + wrong_people())
    + f'{MARK}\n"{MARK}"\n{{"{MARK}\n'.encode()
    + b"\xff\n",
    "json/doubled.jsonl": f'{{"{MARK}":1,"{MARK}":2,"email":"{MARK}","email":"a"}}\n'.encode(),
    "parquet/wrong.parquet": parquet(),
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[QuarantinedRecord], Quarantine]:
    """What receipts, evidence and reasons say; the records; the quarantine."""
    root = tmp_path_factory.mktemp("reasons")
    warehouse, store = DuckLakeWarehouse(root / "warehouse", masked=True), DirectoryObjectStore(root / "objects")
    for key, data in OBJECTS.items():
        store.put(key, data)
    ingest = Ingest(warehouse, store, TABLE, system="test", streams={})
    ingest.create()
    receipts = ingest.run()
    quarantine = Quarantine(warehouse, store, TABLE, system="test", streams={})
    records = quarantine.list(limit=1000)
    said = repr([asdict(r) for r in receipts]) + repr(ingest.evidence(receipts)) + repr([r.reason for r in records])
    return said, records, quarantine


def test_no_reason_receipt_or_evidence_tells_a_value(told: tuple[str, list[QuarantinedRecord], Quarantine]) -> None:
    said, records, _ = told
    assert sum(MARK.encode() in r.raw for r in records) > 15
    assert MARK not in said
    assert RICH not in said


@pytest.mark.parametrize(
    "reason",
    [
        "column 'email': expected varchar, found •••",
        "column 'salary': expected double, found •••",
        "column 'salary': expected to 100000000000.0, found •••",
        "column 'age': expected double, found •••",
        "column 'spent': expected a value, found none",
        "unknown column •••; the table has: email",
        "field ••• stands 2 times",
        "field 'email' stands 2 times",
        "expected a JSON object, found •••",
        "expected 6 fields (email, salary, city, age, spent, day), found 3",
        "unknown column ••• at place 1",
        "not UTF-8",
    ],
)
def test_a_reason_names_column_and_expectation(
    told: tuple[str, list[QuarantinedRecord], Quarantine], reason: str
) -> None:
    assert any(reason in record.reason for record in told[1]), sorted({r.reason for r in told[1]})


def test_records_are_listed_without_a_value(told: tuple[str, list[QuarantinedRecord], Quarantine]) -> None:
    _, records, quarantine = told
    shown = quarantine.masked(records, Masking(key=b"key"))
    assert [r.quarantine_id for r in shown] == [r.quarantine_id for r in records]
    assert [r.raw for r in shown if MARK.encode() in r.raw or RICH.encode() in r.raw] == []
    mask = Masking(key=b"key").hash(f"{MARK}0@a.example").encode()
    assert sum(mask in r.raw for r in shown) >= 5
