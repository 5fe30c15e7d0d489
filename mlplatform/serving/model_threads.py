"""Threads that ask a model which another process holds: the event loop serves others meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from mlplatform.errors import ThrottledError

if TYPE_CHECKING:
    from mlplatform.ports.runtimes import LoadedModel, Prediction

P = ParamSpec("P")
T = TypeVar("T")

MOST_WAITING = 64
"""So many requests may wait for one model in one worker; more are refused, since they would wait for long."""


THREADS = 16
"""Requests whose rows may make one question together."""


class ModelThreads:
    """Threads of one generation; they end when nobody holds it."""

    def __init__(self, model: LoadedModel) -> None:
        self._model = model
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="model")
        self._waiting = 0

    async def predict(self, rows: Sequence[Mapping[str, Any]]) -> list[Prediction]:
        """Answers for rows. Raises as `run` does."""
        return await self.run(self._model.predict_rows, rows)

    async def run(self, ask: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """What `ask` returns. Raises ThrottledError where too many requests wait already, else what it raises."""
        if self._waiting >= MOST_WAITING:
            raise ThrottledError(
                f"{self._waiting} requests wait for this model already.", next_step="Try again in a moment."
            )
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, partial(ask, *arguments, **named))
        finally:
            self._waiting -= 1
