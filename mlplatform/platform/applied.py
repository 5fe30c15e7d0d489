"""Which YAML is live: kept when `serve` starts or somebody says so, compared with what stands in the files now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mlplatform.core.capture.masking import MASK_SECRET
from mlplatform.errors import ConflictError, NotFoundError
from mlplatform.spec.diff import Change, diff, snapshot
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.spec.notification import NotifySpec
from mlplatform.spec.stream import StreamSpec
from mlplatform.spec.table import TableSpec

if TYPE_CHECKING:
    from mlplatform.platform.root import Platform
    from mlplatform.spec.system import SystemSpec

COLLECTION = "applied_specs"


@dataclass(frozen=True)
class Plan:
    """Changes of one system against what is live. `missing`: what it cannot be served without, and is not there."""

    system: str
    new: bool
    gone: bool
    changes: tuple[Change, ...]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Names:
    """What a system's YAML names that lies outside its own folders: models, prefixes of objects, warehouse connections."""

    models: frozenset[str] = frozenset()
    prefixes: frozenset[str] = frozenset()
    connections: frozenset[str] = frozenset()

    def __or__(self, other: Names) -> Names:
        return Names(self.models | other.models, self.prefixes | other.prefixes, self.connections | other.connections)

    def to_json(self) -> dict[str, list[str]]:
        return {name: sorted(found) for name, found in vars(self).items()}


def names_of(spec: Mapping[str, Any]) -> Names:
    """Names in a spec's snapshot: prefixes are those that a stream delivers to or a table loads from."""
    stations = spec["stations"].values()
    models = {s["name"] for s in stations if s["type"] == "mlplatform.Model"}
    delivered = {s["delivery"]["prefix"] for s in stations if isinstance(s.get("delivery"), Mapping)}
    loaded = {p for s in stations for e in s.get("sources") or [] if isinstance(e, Mapping) and (p := e.get("prefix"))}
    tables = {s["connection"] for s in stations if s["type"] == "mlplatform.Table" and not s.get("existing")}
    return Names(frozenset(models), frozenset(delivered | loaded), frozenset(tables))


def ever_applied(value: Mapping[str, Any]) -> Names:
    """Names of all that was ever live of a system, from its item."""
    ever = value.get("ever", {})
    return names_of(value["spec"]) | Names(**{name: frozenset(found) for name, found in ever.items()})


def plan_changes(platform: Platform, names: Sequence[str] | None = None) -> list[Plan]:
    """Plans of the systems `names` (default: all, also those that were live and have no YAML any more)."""
    live = {item.key: item.value["spec"] for item in platform.items.list(COLLECTION)}
    wanted = list(names) if names is not None else sorted({*platform.specs, *live})
    plans = []
    for name in wanted:
        spec = platform.specs.get(name)
        if spec is None and name not in live:
            raise NotFoundError(
                f"There is no system '{name}'; there are: {', '.join(sorted({*platform.specs, *live}))}.",
                next_step="Name one of these; MLPLATFORM_DEFS says where the systems' folders are.",
            )
        after = snapshot(spec) if spec is not None else {"stations": {}, "queries": {}}
        missing = tuple(_missing(platform, spec)) if spec is not None else ()
        plans.append(Plan(name, name not in live, spec is None, tuple(diff(live.get(name), after)), missing))
    return plans


def _missing(platform: Platform, spec: SystemSpec) -> Iterator[str]:
    yield from _unset(platform, spec)
    yield from _unmasked(platform, spec)


def _unset(platform: Platform, spec: SystemSpec) -> Iterator[str]:
    """Connections that the system needs, and whose settings the environment does not fill."""
    needed = {"objects", "items", "secrets", "jobs", "tracking", "asset_events"}
    needed |= {"streams"} if spec.all(StreamSpec) else set()
    needed |= {"endpoints"} if spec.all(EndpointSpec) else set()
    needed |= {table.connection for table in spec.all(TableSpec)}
    needed |= {notify.connection for notify in spec.all(NotifySpec)}
    bound = platform.profile.systems.get(spec.name, {})
    for name in sorted({bound.get(n, n) for n in needed}):
        connection = platform.profile.connections.get(name)
        for what in connection.unset() if connection is not None else ():
            yield f"connection '{name}' of profile '{platform.profile.name}': {what}."


def _unmasked(platform: Platform, spec: SystemSpec) -> Iterator[str]:
    masking = [endpoint for endpoint in spec.all(EndpointSpec) if endpoint.capture.mask]
    if not masking:
        return
    try:
        platform.secrets.get(MASK_SECRET)
    except NotFoundError as error:
        for endpoint in masking:
            fields = ", ".join(endpoint.capture.mask)
            yield f"endpoint '{endpoint.name}' masks {fields} in what it captures. {error}"


def apply_specs(platform: Platform, names: Sequence[str] | None = None, *, now: datetime) -> list[str]:
    """Keep the YAML of the systems as what is live; names of those that changed.

    Raises:
        NotFoundError: there is no such system.
        ConflictError: a change cannot be made to live state; then nothing is kept.
    """
    wanted = list(names) if names is not None else list(platform.specs)
    refused = [
        f"{plan.system}: {c.station}.{c.field} from {c.before} to {c.after}: {c.effect}"
        for plan in plan_changes(platform, wanted)
        for c in plan.changes
        if c.reach == "refused"
    ]
    if refused:
        raise ConflictError(
            "The YAML asks for what live state cannot become: " + "; ".join(refused) + ".",
            next_step="Take these edits back, or 'mlplatform destroy' the system and begin anew.",
        )
    applied = []
    for name in wanted:
        spec = snapshot(platform.specs[name])
        item = platform.items.get(COLLECTION, name)
        if item is None or item.value["spec"] != spec:
            ever = names_of(spec) | (ever_applied(item.value) if item is not None else Names())
            value = {"spec": spec, "applied_at": now.isoformat(), "ever": ever.to_json()}
            platform.items.put(COLLECTION, name, value)
            applied.append(name)
    return applied
