"""What the driver leaves behind: sockets of logins that were refused, and those on which it asked AWS."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def sockets() -> Iterator[None]:
    """They are the garbage collector's, and no test's fault."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
