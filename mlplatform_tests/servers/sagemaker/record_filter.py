"""What a transform job does to records beside asking the model: split, filter, join, assemble.

(https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform-data-processing.html.) A path is ``$``, ``$[n:]``,
``$[i,j]``, ``$[n]``, ``$.name`` or ``$['a','b']``; where AWS's pages contradict each other (the end of a slice), it is refused.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlplatform.errors import DataError

_FROM = re.compile(r"\$\[(\d+):\]")
_PLACES = re.compile(r"\$\[(\d+(?:,\s*\d+)*)\]")
_NAME = re.compile(r"\$\.(\w+)")
_NAMES = re.compile(r"\$\[('[^']+'(?:,\s*'[^']+')*)\]")


def batches(data: bytes, split: str, strategy: str, most_bytes: int) -> Iterator[bytes]:
    """What is sent to the model at once: the whole, a record, or as many records as fit. Raises DataError where one does not."""
    if split == "None":
        if len(data) > most_bytes:
            raise DataError(f"The payload has {len(data)} bytes; MaxPayloadInMB allows {most_bytes}.")
        yield data
        return
    waiting: list[bytes] = []
    for record in data.splitlines():
        if len(record) > most_bytes:
            raise DataError(f"A record has {len(record)} bytes; MaxPayloadInMB allows {most_bytes}.")
        if waiting and (strategy == "SingleRecord" or sum(map(len, waiting)) + len(waiting) + len(record) > most_bytes):
            yield b"\n".join(waiting)
            waiting = []
        waiting.append(record)
    if waiting:
        yield b"\n".join(waiting)


def check_path(path: str) -> None:
    """Raises DataError where the path is none of those."""
    if path != "$" and not any(known.fullmatch(path) for known in (_FROM, _PLACES, _NAME, _NAMES)):
        raise DataError(f"The stand-in has no path '{path}'; it has: $, $[n:], $[i,j], $.name, $['a','b'].")


def chosen(value: Any, path: str) -> Any:
    """The part of a record that the path says: of a row (CSV) by place, of an object by name."""
    if path == "$":
        return value
    if (match := _FROM.fullmatch(path)) is not None:
        return value[int(match[1]) :]
    if (match := _PLACES.fullmatch(path)) is not None:
        return [value[int(place)] for place in match[1].split(",")]
    if (match := _NAME.fullmatch(path)) is not None:
        return value[match[1]]
    match = _NAMES.fullmatch(path)
    assert match is not None, path
    names = [name.strip().strip("'") for name in match[1].split(",")]
    return {name: value[name] for name in names}


def records(data: bytes, content_type: str) -> list[Any]:
    """Rows of CSV, objects of JSON lines, or the one of JSON."""
    text = data.decode()
    if content_type.startswith("application/json") and "lines" not in content_type:
        return [json.loads(text)]
    if content_type.startswith("text/csv"):
        return list(csv.reader(io.StringIO(text)))
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def encoded(values: Sequence[Any], content_type: str) -> bytes:
    """The records as lines."""
    if not content_type.startswith("text/csv"):
        return b"\n".join(json.dumps(value).encode() for value in values)
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(value if isinstance(value, list) else [value] for value in values)
    return file.getvalue().rstrip("\n").encode()


def joined(given: Any, answered: Any) -> Any:
    """A record with what the model said of it."""
    if isinstance(given, list):
        return [*given, *(answered if isinstance(answered, list) else [answered])]
    if isinstance(given, Mapping):
        return {**given, "SageMakerOutput": answered}
    return {"SageMakerInput": given, "SageMakerOutput": answered}
