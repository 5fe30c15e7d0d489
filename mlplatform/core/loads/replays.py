"""Replay objects: records of the quarantine written out to be loaded again. Their key says whose records they hold.

``_replay/<system>/<table>/<origin>/<name>``: `origin` is the batch whose records they are (so that they go when its rows
are replaced), or ``stream`` for records of delivered ranges, which nothing replaces.
"""

from __future__ import annotations

STREAM = "stream"
_ROOT = "_replay"


def replays_folder(system: str, table: str) -> str:
    """The folder of all replay objects of a table."""
    return f"{_ROOT}/{system}/{table}/"


def replay_folder(system: str, table: str, origin: str) -> str:
    """The folder of replay objects that hold records of the batch `origin`."""
    return f"{replays_folder(system, table)}{origin}/"


def origin_of(key: str) -> str | None:
    """The batch whose records the replay object `key` holds; None where it is none, or holds a stream's."""
    parts = key.split("/", 4)
    return parts[3] if len(parts) == 5 and parts[0] == _ROOT and parts[3] != STREAM else None


def original_name(key: str) -> str:
    """`key` without the folder of replays: named so, a source of the table takes it."""
    parts = key.split("/", 4)
    return parts[4] if len(parts) == 5 and parts[0] == _ROOT else key
