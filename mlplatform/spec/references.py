"""References to the environment in a profile's settings: ``${NAME}``, or ``${NAME:-text}`` where it may be missing.

A value that is one reference and comes out empty is left out: the setting's own default holds. ``$${`` is a plain ``${``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_REFERENCE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}]*))?\}|\$\{")
_EMPTY = object()


@dataclass(frozen=True)
class Resolved:
    """Settings with their references replaced. `origins`: by path of a setting, the variables it was read from; `unset`:
    by path, those that are not there; `faults`: what is no reference."""

    settings: dict[str, Any]
    origins: dict[str, tuple[str, ...]]
    unset: dict[str, tuple[str, ...]]
    faults: dict[str, str]


def resolve(settings: Mapping[str, Any], env: Mapping[str, str]) -> Resolved:
    """`settings` as they are in this environment."""
    found = Resolved({}, {}, {}, {})
    found.settings.update(_replaced(settings, "", env, found))
    return found


def _replaced(value: Any, path: str, env: Mapping[str, str], found: Resolved) -> Any:
    if isinstance(value, Mapping):
        items = ((k, _replaced(v, f"{path}.{k}" if path else str(k), env, found)) for k, v in value.items())
        return {k: v for k, v in items if v is not _EMPTY}
    if isinstance(value, list):
        parts = (_replaced(v, f"{path}[{n}]", env, found) for n, v in enumerate(value))
        return [v for v in parts if v is not _EMPTY]
    if not isinstance(value, str) or "${" not in value:
        return value
    return _text(value, path, env, found)


def _text(value: str, path: str, env: Mapping[str, str], found: Resolved) -> Any:
    names: list[str] = []
    missing: list[str] = []

    def one(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        if match[1] is None:
            found.faults[path] = value
            return match[0]
        names.append(match[1])
        if not env.get(match[1]) and match[2] is None:
            missing.append(match[1])
        return env.get(match[1]) or match[2] or ""

    text = _REFERENCE.sub(one, value)
    if names:
        found.origins[path] = tuple(names)
    if missing:
        found.unset[path] = tuple(missing)
    return text if text or not names else _EMPTY
