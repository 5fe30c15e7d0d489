"""The measured side of a warm process: answers JSON requests line by line, with the seconds and the peak memory of each.

Runs in peers' environments too, so it needs nothing but Python. The peak is this round's own: Linux forgets the
process's earlier one when told to (`/proc/self/clear_refs`).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_FORGET = Path("/proc/self/clear_refs")
Handler = Callable[..., Mapping[str, Any] | None]


def answer(handlers: Mapping[str, Handler]) -> None:
    """Answer requests ``{"do": <handler>, …arguments}`` until the input ends.

    A handler that returns ``seconds`` itself knows better what counts; otherwise its whole call does.
    """
    for line in sys.stdin:
        request = json.loads(line)
        handler = handlers[request.pop("do")]
        _forget_peak()
        start = time.perf_counter()
        said = handler(**request) or {}
        seconds = time.perf_counter() - start
        reply = {"seconds": seconds, "peak_mib": _peak_mib(), **said}
        sys.__stdout__.write(json.dumps(reply) + "\n")  # type: ignore[union-attr]
        sys.__stdout__.flush()  # type: ignore[union-attr]


def _forget_peak() -> None:
    if _FORGET.exists():
        _FORGET.write_text("5")


def _peak_mib() -> float:
    """The largest resident memory since `_forget_peak` (Linux), or since the process began."""
    if _FORGET.exists():
        status = _FORGET.with_name("status").read_text()
        return int(next(s for s in status.splitlines() if s.startswith("VmHWM")).split()[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
