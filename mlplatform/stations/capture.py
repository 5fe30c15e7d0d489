"""Capture: what workers spooled becomes landing objects, one line a predicted row, ready for `Ingest`.

    capture/<system>/<endpoint>/<yyyy>/<mm>/<dd>/<hh>/<worker>-<segment>.jsonl       rows
    _capture/<system>/<endpoint>/gaps/<worker>-<segment or "end">.json               requests answered and not kept

Both are named by the segment they come from, and a closed segment does not change. So a drain that was killed anywhere
is repeated with the same names and content: nothing is lost and nothing doubled. Where several machines capture into one store,
each has a mark of its own before the worker's name, which is true on its machine only.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from mlplatform.core.capture.record import CapturedRequest, capture_schema, decode_request, landing_lines, requests_of
from mlplatform.core.capture.sagemaker import data_capture_key, data_capture_line
from mlplatform.core.capture.spool import (
    CLOSED,
    COUNT,
    COUNT_BYTES,
    GIVEN_AT,
    NUMBER,
    OPEN,
    WRITTEN_AT,
    holes,
    parse_segment,
)
from mlplatform.errors import ConflictError
from mlplatform.ports.object_store import ObjectStore
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.spec.process_name import is_alive
from mlplatform.spec.table import ColumnSpec, FormatSpec, SourceSpec, TableSpec

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Drained:
    """What one drain moved: landing objects and their rows, and requests found to be missing."""

    objects: int = 0
    requests: int = 0
    rows: int = 0
    gap: int = 0


class Capture:
    """The capture of one endpoint: `spool` is the folder that gateway workers write under. One drainer at a time.

    `mark`: of this machine, where it is one of several.
    """

    def __init__(self, store: ObjectStore, spool: Path, spec: EndpointSpec, *, system: str, mark: str = "") -> None:
        self._store = store
        self._folder = spool / system / spec.name
        self._spec = spec
        self._name = f"{system}/{spec.name}"
        self._keys = frozenset(spec.keys)
        self.prefix = capture_prefix(system, spec.name)
        self._gaps = f"_{self.prefix}gaps/"
        self._mark = mark

    def drain(self) -> Drained:
        """Move every closed segment, and what dead workers left, into the store."""
        moved = [self._move(path) for path in self._closed()]
        moved += [self._bury(path) for path in sorted(self._folder.glob(f"*{COUNT}"))]
        return Drained(*(sum(getattr(d, name) for d in moved) for name in ("objects", "requests", "rows", "gap")))

    def gap(self) -> int:
        """Requests that were answered and not kept, as far as they were drained."""
        total = 0
        for info in self._store.list(self._gaps):
            with self._store.open(info.key) as file:
                total += int(json.loads(file.read())["requests"])
        return total

    def expire(self, *, now: datetime) -> int:
        """Delete landing objects older than the endpoint's retention; how many went."""
        oldest = now - timedelta(days=self._spec.capture.retention_days)
        last = f"{self.prefix}{oldest.astimezone(UTC):%Y/%m/%d/%H}/"
        gone = 0
        for info in self._store.list(self.prefix):
            if info.key >= last:
                break
            self._store.delete(info.key)
            gone += 1
        return gone

    def export_sagemaker(self, target: ObjectStore, prefix: str) -> int:
        """Write every landing object to `target` in SageMaker's data-capture layout and format; how many there are."""
        exported = 0
        for info in self._store.list(self.prefix):
            with self._store.open(info.key) as file:
                requests = requests_of(file.read().splitlines(), endpoint=self._name)
            key = data_capture_key(prefix, self._spec.name, requests[0])
            target.put(key, b"".join(data_capture_line(r, prediction=self._spec.prediction) + b"\n" for r in requests))
            exported += 1
        return exported

    def _closed(self) -> Iterator[Path]:
        for path in sorted(self._folder.glob(f"*{OPEN}")):
            segment = parse_segment(path.name)
            if segment is not None and not is_alive(segment.worker) and path.exists():
                path.rename(path.with_suffix(CLOSED))
        yield from sorted(self._folder.glob(f"*{CLOSED}"))

    def _move(self, path: Path) -> Drained:
        after, requests = read_segment(path)
        rows = b"".join(landing_lines(request, keys=self._keys) for request in requests)
        gap = holes(after, [r.sequence for r in requests])
        if requests:
            at = datetime.fromisoformat(requests[0].captured_at)
            self._put(f"{self.prefix}{at:%Y/%m/%d/%H}/{self._mark}{path.name}", rows)
        if gap:
            self._put_gap(path.stem, gap)
        segment = parse_segment(path.name)
        if segment is not None and requests:
            self._note_written(self._folder / f"{segment.worker}{COUNT}", requests[-1].sequence)
        path.unlink()
        return Drained(int(bool(requests)), len(requests), rows.count(b"\n"), gap)

    def _note_written(self, path: Path, sequence: int) -> None:
        """Raise a dead worker's count of written lines to what was found: it may have died between fsync and count."""
        if is_alive(path.stem) or not path.exists():
            return
        data = bytearray(path.read_bytes())
        written = NUMBER.unpack_from(data, WRITTEN_AT)[0]
        NUMBER.pack_into(data, WRITTEN_AT, max(written, sequence))
        path.write_bytes(data)

    def _bury(self, path: Path) -> Drained:
        """Count what a dead worker took with it, once all its segments are moved."""
        worker = path.stem
        if is_alive(worker) or any(self._folder.glob(f"{worker}-*")):
            return Drained()
        data = path.read_bytes()
        given, written = (
            (NUMBER.unpack_from(data, at)[0] for at in (GIVEN_AT, WRITTEN_AT)) if len(data) == COUNT_BYTES else (0, 0)
        )
        gap = max(0, given - written)
        if gap:
            log.warning("worker %s ended with %d captured requests in memory; they are counted as a gap", worker, gap)
            self._put_gap(f"{worker}-end", gap)
        path.unlink()
        return Drained(gap=gap)

    def _put_gap(self, name: str, requests: int) -> None:
        self._put(f"{self._gaps}{self._mark}{name}.json", msgspec.json.encode({"requests": requests}))

    def _put(self, key: str, data: bytes) -> None:
        try:
            self._store.put(key, data, if_absent=True)
        except ConflictError:
            log.info("%s is there already: an earlier drain was interrupted behind it", key)


