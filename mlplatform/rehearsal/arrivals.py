"""How rows arrive in a rehearsal: as objects under a table's prefixes, and as records on its streams, then delivered."""

from __future__ import annotations

import gzip
import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mlplatform.core.tables.sample_rows import sample_rows
from mlplatform.errors import DataError
from mlplatform.rehearsal.likely import grouping_columns, likely_schema
from mlplatform.rehearsal.sample import SampleFile, encode_object, encode_records, read_records
from mlplatform.spec.stream import StreamSpec
from mlplatform.spec.table import FormatSpec, SourceSpec, TableSpec

if TYPE_CHECKING:
    from mlplatform.platform import SystemStations

STREAMED = 200
"""Made-up rows that go through a table's stream at most; the others come as files, where it has a source of files."""


@dataclass
class Arrivals:
    """Brings rows to the tables of one system: those of `files`; where there are none, `rows` are made up."""

    stations: SystemStations
    files: Sequence[SampleFile]
    rows: int
    seed: int
    now: datetime
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def sources(self, table: TableSpec) -> list[SourceSpec]:
        """The table's sources; one of files for a table that others load, or that has none yet."""
        if table.sources:
            return list(table.sources)
        kinds = [f.kind for f in self.files if f.station == table.name] or ["csv"]
        return [SourceSpec(prefix=f"rehearsal/{table.name}/", format=FormatSpec(type=kinds[0]))]

    def bring(self, table: TableSpec) -> list[str]:
        """Bring the table's rows; how many came which way, in words.

        Raises:
            DataError: no file is for the table, no source takes a file's kind, or a record is refused.
        """
        sources = self.sources(table)
        mine = {table.name, *(s.stream for s in sources if s.stream)}
        files = [f for f in self.files if f.station in mine]
        if self.files and not files:
            raise DataError(
                f"None of the sample files is for table '{table.name}'.",
                next_step=f"Add '{table.name}.csv' (or .jsonl, .parquet) to them.",
            )
        return [self._bring(table, sources, file) for file in files] or self._make_up(table, sources)

    def bring_wrong(self, table: TableSpec, rows: Sequence[Mapping[str, Any]]) -> int:
        """Bring records that do not fit, as an object where the table has a source of files; how many its stream refused.

        A stream's producer refuses a record without a partition key before it is stored.
        """
        sources = [s for s in self.sources(table) if not self.transformed(s)]
        source = next((s for s in sources if s.prefix), sources[0])
        if source.stream is None:
            self._lay(source, encode_object(rows, table.schema_(), source.format.format()))
            return 0
        refused = self._put(source.stream, encode_records(rows, table.schema_()))
        return len(refused)

    def transformed(self, source: SourceSpec) -> bool:
        """Whether records of the source are of another form than the table's rows."""
        streams = {s.name: s for s in self.stations.spec.all(StreamSpec)}
        return source.stream is not None and streams[source.stream].delivery.transform is not None

    def _bring(self, table: TableSpec, sources: Sequence[SourceSpec], file: SampleFile) -> str:
        """A file as it is, where a source takes its kind; else its rows, as records of the stream."""
        for source in sources:
            if source.prefix is not None and source.format.type == file.kind and file.station == table.name:
                return f"'{file.path.name}' as {self._lay(source, file.read())}"
        stream = next((s.stream for s in sources if s.stream and file.station in (table.name, s.stream)), None)
        if stream is None:
            raise DataError(
                f"'{file.path.name}' is {file.kind}; the sources of table '{table.name}' take "
                f"{', '.join(sorted({s.format.type for s in sources}))}.",
                next_step="Give the sample in the format of a source.",
            )
        records = encode_records(read_records(file), table.schema_())
        self._put_all(stream, records)
        return f"{len(records)} on stream {stream}"

    def _make_up(self, table: TableSpec, sources: Sequence[SourceSpec]) -> list[str]:
        """Rows that fit, a share for each source."""
        schema = likely_schema(self.stations.spec, table)
        rows = sample_rows(
            schema,
            self.rows,
            rng=random.Random(self.seed),  # noqa: S311 - samples
            now=self.now,
            groups=grouping_columns(self.stations.spec, table),
        )
        open_ = [s for s in sources if not self.transformed(s)]
        if not open_:
            raise DataError(
                f"Rows for table '{table.name}' cannot be made up: its stream transforms what is put on it.",
                next_step=f"Keep records as they are put in sample/{sources[0].stream}.jsonl beside the YAML.",
            )
        ways = []
        for place, source in enumerate(open_):
            share = -(-len(rows) // (len(open_) - place))
            if source.stream and any(s.prefix for s in open_[place:]):
                share = min(STREAMED, share)
            mine, rows = rows[:share], rows[share:]
            if source.stream:
                self._put_all(source.stream, encode_records(mine, schema))
                ways.append(f"{len(mine)} on stream {source.stream}")
            else:
                key = self._lay(source, encode_object(mine, schema, source.format.format()))
                ways.append(f"{len(mine)} in {key}")
        return ways

    def _lay(self, source: SourceSpec, data: bytes) -> str:
        """Put an object under the source's prefix; its key."""
        key = f"{source.prefix}rehearsal-{next(self._numbers):03d}{source.suffix or '.' + source.format.type}"
        self.stations.platform.store.put(key, gzip.compress(data) if key.endswith(".gz") else data)
        return key

    def _put_all(self, stream: str, records: Sequence[bytes]) -> None:
        refused = self._put(stream, records)
        if refused:
            raise DataError(
                f"{len(refused)} of {len(records)} sample records are refused: {refused[0]}",
                next_step="Correct the records, or the stream in its YAML.",
            )

    def _put(self, stream: str, records: Sequence[bytes]) -> list[str]:
        """Put records on a stream and deliver them; why some were refused."""
        producer, delivery = self.stations.producer(stream), self.stations.delivery(stream)
        size = producer.batch_size
        results = [r for at in range(0, len(records), size) for r in producer.put(records[at : at + size])]
        delivery.deliver(datetime.now(UTC) + delivery.max_age)
        return [r.error_message for r in results if r.error_code]
