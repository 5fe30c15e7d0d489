"""The SQL that Hive is sent, word for word, so that a change of it is seen; and that it is Spark's."""

from __future__ import annotations

import logging
import re
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.adapters.warehouse.hive import HiveWarehouse
from mlplatform.adapters.warehouse.hive_settings import HiveSettings
from mlplatform.core.loads.erasure import Condition, Erasure
from mlplatform.core.loads.plan import CsvFormat, LoadPlan
from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform_tests.servers.hive.server import Hive

GOLDEN = Path(__file__).with_name("statements.sql")
PRICES = TableSchema(
    "prices",
    (
        Column("ticker", nullable=False),
        Column("day", "date", nullable=False),
        Column("price", "double"),
        Column("extra", "json"),
    ),
    unique_key=("ticker", "day"),
    event_time="day",
)
NOW = datetime(2020, 6, 30, 12, tzinfo=UTC)


def life(warehouse: HiveWarehouse, objects: DirectoryObjectStore) -> None:
    """A table's life: made, loaded twice with duplicates and bad records, widened, queried, unloaded, erased, merged."""
    warehouse.create(PRICES)
    first = ""
    for number, more in enumerate([b"", b"A,2020-01-02,2,\n", b"C,2020-01-03,3,\n"]):
        info = objects.put(f"in/{number}.csv", b"ticker,day,price,extra\nA,2020-01-01,1,{}\nB,2020-01-01,x,\n" + more)
        guard = warehouse.guard("prices", "objects/in/", claim=number == 0)
        plan = LoadPlan(
            "prices", "objects/in/", guard.last, str(number + 1), guard.epoch, info.key, info.etag, info.size_bytes,
            CsvFormat(), supersedes=(first,) if number == 2 else (), same_content="refuse",
        )  # fmt: skip
        first = first or warehouse.load(plan, PRICES, objects).batch_id
        warehouse.load(plan, PRICES, objects)
    wider = TableSchema("prices", (*PRICES.columns[:2], Column("price"), PRICES.columns[3], Column("n", "bigint")))
    warehouse.create(wider)
    warehouse.query(
        "SELECT count(*) FILTER (WHERE price IS NOT NULL) AS n FROM prices WHERE day > ?", [NOW], timeout_s=60
    )
    warehouse.unload({"u/": "SELECT * FROM prices WHERE ticker <> 'it''s' ORDER BY day LIMIT 3"}, objects)
    warehouse.unload({"c/": "SELECT ticker FROM prices"}, objects, format="csv")
    conditions = (Condition("ticker", "equal", "a"), Condition("_loaded_at", "before", NOW))
    warehouse.erase(Erasure("e1", "prices", conditions, "asked for", NOW, records=("r1",)))
    warehouse.maintain(now=NOW, keep=timedelta(days=7))


def sent(caplog: pytest.LogCaptureFixture, folder: Path) -> list[str]:
    """Statements as the driver tells them, with fixed names for what differs between runs."""
    said = (record.getMessage() for record in caplog.records if record.name == "impala.hiveserver2")
    statements = [text.removeprefix("Executing query ") for text in said if text.startswith("Executing query ")]
    named = [text.replace(str(folder), "/store") for text in statements]
    named = [re.sub(r"(mlplatform_part=[0-9a-z]+|rows)-[0-9a-f]{8}\b", r"\1-ATTEMPT", text) for text in named]
    batches: dict[str, str] = {}

    def batch(found: re.Match[str]) -> str:
        return batches.setdefault(found[0], f"BATCH{len(batches) + 1}")

    return [re.sub(r"\b[0-9a-f]{32}\b", batch, text) for text in named]


def test_the_statements_are_those_of_the_golden_file(
    hive_server: Hive, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Write it anew, and read the difference: delete the file and run this test."""
    settings = HiveSettings.model_validate(hive_server.settings)
    objects, rows = (DirectoryObjectStore(tmp_path / name, settle_s=0.0) for name in ("objects", "rows"))
    secrets = EnvironmentSecrets(hive_server.secrets)
    warehouse = HiveWarehouse(settings, secrets, rows, system="golden", now=lambda: NOW)
    with caplog.at_level(logging.DEBUG, logger="impala.hiveserver2"), closing(warehouse):
        life(warehouse, objects)
    text = ";\n".join(sent(caplog, tmp_path)) + ";\n"
    if not GOLDEN.exists():
        GOLDEN.write_text(text, "utf-8")
    assert text == GOLDEN.read_text("utf-8")


def test_every_statement_is_sparks() -> None:
    statements = GOLDEN.read_text("utf-8").removesuffix(";\n").split(";\n")
    kinds = set()
    for statement in statements:
        select = re.sub(
            r"^INSERT OVERWRITE DIRECTORY '[^']+' USING (parquet|csv)( OPTIONS \(.*?\))? (?=SELECT)", "", statement
        )
        tree = sqlglot.parse_one(select, read="spark")
        assert tree.find(exp.OnConflict, exp.Returning, exp.PrimaryKey, exp.UniqueColumnConstraint) is None
        assert tree.find(exp.Delete, exp.Update, exp.Merge) is None
        kinds.add(statement.split()[0] if select == statement else "INSERT OVERWRITE DIRECTORY")
    assert kinds == {"SELECT", "CREATE", "INSERT OVERWRITE DIRECTORY"}
