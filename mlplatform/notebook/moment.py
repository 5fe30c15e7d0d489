"""A moment of a warehouse, as a notebook names it, and the engine's version that shows the tables as they were then."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mlplatform.core.loads.snapshot import SnapshotRef
from mlplatform.errors import DataError, NotFoundError
from mlplatform.ports.versions import EngineVersion, Versioned

if TYPE_CHECKING:
    from mlplatform.ports.warehouse import Warehouse

Moment = str | int | datetime | SnapshotRef
"""An engine's version (text), a ledger position (number of loads, of all tables), a time, or what a model was trained on."""


def version_at(warehouse: Warehouse, at: Moment | None) -> str | None:
    """The engine's version to read at; None = as it is now.

    Raises:
        DataError: the warehouse keeps no versions, or a time says no zone.
        NotFoundError: nothing was loaded by then, or the version has expired.
    """
    if at is None:
        return None
    if isinstance(at, SnapshotRef):
        at = at.engine_version or at.ledger_position
    if not warehouse.capabilities.snapshots or not isinstance(warehouse, Versioned):
        raise DataError(
            "This warehouse keeps no versions of its tables: they are read as they are now.",
            next_step="Read without 'at', or the unloaded rows of a feature set, which stay.",
        )
    if isinstance(at, str):
        return at
    versions = warehouse.versions()
    if isinstance(at, datetime):
        return _by_time(versions, at)
    return _by_position(warehouse, versions, at)


def _by_time(versions: Sequence[EngineVersion], at: datetime) -> str:
    if at.tzinfo is None:
        raise DataError(f"'{at}' says no time zone.", next_step="Say datetime(…, tzinfo=UTC).")
    count = sum(v.made_at <= at.astimezone(UTC) for v in versions)
    if not count:
        raise NotFoundError(
            f"There is no version as of {at}; the oldest that is kept is of {versions[0].made_at}.",
            next_step="Ask for a later time.",
        )
    found = versions[count - 1]
    if not found.stood_alone and found.made_at != at.astimezone(UTC):
        after = versions[count]
        raise NotFoundError(
            f"How the tables stood at {at} is not kept: between versions '{found.version}' of {found.made_at} and "
            f"'{after.version}' of {after.made_at} others were made, and expired.",
            next_step=f"Name one of the two, e.g. at='{found.version}'.",
        )
    return found.version


def _by_position(warehouse: Warehouse, versions: Sequence[EngineVersion], at: int) -> str:
    """The first version with that many loads in its books, found by halving."""
    low, high = 0, len(versions)
    while low < high:
        middle = (low + high) // 2
        if _position(warehouse, versions[middle].version) < at:
            low = middle + 1
        else:
            high = middle
    if low == len(versions):
        newest = _position(warehouse, versions[-1].version)
        raise NotFoundError(
            f"There is no ledger position {at}; the newest is {newest}.",
            next_step="Ask for a position up to the newest.",
        )
    found = _position(warehouse, versions[low].version)
    if found != at:
        raise NotFoundError(
            f"The version at ledger position {at} has expired; the next that is kept is at {found}.",
            next_step="Versions that registered models refer to are kept: name one by its model's snapshot.",
        )
    return versions[low].version


def _position(warehouse: Warehouse, version: str) -> int:
    try:
        return int(warehouse.query("SELECT count(*) AS n FROM _ledger", at=version).column("n")[0].as_py())
    except NotFoundError:
        return 0
