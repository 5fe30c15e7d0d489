"""Names in a folder, in order, kept for as long as the folder does not change: a look into one of a hundred thousand files
costs as much as into one of a hundred.

A folder's own times change when a name in it comes or goes. They are believed once they are older than `SETTLED_S` when the
folder is read: within a file system's tick, a second change leaves no trace.
"""

from __future__ import annotations

import os
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

SETTLED_S = 2.0
FEW = 64
"""Folders of fewer names are read each time."""
MANY = 2_000_000
"""Names that are kept in all."""


@dataclass(frozen=True)
class _Read:
    stamp: tuple[int, ...]
    names: Sequence[str]


class FolderNames:
    """What folders hold: names of files, and of folders with a "/" behind. Hidden ones and those that are no text are left out."""

    def __init__(self, *, settled_s: float = SETTLED_S) -> None:
        self._settled_s = settled_s
        self._read: dict[str, _Read] = {}
        self._kept = 0

    def of(self, path: str) -> Sequence[str]:
        """Sorted; empty where there is no such folder."""
        try:
            stat = os.stat(path)  # noqa: PTH116 - a Path costs more than the call
            stamp = (stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns)
            known = self._read.get(path)
            if known is not None and known.stamp == stamp:
                return known.names
            settled = time.time() - max(stat.st_mtime, stat.st_ctime) > self._settled_s
            with os.scandir(path) as entries:
                names = sorted(
                    f"{e.name}/" if e.is_dir(follow_symlinks=False) else e.name for e in entries if _is_shown(e.name)
                )
        except (FileNotFoundError, NotADirectoryError):
            return ()
        self._keep(path, _Read(stamp, names) if settled and len(names) >= FEW else None)
        return names

    def _keep(self, path: str, read: _Read | None) -> None:
        before = self._read.pop(path, None)
        self._kept -= len(before.names) if before is not None else 0
        if read is None:
            return
        if self._kept + len(read.names) > MANY:
            self._read.clear()
            self._kept = 0
        self._read[path] = read
        self._kept += len(read.names)


def keys_between(names: Sequence[str], folder: str, prefix: str, after: str) -> Iterator[str]:
    """Keys of `names` in `folder` ("" or ending in "/") that begin with `prefix` and sort behind `after`, and folders in which
    there may be some."""
    start = max(_place(names, folder, after, bisect_right), _place(names, folder, prefix, bisect_left))
    for number in range(start, len(names)):
        key = folder + names[number]
        if key.endswith("/"):
            if (key.startswith(prefix) or prefix.startswith(key)) and (key > after or after.startswith(key)):
                yield key
        elif key > after and key.startswith(prefix):
            yield key
        if key > prefix and not key.startswith(prefix):
            return


def _place(names: Sequence[str], folder: str, key: str, bisect: Callable[[Sequence[str], str], int]) -> int:
    """Where `key` stands among the names, or one before, where that is a folder in which it lies."""
    if not key.startswith(folder):
        return 0 if key < folder else len(names)
    rest = key[len(folder) :]
    found = bisect(names, rest)
    return found - 1 if found and names[found - 1].endswith("/") and rest.startswith(names[found - 1]) else found


def _is_shown(name: str) -> bool:
    if name.startswith("."):
        return False
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
