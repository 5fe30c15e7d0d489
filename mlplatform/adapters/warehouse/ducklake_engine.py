"""DuckDB instances with a DuckLake catalogue attached: one that loads, and locked ones that only read.

DuckLake (https://ducklake.select) is Parquet files plus a catalogue in a database; where both lie is a place's business
(`ducklake_place`). Extensions come as packages and are loaded by path: nothing is downloaded.
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
from mlplatform.adapters.warehouse.ducklake_place import LakePlace, LocalPlace
from mlplatform.adapters.warehouse.ducklake_tables import data_folder
from mlplatform.core.sql import identifier, literal
from mlplatform.errors import NotFoundError, ProfileError
from mlplatform.spec.process_name import process_name

if TYPE_CHECKING:
    import duckdb

CATALOG = "w"
_OPEN_VERSIONS = 4
_EXPIRED = "No snapshot found"
"""What DuckLake says of a version that is attached and has expired."""


class DuckLakeEngine:
    """Opens connections on first use; `writer` for loads and unloads, `reader` for queries, at a version if asked.

    `root`: a folder of this machine, for what is half done. `place`: where the lake lies; None = under `root`.
    `masked`: errors do not tell values.
    """

    def __init__(
        self,
        root: Path,
        *,
        threads: int | None,
        memory_mib: int,
        masked: bool = False,
        place: LakePlace | None = None,
    ) -> None:
        self.root = root
        self.masked = masked
        self.place = place or LocalPlace(root)
        self._scratch: Path | None = None
        self._threads = threads or os.cpu_count() or 1
        self._memory_mib = memory_mib
        self._writer: duckdb.DuckDBPyConnection | None = None
        self._reader: duckdb.DuckDBPyConnection | None = None
        self._used = ""
        self._secrets: tuple[str, ...] = ()
        self._folders: dict[str, str] = {}
        self._versions: OrderedDict[str, str] = OrderedDict()
        self._apart: OrderedDict[str, duckdb.DuckDBPyConnection] = OrderedDict()

    @property
    def metadata(self) -> str:
        """Where the catalogue's own tables are, as SQL."""
        return f"__ducklake_metadata_{CATALOG}.{identifier(self.place.schema)}"

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
        self._renew()
        if self._writer is None:
            self.place.prepare()
            connection = self._open()
            with mapped(f"catalogue '{self.place.name}'"):
                connection.execute(self._attach(CATALOG))
            self._writer = connection
        return self._writer

    def reader(self, at: str | None = None) -> duckdb.DuckDBPyConnection:
        """A connection that can neither write nor reach any file outside the warehouse, set to the version `at`."""
        import duckdb

        self._renew()
        if self._reader is None:
            if not self.place.is_there():
                self.writer()
            self._reader = self._locked()
        try:
            if at is not None and not self.place.attach_later:
                return self._reader_of(self._reader, at)
            self._use(self._reader, CATALOG if at is None else self._version(self._reader, at))
        except duckdb.InvalidInputException as error:
            if _EXPIRED not in str(error):
                raise
            # The version that it was set to has expired: it would answer nothing more.
            self._close_readers()
            return self.reader(at)
        return self._reader

    def apart(self, at: str | None = None) -> duckdb.DuckDBPyConnection:
        """A reader beside the other, set to the version `at`, for a result that is read while other questions are asked.

        Who asked for it closes it.
        """
        reader = self.reader()
        if at is None:
            connection = reader.cursor()
        else:
            # One that is attached to the other reader may be let go there before the result has been read.
            self._check_version(reader, at)
            connection = self._locked(f"SNAPSHOT_VERSION {int(at)}")
        connection.execute(f"USE {CATALOG}")
        return connection

    def _locked(self, *options: str) -> duckdb.DuckDBPyConnection:
        connection = self._open()
        with mapped(f"catalogue '{self.place.name}'"):
            connection.execute(self._attach(CATALOG, "READ_ONLY", *options))
        for setting in (
            f"allowed_directories = [{literal(self.place.reach)}, {literal(f'{self.root}{os.sep}')}]",
            "enable_external_access = false",
            "lock_configuration = true",
        ):
            connection.execute(f"SET {setting}")
        return connection

    def _reader_of(self, reader: duckdb.DuckDBPyConnection, at: str) -> duckdb.DuckDBPyConnection:
        """A connection of its own for the version, where a locked one attaches nothing more."""
        self._check_version(reader, at)
        if at in self._apart:
            self._apart.move_to_end(at)
            return self._apart[at]
        if len(self._apart) >= _OPEN_VERSIONS:
            self._apart.popitem(last=False)[1].close()
        connection = self._apart[at] = self._locked(f"SNAPSHOT_VERSION {int(at)}")
        connection.execute(f"USE {CATALOG}")
        return connection

    def _renew(self) -> None:
        """Close connections that were opened with other credentials than there are now."""
        now = self.place.secrets()
        if now != self._secrets:
            self.close()
            self._secrets = now

    def _use(self, reader: duckdb.DuckDBPyConnection, catalog: str) -> None:
        """Let names mean `catalog`'s; a statement of its own costs as much as a small query, so only where they do not."""
        if self._used != catalog:
            self._used = ""
            reader.execute(f"USE {catalog}")
            self._used = catalog

    def draft_folder(self, table: str) -> Path:
        """Where a file that is to be the table's is made."""
        made = self.place.draft_folder(self._folder(table), self.scratch)
        made.mkdir(parents=True, exist_ok=True)
        return made

    def publish(self, table: str, file: Path) -> str:
        """Make the drafted file lasting for every process; its location, as the catalogue takes it."""
        with mapped(f"file '{file.name}' of table '{table}'"):
            return self.place.publish(file, self._folder(table))

    def withdraw(self, table: str, file: Path) -> None:
        """Take away a drafted file that is in no commit, published or not."""
        self.place.withdraw(file, self._folder(table))

    def _folder(self, table: str) -> str:
        """The table's folder below the data; the catalogue notes files by relative path, so that the home can move."""
        if table not in self._folders:
            self._folders[table] = data_folder(self._writer or self.writer(), self.metadata, table)
        return self._folders[table]

    def interrupt(self) -> None:
        """What runs on these connections ends."""
        for connection in (self._writer, self._reader, *self._apart.values()):
            if connection is not None:
                connection.interrupt()

    def close(self) -> None:
        self._close_readers()
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None

    def _close_readers(self) -> None:
        for connection in (self._reader, *self._apart.values()):
            if connection is not None:
                connection.close()
        self._reader = None
        self._used = ""
        self._versions.clear()
        self._apart.clear()

    def _version(self, reader: duckdb.DuckDBPyConnection, at: str) -> str:
        self._check_version(reader, at)
        if at in self._versions:
            self._versions.move_to_end(at)
            return self._versions[at]
        alias = f"v{at}"
        if len(self._versions) >= _OPEN_VERSIONS:
            self._use(reader, CATALOG)
            _, oldest = self._versions.popitem(last=False)
            reader.execute(f"DETACH {oldest}")
        reader.execute(self._attach(alias, "READ_ONLY", f"SNAPSHOT_VERSION {int(at)}"))
        self._versions[at] = alias
        return alias

    def _check_version(self, reader: duckdb.DuckDBPyConnection, at: str) -> None:
        row = None
        if at.isdigit():
            row = reader.execute(f"SELECT 1 FROM {CATALOG}.snapshots() WHERE snapshot_id = ?", [int(at)]).fetchone()
        if row is None:
            raise NotFoundError(
                f"Warehouse '{self.root}' has no version '{at}'.",
                next_step="It may have expired: versions that models refer to are kept, others as long as maintenance says.",
            )

    def _attach(self, alias: str, *options: str) -> str:
        settings = ", ".join([*self.place.options(), *options])
        return f"ATTACH {literal(self.place.source())} AS {identifier(alias)} ({settings})"

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
        for name in ("ducklake", *self.place.extensions):
            connection.execute(f"LOAD {literal(str(_extension(name, duckdb.__version__)))}")
        for secret in self._secrets:
            connection.execute(secret)
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
