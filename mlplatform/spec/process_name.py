"""Names of processes that stay true: pid and start time, which no other process of this machine shares."""

from __future__ import annotations

import os
from pathlib import Path


def process_name(pid: int | None = None) -> str:
    """``<pid>-<start>`` of a process (default: this one). Raises ProcessLookupError where there is none.

    The start is in clock ticks since boot where the system says so (an adjusted clock does not change it).
    """
    pid = os.getpid() if pid is None else pid
    start = _start(pid)
    if start is None:
        raise ProcessLookupError(f"there is no process {pid}")
    return f"{pid}-{start}"


def is_alive(name: str) -> bool:
    """Whether the process of that name still runs; a zombie does not."""
    pid, _, start = name.partition("-")
    return pid.isdigit() and _start(int(pid)) == start


def _start(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return None if Path("/proc/self/stat").exists() else _start_elsewhere(pid)
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


def _start_elsewhere(pid: int) -> str | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time() * 100:.0f}"
    except psutil.NoSuchProcess:
        return None
