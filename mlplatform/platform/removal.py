"""The end of a system: what goes, and its going."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplatform.errors import ConflictError, NotFoundError
from mlplatform.platform.applied import COLLECTION as APPLIED
from mlplatform.spec.diff import snapshot
from mlplatform.stations.rollout import CHALLENGER, CHAMPION
from mlplatform.stations.verdict import CANDIDATES, VERDICTS

if TYPE_CHECKING:
    from mlplatform.platform.root import Platform
    from mlplatform.ports.item_store import Item

COLLECTIONS = ("evaluations", "retrain_requests", "run_candidates", "data_tests", "refused_runs")
"""Item collections whose keys begin with the system's name."""

ROOMS = ("unload", "jobs", "reports", "capture", "_capture", "_replay")
"""First parts of object keys under which each system has a folder of its name."""


@dataclass(frozen=True)
class Goes:
    """One thing that goes (or, with `kept`, stays)."""

    what: str
    detail: str
    kept: bool = False


def what_goes(platform: Platform, name: str) -> list[Goes]:
    """What `remove_system` would remove, and what it would leave.

    Raises:
        NotFoundError: there is no such system, neither under `defs/` nor among those that were live.
    """
    own, shared = _prefixes(platform, name)
    found = [Goes("folder", f"{path} ({_size(path)})") for path in _folders(platform, name) if path.exists()]
    for prefix in own:
        count = sum(1 for _ in platform.store.list(prefix))
        if count:
            found.append(Goes("objects", f"{count} under {prefix}"))
    found += [Goes("endpoint", e) for e in platform.endpoints.list() if e.split("/")[0] == name]
    found += [
        Goes("items", f"{n} {c.replace('_', ' ')}")
        for c in COLLECTIONS
        if (n := sum(1 for _ in platform.items.list(c, prefix=f"{name}/")))
    ]
    found += [Goes("verdict", f"on {item.value['model']} {item.key[:12]}") for item in _verdicts(platform, name)]
    found += [
        Goes("aliases", f"of model {model}: a new system of this name has no champion")
        for model in _models(platform, name)
    ]
    found += [Goes("objects", f"{p}, which system '{other}' reads too", kept=True) for p, other in shared.items()]
    found.append(Goes("other", "its YAML; the tracker's record of its runs and models; its API keys", kept=True))
    return found


def remove_system(platform: Platform, name: str) -> None:
    """Remove the system's state. Raises ConflictError while a worker runs, which would make it again."""
    if platform.worker_alive():
        raise ConflictError(
            "A worker is running, or was a few seconds ago, and would go on with the system.",
            next_step="Stop 'mlplatform serve' first, and try again in ten seconds.",
        )
    own, _ = _prefixes(platform, name)
    for endpoint in platform.endpoints.list():
        if endpoint.split("/")[0] == name:
            platform.endpoints.remove(endpoint)
    for prefix in own:
        for info in list(platform.store.list(prefix)):
            platform.store.delete(info.key)
    for collection in COLLECTIONS:
        for item in list(platform.items.list(collection, prefix=f"{name}/")):
            platform.items.delete(collection, item.key)
    for item in _verdicts(platform, name):
        platform.items.delete(VERDICTS, item.key)
    for model in _models(platform, name):
        platform.items.delete(CANDIDATES, model)
        for alias in (CHAMPION, CHALLENGER):
            platform.tracking.set_alias(model, alias, None)
    for folder in _folders(platform, name):
        if folder.exists():
            shutil.rmtree(folder)
    # Last: while it is there, a removal that was broken off can be told again what to remove.
    platform.items.delete(APPLIED, name)


def _models(platform: Platform, name: str) -> list[str]:
    """Names in the tracker of the system's models."""
    stations = _stations(platform).get(name, [])
    return sorted({f"{name}.{s['name']}" for s in stations if s["type"] == "mlplatform.Model"})


def _verdicts(platform: Platform, name: str) -> list[Item]:
    models = _models(platform, name)
    return [item for item in platform.items.list(VERDICTS) if item.value.get("model") in models]


def _folders(platform: Platform, name: str) -> list[Path]:
    home = platform.home
    return [home.streams / name, home.warehouse(name), home.capture / name, home.reports / name]


def _stations(platform: Platform) -> dict[str, list[Mapping[str, Any]]]:
    """Every system's stations: as the YAML has them, and as they were live where that is another."""
    live = {item.key: item.value["spec"] for item in platform.items.list(APPLIED)}
    found: dict[str, list[Mapping[str, Any]]] = {}
    for name, spec in [*live.items(), *((n, snapshot(s)) for n, s in platform.specs.items())]:
        found.setdefault(name, []).extend(spec["stations"].values())
    return found


def _prefixes(platform: Platform, name: str) -> tuple[list[str], dict[str, str]]:
    """Prefixes of objects that only this system has, and those that another one reads or writes too, with its name."""
    stations = _stations(platform)
    if name not in stations:
        raise NotFoundError(f"There is no system '{name}'; there are: {', '.join(sorted(stations)) or 'none'}.")
    mine = {p for s in stations.pop(name) for p in _landing(s)}
    others = {p: other for other, theirs in stations.items() for s in theirs for p in _landing(s)}
    shared = {
        p: other
        for p in sorted(mine)
        for theirs, other in others.items()
        if p.startswith(theirs) or theirs.startswith(p)
    }
    own = mine - set(shared)
    return sorted({*own, *(f"_delivery/{p}" for p in own), *(f"{room}/{name}/" for room in ROOMS)}), shared


def _landing(station: Mapping[str, Any]) -> set[str]:
    """Prefixes that a stream delivers to or a table loads from."""
    delivery, sources = station.get("delivery"), station.get("sources") or []
    found = {delivery["prefix"]} if isinstance(delivery, Mapping) else set()
    return found | {s["prefix"] for s in sources if isinstance(s, Mapping) and s.get("prefix")}


def _size(path: Path) -> str:
    total = sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
    return f"{total / 2**20:.1f} MiB"
