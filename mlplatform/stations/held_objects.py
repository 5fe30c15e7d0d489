"""Objects that hold something of a data subject: those that may go, and those that stay and are told.

An object goes where everything else in it is kept by other means: its rows were loaded, or the same bytes were. One that
was quarantined whole, refused, or that no source takes may be the only place of others' rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from mlplatform.core.loads.held import Held, held
from mlplatform.core.loads.landing import parse_landing_key
from mlplatform.core.loads.plan import Format, JsonLinesFormat, Receipt
from mlplatform.core.loads.replays import original_name, replays_folder
from mlplatform.core.loads.subject import Subject
from mlplatform.errors import NotFoundError
from mlplatform.ports.object_store import ObjectInfo, ObjectStore
from mlplatform.ports.warehouse import Warehouse
from mlplatform.spec.stream import StreamSpec
from mlplatform.spec.table import TableSpec
from mlplatform.stations.ledger import receipts


@dataclass(frozen=True)
class Stay:
    """Why something of the subject stays, and what takes it away ("" = nothing is known to be there)."""

    kept: str
    next_step: str


UNLOADED = Stay("not loaded yet", "run the erasure again once it is")
WHOLE = Stay(
    "quarantined whole, so that the rows of others in it are in no table",
    "put a corrected object under its name, or delete it; then run the erasure again",
)
REFUSED = Stay(
    "refused, so that rows of others in it may be in no table",
    "load what is missing under a new name, and delete it; then run the erasure again",
)
NOT_TAKEN = Stay(
    "no source takes it, so that what it holds of others is in no table",
    "delete it or move it away; then run the erasure again",
)
UNSEARCHED = Stay("damaged or packed, so that it cannot be searched: look into it yourself, or delete it", "")


@dataclass(frozen=True)
class HeldObjects:
    """`landing`: a stream's, to be written anew without the subject's lines; `gone`: to be deleted; `staying`: by reason."""

    landing: list[ObjectInfo] = field(default_factory=list)
    gone: list[ObjectInfo] = field(default_factory=list)
    staying: Mapping[Stay, list[ObjectInfo]] = field(default_factory=dict)


def held_objects(
    warehouse: Warehouse,
    store: ObjectStore,
    table: TableSpec,
    subject: Subject,
    *,
    system: str,
    streams: Mapping[str, StreamSpec],
    others: Sequence[TableSpec] = (),
) -> HeldObjects:
    """What lies in the store for `table` and holds something of the subject; `others`: tables that may take it instead."""
    schema = table.schema_()
    delivered = tuple(streams[source.stream].delivery.prefix for source in table.sources if source.stream)
    # A stream's ranges that are still its own are told by their names; those of one that is gone, like any object.
    told = [r for r in receipts(warehouse, schema.name) if not (_is_range(r) and r.key.startswith(delivered))]
    loads = _Loads(told, replaces=table.on_changed_object == "replace")
    found = HeldObjects(staying=defaultdict(list))
    for info in _listed(store, table, system, streams, loads.keys):
        format_ = format_of(info.key, table, streams)
        if format_ is None and any(format_of(info.key, other, streams) is not None for other in others):
            continue
        answer = _held(store, info.key, format_, table, subject)
        landing = is_landing(info.key, table, streams)
        stay = UNSEARCHED if answer == "unknown" else None if landing else loads.stay(info, taken=format_ is not None)
        if answer == "no":
            continue
        if stay is not None:
            found.staying[stay].append(info)
        elif landing:
            found.landing.append(info)
        else:
            found.gone.append(info)
    return found


def is_landing(key: str, table: TableSpec, streams: Mapping[str, StreamSpec]) -> bool:
    """Whether the object is a range that a stream of the table delivered."""
    prefixes = [streams[source.stream].delivery.prefix for source in table.sources if source.stream]
    return any(parse_landing_key(prefix, key) is not None for prefix in prefixes)


def format_of(key: str, table: TableSpec, streams: Mapping[str, StreamSpec]) -> Format | None:
    """How the object is read, or None where no source of the table takes it."""
    inner = original_name(key)
    if is_landing(inner, table, streams) or (inner != key and inner.endswith(".jsonl")):
        return JsonLinesFormat()
    # The longest prefix is the one that loads it.
    for source in sorted(table.sources, key=lambda source: -len(source.prefix or "")):
        endings = (source.suffix, f"{source.suffix}.gz")
        if source.prefix is not None and inner.startswith(source.prefix) and inner.endswith(endings):
            return source.format.format()
    return None


class _Loads:
    """What the ledger says of objects that no stream of the table delivered."""

    def __init__(self, found: Sequence[Receipt], *, replaces: bool) -> None:
        self._by_key: dict[str, list[Receipt]] = defaultdict(list)
        for receipt in found:
            self._by_key[receipt.key].append(receipt)
        loaded = ([r for r in mine if r.outcome == "loaded"] for mine in self._by_key.values())
        there = [r for mine in loaded for r in (mine[-1:] if replaces else mine)]
        self.keys = sorted(self._by_key)
        self._batches = {r.batch_id for r in there}
        self._contents = {r.content_sha256 for r in there}

    def stay(self, info: ObjectInfo, *, taken: bool) -> Stay | None:
        """Why the object as it is must stay; None where its rows, or those of the same bytes, were loaded.

        A replay that was killed leaves a copy of records that wait in the quarantine: it may go, too.
        """
        mine = [r for r in self._by_key.get(info.key, []) if r.etag == info.etag]
        twin = any(r.outcome == "refused" and r.content_sha256 in self._contents for r in mine)
        copied = not mine and info.key != original_name(info.key)
        if twin or copied or any(r.batch_id in self._batches for r in mine):
            return None
        if not taken:
            return NOT_TAKEN
        outcome = mine[-1].outcome if mine else "loaded"
        return {"loaded": UNLOADED, "unparseable": WHOLE, "refused": REFUSED}[outcome]


def _is_range(receipt: Receipt) -> bool:
    return receipt.shard.startswith("stream/")


def _listed(
    store: ObjectStore, table: TableSpec, system: str, streams: Mapping[str, StreamSpec], loaded: Sequence[str]
) -> Iterator[ObjectInfo]:
    """What lies under the table's prefixes, and what was loaded from elsewhere while sources were others."""
    delivered = [streams[source.stream].delivery.prefix for source in table.sources if source.stream]
    own = [source.prefix for source in table.sources if source.prefix is not None]
    prefixes = (*delivered, *own, replays_folder(system, table.name))
    seen: set[str] = set()
    for prefix in prefixes:
        for info in store.list(prefix):
            if info.key not in seen and not info.key.endswith("/"):
                seen.add(info.key)
                yield info
    for key in loaded:
        found = None if key.startswith(prefixes) else store.head(key)
        if found is not None:
            yield found


def _held(store: ObjectStore, key: str, format_: Format | None, table: TableSpec, subject: Subject) -> Held:
    try:
        with store.open(key) as stream:
            return held(stream.read(), format_, table.schema_(), subject)
    except NotFoundError:
        return "no"  # gone since it was listed
