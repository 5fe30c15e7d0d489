"""Several records in one of Kinesis's, as the Kinesis Producer Library aggregates them.

A magic number, a protobuf message and the message's MD5
(https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md)::

    message AggregatedRecord { repeated string partition_key_table = 1; repeated string explicit_hash_key_table = 2;
                               repeated Record records = 3; }
    message Record { required uint64 partition_key_index = 1; optional uint64 explicit_hash_key_index = 2;
                     required bytes data = 3; repeated Tag tags = 4; }

What only begins like one is a record of its own, as it is for Amazon's consumers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import groupby

from mlplatform.ports.stream import Record

MAGIC = b"\xf3\x89\x9a\xc2"
_DIGEST_BYTES = 16
MAX_AGGREGATE_BYTES = 51_200
"""The library's own bound; Kinesis counts a record by 25 KB."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def disaggregated(key: str, data: bytes) -> list[Record] | None:
    """The records in an aggregate, in their order; None where `data` is none."""
    if not data.startswith(MAGIC) or len(data) < len(MAGIC) + _DIGEST_BYTES:
        return None
    message, digest = data[len(MAGIC) : -_DIGEST_BYTES], data[-_DIGEST_BYTES:]
    if _md5(message) != digest:
        return None
    keys: list[str] = []
    found: list[tuple[int, bytes]] = []
    try:
        for number, value in _fields(message):
            if number == 1 and isinstance(value, bytes):
                keys.append(value.decode())
            elif number == 3 and isinstance(value, bytes):
                fields = dict(_fields(value))
                found.append((int(fields.get(1, 0)), bytes(fields[3])))
        return [Record(keys[index] if keys else key, each) for index, each in found]
    except (ValueError, KeyError, IndexError, TypeError):
        return None


def aggregated(records: Sequence[Record]) -> bytes:
    """`records`, which share a key, as one."""
    message = _field(1, records[0].key.encode())
    message += b"".join(_field(3, b"\x08\x00" + _field(3, record.data)) for record in records)
    return MAGIC + message + _md5(message)


def groups(records: Sequence[Record]) -> list[list[int]]:
    """Places of records that go into one: of one key, so that they stay together however the stream is split; in their
    order, and no more of them than one holds."""
    by_key = sorted(range(len(records)), key=lambda place: records[place].key)
    found: list[list[int]] = []
    for _, places in groupby(by_key, key=lambda place: records[place].key):
        size_bytes = MAX_AGGREGATE_BYTES
        for place in places:
            size_bytes += len(records[place].data) + 16
            if size_bytes > MAX_AGGREGATE_BYTES:
                found.append([])
                size_bytes = len(records[place].data) + 16
            found[-1].append(place)
    return found


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values of a message's fields (https://protobuf.dev/programming-guides/encoding/). Raises ValueError."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        kind = tag & 7
        if kind == _VARINT:
            value, place = _varint(message, place)
            yield tag >> 3, value
            continue
        if kind == _BYTES:
            size, place = _varint(message, place)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"field of type {kind}")
        if place + size > len(message):
            raise ValueError("the message ends within a field")
        yield tag >> 3, message[place : place + size]
        place += size


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if place >= len(message) or shift > 63:
            raise ValueError("the message ends within a number")
        byte = message[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place


def _field(number: int, value: bytes) -> bytes:
    size, length = len(value), bytearray()
    while size >= 0x80:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    length.append(size)
    return bytes([number << 3 | _BYTES]) + bytes(length) + value


def _md5(message: bytes) -> bytes:
    return hashlib.md5(message, usedforsecurity=False).digest()
