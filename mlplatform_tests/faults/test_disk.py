"""Disks that are full, end in mid-file, or are mounted read-only: commands say so, nothing is half done, and all goes on after."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pyarrow.csv as pacsv
import pytest

from mlplatform.errors import UnavailableError
from mlplatform_tests.cli.commands import Shell, make_shell
from mlplatform_tests.faults.small_disk import SmallDisk
from mlplatform_tests.prices import price_rows

DAYS = 40
COUNT = "SELECT count(*) AS n FROM stock_table"


def history(folder: Path, first: int, last: int) -> Path:
    file = folder / f"{first}-{last}.csv"
    pacsv.write_csv(price_rows(first, last), file)
    return file


def rows(shell: Shell) -> int:
    return int(shell.run("query", "stock_prices", COUNT, "--json").json["rows"][0]["n"])


def test_a_full_disk_is_told_and_all_goes_on_where_it_was_when_there_is_room(disk: SmallDisk, tmp_path: Path) -> None:
    shell = make_shell(disk.root)
    assert shell.load_days(0, DAYS) == DAYS * 20
    waiting = history(tmp_path, DAYS, 2 * DAYS)
    assert shell.run("upload", str(waiting), "stock_prices/base/waiting.csv").code == 0
    record = json.dumps({**price_rows(2 * DAYS, 2 * DAYS + 1).to_pylist()[0]}, default=str)
    ingest = shell.platform().system("stock_prices").ingest("stock_table")
    assert len(ingest.plan()) == 1  # a worker's connections are open

    disk.fill()
    for command in (
        ("upload", str(waiting), "stock_prices/base/refused.csv"),
        ("keys", "create", "stock_prices/stock_prices", "me"),
        ("state", "backup", str(disk.root / "backup.tar")),
        ("status",),
    ):
        done = shell.run(*command)
        assert done.code == 10, (command, done)
        assert "Traceback" not in done.err
        assert "full" in done.err or "No space left" in done.err
    put = shell.run("put", "stock_prices/stock_stream", "--record", record)
    assert "0 records stored, 1 refused" in put.out
    with pytest.raises(UnavailableError, match=r"Load of 'stock_prices/base/waiting\.csv' .*No space left"):
        ingest.run()
    assert rows(shell) == DAYS * 20

    disk.free()
    assert shell.run("put", "stock_prices/stock_stream", "--record", record).code == 0
    assert [(r.key, r.loaded) for r in ingest.run()] == [("stock_prices/base/waiting.csv", DAYS * 20)]
    assert rows(shell) == 2 * DAYS * 20
    assert not (disk.root / "backup.tar").exists()
    assert shell.run("state", "check").code == 0


def test_a_file_that_finds_no_room_in_its_middle_leaves_no_object(tmp_path: Path) -> None:
    shell = make_shell(tmp_path)
    file = history(tmp_path, 0, 200)
    size = file.stat().st_size
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size // 2}, {size // 2}))"
    code = f"{limit}; import sys; from mlplatform.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "upload", str(file), "stock_prices/base/a.csv"]
    done = subprocess.run(command, env=shell.env, capture_output=True, text=True, check=False)
    assert done.returncode == 10
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert shell.run("objects", "--json").json == []
    assert list((shell.home / "objects").rglob("*.csv")) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != size // 2


@pytest.mark.parametrize("command", [("put", "stock_prices/stock_stream", "--record", "{}"), ("status",), ("serve",)])
def test_a_home_that_is_read_only_is_told_by_every_command(disk: SmallDisk, command: tuple[str, ...]) -> None:
    shell = make_shell(disk.root)
    assert shell.process("objects").code == 0
    disk.read_only()
    done = shell.process(*command)
    assert done.code == 8
    assert f"The home '{shell.home}' cannot be written to by this user" in done.err
    assert "Traceback" not in done.err


def test_a_home_below_a_read_only_folder_cannot_be_made(disk: SmallDisk) -> None:
    shell = make_shell(disk.root)
    disk.read_only()
    done = shell.run("objects")
    assert done.code == 8
    assert "or its disk is mounted read-only" in done.err


def test_a_backup_onto_a_full_disk_leaves_nothing_there(disk: SmallDisk, tmp_path: Path) -> None:
    shell = make_shell(tmp_path)
    assert shell.load_days(0, DAYS) == DAYS * 20
    disk.fill()
    done = shell.run("state", "backup", str(disk.root / "b.tar"))
    assert done.code == 10
    assert "database or disk is full" in done.err
    disk.free()
    assert list(disk.root.iterdir()) == []
