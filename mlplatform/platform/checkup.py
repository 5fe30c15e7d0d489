"""Looks for damage in a home: what a person asks after a crash, a full disk or a restore."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlplatform.core.packages.manifest import read_package
from mlplatform.errors import PlatformError
from mlplatform.platform.connections import tracking
from mlplatform.spec.model import ModelSpec
from mlplatform.spec.table import TableSpec

if TYPE_CHECKING:
    from mlplatform.platform.root import Platform
    from mlplatform.ports.tracking import Tracking
    from mlplatform.spec.system import SystemSpec


@dataclass(frozen=True)
class Finding:
    """One thing looked at."""

    what: str
    ok: bool
    detail: str


def checkup(platform: Platform) -> list[Finding]:
    """Settings filled by the environment, databases readable, packages as hashed (each registered one where the tracker keeps it, and local copies), each
    table's ledger in balance and its rows as many as the ledger says."""
    home = platform.home
    return [
        *_connections(platform),
        *_databases(home.root),
        *_packages(home.packages),
        *_versions(platform),
        *_tables(platform),
    ]


def _connections(platform: Platform) -> Iterator[Finding]:
    for name, connection in sorted(platform.profile.connections.items()):
        if missing := connection.unset():
            yield Finding(f"connection {name}", False, "; ".join(missing))


def _databases(root: Path) -> Iterator[Finding]:
    for folder, _, names in os.walk(root):
        for name in sorted(names):
            if not name.endswith((".sqlite", ".db")):
                continue
            path = Path(folder, name)
            try:
                with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as connection:
                    answer = str(connection.execute("PRAGMA quick_check").fetchone()[0])
            except sqlite3.DatabaseError as error:
                answer = str(error)
            yield Finding(f"database {path.relative_to(root)}", answer == "ok", answer)


def _packages(folder: Path) -> Iterator[Finding]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name.startswith("."):
            continue
        try:
            manifest = read_package(path, digest=path.name)
        except PlatformError as error:
            yield Finding(f"model package {path.name[:12]}", False, str(error))
        else:
            yield Finding(f"model package {path.name[:12]}", True, manifest.model)


def _versions(platform: Platform) -> Iterator[Finding]:
    """Registered versions, fetched from the tracker itself; a local copy, which no backup holds, would hide a loss."""
    connection = platform.profile.connection("tracking", port="tracking")
    with tempfile.TemporaryDirectory() as scratch:
        fetched = tracking(
            connection,
            platform.home,
            platform.profile.addresses,
            lambda: platform.secrets,
            lambda: platform.store,
            cache=Path(scratch),
        )
        for system in platform.specs.values():
            for model in system.all(ModelSpec):
                yield from _model(fetched, f"{system.name}.{model.name}")


def _model(fetched: Tracking, name: str) -> Iterator[Finding]:
    try:
        versions = fetched.versions(name)
    except PlatformError as error:
        yield Finding(f"model {name}", False, str(error))
        return
    for version in versions:
        what = f"model {name} version {version.version}"
        try:
            fetched.package(name, version.digest)
        except PlatformError as error:
            yield Finding(what, False, str(error))
        else:
            yield Finding(what, True, ", ".join(version.aliases) or "registered")


def _tables(platform: Platform) -> Iterator[Finding]:
    for system in platform.specs.values():
        for table in system.all(TableSpec):
            if not table.existing:
                yield _table(platform, system, table)


def _table(platform: Platform, system: SystemSpec, table: TableSpec) -> Finding:
    name = '"' + table.name.replace('"', '""') + '"'
    try:
        warehouse = platform.system(system.name).warehouse(table.connection)
        warehouse.create(table.schema_())
        ledger = warehouse.query(
            "SELECT coalesce(sum(loaded), 0)::BIGINT AS loaded, count(*) FILTER (WHERE arrived <> loaded + quarantined + "
            "duplicates + filtered) AS unbalanced FROM _ledger WHERE table_name = ?",
            [table.name],
        ).to_pylist()[0]
        gone = warehouse.query(
            "SELECT coalesce(sum(rows), 0)::BIGINT AS n FROM _erasures WHERE table_name = ?", [table.name]
        ).to_pylist()[0]["n"]
        # The batches are read from the data files; a bare count is answered from the catalogue, files or no files.
        sql = f"SELECT count(*) AS n, count(DISTINCT _batch_id) AS batches FROM {name}"  # noqa: S608
        rows = warehouse.query(sql).to_pylist()[0]["n"]
    except PlatformError as error:
        return Finding(f"table {system.name}/{table.name}", False, str(error))
    # Rows that a later version of their object replaced are in the ledger and no longer in the table.
    expected = ledger["loaded"] - gone
    enough = rows <= expected if table.on_changed_object == "replace" else rows == expected
    ok = ledger["unbalanced"] == 0 and enough
    detail = (
        f"{rows} rows, {ledger['loaded']} in the ledger, {gone} erased, {ledger['unbalanced']} receipts out of balance"
    )
    return Finding(f"table {system.name}/{table.name}", ok, detail)
