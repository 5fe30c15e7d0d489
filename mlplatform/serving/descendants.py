"""Processes that a program left behind: those of its session (its pid, as every program here leads one)."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import suppress

import psutil


def session_members(leader: int) -> list[int]:
    """Pids of the session that `leader` leads or led, without itself.

    A pid is not given out again while a session carries it, so that an ended leader's number is still its own.
    """
    found = []
    for pid in psutil.pids():
        with suppress(ProcessLookupError, PermissionError):
            if pid != leader and os.getsid(pid) == leader:
                found.append(pid)
    return found


def kill_all(pids: Iterable[int]) -> None:
    """SIGKILL to each that is still there."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
