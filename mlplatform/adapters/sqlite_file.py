"""A SQLite file that many processes use at once: how the embedded adapters open, lock and close one.

Write-ahead log with ``synchronous=FULL``: a transaction is fsynced when it is committed. The file is made aside, with its
tables, and linked into place, so that nobody meets one half made. `user_version` is the format of its tables.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from mlplatform.errors import StateError, UnavailableError

BUSY_TIMEOUT_S = 30.0


class SqliteFile:
    """The file `path`, made on first use from `schema`; one connection a process, used by one thread at a time.

    `what` names it in errors: ``Shard 'a' of stream 'b'``.
    """

    def __init__(self, path: Path, *, what: str, schema: str, version: int) -> None:
        self.path = path
        self.what = f"{what} ('{path}')"
        self._schema = schema
        self._version = version
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._process = os.getpid()
        self._opened: tuple[int, int] | None = None

    @contextlib.contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """The connection; each statement is a transaction.

        Raises:
            UnavailableError: locked for longer than `BUSY_TIMEOUT_S`, disk full, no right to it.
            StateError: damaged, or of another format.
        """
        with self._lock:
            try:
                yield self._connected()
            except sqlite3.OperationalError as error:
                step = "Check the disk (space, rights), and for a process that holds the file."
                raise UnavailableError(f"{self.what}: {error}.", next_step=step) from error
            except sqlite3.DatabaseError as error:
                raise StateError(f"{self.what} is damaged: {error}.", next_step="Restore it from a backup.") from error

    @contextlib.contextmanager
    def transaction(self, *, write: bool) -> Iterator[sqlite3.Connection]:
        """The connection in one transaction, rolled back on any exception; without `write` it reads one snapshot."""
        with self.connection() as connection:
            connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close the file; it is opened again when it is used."""
        with self._lock:
            if self._connection is not None:
                if self._is_foreign():
                    _abandon(self._connection)
                else:
                    self._connection.close()
                self._connection = None

    def __del__(self) -> None:
        self.close()

    def _connected(self) -> sqlite3.Connection:
        if self._connection is not None and self._is_foreign():
            self.close()
        if self._connection is None:
            self._connection = self._open()
            self._process, self._opened = os.getpid(), _identity(self.path)
        return self._connection

    def _is_foreign(self) -> bool:
        """Whether the connection is another process's, or its file was replaced underneath."""
        return self._process != os.getpid() or self._opened != _identity(self.path)

    def _open(self) -> sqlite3.Connection:
        if not self.path.exists():
            self._create()
        connection = _connect(self.path)
        try:
            found = connection.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.DatabaseError:
            connection.close()
            raise
        if found != self._version:
            connection.close()
            raise StateError(
                f"{self.what} has format {found}, this release reads {self._version}.",
                next_step="Run 'mlplatform state migrate', or install the release that wrote it.",
            )
        return connection

    def _create(self) -> None:
        folder = self.path.parent
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=folder, prefix=f".{self.path.name}.") as aside:
            made = Path(aside) / self.path.name
            connection = _connect(made)
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.executescript(f"BEGIN; {self._schema} PRAGMA user_version={self._version}; COMMIT;")
            finally:
                connection.close()
            with contextlib.suppress(FileExistsError):
                self.path.hardlink_to(made)
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _abandon(connection: sqlite3.Connection) -> None:
    """Keep `connection` open to the end of the process, for it must not be closed: one that a fork brought along would
    drop the parent's locks, and one whose file was replaced underneath would delete the new file's log."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_dev, stat.st_ino


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA synchronous=FULL")
    # What is deleted is overwritten: records that were erased, or whose time is over, are not to be found in free pages.
    connection.execute("PRAGMA secure_delete=ON")
    return connection
