"""Records in, rows out, and what did not fit: `put`, `upload`, `objects`, `query`, `receipts`, `quarantine`."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlplatform_tests.cli.commands import Shell

STREAM = "stock_prices/stock_stream"
TABLE = "stock_prices/stock_table"


def record(ticker: str = "AAPL", day: str = "2026-01-02", price: object = 1.5) -> dict[str, object]:
    return {"ticker_symbol": ticker, "sector": "Energy", "change": None, "price": price, "trading_day": day}


def deliver_and_load(shell: Shell) -> None:
    """What the worker does."""
    stations = shell.platform().system("stock_prices")
    delivery = stations.delivery("stock_stream")
    deadline = time.monotonic() + 60
    while any(p.oldest_at for p in delivery.pending()):
        assert time.monotonic() < deadline
        delivery.deliver(datetime.now(UTC))
        time.sleep(0.1)
    ingest = stations.ingest("stock_table")
    ingest.create()
    ingest.run()


def test_put_takes_records_json_lines_csv_and_standard_input(shell: Shell, tmp_path: Path) -> None:
    lines = tmp_path / "days.jsonl"
    lines.write_text("".join(json.dumps(record(day=f"2026-01-0{n}")) + "\n\n" for n in (3, 4)))
    table = tmp_path / "days.csv"
    table.write_text("ticker_symbol,sector,change,price,trading_day\nAAPL,Energy,,2.5,2026-01-05\n")
    assert shell.run("put", STREAM, "--record", json.dumps(record())).out == "1 records stored, 0 refused\n"
    assert shell.run("put", STREAM, str(lines), "--json").json == {"stored": 2, "refused": 0, "errors": []}
    assert shell.run("put", STREAM, str(table)).code == 0
    done = shell.process("put", STREAM, "-", stdin=json.dumps(record(day="2026-01-06")).encode())
    assert (done.code, done.out) == (0, "1 records stored, 0 refused\n")
    deliver_and_load(shell)
    rows = shell.run("query", "stock_prices", "SELECT trading_day, change, price FROM stock_table ORDER BY 1", "--json")
    assert [(r["trading_day"], r["change"], r["price"]) for r in rows.json["rows"]] == [
        ("2026-01-02", None, 1.5),
        ("2026-01-03", None, 1.5),
        ("2026-01-04", None, 1.5),
        ("2026-01-05", None, 2.5),
        ("2026-01-06", None, 1.5),
    ]


def test_put_stores_what_fits_and_names_each_record_that_does_not(shell: Shell) -> None:
    done = shell.run("put", STREAM, "--record", "{", "--record", json.dumps(record()), "--record", "[]", "--json")
    assert done.code == 5
    assert (done.json["stored"], done.json["refused"]) == (1, 2)
    assert [e["record"] for e in done.json["errors"]] == [1, 3]
    assert "expected a JSON object, found a list" in done.json["errors"][1]["error"]
    text = shell.run("put", STREAM, "--record", '{"ticker": "AAPL"}')
    assert text.code == 5
    assert "has no value for the partition key 'ticker_symbol'; it has: ticker" in text.out


def test_put_sends_more_than_one_call_takes(shell: Shell, tmp_path: Path) -> None:
    lines = tmp_path / "many.jsonl"
    wide = {**record(), "note": "x" * 200_000}
    lines.write_text("".join(json.dumps(wide if n % 20 == 0 else record()) + "\n" for n in range(700)))
    assert shell.run("put", STREAM, str(lines), "--json").json["stored"] == 700


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"ticker_symbol,price\nAAPL,1,2\n", "line 2: the header has 2 fields, the line another number"),
        (b'ticker_symbol,price\n"AAPL,1\n', "not readable as CSV in UTF-8"),
        (b"ticker_symbol,price\nAAPL,\xff\n", "not readable as CSV in UTF-8"),
    ],
)
def test_put_says_which_line_of_a_csv_file_is_broken(shell: Shell, tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "bad.csv").write_bytes(content)
    done = shell.run("put", STREAM, str(tmp_path / "bad.csv"), "--json")
    assert done.code == 5
    assert words in done.error["message"]
    assert str(tmp_path / "bad.csv") in done.error["message"]


def test_upload_puts_a_file_that_objects_lists(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n1\n")
    done = shell.run("upload", str(tmp_path / "a.csv"), "elsewhere/a.csv", "--json")
    assert (done.code, done.json["key"], done.json["size_bytes"]) == (0, "elsewhere/a.csv", 4)
    assert shell.process("upload", "-", "elsewhere/b.csv", stdin=b"x\n22\n").code == 0
    listed = shell.run("objects", "elsewhere/", "--json").json
    assert [(o["key"], o["size_bytes"]) for o in listed] == [("elsewhere/a.csv", 4), ("elsewhere/b.csv", 5)]
    assert [o["key"] for o in shell.run("objects", "elsewhere/", "--limit", "1", "--json").json] == ["elsewhere/a.csv"]
    assert shell.run("objects", "nowhere/").out == "(nothing)\n"


def test_a_table_that_nothing_was_loaded_into_is_empty_and_not_missing(shell: Shell) -> None:
    assert shell.run("query", "stock_prices", "SELECT count(*) AS n FROM stock_table", "--json").json["rows"] == [
        {"n": 0}
    ]
    missing = shell.run("query", "stock_prices", "SELECT 1 FROM nowhere", "--json")
    assert missing.code == 6
    assert "no table 'nowhere'" in missing.error["message"]


def test_people_get_of_a_receipt_what_fits_in_a_line(live: Shell) -> None:
    head, _, line = live.run("receipts", TABLE).out.splitlines()
    names = ["key", "outcome", "arrived", "loaded", "quarantined", "duplicates", "filtered", "loaded_at", "reason"]
    assert head.split() == names
    assert line.split()[:7] == ["stock_prices/base/days-0-260.csv", "loaded", "5200", "5200", "0", "0", "0"]
    assert line.endswith("Z")


def test_query_reads_and_only_reads(live: Shell) -> None:
    text = live.run("query", "stock_prices", "SELECT count(*) AS n FROM stock_table")
    assert text.out.split() == ["n", "────", "5200"]
    limited = live.run("query", "stock_prices", "SELECT price FROM stock_table", "--limit", "2")
    assert limited.out.endswith("(5198 more rows)\n")
    for sql in ("DELETE FROM stock_table", "DROP TABLE stock_table", "SELECT 1; DELETE FROM stock_table"):
        done = live.run("query", "stock_prices", sql, "--json")
        assert done.code == 5, done
    missing = live.run("query", "stock_prices", "SELECT prize FROM stock_table")
    assert missing.code in (5, 6)
    assert "prize" in missing.err
    assert live.run("query", "stock_prices", "SELECT count(*) AS n FROM stock_table", "--json").json["rows"] == [
        {"n": 5200}
    ]


def test_receipts_say_what_each_object_brought(live: Shell) -> None:
    (receipt,) = live.run("receipts", TABLE, "--json").json
    assert receipt["key"] == "stock_prices/base/days-0-260.csv"
    assert [receipt[n] for n in ("arrived", "loaded", "quarantined", "duplicates", "filtered")] == [5200, 5200, 0, 0, 0]


def test_a_table_that_nothing_was_loaded_into_is_empty(shell: Shell) -> None:
    for arguments in (("receipts", TABLE), ("quarantine", "list", TABLE)):
        done = shell.run(*arguments)
        assert (done.code, done.out) == (0, "(nothing)\n"), done.err


def test_quarantine_is_listed_and_replayed_once_after_the_fix(shell: Shell) -> None:
    bad = record(price=-3)
    assert shell.run("put", STREAM, "--record", json.dumps(bad), "--record", json.dumps(record(ticker="KO"))).code == 0
    deliver_and_load(shell)
    (found,) = shell.run("quarantine", "list", TABLE, "--json").json
    assert "price" in found["reason"]
    assert json.loads(found["raw"])["price"] == -3
    assert shell.run("quarantine", "replay", TABLE).code == 0
    (still,) = shell.run("quarantine", "list", TABLE, "--json").json
    assert shell.run("quarantine", "replay", TABLE, found["quarantine_id"]).code == 7
    path = shell.defs / "stock_prices" / "defs.yaml"
    path.write_text(path.read_text().replace("nullable: false, minimum: 0", "nullable: false"))
    again = shell.run("quarantine", "replay", TABLE, still["quarantine_id"], "--json")
    assert (again.code, again.json["records"], again.json["loaded"]) == (0, 1, 1)
    assert shell.run("quarantine", "list", TABLE).out == "(nothing)\n"
    assert shell.run("quarantine", "replay", TABLE).code == 0
    rows = shell.run("query", "stock_prices", "SELECT price FROM stock_table ORDER BY price", "--json").json["rows"]
    assert rows == [{"price": -3.0}, {"price": 1.5}]


def test_what_cannot_be_replayed_is_told_and_may_be_discarded(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("ticker_symbol,prize\nAAPL,1\n")
    key = "stock_prices/base/bad.csv"
    assert shell.run("upload", str(tmp_path / "bad.csv"), key).code == 0
    shell.platform().system("stock_prices").ingest("stock_table").run()
    shell.platform().store.delete(key)
    done = shell.run("quarantine", "replay", TABLE)
    (found,) = shell.run("quarantine", "list", TABLE, "--json").json
    assert done.code == 0
    assert done.out.splitlines() == [
        "0 taken: 0 loaded, 0 in quarantine again, 0 there already",
        "1 skipped, since they cannot be read:",
        f"  {found['quarantine_id']}: Object '{key}', quarantined whole, is gone from the object store. "
        "Put it back to replay it, or discard the record.",
    ]
    assert (
        shell.run("quarantine", "discard", TABLE).out == "Would discard 1. Nothing was discarded. To do it: add --yes\n"
    )
    told = shell.run("quarantine", "discard", TABLE, found["quarantine_id"], "--reason", "gone", "--yes", "--json").json
    assert told == {"table": TABLE, "records": 1, "discarded": True}
    assert shell.run("quarantine", "list", TABLE).out == "(nothing)\n"
    book = shell.run("query", "stock_prices", "SELECT reason, records FROM _erasures", "--json").json["rows"]
    assert book == [{"reason": "gone", "records": 1}]
    assert shell.run("quarantine", "discard", TABLE, found["quarantine_id"], "--yes").code == 6
