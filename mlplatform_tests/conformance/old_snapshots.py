"""A DuckLake with a past: snapshots of commits that were made for days, put into its catalogue."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path


def commits_of_the_past(warehouse: Path, now: datetime, *, days: float, every_s: float) -> int:
    """As if a commit had been made each `every_s` seconds for `days`, up to `now`, behind those that are there; how many.

    What is there is dated to the beginning. `warehouse`: the folder of the lake, which nobody has open.
    """
    count = int(days * 86_400 / every_s) - 1
    begin = now - timedelta(days=days)
    with closing(sqlite3.connect(warehouse / "catalog.sqlite")) as catalogue, catalogue:
        (newest,) = catalogue.execute("SELECT max(snapshot_id) FROM ducklake_snapshot").fetchone()
        catalogue.execute("UPDATE ducklake_snapshot SET snapshot_time = ?", [_stamp(begin)])
        catalogue.executemany(
            "INSERT INTO ducklake_snapshot SELECT ?, ?, schema_version, next_catalog_id, next_file_id "
            "FROM ducklake_snapshot WHERE snapshot_id = ?",
            ((newest + n, _stamp(begin + timedelta(seconds=every_s * n)), newest) for n in range(1, count + 1)),
        )
        catalogue.executemany(
            "INSERT INTO ducklake_snapshot_changes SELECT ?, changes_made, author, commit_message, commit_extra_info "
            "FROM ducklake_snapshot_changes WHERE snapshot_id = ?",
            ((newest + n, newest) for n in range(1, count + 1)),
        )
    return count


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S.%f+00")
