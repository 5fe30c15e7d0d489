"""Answers that hold secrets are kept out of botocore's own log, which at level DEBUG shows every answer's body."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from contextvars import ContextVar

_SHOW_BODIES = ("botocore.parsers", "botocore.endpoint")
_silent: ContextVar[bool] = ContextVar("silent", default=False)


@contextlib.contextmanager
def unlogged() -> Iterator[None]:
    """In the block, and in this thread only, botocore logs no answers."""
    for name in _SHOW_BODIES:
        # Added once: a logger holds a filter once, whatever is asked of it.
        logging.getLogger(name).addFilter(_is_shown)
    before = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(before)


def _is_shown(_: logging.LogRecord) -> bool:
    return not _silent.get()
