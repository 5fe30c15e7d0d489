"""Backup and restore of a home, also while everything runs.

A backup is one tar file whose first member, `backup.json`, names every other with its SHA-256. SQLite files are copied
by SQLite's own backup, so each is consistent in itself; what they name is copied after them (see `backup_files`), and does
not change once written. A data file that upkeep lets go stays for an hour: so long may the copy of a warehouse take.
Whatever is delivered or loaded again after a restore is known by its position.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from mlplatform.adapters.object_store.file_etag import keep_etag
from mlplatform.errors import ConflictError, NotFoundError, StateError, UnavailableError
from mlplatform.platform.backup_files import home_files
from mlplatform.spec.home import STATE_VERSION, Home

INDEX = "backup.json"


@dataclass(frozen=True)
class Backup:
    """What a backup holds."""

    path: str
    files: int
    size_bytes: int
    state_version: int
    made_at: str


def backup(home: Home, target: Path, *, now: datetime, on_file: Callable[[str], None] | None = None) -> Backup:
    """Write a backup of `home` to the file `target`; it appears whole or not at all.

    Args:
        on_file: is told the name of each file once it was copied.

    Raises:
        ConflictError: `target` exists.
        NotFoundError: there is no state at `home`.
        StateError: a database is damaged, or the stamp.
    """
    if target.exists():
        raise ConflictError(f"'{target}' exists.", next_step="Name another file.")
    if not home.state_file.exists():
        raise NotFoundError(f"There is no state at '{home.root}'.", next_step="Set MLPLATFORM_HOME.")
    version = _version(home)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".backup-") as scratch:
        copy = Path(scratch) / "home"
        hashes: dict[str, str] = {}
        for found in home_files(home):
            digest = _copy(home.root / found.name, copy / found.name, database=found.database)
            if digest is not None:
                hashes[str(found.name)] = digest
                if on_file is not None:
                    on_file(str(found.name))
        index = {"state_version": version, "made_at": now.isoformat(), "files": hashes}
        packed = Path(scratch) / "backup.tar"
        with tarfile.open(packed, "w") as tar:
            data = json.dumps(index, indent=1, sort_keys=True).encode()
            member = tarfile.TarInfo(INDEX)
            member.size, member.mtime = len(data), int(now.timestamp())
            tar.addfile(member, io.BytesIO(data))
            for name in hashes:
                tar.add(copy / name, arcname=name, recursive=False)
        with packed.open("rb") as file:
            os.fsync(file.fileno())
        packed.replace(target)
    return Backup(str(target), len(hashes), target.stat().st_size, version, now.isoformat())


def restore(source: Path, root: Path, *, replace: bool = False) -> Backup:
    """Make the home at `root` from the backup `source`, after every file was checked; an old one is kept beside it.

    Raises:
        ConflictError: there is a home, and `replace` is false.
        StateError: the backup is damaged, or of another version; the home is as it was.
    """
    if root.exists() and any(root.iterdir()) and not replace:
        raise ConflictError(
            f"There is state at '{root}'.", next_step="Say --replace: it is then kept beside the new one."
        )
    if not source.is_file():
        raise NotFoundError(
            f"There is no backup at '{source}'.",
            next_step="Give the path of a file that mlplatform state backup wrote.",
        )
    root.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=root.parent, prefix=f".{root.name}-restore-"))
    try:
        index = _unpack(source, scratch)
        if root.exists():
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
            root.rename(root.with_name(f"{root.name}.before-restore-{stamp}"))
        scratch.rename(root)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    return Backup(str(source), len(index["files"]), source.stat().st_size, index["state_version"], index["made_at"])


def _version(home: Home) -> int:
    """Of the state there: before a migration it is an older one than this release's, which the older release may restore."""
    try:
        return int(json.loads(home.state_file.read_text())["version"])
    except (ValueError, KeyError, TypeError) as error:
        raise StateError(f"'{home.state_file}' is no state stamp: {error!r}.", next_step="Restore a backup.") from error


def _copy(source: Path, target: Path, *, database: bool) -> str | None:
    """Copy one file, consistent also while it is written to; its SHA-256, or None where it has gone since it was listed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        if database:
            _copy_database(source, target)
        else:
            shutil.copy2(source, target)
    except FileNotFoundError:
        return None
    return _sha256(target)


def _copy_database(source: Path, target: Path) -> None:
    source.stat()  # SQLite does not say that it is gone
    try:
        with (
            closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True, timeout=30)) as old,
            closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)
    except sqlite3.OperationalError as error:
        raise UnavailableError(
            f"The database '{source}' cannot be copied to '{target.parent}': {error}.",
            next_step="Check the disk (space, rights), then try again.",
        ) from error
    except sqlite3.DatabaseError as error:
        raise StateError(
            f"The database '{source}' cannot be copied: {error}.",
            next_step="See 'mlplatform state check'; where it is damaged, restore an earlier backup.",
        ) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unpack(source: Path, target: Path) -> dict[str, Any]:
    try:
        with tarfile.open(source) as tar:
            tar.extractall(target, filter="data")
        index = json.loads((target / INDEX).read_bytes())
    except (tarfile.TarError, OSError, ValueError) as error:
        raise StateError(
            f"'{source}' is no readable backup: {error}.",
            next_step="Restore from another file that mlplatform state backup wrote.",
        ) from error
    if index["state_version"] > STATE_VERSION:
        raise StateError(
            f"'{source}' holds state of version {index['state_version']}, this release reads {STATE_VERSION}.",
            next_step="Install the newer release.",
        )
    for name, expected in index["files"].items():
        if not (target / name).is_file() or _sha256(target / name) != expected:
            raise StateError(f"'{name}' in the backup '{source}' is damaged.", next_step="Restore an earlier backup.")
        if PurePosixPath(name).parts[0] == Home(target).objects.name:
            # It is known to be whole, so that the store need not wait whether somebody still writes it.
            with (target / name).open("rb") as file:
                keep_etag(file.fileno(), expected)
    (target / INDEX).unlink()
    return dict(index)
