"""What a model's own process and its owner say to each other, over one socket. Nothing of it is a pickle.

A frame is a head of 12 bytes (four letters, two whole numbers) and a body:

    ROWS  rows, columns    float32, row by row: a matrix as the encoder makes it
    DONE  rows, columns    float64: a row's scores (1 for regression, else one a class)
    OPEN  version, 0       nothing: the model is loaded
    FAIL  bytes, 0         UTF-8: why it cannot be loaded, or that the rows could not be scored
"""

from __future__ import annotations

import socket
import struct
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

VERSION = 1
LONGEST_FAILURE = 4096
UNTOLD = "MLPLATFORM_UNTOLD"
"""Variable of the process's environment, set where the model has a personal input: texts of errors are not told."""

_HEAD = struct.Struct("<4sII")
_WIDTHS = {b"ROWS": 4, b"DONE": 8}
_BLOCK = 1 << 20


class Frame(NamedTuple):
    """One message."""

    kind: str
    first: int
    second: int
    body: bytearray

    @property
    def text(self) -> str:
        """The body of a FAIL."""
        return self.body.decode("utf-8", "replace")


def rows_frame(matrix: npt.NDArray[np.float32]) -> bytes:
    """ROWS of `matrix`."""
    import numpy as np

    return _HEAD.pack(b"ROWS", *matrix.shape) + np.ascontiguousarray(matrix, dtype="<f4").tobytes()


def done_frame(scores: npt.NDArray[np.float64]) -> bytes:
    """DONE of `scores` (n, or n × classes)."""
    import numpy as np

    columns = 1 if scores.ndim == 1 else scores.shape[1]
    return _HEAD.pack(b"DONE", len(scores), columns) + np.ascontiguousarray(scores, dtype="<f8").tobytes()


def open_frame() -> bytes:
    """OPEN, of this version."""
    return _HEAD.pack(b"OPEN", VERSION, 0)


def fail_frame(text: str) -> bytes:
    """FAIL with `text`."""
    body = text.encode()[:LONGEST_FAILURE]
    return _HEAD.pack(b"FAIL", len(body), 0) + body


def matrix_of(frame: Frame) -> npt.NDArray[np.float32]:
    """The matrix of a ROWS."""
    import numpy as np

    return np.frombuffer(frame.body, dtype="<f4").reshape(frame.first, frame.second)


def scores_of(frame: Frame) -> npt.NDArray[np.float64]:
    """The scores of a DONE: n where there is one a row, else n × classes."""
    import numpy as np

    scores = np.frombuffer(frame.body, dtype="<f8")
    return scores if frame.second == 1 else scores.reshape(frame.first, frame.second)


def read_frame(channel: socket.socket, *, deadline: float | None = None) -> Frame | None:
    """The next frame; None where the other side has closed.

    Raises:
        TimeoutError: it is not whole at `deadline` (of `time.monotonic`).
        ConnectionError: the other side closed within a frame, or what it said is none.
    """
    head = _read(channel, _HEAD.size, deadline)
    if not head:
        return None
    kind, first, second = _HEAD.unpack(head)
    if kind not in (b"ROWS", b"DONE", b"OPEN", b"FAIL"):
        raise ConnectionError(f"expected a frame, found {bytes(head)!r}")
    size = first * second * _WIDTHS[kind] if kind in _WIDTHS else first if kind == b"FAIL" else 0
    body = _read(channel, size, deadline)
    if len(body) < size:
        raise ConnectionError("it ended within a frame")
    return Frame(kind.decode(), first, second, body)


def write_frame(channel: socket.socket, frame: bytes, *, deadline: float | None = None) -> None:
    """Send a frame. Raises TimeoutError at `deadline`, ConnectionError where nobody is there."""
    _wait_until(channel, deadline)
    channel.sendall(frame)


def _read(channel: socket.socket, size: int, deadline: float | None) -> bytearray:
    found = bytearray(size)
    view, at = memoryview(found), 0
    while at < size:
        _wait_until(channel, deadline)
        count = channel.recv_into(view[at:], min(size - at, _BLOCK))
        if not count:
            if at:
                raise ConnectionError("it ended within a frame")
            return bytearray()
        at += count
    return found


def _wait_until(channel: socket.socket, deadline: float | None) -> None:
    left = None if deadline is None else deadline - time.monotonic()
    if left is not None and left <= 0:
        raise TimeoutError
    channel.settimeout(left)
