"""Transforms on this machine: the package's runtime asked for the rows of each object, by the codec that requests are read with.

<root>/<name>/transform.log   what was done
<root>/<name>/done            exists once it is done
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO

import msgspec

from mlplatform.core.codecs import RequestFields, codec_for
from mlplatform.core.codecs.json_body import told
from mlplatform.errors import DataError, TimedOutError
from mlplatform.ports.object_store import ObjectInfo, ObjectStore
from mlplatform.ports.runtimes import LoadedModel, Runtimes
from mlplatform.ports.transform import ANSWER, OUT, Transformed, TransformSpec

ROWS_AT_ONCE = 1000
LINES = "application/jsonlines"


class LocalTransforms:
    """Transforms of objects of `store`; logs lie under `root`."""

    def __init__(self, root: Path, store: ObjectStore, runtimes: Runtimes) -> None:
        self._root = root
        self._store = store
        self._runtimes = runtimes

    @property
    def shared(self) -> bool:
        return False

    def run(self, transform: TransformSpec, *, on_log: Callable[[str], None] | None = None) -> Transformed:
        """See the port. Where the process dies, the next one of that name goes on behind the last object that was done."""
        folder = self._root / transform.name
        folder.mkdir(parents=True, exist_ok=True)
        log, done = folder / "transform.log", folder / "done"
        with _alone(folder / "lock"):
            if not done.exists():
                self._transform(transform, _Log(log, on_log or (lambda _: None)))
                done.touch()
        return Transformed(transform.name, "local", log)

    def failed(self, name: str) -> bool:  # noqa: ARG002 - the port's
        """Never: what is not done goes on under its name."""
        return False

    def _transform(self, transform: TransformSpec, log: _Log) -> None:
        deadline = time.monotonic() + transform.timeout_s
        objects = list(self._store.list(transform.input_prefix))
        if not objects:
            raise DataError(f"Transform '{transform.name}': there is nothing under '{transform.input_prefix}'.")
        model = self._runtimes.load(transform.package, digest=transform.digest)
        for info in objects:
            rest = info.key.removeprefix(transform.input_prefix).lstrip("/")
            key = f"{transform.output_prefix.rstrip('/')}/{rest}{OUT}"
            if self._store.head(key) is not None:
                continue
            with tempfile.NamedTemporaryFile(dir=log.path.parent) as file:
                rows = 0
                for lines in self._answered(transform, model, info):
                    rows += lines.count(b"\n")
                    file.write(lines)
                    if time.monotonic() > deadline:
                        raise TimedOutError(
                            f"Transform '{transform.name}' is stopped: it ran longer than {transform.timeout_s} s.",
                            next_step=f"Its log is '{log.path}'.",
                        )
                file.flush()
                self._store.put(key, Path(file.name))
            log.say(f"{rest}: {rows} rows")

    def _answered(self, transform: TransformSpec, model: LoadedModel, info: ObjectInfo) -> Iterator[bytes]:
        """The object's lines with their answers, some at a time."""
        signature, codec = model.manifest.signature, codec_for(LINES)
        personal = frozenset(i.name for i in signature.inputs if i.personal)
        fields = RequestFields(signature.inputs, transform.keys, ROWS_AT_ONCE, personal)
        encode, before = msgspec.json.Encoder().encode_lines, 0
        with self._store.open(info.key) as stream:
            for lines in _some(stream):
                try:
                    rows = codec.decode(b"".join(lines), fields)
                    answers = model.predict_rows(rows)
                except DataError as error:
                    raise DataError(
                        f"Transform '{transform.name}', object '{info.key}', behind row {before}: {error.message}",
                        next_step=error.next_step,
                    ) from error
                yield encode([{**row, ANSWER: told("prediction", a)} for row, a in zip(rows, answers, strict=True)])
                before += len(rows)


class _Log:
    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        self.path = path
        self._say = say

    def say(self, line: str) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
        self._say(line)


def _some(stream: IO[bytes]) -> Iterator[list[bytes]]:
    lines = (line if line.endswith(b"\n") else line + b"\n" for line in stream if line.strip())
    while batch := list(islice(lines, ROWS_AT_ONCE)):
        yield batch


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process or thread at a time; the lock goes with its holder."""
    file = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)
