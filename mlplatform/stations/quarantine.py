"""Quarantine: records that did not fit, and their replay after a fix, through the same loader and exactly once; or their end.

A replay writes the records it takes as one object (their own bytes, in their own format), and loads that. The records are
marked as replayed in the transaction that loads them; those that still do not fit come back as new ones.

Records of one object are replayed by themselves, on the guard of the object's own shard: when the object is replaced, its
replayed rows go with it, and neither can slip past the other.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from mlplatform.core.capture.masking import Masking
from mlplatform.core.loads.erasure import Erasure
from mlplatform.core.loads.landing import parse_landing_key
from mlplatform.core.loads.masked_record import Mask, masked_record
from mlplatform.core.loads.plan import CsvFormat, Format, JsonLinesFormat, LoadPlan, QuarantinedRecord, Receipt
from mlplatform.core.loads.replays import STREAM, original_name, replay_folder
from mlplatform.core.tables.books import QUARANTINE
from mlplatform.core.tables.schema import MASKED
from mlplatform.errors import ConflictError, DataError, NotFoundError
from mlplatform.ports.object_store import ObjectInfo, ObjectStore
from mlplatform.ports.warehouse import Warehouse
from mlplatform.spec.stream import StreamSpec
from mlplatform.spec.table import SourceSpec, TableSpec

_COLUMNS = ", ".join(name for name, _ in QUARANTINE)
_Records = list[QuarantinedRecord]
_Group = tuple[str, ObjectInfo, Format, _Records]
_Groups = list[_Group]

_AT_ONCE = 5_000
_CONFLICTS = 50


@dataclass(frozen=True)
class Replayed:
    """What a replay did: records taken, and what became of them; `skipped`: those that cannot be read, with the reason."""

    records: int
    loaded: int
    quarantined: int
    duplicates: int
    receipts: tuple[Receipt, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)


class Quarantine:
    """The quarantine of one table."""

    def __init__(
        self,
        warehouse: Warehouse,
        store: ObjectStore,
        table: TableSpec,
        *,
        system: str,
        streams: Mapping[str, StreamSpec],
    ) -> None:
        self._warehouse = warehouse
        self._store = store
        self._spec = table
        self._schema = table.schema_()
        self._streams = streams
        self._system = system
        self.personal = self._schema.personal

    def list(self, *, limit: int = 50, replayed: bool = False) -> _Records:
        """Records that wait, oldest first; with `replayed`, also those that were."""
        where = "" if replayed else " AND replayed_at IS NULL"
        return self._select(f"{where} ORDER BY quarantined_at, batch_id, record_offset LIMIT {int(limit)}")

    def masked(self, records: Sequence[QuarantinedRecord], masking: Masking) -> _Records:
        """The records as they are shown where values of personal columns are not."""
        return [replace(r, raw=self._masked(r, masking.shown)) if self.personal else r for r in records]

    def _masked(self, record: QuarantinedRecord, mask: Mask) -> bytes:
        if not record.offset:
            return MASKED.encode()
        csv = None  # where no source takes it any more, nothing says how to read it
        with suppress(DataError):
            csv = self._csv_source(record.source)[1] if record.columns else None
        can = self._warehouse.capabilities
        schema = self._schema.limited(longest_bytes=can.longest_text_bytes, null_byte=can.null_bytes)
        return masked_record(record.raw, csv, record.columns, schema.loaded_at(record.quarantined_at), mask)

    def count(self) -> int:
        """How many records wait."""
        found = self._warehouse.query(
            "SELECT count(*) AS n FROM _quarantine WHERE table_name = ? AND replayed_at IS NULL", [self._schema.name]
        )
        return int(found.to_pylist()[0]["n"])

    def replay(self, ids: Sequence[str] | None = None) -> Replayed:
        """Loads records again: those in `ids`, or all that wait now and can be read.

        Raises:
            NotFoundError: an id that is not there, or whose object was quarantined whole and is gone.
            DataError: an id that no source of the table takes any more.
            ConflictError: a record that was replayed before.
        """
        self._warehouse.create(self._schema)
        todo = [*ids] if ids is not None else [r.quarantine_id for r in self.list(limit=10**9)]
        receipts: deque[Receipt] = deque()
        skipped: dict[str, str] | None = {} if ids is None else None
        taken = 0
        conflicts = 0
        while todo:
            batch = todo[:_AT_ONCE]
            records = self._waiting(batch, strict=ids is not None and not conflicts)
            groups = self._groups(records, skipped)
            try:
                for group in groups:
                    receipts.append(self._load(*group))
                    taken += len(group[3])
            except (ConflictError, NotFoundError):
                # Another loader was first, or an object went a moment ago: all is looked at anew.
                conflicts += 1
                if conflicts > _CONFLICTS:
                    raise
                continue
            todo = todo[_AT_ONCE:]
        return Replayed(
            taken,
            sum(r.loaded for r in receipts),
            sum(r.quarantined for r in receipts),
            sum(r.duplicates for r in receipts),
            tuple(receipts),
            skipped or {},
        )

    def discard(self, ids: Sequence[str] | None = None, *, reason: str, now: datetime) -> int:
        """Takes records out for good, those in `ids` or all that wait, and notes it in the book of erasures; how many.

        Raises:
            NotFoundError: an id that is not there.
            ConflictError: a record that was replayed before.
        """
        self._warehouse.create(self._schema)
        if ids is None:
            names = [record.quarantine_id for record in self.list(limit=10**9)]
        else:
            names = [record.quarantine_id for record in self._waiting(list(dict.fromkeys(ids)), strict=True)]
        if not names:
            return 0
        name = f"discard-{now.astimezone(UTC):%Y%m%dT%H%M%S%f}"
        erasure = Erasure(name, self._schema.name, (), reason, now, records=tuple(names))
        return self._warehouse.erase(erasure).records

    def _waiting(self, ids: Sequence[str], *, strict: bool) -> _Records:
        marks = ", ".join("?" * len(ids))
        found = self._select(f" AND quarantine_id IN ({marks}) ORDER BY quarantined_at, batch_id, record_offset", ids)
        if strict:
            missing = sorted(set(ids) - {r.quarantine_id for r in found})
            if missing:
                raise NotFoundError(
                    f"Quarantine of table '{self._schema.name}' has no record '{missing[0]}'.",
                    next_step="Take an id from: mlplatform quarantine list",
                )
            done = [r for r in found if r.replayed_at is not None]
            if done:
                raise ConflictError(
                    f"Record '{done[0].quarantine_id}' of table '{self._schema.name}' was replayed at {done[0].replayed_at}.",
                    next_step="Leave it out; mlplatform quarantine list shows those that wait.",
                )
        return [r for r in found if r.replayed_at is None]

    def _groups(self, records: Sequence[QuarantinedRecord], skipped: dict[str, str] | None) -> _Groups:
        """What to load on which shard: an object for each origin and format; each object quarantined whole by itself.

        What cannot be read is noted in `skipped`, so that it holds up nothing else, or raised where that is None.
        """
        shards = self._shards(sorted({record.batch_id for record in records})) if records else {}
        groups: _Groups = []
        lines: dict[str, _Records] = defaultdict(list)
        tables: dict[tuple[str, SourceSpec, CsvFormat, tuple[str, ...]], _Records] = defaultdict(list)
        for record in records:
            origin = record.batch_id if record.batch_id in shards else STREAM
            try:
                if not record.offset:
                    info = self._object(record.source)
                    groups.append((self._shard(shards, origin), info, self._format(record.source), [record]))
                elif record.columns:
                    source, csv = self._csv_source(record.source)
                    tables[(origin, source, csv, record.columns)].append(record)
                else:
                    lines[origin].append(record)
            except (NotFoundError, DataError) as error:
                if skipped is None:
                    raise
                skipped[record.quarantine_id] = str(error)
        for (origin, source, format_, columns), members in tables.items():
            header = (format_.delimiter.join(columns) + "\n").encode() if format_.header else b""
            name = f"{source.prefix}{_digest(members)}{source.suffix or '.csv'}".removesuffix(".gz")
            info = self._put(origin, name, header, members)
            groups.append((self._shard(shards, origin), info, format_, members))
        for origin, members in lines.items():
            info = self._put(origin, f"{_digest(members)}.jsonl", b"", members)
            groups.append((self._shard(shards, origin), info, JsonLinesFormat(), members))
        return groups

    def _shards(self, batches: Sequence[str]) -> dict[str, str]:
        """Shards of the batches that loaded objects (or replayed their records): batch id → shard."""
        rows = self._warehouse.query(
            f"SELECT batch_id, shard FROM _ledger WHERE table_name = ? AND batch_id IN ({', '.join('?' * len(batches))})",  # noqa: S608
            [self._schema.name, *batches],
        ).to_pylist()
        return {row["batch_id"]: row["shard"] for row in rows if row["shard"].startswith("objects/")}

    def _shard(self, shards: Mapping[str, str], origin: str) -> str:
        return shards.get(origin, f"replay/{self._schema.name}")

    def _load(self, shard: str, info: ObjectInfo, format_: Format, records: _Records) -> Receipt:
        guard = self._warehouse.guard(self._schema.name, shard)
        plan = LoadPlan(
            table=self._schema.name,
            shard=guard.shard,
            last=guard.last,
            upto=str(int(guard.last or 0) + 1),
            epoch=guard.epoch,
            key=info.key,
            etag=info.etag,
            size_bytes=info.size_bytes,
            format=format_,
            replays=tuple(r.quarantine_id for r in records),
        )
        return self._warehouse.load(plan, self._schema, self._store)

    def _put(self, origin: str, name: str, header: bytes, records: Sequence[QuarantinedRecord]) -> ObjectInfo:
        folder = replay_folder(self._system, self._spec.name, origin)
        return self._store.put(f"{folder}{name}", header + b"".join(r.raw + b"\n" for r in records))

    def _object(self, key: str) -> ObjectInfo:
        info = self._store.head(key)
        if info is None:
            raise NotFoundError(
                f"Object '{key}', quarantined whole, is gone from the object store.",
                next_step="Put it back to replay it, or discard the record.",
            )
        return info

    def _format(self, key: str) -> Format:
        inner = original_name(key)
        for source in self._spec.sources:
            if source.stream and parse_landing_key(self._streams[source.stream].delivery.prefix, inner) is not None:
                return JsonLinesFormat()
        if inner != key and key.endswith(".jsonl"):
            return JsonLinesFormat()
        return self._source(key).format.format()

    def _csv_source(self, key: str) -> tuple[SourceSpec, CsvFormat]:
        source = self._source(key)
        found = source.format.format()
        if not isinstance(found, CsvFormat):
            raise DataError(
                f"Records of '{key}' are CSV, and its source says {source.format.type} now.",
                next_step="Set the source's format back to csv, replay, then change it; or discard the records.",
            )
        return source, found

    def _source(self, key: str) -> SourceSpec:
        inner = original_name(key)
        fitting = [s for s in self._spec.sources if s.prefix is not None and inner.startswith(s.prefix)]
        fitting.sort(key=lambda s: len(s.prefix or ""), reverse=True)
        for source in fitting:
            if inner.endswith((source.suffix, f"{source.suffix}.gz")):
                return source
        raise DataError(
            f"No source of table '{self._spec.name}' takes '{inner}' any more, so that nothing says how to read it.",
            next_step="Give the table a source with its prefix and suffix.",
        )

    def _select(self, rest: str, parameters: Sequence[Any] = ()) -> _Records:
        rows = self._warehouse.query(
            f"SELECT {_COLUMNS} FROM _quarantine WHERE table_name = ?{rest}",  # noqa: S608
            [self._schema.name, *parameters],
        )
        return [_record(row) for row in rows.to_pylist()]


def _digest(records: Sequence[QuarantinedRecord]) -> str:
    return hashlib.sha256("\n".join(r.quarantine_id for r in records).encode()).hexdigest()[:32]


def _record(row: Mapping[str, Any]) -> QuarantinedRecord:
    replayed = row["replayed_at"]
    return QuarantinedRecord(
        quarantine_id=row["quarantine_id"],
        batch_id=row["batch_id"],
        table=row["table_name"],
        source=row["source"],
        offset=row["record_offset"],
        reason=row["reason"],
        raw=row["raw"],
        quarantined_at=row["quarantined_at"].replace(tzinfo=UTC),
        replayed_at=None if replayed is None else replayed.replace(tzinfo=UTC),
        columns=tuple(json.loads(row["columns"] or "[]")),
    )
