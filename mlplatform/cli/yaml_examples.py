"""Examples of the YAML's keys, taken from the shipped system, so that the reference shows what really runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from mlplatform.platform.locate import package_folder

EXAMPLE = "stock_prices"


def documents() -> dict[str, str]:
    """Component type → the first document of that type in the shipped system, as it is written there."""
    text = (package_folder() / "defs" / EXAMPLE / "defs.yaml").read_text("utf-8")
    found: dict[str, str] = {}
    for document in re.split(r"^---\n", text, flags=re.MULTILINE):
        lines = [line for line in document.strip().splitlines() if not line.startswith("#")]
        found.setdefault(lines[0].removeprefix("type: "), "\n".join(lines))
    return found


def values(kind: str) -> dict[str, str]:
    """Key path (``columns[].name``, ``connections.<name>.port``) → the first value the shipped system has there."""
    document = documents().get(kind)
    if document is None:
        return {}
    found: dict[str, str] = {}
    for path, value in _leaves(yaml.safe_load(document)["attributes"], ""):
        found.setdefault(path, shown(value))
    return found


def shown(value: Any) -> str:
    """A value as YAML writes it in a line."""
    if isinstance(value, str):
        return yaml.safe_dump(value, width=1000, allow_unicode=True).removesuffix("...\n").strip()
    if isinstance(value, bool | int | float) or value is None:
        return json.dumps(value)
    return yaml.safe_dump(value, default_flow_style=True, width=1000, sort_keys=False, allow_unicode=True).strip()


def _leaves(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        if path:
            yield path, dict(node)
        for key, value in node.items():
            yield from _leaves(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list) and node and isinstance(node[0], Mapping):
        for item in node:
            for key, value in item.items():
                yield from _leaves(value, f"{path}[].{key}")
    else:
        yield path, node
