"""Hosts that are threads of one process: each runs the same function on its share of the rows."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from mlplatform.core.training.hosts import Hosts

T = TypeVar("T")
S = TypeVar("S")


class _Thread:
    """One of several hosts: parts are laid on a table that all see, between two barriers."""

    def __init__(self, rank: int, laid: list[Any], barrier: threading.Barrier) -> None:
        self.rank = rank
        self.count = len(laid)
        self._laid = laid
        self._barrier = barrier

    def sum(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.sum(self._exchange(values), axis=0)

    def gather(self, part: bytes) -> list[bytes]:
        return list(self._exchange(part))

    def _exchange(self, part: Any) -> list[Any]:
        self._laid[self.rank] = part
        self._barrier.wait(30)
        found = list(self._laid)
        self._barrier.wait(30)
        return found


def on_hosts(shares: Sequence[S], work: Callable[[S, Hosts], T]) -> list[T]:
    """What `work` gives on each host for its share."""
    barrier = threading.Barrier(len(shares))
    laid: list[Any] = [None] * len(shares)
    with ThreadPoolExecutor(len(shares)) as pool:
        futures = [pool.submit(work, share, _Thread(rank, laid, barrier)) for rank, share in enumerate(shares)]
        return [future.result() for future in futures]
