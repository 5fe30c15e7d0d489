"""State that is damaged or of another release: said where it is looked at, and put right from a backup or step by step."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlplatform.platform.backup import restore
from mlplatform.platform.migrations import Migrations, migrate, stamp
from mlplatform.spec.home import Home
from mlplatform_tests.cli.commands import Shell, make_shell

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
COUNT = "SELECT count(*) AS n FROM stock_table"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A home with rows."""
    made = make_shell(tmp_path)
    assert made.load_days(0, 20) == 400
    return made


def rows(shell: Shell) -> int:
    return int(shell.run("query", "stock_prices", COUNT, "--json").json["rows"][0]["n"])


def test_a_corrupt_catalogue_is_found_and_the_backup_restores_it(shell: Shell, tmp_path: Path) -> None:
    assert shell.run("state", "backup", str(tmp_path / "b.tar")).code == 0
    catalogue = shell.home / "warehouse" / "stock_prices" / "catalog.sqlite"
    content = catalogue.read_bytes()
    catalogue.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    for companion in ("-wal", "-shm"):
        catalogue.with_name(catalogue.name + companion).unlink(missing_ok=True)

    found = shell.process("state", "check", "--json")
    assert found.code == 12
    bad = [f["what"] for f in json.loads(found.out) if not f["ok"]]
    assert bad == ["database warehouse/stock_prices/catalog.sqlite", "table stock_prices/stock_table"]
    query = shell.process("query", "stock_prices", COUNT)
    assert query.code == 12
    assert "the catalogue is damaged" in query.err
    assert "restore a backup" in query.err

    assert shell.run("state", "restore", str(tmp_path / "b.tar"), "--replace").code == 0
    assert rows(shell) == 400
    assert shell.run("state", "check").code == 0


@pytest.mark.parametrize("command", [("status",), ("state", "check"), ("serve",), ("state", "migrate")])
def test_state_of_a_newer_release_is_refused_by_every_command(shell: Shell, command: tuple[str, ...]) -> None:
    Home(shell.home).state_file.write_text('{"version": 2, "profile": "local"}')
    done = shell.run(*command)
    assert done.code == 12
    assert "Traceback" not in done.err
    assert "nstall the" in done.err
    assert "newer" in done.err


def steps(log: list[str], *, fail: bool) -> Migrations:
    def first(home: Home) -> None:
        log.append("first")
        (home.root / "renamed").write_text("x")

    def second(home: Home) -> None:
        log.append("second")
        if fail:
            raise OSError("power cut")
        assert (home.root / "renamed").read_text() == "x"

    return {1: ("rename a room", first), 2: ("fill it", second)}


def test_state_of_an_older_release_is_brought_up_step_by_step_with_a_backup_beside_it(shell: Shell) -> None:
    log: list[str] = []
    said = migrate(shell.home, now=NOW, to=3, migrations=steps(log, fail=False))
    safety = shell.home.with_name("home.before-migration-20260102T030405.000000Z.tar")
    assert said == [f"backup written to {safety}", "version 1 → 2: rename a room", "version 2 → 3: fill it"]
    assert (log, stamp(shell.home).version, stamp(shell.home).profile) == (["first", "second"], 3, "local")
    restore(safety, shell.root / "old")
    assert stamp(shell.root / "old").version == 1
    assert not (shell.root / "old" / "renamed").exists()


def test_a_migration_that_was_cut_off_goes_on_where_it_was(shell: Shell) -> None:
    log: list[str] = []
    with pytest.raises(OSError, match="power cut"):
        migrate(shell.home, now=NOW, to=3, migrations=steps(log, fail=True))
    assert stamp(shell.home).version == 2
    refused = shell.run("status")
    assert refused.code == 12
    later = NOW.replace(minute=9)
    assert len(migrate(shell.home, now=later, to=3, migrations=steps(log, fail=False))) == 2
    assert log == ["first", "second", "second"]
    assert stamp(shell.home).version == 3
