"""Where a DuckLake lies: its catalogue and its data files. On this machine alone, or where a team's machines meet.

A new data file is made on this machine first, looked at there, and published: named by a place that every process sees.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from mlplatform.adapters.warehouse.ducklake_turns import turn
from mlplatform.adapters.warehouse.ducklake_vacuum import vacuum
from mlplatform.adapters.warehouse.staging.source import fsync
from mlplatform.core.sql import literal

BUSY_TIMEOUT_MS = 5000


class LakePlace(Protocol):
    """What an engine must know of a place.

    Attributes:
        name: for people. who: whom the place knows this process as, and by which secret. schema: of the catalogue's own tables, in its database. extensions: DuckDB's, to load.
        reach: what a reading connection may open.
        attach_later: whether a connection that is locked can attach another version.
    """

    name: str
    who: str
    schema: str
    extensions: tuple[str, ...]
    reach: str
    attach_later: bool

    def secrets(self) -> tuple[str, ...]:
        """Statements that let a connection reach the place. Not to be logged. Other ones than before where credentials
        were renewed."""
        ...

    def prepare(self) -> None:
        """Before a catalogue is made."""
        ...

    def is_there(self) -> bool:
        """Whether a reader may simply attach; if not, the catalogue is made first."""
        ...

    def source(self) -> str:
        """What stands behind ATTACH."""
        ...

    def options(self) -> tuple[str, ...]:
        """What stands behind the alias."""
        ...

    def draft_folder(self, folder: str, scratch: Path) -> Path:
        """Where on this machine a file of the table whose folder is `folder` is made."""
        ...

    def publish(self, file: Path, folder: str) -> str:
        """Make the file lasting where every process sees it; its location for the catalogue."""
        ...

    def turn(self) -> AbstractContextManager[object]:
        """In which a transaction names files: one at a time, as far as the place can see to it."""
        ...

    def committed(self, file: Path) -> None:
        """The published file is the table's: what was only its draft may go."""
        ...

    def withdraw(self, file: Path, folder: str) -> None:
        """The published file is in no commit: take it away, and its draft."""
        ...

    def delete(self, path: str, *, relative: bool) -> None:
        """Delete a data file that no snapshot needs; none is no error."""
        ...

    def vacuum(self) -> bool:
        """Write the catalogue anew, so that nothing deleted is left in its files; whether that was done."""
        ...


class LocalPlace:
    """Files and a SQLite catalogue under `root`.

    WAL and the busy time-out let several processes commit without starving each other.
    """

    who = ""
    schema = "main"
    extensions: tuple[str, ...] = ("sqlite_scanner",)
    attach_later = True

    def __init__(self, root: Path) -> None:
        self.catalogue = root / "catalog.sqlite"
        self.name = str(self.catalogue)
        self.reach = f"{root}{os.sep}"
        self._data = root / "data"

    def secrets(self) -> tuple[str, ...]:
        return ()

    def prepare(self) -> None:
        self._data.mkdir(parents=True, exist_ok=True)

    def is_there(self) -> bool:
        return self.catalogue.exists()

    def source(self) -> str:
        return f"ducklake:sqlite:{self.catalogue}"

    def options(self) -> tuple[str, ...]:
        return (
            f"DATA_PATH {literal(f'{self._data}{os.sep}')}",
            "OVERRIDE_DATA_PATH true",
            "META_JOURNAL_MODE 'WAL'",
            f"META_BUSY_TIMEOUT {BUSY_TIMEOUT_MS}",
        )

    def draft_folder(self, folder: str, scratch: Path) -> Path:  # noqa: ARG002 - a file is made where it stays
        return self._data / folder

    def publish(self, file: Path, folder: str) -> str:  # noqa: ARG002
        fsync(file)
        return str(file)

    def turn(self) -> AbstractContextManager[object]:
        return turn(self.catalogue.parent)

    def committed(self, file: Path) -> None:
        """Nothing: the draft is the file."""

    def withdraw(self, file: Path, folder: str) -> None:  # noqa: ARG002
        file.unlink(missing_ok=True)

    def delete(self, path: str, *, relative: bool) -> None:
        (self._data / path if relative else Path(path)).unlink(missing_ok=True)

    def vacuum(self) -> bool:
        return vacuum(self.catalogue)
