"""`state version | migrate | backup | restore | check`: what an operator does with a home."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mlplatform.adapters.warehouse.ducklake_engine import DuckLakeEngine
from mlplatform_tests.cli.commands import Shell


@pytest.fixture
def copied(live: Shell, tmp_path: Path) -> Shell:
    """A copy of the live installation, to damage; restored from a backup of it."""
    assert live.run("state", "backup", str(tmp_path / "live.tar")).code == 0
    shutil.copytree(live.defs, tmp_path / "copy" / "defs")
    shell = Shell(tmp_path / "copy")
    done = shell.run("state", "restore", str(tmp_path / "live.tar"), "--json")
    assert done.code == 0, done.err
    return shell


def bad(shell: Shell) -> list[str]:
    done = shell.run("state", "check", "--json")
    found = [f["what"] for f in done.json if not f["ok"]]
    assert done.code == (12 if found else 0)
    return found


def test_version_tells_what_the_state_is_and_that_there_is_none(shell: Shell) -> None:
    none = shell.run("state", "version")
    assert none.code == 6
    assert "There is no state at" in none.err
    assert shell.run("objects").code == 0
    found = shell.run("state", "version", "--json").json
    assert found == {"home": str(shell.home), "state_version": 1, "profile": "local", "reads": 1}
    assert shell.run("state", "migrate").out == "Nothing to migrate: the state is of this release.\n"


def test_a_restored_backup_holds_rows_versions_and_deployment(copied: Shell) -> None:
    rows = copied.run("query", "stock_prices", "SELECT count(*) AS n FROM stock_table", "--json").json["rows"]
    assert rows == [{"n": 5200}]
    assert [v["version"] for v in copied.run("models", "--json").json] == [1, 2]
    assert copied.run("promote", "stock_prices/stock_prices", "1").code == 0
    assert bad(copied) == []


def test_restore_replaces_only_when_told(copied: Shell, tmp_path: Path) -> None:
    refused = copied.run("state", "restore", str(tmp_path / "live.tar"))
    assert refused.code == 7
    assert "→ Say --replace" in refused.err
    assert copied.run("state", "restore", str(tmp_path / "live.tar"), "--replace").code == 0
    assert copied.run("state", "backup", str(tmp_path / "live.tar")).code == 7


def test_check_finds_a_damaged_package(copied: Shell) -> None:
    (digest, *_) = [v["digest"] for v in copied.run("models", "--json").json]
    assert copied.run("promote", "stock_prices/stock_prices", "2", "--allow-signature-change").code == 0
    assert copied.run("promote", "stock_prices/stock_prices", "1", "--allow-signature-change").code == 0
    model = next((copied.home / "packages" / digest).glob("model.*"))
    model.chmod(0o644)
    model.write_bytes(model.read_bytes()[:-1] + b"?")
    assert bad(copied) == [f"model package {digest[:12]}"]


def test_check_finds_a_damaged_database(copied: Shell) -> None:
    path = copied.home / "tracking" / "mlflow.db"
    content = bytearray(path.read_bytes())
    content[4096 : 4096 * 8] = b"\xff" * (4096 * 7)
    path.write_bytes(content)
    assert "database tracking/mlflow.db" in bad(copied)


def test_check_finds_a_damaged_item_store_though_all_else_needs_it(copied: Shell) -> None:
    (copied.home / "items.sqlite").write_bytes(b"no database at all" * 500)
    assert "database items.sqlite" in bad(copied)


def test_check_finds_a_table_whose_rows_are_not_those_of_its_ledger(copied: Shell) -> None:
    engine = DuckLakeEngine(copied.home / "warehouse" / "stock_prices", threads=1, memory_mib=256)
    engine.writer().execute("DELETE FROM w.main.stock_table WHERE ticker_symbol = 'AAPL'")
    engine.close()
    done = copied.run("state", "check")
    assert done.code == 12
    assert "4940 rows, 5200 in the ledger, 0 erased, 0 receipts out of balance" in done.out


def test_check_finds_a_lost_data_file(copied: Shell) -> None:
    files = sorted(
        (copied.home / "warehouse" / "stock_prices" / "data").rglob("*.parquet"), key=lambda f: f.stat().st_size
    )
    files[-1].unlink()
    assert bad(copied) == ["table stock_prices/stock_table"]


def test_backup_of_a_home_of_another_release_is_refused(shell: Shell, tmp_path: Path) -> None:
    assert shell.run("objects").code == 0
    (shell.home / "state.json").write_text(json.dumps({"version": 99, "profile": "local"}))
    assert shell.run("state", "backup", str(tmp_path / "b.tar")).code == 12
    assert shell.run("state", "migrate").code == 12
