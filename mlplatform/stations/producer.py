"""Producer: puts JSON records on a stream, each under the value of its partition key."""

from __future__ import annotations

import json
from collections.abc import Sequence

from mlplatform.ports.stream import PutResult, Record, Stream
from mlplatform.spec.stream import StreamSpec

_ONE_OBJECT = "Send each record as one JSON object on one line."


class Producer:
    """Puts records on `stream`; a record without its partition key is refused alone, and the others are stored.

    With `masked` a refusal does not name a record's fields.
    """

    def __init__(self, stream: Stream, spec: StreamSpec, *, system: str, masked: bool = False) -> None:
        self._stream = stream
        self._key = spec.partition_key
        self._what = f"{system}/{spec.name}"
        self._masked = masked

    @property
    def batch_size(self) -> int:
        """Records that one `put` takes at most."""
        return self._stream.capabilities.max_records_per_put

    def put(self, records: Sequence[bytes]) -> list[PutResult]:
        """Store records (a JSON object each); results in the order given. Durable when it returns.

        Raises:
            DataError: more records or bytes than one call takes.
        """
        keys = [self._key_of(data) for data in records]
        fit = [Record(key, data) for key, data in zip(keys, records, strict=True) if isinstance(key, str)]
        stored = iter(self._stream.put(fit) if fit else [])
        return [next(stored) if isinstance(key, str) else key for key in keys]

    def _key_of(self, data: bytes) -> str | PutResult:
        try:
            record = json.loads(data)
        except (ValueError, RecursionError) as error:
            return self._refused(f"is not readable as JSON: {error}", _ONE_OBJECT)
        if not isinstance(record, dict):
            return self._refused(f"is no record: expected a JSON object, found a {type(record).__name__}", _ONE_OBJECT)
        if record.get(self._key) in (None, ""):
            there = "" if self._masked else f"; it has: {', '.join(map(str, record))}"
            return self._refused(f"has no value for the partition key '{self._key}'{there}", "Give it one.")
        return str(record[self._key])

    def _refused(self, why: str, step: str) -> PutResult:
        return PutResult(error_code="InvalidRecord", error_message=f"A record for stream '{self._what}' {why}. {step}")
