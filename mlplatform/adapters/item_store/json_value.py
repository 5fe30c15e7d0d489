"""An item's value as JSON text: how item stores keep it, so that every number and text comes back exactly."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mlplatform.errors import DataError


def encoded(collection: str, key: str, value: Mapping[str, Any]) -> bytes:
    """UTF-8 text of `value`.

    Raises:
        DataError: it is no JSON; names the item.
    """
    try:
        return json.dumps(dict(value), allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise DataError(f"Item '{collection}/{key}' cannot be stored as JSON: {error}.") from error
