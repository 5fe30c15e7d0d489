"""A process that puts records on the SQLite stream of a folder, and prints what was acknowledged.

``python -m mlplatform_tests.conformance.producer FOLDER NAME RECORDS BATCH``: records ``NAME:0``, ``NAME:1`` … in puts of
BATCH, each put's acknowledgements as one line ``shard sequence data …``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from mlplatform.adapters.stream.sqlite import SqliteStream
from mlplatform.ports.stream import Record
from mlplatform_tests.conformance.streams import stream_spec

MODULE = "mlplatform_tests.conformance.producer"


def start(folder: Path, name: str, records: int, batch: int) -> subprocess.Popen[str]:
    """The process; its stdout is the acknowledgements."""
    command = [sys.executable, "-m", MODULE, str(folder), name, str(records), str(batch)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def acknowledged(lines: str) -> list[tuple[str, str, bytes]]:
    """(shard, sequence, data) of each record in complete lines of output."""
    whole = lines[: lines.rfind("\n") + 1].split()
    return [(a, b, c.encode()) for a, b, c in zip(whole[::3], whole[1::3], whole[2::3], strict=True)]


def main(folder: str, name: str, records: int, batch: int) -> None:
    stream = SqliteStream(Path(folder), stream_spec())
    for first in range(0, records, batch):
        put = [Record(f"{name}-{n % 7}", f"{name}:{n}".encode()) for n in range(first, min(first + batch, records))]
        results = stream.put(put)
        print(*(f"{r.shard} {r.sequence} {p.data.decode()}" for r, p in zip(results, put, strict=True)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
