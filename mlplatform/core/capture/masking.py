"""Values that are left out, or replaced by a keyed hash: equal values stay equal, wherever they are masked, and none is told."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlplatform.core.tables.schema import MASKED

MASK_SECRET = "capture_mask_key"  # noqa: S105 - the name of a secret


@dataclass(frozen=True)
class Masking:
    """HMAC-SHA256 under `key`, 128 bits in hex, of the value's JSON; a missing value stays missing."""

    mask: frozenset[str] = frozenset()
    drop: frozenset[str] = frozenset()
    key: bytes = field(default=b"", repr=False)

    def rows(self, rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """The rows as they may be kept; the same rows where nothing is masked or left out."""
        if not self.mask and not self.drop:
            return rows
        return [
            {
                name: self.hash(value) if name in self.mask and value is not None else value
                for name, value in row.items()
                if name not in self.drop
            }
            for row in rows
        ]

    def shown(self, value: Any) -> str:
        """The value for people: its hash; dots where there is no key to make it with."""
        return self.hash(value) if self.key else MASKED

    def hash(self, value: Any) -> str:
        """The keyed hash that stands for a value."""
        text = json.dumps(value, sort_keys=True, ensure_ascii=False)
        return hmac.new(self.key, text.encode(), hashlib.sha256).hexdigest()[:32]
