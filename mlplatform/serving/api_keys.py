"""API keys: random tokens, shown once and stored as SHA-256.

Several keys of one endpoint are valid at once, so that a caller can be moved from an old to a new one (rotation)
before the old one is revoked.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlplatform.errors import NotFoundError

if TYPE_CHECKING:
    from mlplatform.ports.item_store import ItemStore

COLLECTION = "api_keys"
PREFIX = "mlp_"
ANY = "*"


@dataclass(frozen=True)
class ApiKey:
    """A key as it may be shown: `id` is the start of its hash. `endpoint` is ``<system>/<endpoint>``, or ``*`` for all."""

    id: str
    endpoint: str
    label: str
    created_at: str
    expires_at: str | None = None
    revoked_at: str | None = None

    def valid(self, now: datetime) -> bool:
        """Whether it opens its endpoint at `now`."""
        return self.revoked_at is None and (self.expires_at is None or datetime.fromisoformat(self.expires_at) > now)


class ApiKeys:
    """Makes, lists and revokes keys."""

    def __init__(self, items: ItemStore) -> None:
        self._items = items

    def create(
        self, endpoint: str, *, label: str, now: datetime, expires_at: datetime | None = None
    ) -> tuple[str, ApiKey]:
        """A new key: its token (which nothing keeps) and what is kept of it."""
        token = PREFIX + secrets.token_urlsafe(32)
        value = {
            "endpoint": endpoint,
            "label": label,
            "created_at": now.isoformat(),
            "expires_at": expires_at.isoformat() if expires_at else None,
            "revoked_at": None,
        }
        name = hash_token(token)
        self._items.put(COLLECTION, name, value, expected_version=0)
        return token, _key(name, value)

    def list(self, endpoint: str | None = None) -> list[ApiKey]:
        """All keys (of one endpoint), oldest first."""
        keys = [_key(item.key, item.value) for item in self._items.list(COLLECTION)]
        return sorted((k for k in keys if endpoint in (None, k.endpoint)), key=lambda k: (k.created_at, k.id))

    def revoke(self, key_id: str, *, now: datetime) -> ApiKey:
        """End a key; running gateways refuse it within a second. Raises NotFoundError."""
        found = list(self._items.list(COLLECTION, prefix=key_id)) if len(key_id) >= len("0123456789ab") else []
        if len(found) != 1:
            there = ", ".join(k.id for k in self.list()) or "none"
            raise NotFoundError(
                f"There is no API key '{key_id}'; there are: {there}.",
                next_step="Take an id from: mlplatform keys list",
            )
        value = {**found[0].value, "revoked_at": now.isoformat()}
        self._items.put(COLLECTION, found[0].key, value, expected_version=found[0].version)
        return _key(found[0].key, value)

    def valid_hashes(self, now: datetime) -> dict[str, frozenset[str]]:
        """Hash of each valid token to the endpoints it opens."""
        return {
            item.key: frozenset({item.value["endpoint"]})
            for item in self._items.list(COLLECTION)
            if _key(item.key, item.value).valid(now)
        }


def hash_token(token: str) -> str:
    """SHA-256 in hex. A token has 256 random bits, so that no salt or slow hash is needed."""
    return hashlib.sha256(token.encode()).hexdigest()


def opens(endpoints: Iterable[str] | None, name: str) -> bool:
    """Whether a key for `endpoints` opens the endpoint `name`."""
    return endpoints is not None and (ANY in endpoints or name in endpoints)


def _key(name: str, value: Any) -> ApiKey:
    return ApiKey(name[:12], **value)