def read_segment(path: Path) -> tuple[int, list[CapturedRequest]]:
    """A closed segment: the sequence before it, and its requests; a torn last line (a kill in mid-write) is left out."""
    lines = path.read_bytes().split(b"\n")
    whole = lines[:-1]
    if not whole:
        return 0, []
    header = msgspec.json.decode(whole[0])
    return int(header["after"]), [decode_request(line) for line in whole[1:]]


def capture_prefix(system: str, endpoint: str) -> str:
    """Where an endpoint's landing objects lie."""
    return f"capture/{system}/{endpoint}/"


def capture_table(spec: EndpointSpec, *, system: str, regression: bool) -> TableSpec:
    """The table ``<endpoint>_capture`` as a spec, with its source: the same `Ingest` loads it."""
    schema = capture_schema(spec.name, regression=regression)
    return TableSpec(
        name=schema.name,
        description=f"What {spec.name} was asked and answered, one row a prediction.",
        columns=[
            ColumnSpec(
                name=c.name,
                type=c.type,
                nullable=c.nullable,
                minimum=None if c.minimum is None else float(c.minimum),
                description=c.description,
            )
            for c in schema.columns
        ],
        unique_key=list(schema.unique_key),
        event_time=schema.event_time,
        retention_days=spec.capture.retention_days,
        # The platform's own times: where its clock was set back, those of before are no fault of a row's.
        future_s=None,
        sources=[SourceSpec(prefix=capture_prefix(system, spec.name), suffix=CLOSED, format=FormatSpec(type="jsonl"))],
    )
