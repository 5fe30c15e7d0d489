"""Names on SageMaker: of an endpoint, and of each generation's model and configuration.

    <prefix>-<system>-<endpoint>-<6 hex>                          the endpoint; the digits tell names apart that look alike
    <prefix>-<system>-<endpoint>-<6 hex>-g<generation>-<8 hex>    its models and configurations, by what they ask for

So a request that was sent already is known by its name, and nothing is made twice.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

_SLUG_CHARACTERS = 20
_GENERATION = re.compile(r"-g([1-9]\d*)-[0-9a-f]{8}")


def endpoint_name(prefix: str, endpoint: str) -> str:
    """Of ``<system>/<endpoint>``; 43 characters at most."""
    slug = re.sub(r"[^a-z0-9]+", "-", endpoint)[:_SLUG_CHARACTERS].strip("-")
    return f"{prefix}-{slug}-{hashlib.sha256(endpoint.encode()).hexdigest()[:6]}"


def part_name(name: str, generation: int, request: Mapping[str, Any]) -> str:
    """Of a model or configuration of the endpoint called `name`."""
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
    return f"{name}-g{generation}-{digest[:8]}"


def generation_of(name: str, part: str) -> int:
    """The generation that a model or configuration of endpoint `name` is of; 0 of any other."""
    found = _GENERATION.fullmatch(part.removeprefix(name)) if part.startswith(name) else None
    return int(found[1]) if found else 0
