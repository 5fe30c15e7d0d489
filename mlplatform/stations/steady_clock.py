"""Notices that the machine's clock was set.

Seconds of the wall clock are counted beside those of a clock that nobody sets; where they part by more than slewing does,
the clock was set. It may be wrong then, and what is deleted by it is gone; so it is doubted until it has gone on for a while.

How the two stood is kept in a file of the home, from the moment the home is made: a process that starts then knows whether
the clock was set before. After the machine started anew nobody knows, and the clock is doubted likewise.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mlplatform.spec.home import write_atomically

SET_S = 60.0
"""A difference beyond this, between two looks, is no slewing."""
BELIEVED_S = 3600.0
"""So long after it was set, a clock is believed."""
SLEWED_S = 1.0
"""What is kept is written anew when the clocks have parted by this."""

log = logging.getLogger(__name__)


def uptime() -> float:
    """Seconds since some start, those in which the machine was suspended among them where the system counts them."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


def boot_id() -> str:
    """Of the machine's last start; "" where the system does not tell: the offset then does, unless the clock began there again."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return ""


@dataclass(frozen=True)
class Standing:
    """How the clocks stand: wall clock minus counted seconds, since when (counted) that is doubted, by what it was set.

    A doubt with `moved_s` 0 is one of not knowing.
    """

    boot: str
    offset_s: float
    doubted_at_s: float | None = None
    moved_s: float = 0.0


class SteadyClock:
    """Looks at both clocks whenever it is asked; safe to ask from several threads.

    Args:
        kept: the file; None: what was before this process is not asked. Whichever process sees a step writes it down.
    """

    def __init__(
        self,
        kept: Path | None = None,
        *,
        wall: Callable[[], float] = time.time,
        counted: Callable[[], float] = uptime,
        boot: str | None = None,
    ) -> None:
        self._wall = wall
        self._counted = counted
        self._file = kept
        self._lock = threading.Lock()
        self._moved_s = 0.0
        self._written = _read(kept) if kept is not None else None
        now = counted()
        self._now = Standing(boot_id() if boot is None else boot, wall() - now)
        if self._written is not None and _is_of(self._written, self._now.boot, now):
            self._now = self._written
        elif kept is not None:
            self._now = Standing(self._now.boot, self._now.offset_s, now)
        self._look()

    @classmethod
    def begin(cls, kept: Path) -> None:
        """Write down how the clocks stand where a home is made: there is nothing yet that a wrong one could harm."""
        _write(kept, Standing(boot_id(), time.time() - uptime()))

    def moved_s(self) -> float:
        """By how much the clock was set since this was last asked; 0 where it was not."""
        self._look()
        with self._lock:
            moved_s, self._moved_s = self._moved_s, 0.0
        return moved_s

    def doubted_for_s(self) -> float | None:
        """Since when the clock is not to be believed, in seconds; None where it is."""
        now = self._look()
        began = self._now.doubted_at_s
        return None if began is None or now - began >= BELIEVED_S else now - began

    def doubt(self) -> str:
        """Why the clock is not to be believed now, or "" where it is."""
        if self.doubted_for_s() is None:
            return ""
        moved_s = self._now.moved_s
        why = f"the clock was set by {moved_s:+.0f} s" if moved_s else "how the clock stood before is not known"
        return f"{why}; it is believed when it has gone on for {BELIEVED_S:g} s"

    def was_set(self) -> bool:
        """Whether the doubt is because the clock was set, and not because nobody knows (the machine started anew)."""
        return self.doubted_for_s() is not None and self._now.moved_s != 0

    def _look(self) -> float:
        """See whether the clock was set; the counted time."""
        with self._lock:
            now = self._counted()
            offset_s = self._wall() - now
            moved_s = offset_s - self._now.offset_s
            if abs(moved_s) > SET_S:
                self._moved_s += moved_s
                self._now = Standing(self._now.boot, offset_s, now, moved_s)
            else:
                self._now = Standing(self._now.boot, offset_s, self._now.doubted_at_s, self._now.moved_s)
            if self._file is not None and _differs(self._now, self._written):
                try:
                    _write(self._file, self._now)
                except OSError as error:
                    log.warning("how the clock stands was not kept in '%s': %s", self._file, error)
                else:
                    self._written = self._now
        return now


def _is_of(written: Standing, boot: str, now: float) -> bool:
    return written.boot == boot and (written.doubted_at_s or 0.0) <= now


def _differs(found: Standing, written: Standing | None) -> bool:
    return (
        written is None
        or (found.boot, found.doubted_at_s) != (written.boot, written.doubted_at_s)
        or abs(found.offset_s - written.offset_s) > SLEWED_S
    )


def _read(path: Path) -> Standing | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text("ascii"))
        began = found["doubted_at_s"]
        return Standing(
            str(found["boot"]),
            float(found["offset_s"]),
            None if began is None else float(began),
            float(found["moved_s"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, standing: Standing) -> None:
    write_atomically(path, json.dumps(asdict(standing)).encode("ascii"))
