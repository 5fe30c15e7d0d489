"""Rows of a batch scoring: from the warehouse's parts to lines that a model takes, and from its answers to scores by key."""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplatform.core.loads.snapshot import Part
from mlplatform.errors import DataError, StateError
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.transform import ANSWER

if TYPE_CHECKING:
    import pyarrow as pa

    from mlplatform.core.packages.manifest import Signature

ROWS_AT_ONCE = 10_000


@dataclass(frozen=True)
class InputPart:
    """Lines for a model: the file `path`, called `name` in the object store, of the unloaded object `source`."""

    path: Path
    source: str
    rows: int
    sha256: str

    @property
    def name(self) -> str:
        return self.path.name


def write_inputs(
    store: ObjectStore, parts: Sequence[Part], folder: Path, *, signature: Signature, keys: Sequence[str]
) -> list[InputPart]:
    """A file of lines in `folder` for each part that has rows; rows come in the order of their keys.

    Raises:
        DataError: there is no row, or a key is missing or not unique.
    """
    made: list[InputPart] = []
    before: list[Any] | None = None
    for part in parts:
        if not part.rows:
            continue
        path, digest, rows = folder / f"part-{len(made):05d}.jsonl", hashlib.sha256(), 0
        with path.open("wb") as file:
            for row in _rows(store, part.key, signature, keys):
                key = [row[name] for name in keys]
                _check_key(key, before, keys)
                before, line = key, f"{json.dumps(row, allow_nan=False)}\n".encode()
                digest.update(line)
                file.write(line)
                rows += 1
        made.append(InputPart(path, part.key, rows, digest.hexdigest()))
    if not made:
        raise DataError("There is no row to score.", next_step="Look at the condition, and at the table.")
    return made


def join_answers(
    store: ObjectStore,
    part: InputPart,
    output: str,
    target: str,
    *,
    signature: Signature,
    keys: Sequence[str],
    constants: Mapping[str, Any],
) -> int:
    """Store the part's keys with the answers of the object `output`, and `constants`, under `target`; how many have a flag.

    Raises:
        StateError: it has not one answer for each row, under the same key.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    answers: list[Mapping[str, Any]] = []
    with store.open(output) as stream, part.path.open("rb") as given:
        for number, line in enumerate(stream, 1):
            found, row = json.loads(line), given.readline()
            asked = json.loads(row) if row else None
            if asked is None or any(found.get(name) != asked[name] for name in keys) or ANSWER not in found:
                raise _unmatched(part, output, f"line {number} is not the answer to row {number}")
            answers.append(found[ANSWER])
    if len(answers) != part.rows:
        raise _unmatched(part, output, f"it has {len(answers)} answers to {part.rows} rows")
    with store.open(part.source) as stream:
        columns = pq.read_table(io.BytesIO(stream.read()), columns=list(keys), partitioning=None)
    text = bool(signature.classes)
    kind = pa.string() if text else pa.float64()
    columns = columns.append_column("prediction", pa.array([a["prediction"] for a in answers], kind))
    for name in signature.classes:
        shares = [(a.get("probabilities") or {}).get(name) for a in answers]
        columns = columns.append_column(f"probability_{name}", pa.array(shares, pa.float64()))
    flags = [";".join(a.get("flags") or ()) for a in answers]
    columns = columns.append_column("flags", pa.array(flags, pa.string()))
    for name, value in constants.items():
        columns = columns.append_column(name, pa.array([value] * part.rows))
    file = io.BytesIO()
    pq.write_table(columns, file)
    store.put(target, file.getvalue())
    return sum(1 for flag in flags if flag)


def _rows(store: ObjectStore, key: str, signature: Signature, keys: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows of an unloaded object as JSON has them: inputs as the signature declares them, other keys as text."""
    import pyarrow.parquet as pq

    kinds = {field.name: field.type for field in signature.inputs}
    names = [*keys, *(name for name in kinds if name not in keys)]
    with store.open(key) as stream, pq.ParquetFile(io.BytesIO(stream.read())) as file:
        for batch in file.iter_batches(ROWS_AT_ONCE):
            values = [_values(batch.column(name), kinds.get(name, "varchar")) for name in names]
            for row in zip(*values, strict=True):
                yield dict(zip(names, row, strict=True))


def _values(column: pa.Array[Any], kind: str) -> list[Any]:
    import pyarrow as pa

    if kind == "double":
        return [None if v is None or not math.isfinite(v) else v for v in column.cast(pa.float64()).to_pylist()]
    return list(column.cast(pa.string()).to_pylist())


def _check_key(key: Sequence[Any], before: Sequence[Any] | None, keys: Sequence[str]) -> None:
    if None in key:
        raise DataError(
            f"Key '{keys[list(key).index(None)]}' is missing in a row to score.",
            next_step="Leave such rows out by the condition, or name other columns.",
        )
    if key == before:
        raise DataError(
            f"Several rows to score have the same key ({', '.join(keys)}).",
            next_step="Name further columns that tell them apart.",
        )


def _unmatched(part: InputPart, output: str, how: str) -> StateError:
    return StateError(
        f"Answers and rows do not match: '{output}', of {part.rows} rows: {how}. Nothing was stored of them.",
        next_step="Score them again; where it happens again, the serving container is at fault.",
    )
