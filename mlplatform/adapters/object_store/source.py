"""What a put takes, as one stream: bytes, a file's path, or a stream already."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mlplatform.errors import NotFoundError


@contextlib.contextmanager
def opened(data: bytes | Path | BinaryIO) -> Iterator[BinaryIO]:
    """`data` as a stream for the length of the block; a stream of the caller's stays open.

    Raises:
        NotFoundError: there is no such file.
    """
    if isinstance(data, bytes):
        yield io.BytesIO(data)
    elif isinstance(data, Path):
        try:
            file = data.open("rb")
        except FileNotFoundError:
            raise NotFoundError(f"There is no file '{data}' to put.", next_step="Correct the path.") from None
        with file:
            yield file
    else:
        yield data
