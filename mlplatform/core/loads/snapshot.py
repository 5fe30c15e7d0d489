"""SnapshotRef: which rows a reader saw, so that the same rows can be read again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Part:
    """One unloaded object: its key, rows, size and the SHA-256 of its bytes."""

    key: str
    rows: int
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class SnapshotRef:
    """Content id of an unload.

    Attributes:
        id: SHA-256 over the parts' hashes, the query and the ledger position.
        manifest: key of the manifest object that lists the parts.
        ledger_position: number of ledger rows of the source tables when they were read.
        engine_version: the engine's own snapshot number, where it has one (DuckLake, Snowflake).
        rows: rows over all parts.
    """

    id: str
    manifest: str
    ledger_position: int
    engine_version: str | None
    rows: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> SnapshotRef:
        return cls(**data)


def snapshot_id(query: str, parts: list[Part], ledger_position: int) -> str:
    """SHA-256 hex of the query text, each part's rows and hash in key order, and the ledger position."""
    payload = json.dumps(
        [query, ledger_position, [[p.rows, p.sha256] for p in sorted(parts, key=lambda p: p.key)]],
        separators=(",", ":"),
    )
    return hashlib.sha256(payload.encode()).hexdigest()
