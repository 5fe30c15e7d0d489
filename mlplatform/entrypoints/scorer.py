"""The program of a model that is served by a process of its own, from inside: `serve` answers rows until its owner goes.

Its standard input is a socket to the process that owns it. The model's package lies in the working directory, checked
against its hashes. Whatever the model's library prints goes to the owner's log; of an error on rows that have a personal
input, its kind and place only.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mlplatform.core.packages.scorer_frames import (
    UNTOLD,
    done_frame,
    fail_frame,
    matrix_of,
    open_frame,
    read_frame,
    write_frame,
)

Score = Callable[[npt.NDArray[np.float32]], npt.NDArray[Any]]
_LOOK_S = 1.0


def serve(load: Callable[[Path], Score]) -> int:
    """Load the model with `load(package)` and answer with what it returns, until the owner closes. Returns an exit code.

    The function takes the encoder's matrix (rows × inputs in the signature's order; a category is its code, a missing
    value NaN) and gives the value of each row, or the probability of each class (rows × classes).
    """
    channel = socket.socket(fileno=os.dup(0))
    os.dup2(2, 1)
    # Ctrl-C in a terminal reaches all processes there; when this one ends is the owner's to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with(os.getppid())
    try:
        score = load(Path.cwd())
    except Exception as error:  # noqa: BLE001 - the process's boundary
        traceback.print_exc()
        write_frame(channel, fail_frame(f"{type(error).__name__}: {error}"))
        return 1
    try:
        _answer(channel, score)
    except ConnectionError as error:
        print(f"the owner is gone: {error}", file=sys.stderr, flush=True)
    return 0


def _answer(channel: socket.socket, score: Score) -> None:
    write_frame(channel, open_frame())
    while (frame := read_frame(channel)) is not None:
        try:
            answer = done_frame(np.asarray(score(matrix_of(frame)), dtype=np.float64))
        except Exception as error:  # noqa: BLE001 - the process's boundary
            answer = fail_frame(_logged(error))
        write_frame(channel, answer)


def _logged(error: Exception) -> str:
    """Why rows could not be scored, after its place went to the log."""
    if UNTOLD not in os.environ:
        traceback.print_exc()
        return f"{type(error).__name__}: {error}"
    traceback.print_tb(error.__traceback__)
    return f"{type(error).__name__}, whose text is not told: the model has personal inputs"


def _end_with(owner: int) -> None:
    """End this process when its owner's is gone, also while it is busy and does not look at its socket."""

    def look() -> None:
        while os.getppid() == owner:
            time.sleep(_LOOK_S)
        os._exit(0)

    threading.Thread(target=look, daemon=True).start()
