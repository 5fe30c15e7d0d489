"""Which files of a home a backup holds, and in which order they are copied.

While everything runs, files come and go between two copies. So what names others is copied before what it names, and each
room is listed when its turn comes: a catalogue finds its data files, the ledger its landing objects, a landing object its
records on the stream, a deployment its version, a version its package. What is newer than what names it does no harm:
orphaned data files are swept, landing objects behind the ledger are loaded, records behind the landing objects delivered.

Some rooms hold bytes that are not the platform's own (objects, model packages, jobs' trees): these are copied as they
are, whatever they look like. Only elsewhere is a file that SQLite made copied by SQLite.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mlplatform.spec.home import Home

_SQLITE_MAGIC = b"SQLite format 3\x00"
_COMPANIONS = ("-wal", "-shm", "-journal")


@dataclass(frozen=True)
class HomeFile:
    """A file to keep, relative to the home; a `database` must be copied by SQLite, together with its log."""

    name: PurePosixPath
    database: bool


def home_files(home: Home) -> Iterator[HomeFile]:
    """Files to keep, each once, in the order to copy them; listed as it goes on."""
    root = home.root
    warehouses, endpoints = root / "warehouse", root / "endpoints"
    # A spooled segment becomes an object and goes; in this order it is in one of them at least, and by one name.
    last = (home.capture, home.objects, home.streams)
    others = [e for e in sorted(root.iterdir()) if e not in (warehouses, endpoints, home.items, home.tracking, *last)]
    yield from _databases(root, warehouses)
    for room in (endpoints, home.items):
        yield from _walk(root, room)
    yield from _databases(root, home.tracking)
    for room in (warehouses, home.tracking):
        yield from (found for found in _walk(root, room) if not found.database)
    for room in (*others, *last):
        yield from _walk(root, room)


def _databases(root: Path, room: Path) -> Iterator[HomeFile]:
    return (found for found in _walk(root, room) if found.database)


def _walk(root: Path, top: Path) -> Iterator[HomeFile]:
    """Files to keep at or below `top`, folder by folder."""
    if top.is_file():
        yield from _file(root, top)
    for folder, below, names in os.walk(top):
        here = Path(folder).relative_to(root)
        below[:] = sorted(name for name in below if not _is_left_out(here / name))
        for name in sorted(names):
            yield from _file(root, root / here / name)


def _file(root: Path, path: Path) -> Iterator[HomeFile]:
    relative = path.relative_to(root)
    name = PurePosixPath(relative.as_posix())
    if _is_left_out(relative) or not path.is_file():
        return
    if _is_foreign(relative):
        # A link among objects is no object.
        if relative.parts[0] != "objects" or not path.is_symlink():
            yield HomeFile(name, False)
    elif not any(_is_sqlite(Path(str(path).removesuffix(c))) for c in _COMPANIONS if path.name.endswith(c)):
        yield HomeFile(name, _is_sqlite(path))


def _is_left_out(relative: Path) -> bool:
    """What is made anew (locks, logs, local copies of what tracking holds) or is half made."""
    room, *_ = parts = relative.parts
    if room in ("run", "logs", "packages") or (room == "warehouse" and parts[2:3] == ("scratch",)):
        return True
    hidden = relative.name.startswith(".") and relative.name != ".initialised"
    return hidden and (room == "objects" or not _is_foreign(relative))


def _is_foreign(relative: Path) -> bool:
    """Whether what lies there is not of the platform's own making."""
    room, *rest = relative.parts
    return (
        room in ("objects", "jobs", "reports", "capture")
        or (room == "tracking" and rest[:1] == ["artifacts"])
        or (room == "warehouse" and rest[1:2] == ["data"])
    )


def _is_sqlite(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE_MAGIC)) == _SQLITE_MAGIC
    except OSError:
        return False
