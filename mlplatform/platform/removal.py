"""The end of a system: what goes, and its going."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlplatform.errors import ConflictError, NotFoundError
from mlplatform.platform.applied import COLLECTION as APPLIED
from mlplatform.spec.stream import StreamSpec
from mlplatform.spec.table import TableSpec

if TYPE_CHECKING:
    from mlplatform.platform.root import Platform

COLLECTIONS = ("evaluations", "retrain_requests", "run_candidates")
"""Item collections whose keys begin with the system's name."""


@dataclass(frozen=True)
class Goes:
    """One thing that goes (or, with `kept`, stays)."""

    what: str
    detail: str
    kept: bool = False


def what_goes(platform: Platform, name: str) -> list[Goes]:
    """What `remove_system` would remove, and what it would leave."""
    if name not in platform.specs:
        raise NotFoundError(f"There is no system '{name}'; there are: {', '.join(platform.specs) or 'none'}.")
    found = [Goes("folder", f"{path} ({_size(path)})") for path in _folders(platform, name) if path.exists()]
    for prefix in _prefixes(platform, name):
        count = sum(1 for _ in platform.store.list(prefix))
        if count:
            found.append(Goes("objects", f"{count} under {prefix}"))
    found += [Goes("endpoint", e) for e in platform.endpoints.list() if e.split("/")[0] == name]
    found += [
        Goes("items", f"{n} {c}")
        for c in COLLECTIONS
        if (n := sum(1 for _ in platform.items.list(c, prefix=f"{name}/")))
    ]
    found.append(Goes("kept", "its YAML, the tracker's record of its runs and models, its notifications", kept=True))
    return found


def remove_system(platform: Platform, name: str) -> None:
    """Remove the system's state. Raises ConflictError while a worker runs, which would make it again."""
    if platform.worker_alive():
        raise ConflictError(
            "A worker is running and would go on with the system.", next_step="Stop 'mlplatform serve' first."
        )
    for endpoint in platform.endpoints.list():
        if endpoint.split("/")[0] == name:
            platform.endpoints.remove(endpoint)
    for prefix in _prefixes(platform, name):
        for info in list(platform.store.list(prefix)):
            platform.store.delete(info.key)
    for collection in COLLECTIONS:
        for item in list(platform.items.list(collection, prefix=f"{name}/")):
            platform.items.delete(collection, item.key)
    platform.items.delete(APPLIED, name)
    for folder in _folders(platform, name):
        shutil.rmtree(folder, ignore_errors=True)


def _folders(platform: Platform, name: str) -> list[Path]:
    home = platform.home
    return [home.streams / name, home.warehouse(name), home.capture / name, home.reports / name]


def _prefixes(platform: Platform, name: str) -> Iterator[str]:
    spec = platform.specs[name]
    own = {s.delivery.prefix for s in spec.all(StreamSpec)}
    own |= {source.prefix for t in spec.all(TableSpec) for source in t.sources if source.prefix}
    own |= {f"_delivery/{s.delivery.prefix}" for s in spec.all(StreamSpec)}
    own |= {f"{room}/{name}/" for room in ("unload", "jobs", "reports", "capture", "_capture")}
    yield from sorted(own)


def _size(path: Path) -> str:
    total = sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
    return f"{total / 2**20:.1f} MiB"
