"""The key ring: valid API keys in a worker's memory, read anew twice a second."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from mlplatform.errors import PlatformError
from mlplatform.serving.api_keys import ApiKeys, hash_token, opens

REFRESH_S = 0.5
log = logging.getLogger(__name__)


class KeyRing:
    """Checks tokens by their hash."""

    def __init__(self, keys: ApiKeys) -> None:
        self._keys = keys
        self._hashes: Mapping[str, frozenset[str]] = {}
        self._read_at = -REFRESH_S
        self._lock = asyncio.Lock()

    def knows(self, token: str, endpoint: str) -> bool:
        """Whether the token opens `endpoint`, as far as this worker knows."""
        return opens(self._hashes.get(hash_token(token)), endpoint)

    async def learns(self, token: str, endpoint: str) -> bool:
        """`knows`, after the keys were read once more: a new key opens at once, and an unknown one waits a moment.

        All who wait share one reading, and there are four in a second at most.
        """
        came_at = time.monotonic()
        async with self._lock:
            if self._read_at <= came_at:
                await asyncio.sleep(max(0.0, self._read_at + REFRESH_S / 2 - came_at))
                await self.refresh()
        return self.knows(token, endpoint)

    async def freshen(self) -> None:
        """`refresh`, where the keys were read longer ago than `run` would let them be."""
        if time.monotonic() - self._read_at >= REFRESH_S:
            await self.refresh()

    async def refresh(self) -> None:
        """Read the keys."""
        began_at = time.monotonic()
        try:
            self._hashes = await asyncio.to_thread(self._keys.valid_hashes, datetime.now(UTC))
        except PlatformError as error:
            log.error("API keys could not be read, those known stay valid: %s", error)
        self._read_at = began_at

    async def run(self) -> None:
        """Keep the keys fresh until cancelled."""
        while True:
            await asyncio.sleep(REFRESH_S)
            await self.refresh()
