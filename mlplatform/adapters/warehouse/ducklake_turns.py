"""One commit at a time that names files, among the processes of a machine.

Exactly once does not hang on it: the guard's row decides. It is for DuckLake's extension, which reads its map of column names
while another connection adds to it, and ends the process (duckdb/ducklake, issue 1431, open in November 2026).
"""

from __future__ import annotations

import fcntl
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LONGEST_S = 10.0
"""A commit takes milliseconds: who has waited so long goes on without a turn, since its holder may stand still."""


@contextmanager
def turn(folder: Path, *, longest_s: float = LONGEST_S) -> Iterator[bool]:
    """Holds the lock on `folder` while the block runs; whether it was to be had. A process that dies lets go of it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield _taken(descriptor, time.monotonic() + longest_s)
    finally:
        os.close(descriptor)


def _taken(descriptor: int, end: float) -> bool:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            time.sleep(random.uniform(0.001, 0.005))  # noqa: S311
        else:
            return True
