"""`mlplatform erase` on a whole system: what it says first, what is left nowhere, and what lineage says afterwards."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from mlplatform.core.rollout.inference_id import InferenceId
from mlplatform.platform.housekeeping import housekeeping
from mlplatform_tests.cli.commands import Shell
from mlplatform_tests.cli.test_state import bad, copied

__all__ = ["copied"]

DAYS, TICKERS = 260, 20


def rows(shell: Shell) -> int:
    done = shell.run("query", "stock_prices", "SELECT count(*) AS n FROM stock_table", "--json")
    return int(done.json["rows"][0]["n"])


def holding(shell: Shell, text: bytes) -> list[Path]:
    """Files of rows that hold the text."""
    rooms = [shell.home / room for room in ("warehouse", "objects", "capture", "streams")]
    return [
        f
        for room in rooms
        for f in room.rglob("*")
        if f.suffix in {".parquet", ".csv", ".jsonl"} and text in f.read_bytes()
    ]


def test_without_yes_it_says_what_would_go_and_what_stays(copied: Shell) -> None:
    done = copied.run("erase", "stock_prices", "ticker_symbol=AAPL")
    assert done.code == 0, done.err
    assert "Would erase from system 'stock_prices':" in done.out
    assert f"table stock_table: {DAYS} rows" in done.out
    assert "feature set stock_features: 250 rows" in done.out
    assert "stream stock_stream: records stay on the stream for 168 hours" in done.out
    assert "To do it: mlplatform erase stock_prices ticker_symbol=AAPL --yes" in done.out
    assert rows(copied) == DAYS * TICKERS


def test_it_leaves_nothing_of_the_subject_and_all_of_the_others(copied: Shell) -> None:
    assert holding(copied, b"AAPL")
    done = copied.run("erase", "stock_prices", "ticker_symbol=AAPL", "--yes", "--reason", "asked by letter", "--json")
    assert done.code == 0, done.err
    assert done.json["erased"] is True
    assert rows(copied) == DAYS * (TICKERS - 1)
    stations = copied.platform().system("stock_prices")
    housekeeping(stations, datetime.now(UTC) + timedelta(hours=2))
    assert holding(copied, b"AAPL") == []
    assert holding(copied, b"MSFT")
    assert bad(copied) == []
    again = copied.run("erase", "stock_prices", "ticker_symbol=AAPL")
    assert "nothing: no place holds a row of the subject" in again.out


def test_an_object_that_was_never_loaded_is_named_with_the_step_that_is_left(copied: Shell, tmp_path: Path) -> None:
    file = tmp_path / "broken.csv"
    file.write_text('ticker_symbol,sector,change,price,trading_day\nMSFT,IT,1,1,2020-01-01\nAAPL,IT,1,1,"2020-01-01\n')
    key = "stock_prices/base/broken.csv"
    assert copied.run("upload", str(file), key).code == 0
    done = copied.run("erase", "stock_prices", "ticker_symbol=AAPL", "--yes")
    assert done.code == 7
    assert "landing objects of stock_table: 1 objects: quarantined whole" in done.out
    assert f"    {key}\n    next: put a corrected object under its name, or delete it" in done.out
    assert "The erasure is complete only when the steps named under 'Stays' are taken" in done.out
    assert rows(copied) == DAYS * (TICKERS - 1)
    assert key in copied.run("objects", "stock_prices/base/").out
    dry = copied.run("erase", "stock_prices", "ticker_symbol=AAPL", "--json")
    assert (dry.code, dry.json["complete"]) == (0, False)
    (record,) = copied.platform().items.list("erasures", prefix="stock_prices/")
    assert record.value["complete"] is False
    assert key not in str(record.value)


def test_the_record_of_an_erasure_names_no_value(copied: Shell) -> None:
    name = copied.run("erase", "stock_prices", "ticker_symbol=AAPL", "--yes", "--json").json["erasure"]
    platform = copied.platform()
    record = platform.items.get("erasures", f"stock_prices/{name}")
    assert record is not None
    assert record.value["column"] == "ticker_symbol"
    assert "AAPL" not in str(record.value)
    book = platform.system("stock_prices").warehouse().query("SELECT * FROM _erasures").to_pylist()
    # Calls of other tests on the shared site may have been captured, and go row by row.
    assert [r["rows"] for r in book if r["rows"] and r["table_name"] == "stock_table"] == [DAYS]
    assert "AAPL" not in str(book)


def test_lineage_says_that_training_rows_were_erased(copied: Shell) -> None:
    name = copied.run("erase", "stock_prices", "ticker_symbol=AAPL", "--yes", "--json").json["erasure"]
    deployed = copied.platform().endpoints.history("stock_prices/stock_prices")[-1]
    inference = InferenceId("stock_prices", deployed.generation, "main", str(UUID(int=1)))
    done = copied.run("lineage", str(inference))
    text = done.out + done.err
    assert re.search(rf"250 rows were erased at \S+ \(erasure {name}\)", text), text


@pytest.mark.parametrize(
    ("subject", "code", "message"),
    [
        ("AAPL", 5, "'AAPL' is no subject"),
        (
            "customer=1",
            6,
            "No table of system 'stock_prices' has a column 'customer'; they have: change, price, sector",
        ),
    ],
)
def test_a_subject_that_cannot_be_is_refused(copied: Shell, subject: str, code: int, message: str) -> None:
    done = copied.run("erase", "stock_prices", subject)
    assert done.code == code
    assert message in done.err
