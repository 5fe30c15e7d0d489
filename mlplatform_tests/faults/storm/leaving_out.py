"""The storm's transformation: some records are left out of what is delivered."""

from __future__ import annotations

import json

TEST_SECTOR = "of no use"


def without_tests(data: bytes) -> bytes | None:
    """The record, or None for one of the sector that only tests know."""
    return None if json.loads(data).get("sector") == TEST_SECTOR else data
