"""Bytes that nothing reads as declared, as the texts that they may be: unpacked, in the encodings people use."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable

_CHUNK_BYTES = 16 * 1024
_GZIP = b"\x1f\x8b"
_MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


def unpacked(data: bytes) -> tuple[bytes, bool]:
    """The bytes, of gzip those inside as far as they go; and whether damage hides some behind them."""
    if not data.startswith(_GZIP):
        return data, False
    out = bytearray()
    reader = zlib.decompressobj(wbits=31)
    rest = memoryview(data)
    try:
        while len(rest):
            chunk, rest = rest[:_CHUNK_BYTES], rest[_CHUNK_BYTES:]
            out += reader.decompress(chunk)
            if reader.eof:
                left = len(reader.unused_data) + len(rest)
                rest = memoryview(data)[len(data) - left :]
                if not bytes(rest).strip(b"\0"):
                    break
                reader = zlib.decompressobj(wbits=31)
    except zlib.error:
        return bytes(out), True
    return bytes(out), False


def texts_of(data: bytes) -> list[str]:
    """What the bytes may say; UTF-8 where they are, else by their byte order mark, or as Western Windows wrote it."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return [data.decode(encoding, errors="replace")]
    try:
        return [data.decode()]
    except UnicodeDecodeError:
        return [data.decode(errors="replace"), data.decode("cp1252", errors="replace")]


def is_text(data: bytes) -> bool:
    """Whether bytes that may be anything look like text: `texts_of` then misses nothing."""
    return b"\0" not in data or is_wide(data)


def is_wide(data: bytes) -> bool:
    """Whether a byte order mark says that characters take two bytes or four."""
    return any(data.startswith(mark) for mark, _ in _MARKS)


def names_any(data: bytes, values: Iterable[str]) -> bool:
    """Whether the bytes name one of the values, as a word of its own."""
    pattern = re.compile("|".join(rf"(?<!\w){re.escape(value)}(?!\w)" for value in sorted(values)))
    return any(pattern.search(text) for text in texts_of(data))
