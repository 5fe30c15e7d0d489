"""Pulls rows out of a warehouse for a job, in a process beside it: ``python -m mlplatform.platform.reader …``.

rows <warehouse.json> <share> <shares> <query.json>…     one host's rows: for each query an Arrow stream on standard output
profile <warehouse.json> <fields.json> <query.json>…     the profile of all queries' rows together, as JSON

An error is said on standard error, its kind by the exit code (`errors.EXIT_CODES`). Secrets come from the environment.
At SIGTERM the warehouse is told to stop working on it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from io import IOBase
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from mlplatform.core.features.pull import Pull
from mlplatform.errors import PlatformError, exit_code
from mlplatform.platform.ending import ending
from mlplatform.platform.job_source import open_source
from mlplatform.stations.pulled_rows import check_standing, pull

if TYPE_CHECKING:
    from mlplatform.ports.warehouse import Warehouse


def main(argv: Sequence[str], out: BinaryIO) -> int:
    """The exit code is that of the error."""
    command, source, *rest = argv
    try:
        warehouse = open_source(_read(source))
        if command == "rows":
            for path in rest[2:]:
                _rows(warehouse, Pull.from_json(_read(path)), int(rest[0]), int(rest[1]), out)
        else:
            _profile(warehouse, _read(rest[0])["fields"], [Pull.from_json(_read(path)) for path in rest[1:]], out)
    except PlatformError as error:
        print(str(error), file=sys.stderr, flush=True)
        return exit_code(error)
    return 0


def _rows(warehouse: Warehouse, wanted: Pull, share: int, shares: int, out: BinaryIO) -> None:
    import pyarrow as pa

    found = pull(warehouse, wanted, share, shares)
    first = next(found)
    with pa.ipc.new_stream(pa.PythonFile(cast(IOBase, out)), first.schema) as writer:
        writer.write_batch(first)
        for batch in found:
            writer.write_batch(batch)


def _profile(warehouse: Warehouse, fields: list[dict[str, Any]], pulls: Sequence[Pull], out: BinaryIO) -> None:
    """Taken by the engine: no row leaves it."""
    from mlplatform.core.drift.profile import Field
    from mlplatform.core.drift.profile_sql import take_baseline

    for wanted in pulls:
        check_standing(warehouse, wanted)
    relation = "(" + "\nUNION ALL\n".join(f"SELECT * FROM (\n{wanted.sql}\n) AS p" for wanted in pulls) + ")"  # noqa: S608
    profile = take_baseline(
        lambda sql: warehouse.query(sql, at=pulls[0].engine_version),
        relation,
        [Field(**field) for field in fields],
        histogram=warehouse.capabilities.histogram,
    )
    out.write(json.dumps(profile.to_json()).encode())


def _read(path: str) -> dict[str, Any]:
    return dict(json.loads(Path(path).read_bytes()))


if __name__ == "__main__":
    with ending():
        sys.exit(main(sys.argv[1:], sys.stdout.buffer))
