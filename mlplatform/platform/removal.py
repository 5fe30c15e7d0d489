"""The end of a system: what goes, and its going."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlplatform.errors import ConflictError, NotFoundError
from mlplatform.platform.applied import COLLECTION as APPLIED
from mlplatform.platform.applied import Names, ever_applied, names_of
from mlplatform.platform.stray_endpoints import check_stray
from mlplatform.spec.diff import snapshot
from mlplatform.stations.removed_endpoint import remove_endpoint
from mlplatform.stations.verdict import CANDIDATES, VERDICTS

if TYPE_CHECKING:
    from mlplatform.platform.root import Platform
    from mlplatform.ports.item_store import Item

COLLECTIONS = (
    "approvals",
    "arrivals_rounds",
    "data_tests",
    "erasures",
    "evaluations",
    "evaluations_told",
    "notifications",
    "notifications_waiting",
    "refused_runs",
    "retrain_requests",
    "run_candidates",
)
"""Item collections whose keys begin with the system's name."""

ROOMS = ("unload", "jobs", "reports", "capture", "_capture", "_replay", "scoring", "scores")
"""First parts of object keys under which each system has a folder of its name."""

MARK = "destroyed-{at:%Y%m%dT%H%M%SZ}-"
"""What the tracker's names of its models begin with afterwards."""


@dataclass(frozen=True)
class Goes:
    """One thing that goes (or, with `kept`, stays)."""

    what: str
    detail: str
    kept: bool = False


def what_goes(platform: Platform, name: str) -> list[Goes]:
    """What `remove_system` would remove, and what it would leave; of a ``<system>/<endpoint>``, what `end_stray` would.

    Raises:
        NotFoundError: there is no such system, neither under `defs/` nor among those that were live; or no such endpoint.
        ConflictError: a YAML has the endpoint.
    """
    if "/" in name:
        check_stray(platform, name)
        return [
            Goes("endpoint", name),
            Goes("other", "its captured calls, its API keys, and all else of its system", True),
        ]
    own, shared = _prefixes(platform, name)
    found = [Goes("folder", f"{path} ({_size(path)})") for path in _folders(platform, name) if path.exists()]
    for prefix in own:
        count = sum(1 for _ in platform.store.list(prefix))
        if count:
            found.append(Goes("objects", f"{count} under {prefix}"))
    found += [Goes("endpoint", e) for e in _endpoints(platform, name)]
    jobs = _jobs(platform, name)
    found += [Goes("jobs", f"{len(jobs)}, with their logs and models")] if jobs else []
    found += [Goes("job", f"{job}, which is stopped") for job in _running(platform, name, but=jobs)]
    found += [
        Goes("items", f"{n} {c.replace('_', ' ')}")
        for c in COLLECTIONS
        if (n := sum(1 for _ in platform.items.list(c, prefix=f"{name}/")))
    ]
    found += [Goes("verdict", f"on {item.value['model']} {item.key[:12]}") for item in _verdicts(platform, name)]
    for model in _models(platform, name):
        if versions := len(platform.tracking.versions(model)):
            detail = f"{versions} of {model}: the tracker keeps them as 'destroyed-…-{model}', out of sight"
            found.append(Goes("versions", detail))
    found += [Goes("objects", f"{p}, which system '{other}' reads too", kept=True) for p, other in shared.items()]
    found += [
        Goes(
            "tables",
            f"on connection '{connection}', for their owner to drop before a system '{name}' is made anew",
            True,
        )
        for connection in _elsewhere(platform, name)
    ]
    found.append(Goes("other", "its YAML; the tracker's record of its runs; Dagster's record; its API keys", kept=True))
    return found


def remove_system(platform: Platform, name: str) -> None:
    """Remove the system's state. Raises ConflictError while a worker runs, which would make it again.

    A system of that name may be made anew: nothing of this one is loaded, compared with or served there. Its endpoints
    go on counting their generations, so that an id that callers were given never leads to another model.
    """
    refuse_while_worked_on(platform)
    now = datetime.now(UTC)
    own, _ = _prefixes(platform, name)
    for endpoint in _endpoints(platform, name):
        remove_endpoint(platform.endpoints, platform.items, endpoint, now=now)
    jobs = _jobs(platform, name)
    for job in _running(platform, name, but=jobs):
        platform.compute.stop(job)
    for job in jobs:
        platform.compute.remove(job)
    for prefix in own:
        for info in list(platform.store.list(prefix)):
            platform.store.delete(info.key)
    for model in _models(platform, name):
        platform.tracking.archive(model, mark=MARK.format(at=now))
    for collection in COLLECTIONS:
        for item in list(platform.items.list(collection, prefix=f"{name}/")):
            platform.items.delete(collection, item.key)
    for item in _verdicts(platform, name):
        platform.items.delete(VERDICTS, item.key)
    for item in list(platform.items.list(CANDIDATES, prefix=f"{name}.")):
        platform.items.delete(CANDIDATES, item.key)
    for folder in _folders(platform, name):
        if folder.exists():
            shutil.rmtree(folder)
    # Last: while it is there, a removal that was broken off can be told again what to remove.
    platform.items.delete(APPLIED, name)


