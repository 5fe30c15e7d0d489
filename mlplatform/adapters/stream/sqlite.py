"""A stream in SQLite files, one a shard: ordered, durable, read by any number of processes from any position.

- **Order**: a put's records of one shard take the next sequences of that shard in one transaction. Sequences are dense,
  20 digits wide, never reused, also not after all records were trimmed.
- **Durability**: write-ahead log with ``synchronous=FULL``: when a put returns, its records are fsynced. One transaction a
  shard and put, so the cost of the fsync is shared by the records of a call.
- **Shards**: MD5 of the key, as Kinesis maps keys to hash ranges. Shards beyond `StreamSpec.shards` (after it was lowered)
  stay readable and take no more records; after any change of the number, the order of a key holds within each shard only.
- **Retention**: `trim` removes by time of arrival, which grows with the sequence even if the clock steps back; where it is
  set back by more than a minute, what is stored arrived now at the latest, and is kept by the later of both times that is
  not in the future. The pages it frees are used again; the file
  does not shrink.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mlplatform.adapters.stream.limits import check_put, checked
from mlplatform.adapters.stream.sqlite_shard import SqliteShard
from mlplatform.errors import NotFoundError, PlatformError
from mlplatform.ports.stream import PutResult, Record, ShardState, StoredRecord, StreamCapabilities
from mlplatform.spec.stream import StreamSpec


def _utc_now() -> datetime:
    return datetime.now(UTC)


class SqliteStream:
    """The stream `spec` with its files below `root` (made where it is missing); `clock` gives times of arrival."""

    capabilities = StreamCapabilities(
        durability="fsynced to this machine's disk when put returns (SQLite WAL, synchronous=FULL)"
    )

    def __init__(self, root: Path, spec: StreamSpec, *, clock: Callable[[], datetime] = _utc_now) -> None:
        self.name = spec.name
        self._root = root
        self._shards = spec.shards
        self._retention = timedelta(hours=spec.retention_h)
        self._clock = clock
        self._open: dict[str, SqliteShard] = {}
        root.mkdir(parents=True, exist_ok=True, mode=0o700)

    def put(self, records: Sequence[Record]) -> list[PutResult]:
        check_put(self.name, records, self.capabilities)
        results = [checked(record, self.capabilities) for record in records]
        places: dict[str, list[int]] = {}
        for place, record in enumerate(records):
            if not results[place].error_code:
                places.setdefault(self._shard_of(record.key), []).append(place)
        for shard, chosen in places.items():
            rows = [(records[place].key, records[place].data) for place in chosen]
            try:
                sequences = self._shard(shard).append(rows, self._clock)
            except PlatformError as error:
                failed = PutResult(shard=shard, error_code=error.code, error_message=str(error))
                outcome = [failed] * len(chosen)
            else:
                outcome = [PutResult(shard, sequence) for sequence in sequences]
            for place, result in zip(chosen, outcome, strict=True):
                results[place] = result
        return results

    def shards(self) -> list[ShardState]:
        return [self._shard(name).state() for name in self._names()]

    def read(self, shard: str, *, after: str = "", limit: int = 1000) -> list[StoredRecord]:
        if shard not in self._open and shard not in (known := self._names()):
            raise NotFoundError(
                f"Stream '{self.name}' has no shard '{shard}'; it has: {', '.join(known)}.",
                next_step="Name one of these.",
            )
        return self._shard(shard).read(after, limit)

    def trim(self, *, now: datetime, delivered: Mapping[str, str] | None = None) -> int:
        safe, before = delivered or {}, now - self._retention
        return sum(self._shard(s.shard).trim(before, now, safe.get(s.shard, s.newest)) for s in self.shards())

    def close(self) -> None:
        """Close the files; the stream opens them again when it is used."""
        while self._open:
            self._open.popitem()[1].close()

    def _names(self) -> list[str]:
        names = {_shard_name(number) for number in range(self._shards)}
        return sorted(names | {path.stem for path in self._root.glob("shard-*.sqlite")})

    def _shard(self, name: str) -> SqliteShard:
        return self._open.setdefault(name, SqliteShard(self._root / f"{name}.sqlite", self.name))

    def _shard_of(self, key: str) -> str:
        digest = hashlib.md5(key.encode(), usedforsecurity=False).digest()
        return _shard_name(int.from_bytes(digest) * self._shards >> 128)


def _shard_name(number: int) -> str:
    return f"shard-{number:04d}"
