"""A file of a result cut into parts, in its order: Parquet by one thread of DuckDB, CSV between its records."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from mlplatform.core.sql import literal

if TYPE_CHECKING:
    import duckdb

_CHUNK_BYTES = 4 * 1024 * 1024
_MEMORY_MIB = 512


def cut_parquet(whole: Path, part_bytes: int) -> Iterator[tuple[Path, int]]:
    """Files of about `part_bytes`, a row group more at most, with their rows; `whole` is gone then."""
    import duckdb

    folder = whole.with_suffix(".parts")
    folder.mkdir()
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": "1",
        "memory_limit": f"{_MEMORY_MIB}MiB",
        "temp_directory": str(folder.parent),
    }
    with duckdb.connect(config=config) as connection:
        connection.execute(
            f"COPY (SELECT * FROM read_parquet({literal(str(whole))})) TO {literal(str(folder))} "
            f"(FORMAT parquet, FILE_SIZE_BYTES {part_bytes})"
        )
        whole.unlink()
        for file in sorted(folder.iterdir(), key=lambda file: (len(file.name), file.name)):
            yield file, fetched(connection, f"SELECT count(*) FROM read_parquet({literal(str(file))})")


def cut_csv(whole: Path, part_bytes: int) -> Iterator[tuple[Path, int]]:
    """Files of at most `part_bytes`, each with the header, with their rows; a record that is longer is alone."""
    part = whole.with_suffix(".part")
    with whole.open("rb") as file:
        header = file.readline()
        while header.count(b'"') % 2:
            header += file.readline()
        for pieces in _filled(_records(file, min(_CHUNK_BYTES, part_bytes // 2)), part_bytes - len(header)):
            with part.open("wb") as target:
                target.write(header)
                rows = sum(_written(target, piece) for piece in pieces)
            yield part, rows


def fetched(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    """The first value of the first row, a whole number."""
    row = connection.execute(sql).fetchone()
    return int(row[0]) if row else 0


def _written(target: BinaryIO, records: bytes) -> int:
    """Writes records; how many they are: lines that end outside quotes."""
    target.write(records)
    return sum(text.count(b"\n") for text in records.split(b'"')[::2])


def _filled(pieces: Iterator[bytes], size_bytes: int) -> Iterator[Iterator[bytes]]:
    """The pieces in groups of at most `size_bytes`, or one piece; a group is used up before the next is asked for."""
    first = next(pieces, None)

    def group(piece: bytes) -> Iterator[bytes]:
        nonlocal first
        left, first = size_bytes - len(piece), None
        yield piece
        for following in pieces:
            left -= len(following)
            if left < 0:
                first = following
                return
            yield following

    while first is not None:
        yield group(first)


def _records(file: BinaryIO, size_bytes: int) -> Iterator[bytes]:
    """Whole records, about `size_bytes` of them at a time."""
    rest = b""
    while chunk := file.read(size_bytes):
        data = rest + chunk
        end = _end_of_records(data)
        if end:
            yield data[:end]
        rest = data[end:]
    if rest:
        yield rest


def _end_of_records(data: bytes) -> int:
    """Behind the last line end that is in no quotes; 0 where there is none. `data` begins with a record."""
    quotes, stop = data.count(b'"'), len(data)
    while (place := data.rfind(b"\n", 0, stop)) >= 0:
        quotes -= data.count(b'"', place, stop)
        if quotes % 2 == 0:
            return place + 1
        stop = place
    return 0
