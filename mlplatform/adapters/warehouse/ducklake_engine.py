"""DuckDB instances with a DuckLake catalogue attached: one that loads, and locked ones that only read.

DuckLake (https://ducklake.select) is Parquet files plus a catalogue in a database, here SQLite. Extensions come as
packages and are loaded by path: nothing is downloaded. WAL and the busy time-out let several processes commit without
starving each other.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

from mlplatform.adapters.warehouse.ducklake_errors import mapped
from mlplatform.adapters.warehouse.ducklake_tables import data_folder
from mlplatform.core.sql import identifier, literal
from mlplatform.errors import NotFoundError, ProfileError
from mlplatform.spec.process_name import process_name

if TYPE_CHECKING:
    import duckdb

CATALOG = "w"
BUSY_TIMEOUT_MS = 5000
_OPEN_VERSIONS = 4


class DuckLakeEngine:
    """Opens connections on first use; `writer` for loads and unloads, `reader` for queries, at a version if asked.

    `masked`: errors do not tell values.
    """

    def __init__(self, root: Path, *, threads: int | None, memory_mib: int, masked: bool = False) -> None:
        self.root = root
        self.masked = masked
        self.data = root / "data"
        self._scratch: Path | None = None
        self._threads = threads or os.cpu_count() or 1
        self._memory_mib = memory_mib
        self._writer: duckdb.DuckDBPyConnection | None = None
        self._reader: duckdb.DuckDBPyConnection | None = None
        self._used = ""
        self._folders: dict[str, Path] = {}
        self._versions: OrderedDict[str, str] = OrderedDict()

    @property
    def catalog_file(self) -> Path:
        return self.root / "catalog.sqlite"

    @property
    def scratch(self) -> Path:
        """This process's own folder for what is half done."""
        if self._scratch is None:
            above = self.root / "scratch"
            above.mkdir(parents=True, exist_ok=True)
            self._scratch = Path(tempfile.mkdtemp(dir=above, prefix=f"{process_name()}-"))
        return self._scratch

    def writer(self) -> duckdb.DuckDBPyConnection:
        """The loading connection; tables are ``w.main.<name>``. Makes the catalogue where there is none."""
        if self._writer is None:
            self.data.mkdir(parents=True, exist_ok=True)
            connection = self._open()
            with mapped(f"catalogue '{self.catalog_file}'"):
                connection.execute(self._attach(CATALOG))
            self._writer = connection
        return self._writer

    def reader(self, at: str | None = None) -> duckdb.DuckDBPyConnection:
        """A connection that can neither write nor reach any file outside the warehouse, set to the version `at`."""
        if self._reader is None:
            if not self.catalog_file.exists():
                self.writer()
            connection = self._open()
            with mapped(f"catalogue '{self.catalog_file}'"):
                connection.execute(self._attach(CATALOG, "READ_ONLY"))
            folders = ", ".join(literal(f"{folder}{os.sep}") for folder in (self.root,))
            for setting in (
                f"allowed_directories = [{folders}]",
                "enable_external_access = false",
                "lock_configuration = true",
            ):
                connection.execute(f"SET {setting}")
            self._reader = connection
        self._use(self._reader, CATALOG if at is None else self._version(self._reader, at))
        return self._reader

    def _use(self, reader: duckdb.DuckDBPyConnection, catalog: str) -> None:
        """Let names mean `catalog`'s; a statement of its own costs as much as a small query, so only where they do not."""
        if self._used != catalog:
            self._used = ""
            reader.execute(f"USE {catalog}")
            self._used = catalog

    def folder(self, table: str) -> Path:
        """Where a table's files lie; the catalogue notes them by relative path, so that the home can move."""
        if table not in self._folders:
            self._folders[table] = self.data / data_folder(self.writer(), table)
            self._folders[table].mkdir(parents=True, exist_ok=True)
        return self._folders[table]

    def close(self) -> None:
        for connection in (self._writer, self._reader):
            if connection is not None:
                connection.close()
        self._writer = self._reader = None
        self._used = ""
        self._versions.clear()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None

    def _version(self, reader: duckdb.DuckDBPyConnection, at: str) -> str:
        if at in self._versions:
            self._versions.move_to_end(at)
            return self._versions[at]
        row = None
        if at.isdigit():
            row = reader.execute(f"SELECT 1 FROM {CATALOG}.snapshots() WHERE snapshot_id = ?", [int(at)]).fetchone()
        if row is None:
            raise NotFoundError(
                f"Warehouse '{self.root}' has no version '{at}'.",
                next_step="It may have expired: versions that models refer to are kept, others as long as maintenance says.",
            )
        alias = f"v{at}"
        if len(self._versions) >= _OPEN_VERSIONS:
            self._use(reader, CATALOG)
            _, oldest = self._versions.popitem(last=False)
            reader.execute(f"DETACH {oldest}")
        reader.execute(self._attach(alias, "READ_ONLY", f"SNAPSHOT_VERSION {int(at)}"))
        self._versions[at] = alias
        return alias

    def _attach(self, alias: str, *options: str) -> str:
        settings = [
            f"DATA_PATH {literal(f'{self.data}{os.sep}')}",
            "OVERRIDE_DATA_PATH true",
            "META_JOURNAL_MODE 'WAL'",
            f"META_BUSY_TIMEOUT {BUSY_TIMEOUT_MS}",
            *options,
        ]
        return (
            f"ATTACH {literal(f'ducklake:sqlite:{self.catalog_file}')} AS {identifier(alias)} ({', '.join(settings)})"
        )

    def _open(self) -> duckdb.DuckDBPyConnection:
        import duckdb

        connection = duckdb.connect(
            config={
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "threads": str(self._threads),
                "memory_limit": f"{self._memory_mib}MiB",
                "temp_directory": str(self.scratch / "spill"),
            }
        )
        for name in ("ducklake", "sqlite_scanner"):
            connection.execute(f"LOAD {literal(str(_extension(name, duckdb.__version__)))}")
        connection.execute("SET TimeZone = 'UTC'")
        return connection


def _extension(name: str, version: str) -> Path:
    package = f"duckdb_extension_{name}"
    spec = importlib.util.find_spec(package)
    if spec is not None and spec.submodule_search_locations:
        path = Path(spec.submodule_search_locations[0]) / "extensions" / f"v{version}" / f"{name}.duckdb_extension"
        if path.is_file():
            return path
    raise ProfileError(
        f"DuckDB {version} needs the package '{package.replace('_', '-')}' of the same version, found none.",
        next_step=f"pip install {package.replace('_', '-')}=={version}",
    )
