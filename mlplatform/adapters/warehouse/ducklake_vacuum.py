"""Writing a DuckLake's catalogue anew, so that no freed page of the file holds what its rows once said.

The catalogue knows the smallest and largest value of each file; SQLite leaves such bytes in freed pages until it uses them
again. It is done by a process of its own: this one may have the file open through DuckDB's own SQLite, and of two SQLites in
one process each undoes the other's locks (https://www.sqlite.org/howtocorrupt.html, 2.2.1).
"""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

_PROGRAM = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=float(sys.argv[2]), isolation_level=None)
connection.execute("VACUUM")
sys.exit(connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])
"""
_WAIT_S, _LONGEST_S = 5.0, 600.0
log = logging.getLogger(__name__)


def vacuum(catalogue: Path) -> bool:
    """Whether the file was written anew; if not, somebody used it all the while, and the log says so."""
    command = [sys.executable, "-I", "-c", _PROGRAM, str(catalogue), str(_WAIT_S)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LONGEST_S, check=False)
    except subprocess.TimeoutExpired:
        log.warning("catalogue '%s' was not written anew within %.0f s", catalogue, _LONGEST_S)
        return False
    if done.returncode:
        why = done.stderr.strip().splitlines()[-1:] or ["others were reading it"]
        log.warning("catalogue '%s' was not written anew: %s; the next upkeep tries again", catalogue, why[0])
    return done.returncode == 0