def refuse_while_worked_on(platform: Platform) -> None:
    """Raises ConflictError while a worker runs."""
    if platform.worker_alive():
        raise ConflictError(
            "A worker is running, or was a few seconds ago, and would go on with the system.",
            next_step="Stop 'mlplatform serve' first; where it was killed, try again in half a minute.",
        )


def _endpoints(platform: Platform, name: str) -> list[str]:
    return [endpoint for endpoint in platform.endpoints.list() if endpoint.split("/")[0] == name]


def _jobs(platform: Platform, name: str) -> list[str]:
    """By their tag: names of jobs are cut, and do not tell two systems apart."""
    compute, tag = platform.compute, {"Key": "system", "Value": name}
    return [job for job in compute.list() if tag in compute.describe(job)["Tags"]]


def _running(platform: Platform, name: str, *, but: list[str]) -> list[str]:
    """Jobs of other kinds than the back end lists (processing, transforms), which run and are paid for."""
    return [job.name for job in platform.compute.running() if job.system == name and job.name not in but]


def _models(platform: Platform, name: str) -> list[str]:
    """Names in the tracker of the system's models: of every YAML that was live, and all that were judged."""
    judged = {str(item.value["model"]) for item in _verdicts(platform, name)}
    judged |= {item.key for item in platform.items.list(CANDIDATES, prefix=f"{name}.")}
    return sorted(judged | {f"{name}.{model}" for model in _ever(platform).get(name, Names()).models})


def _verdicts(platform: Platform, name: str) -> list[Item]:
    return [i for i in platform.items.list(VERDICTS) if str(i.value.get("model", "")).startswith(f"{name}.")]


def _folders(platform: Platform, name: str) -> list[Path]:
    home = platform.home
    return [
        home.streams / name,
        home.warehouse(name),
        home.capture / name,
        home.reports / name,
        home.reports / "data_docs" / name,
    ]


def _elsewhere(platform: Platform, name: str) -> list[str]:
    """Connections of its tables to warehouses that do not lie in the home."""
    there = platform.profile.connections
    found = _ever(platform).get(name, Names()).connections
    actual = {c: platform.profile.systems.get(name, {}).get(c, c) for c in found}
    return sorted(c for c, is_ in actual.items() if is_ in there and there[is_].adapter != "ducklake")


def _ever(platform: Platform) -> dict[str, Names]:
    """Names of every system: as the YAML has them, and as they ever were live."""
    found = {item.key: ever_applied(item.value) for item in platform.items.list(APPLIED)}
    for name, names in _present(platform).items():
        found[name] = found.get(name, Names()) | names
    return found


def _present(platform: Platform) -> dict[str, Names]:
    """Names of every system: as the YAML has them, and as they are live."""
    found = {item.key: names_of(item.value["spec"]) for item in platform.items.list(APPLIED)}
    for name, spec in platform.specs.items():
        found[name] = found.get(name, Names()) | names_of(snapshot(spec))
    return found


def _prefixes(platform: Platform, name: str) -> tuple[list[str], dict[str, str]]:
    """Prefixes of objects that only this system has, and those that another one reads or writes too, with its name."""
    ever = _ever(platform)
    if name not in ever:
        raise NotFoundError(
            f"There is no system '{name}'; there are: {', '.join(sorted(ever)) or 'none'}.",
            next_step="Name one of these.",
        )
    mine = ever[name].prefixes
    others = {p: other for other, theirs in _present(platform).items() if other != name for p in theirs.prefixes}
    shared = {
        p: other
        for p in sorted(mine)
        for theirs, other in others.items()
        if p.startswith(theirs) or theirs.startswith(p)
    }
    own = mine - set(shared)
    return sorted({*own, *(f"_delivery/{p}" for p in own), *(f"{room}/{name}/" for room in ROOMS)}), shared


def _size(path: Path) -> str:
    total = sum(f.stat().st_size for f in path.rglob("*") if f.is_file())
    return f"{total / 2**20:.1f} MiB"
