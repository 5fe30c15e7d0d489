"""Channels whose rows lie in a warehouse, as a job has them: a reader beside it opens the warehouse and hands on what comes.

The job's own program needs no driver and no connector code: it gets Arrow tables, as from files.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import IOBase
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from mlplatform.core.features.pull import FILE, Pull
from mlplatform.entrypoints.contract import Job
from mlplatform.errors import EXIT_CODES, JobError, NotFoundError, PlatformError

if TYPE_CHECKING:
    import pyarrow as pa

READER = "MLPLATFORM_READER"
WAREHOUSE = "warehouse.json"
"""In channel ``spec``: how the warehouse is opened."""
_END_S = 10.0


def is_pulled(job: Job, channel: str) -> bool:
    """Whether the channel's rows lie in a warehouse."""
    return (job.channel(channel) / FILE).is_file()


def rows_of(job: Job, channels: Sequence[str]) -> dict[str, pa.Table]:
    """The channels' rows, or this host's share of them, batch by batch as they come.

    Raises:
        PlatformError: as the reader says, by the kind of its error.
        NotFoundError: this host alone has other than the rows that the build found.
    """
    import pyarrow as pa

    machines = job.machines
    shares = len(machines.names)
    files = [str(job.channel(name) / FILE) for name in channels]
    found: dict[str, pa.Table] = {}
    with _reading(job, "rows", [str(machines.rank), str(shares), *files]) as out:
        for name in channels:
            with pa.ipc.open_stream(pa.PythonFile(cast(IOBase, out))) as stream:
                found[name] = stream.read_all()
    for name, table in found.items():
        if shares == 1:
            check_complete(job, name, table.num_rows)
    return found


def profile_of(job: Job, channels: Sequence[str], fields: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The profile of the channels' rows as JSON, taken by the warehouse itself. Raises as `rows_of`."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "fields.json"
        path.write_text(json.dumps({"fields": list(fields)}), "utf-8")
        files = [str(job.channel(name) / FILE) for name in channels]
        with _reading(job, "profile", [str(path), *files]) as out:
            return dict(json.loads(out.read()))


def expected_rows(job: Job, channel: str) -> int:
    """How many rows all hosts together must have: as many as the build found."""
    return Pull.from_json(json.loads((job.channel(channel) / FILE).read_bytes())).rows


def check_complete(job: Job, channel: str, rows: int) -> None:
    """Raises NotFoundError where all hosts together have other than the rows that the build found."""
    expected = expected_rows(job, channel)
    if rows != expected:
        raise NotFoundError(
            f"The rows of channel '{channel}' are gone as they were: the feature set was built on {expected}, and there are {rows}.",
            next_step="Build the feature set again.",
        )


@contextmanager
def _reading(job: Job, command: str, arguments: Sequence[str]) -> Iterator[IO[bytes]]:
    """What a reader writes; afterwards its error, if it had one."""
    program = json.loads(os.environ.get(READER) or "null") or [sys.executable, "-m", "mlplatform.platform.reader"]
    source = str(job.channel("spec") / WAREHOUSE)
    with tempfile.TemporaryFile() as said:
        reader = subprocess.Popen([*program, command, source, *arguments], stdout=subprocess.PIPE, stderr=said)
        assert reader.stdout is not None  # noqa: S101 - a pipe was asked for
        failure: BaseException | None = None
        try:
            yield reader.stdout
        except (OSError, ValueError) as error:
            # A stream that ends too early is no Arrow and no JSON: why, the reader knows.
            failure = error
        finally:
            reader.stdout.close()
            if failure is None and sys.exc_info()[0] is not None:
                _end(reader)
            code = reader.wait()
            said.seek(0)
            text = said.read().decode("utf-8", "replace").strip()
        if code:
            raise _error(code, text)
        if failure is not None:
            raise failure
        if text:
            print(text, file=sys.stderr, flush=True)


def _end(reader: subprocess.Popen[bytes]) -> None:
    """It tells the warehouse to stop working on its query, if that is answered soon."""
    reader.terminate()
    try:
        reader.wait(_END_S)
    except subprocess.TimeoutExpired:
        reader.kill()


def _error(code: int, text: str) -> PlatformError:
    """The error that a reader ended with: of the same kind where it said which, else what it said last."""
    kinds = {number: kind for kind, number in EXIT_CODES.items() if kind is not PlatformError}
    if code in kinds:
        return kinds[code](text)
    last = text.splitlines()[-1] if text else "it said nothing"
    how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
    return JobError(f"The process that reads from the warehouse failed ({how}): {last}")
