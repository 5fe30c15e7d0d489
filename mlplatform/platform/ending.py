"""SIGTERM as an exception: what a process is doing is given up in order, and a warehouse is told to stop working on it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


class EndedError(BaseException):
    """The process is to end; nothing but its own boundary catches this."""


@contextmanager
def ending() -> Iterator[None]:
    """In the block, which is the main thread's, SIGTERM raises; once that has run through, the process dies of the signal."""
    before = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    except EndedError:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise EndedError
