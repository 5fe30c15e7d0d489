"""Threads that ask a model in another process: others are served meanwhile, and not too many wait."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mlplatform.adapters.runtimes import PackageRuntimes
from mlplatform.core.packages.manifest import InputField
from mlplatform.errors import ThrottledError, TimedOutError, UnavailableError
from mlplatform.serving.model_threads import MOST_WAITING, ModelThreads
from mlplatform_tests.packages import make_package

INPUTS = (InputField("ticker_symbol", "varchar"), InputField("change", "double", missing="keep"))
HANG = {"ticker_symbol": "AAPL", "change": 1002.0}


def test_of_callers_who_come_while_it_hangs_so_many_wait_and_more_are_refused_at_once(tmp_path: Path) -> None:
    make_package(tmp_path, runtime="process", inputs=INPUTS)
    threads = ModelThreads(PackageRuntimes(answer_s=2.0).load(tmp_path))

    async def call_all() -> list[object]:
        waiting = [asyncio.create_task(threads.predict([HANG])) for _ in range(MOST_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(ThrottledError, match=rf"^{MOST_WAITING} requests wait for this model already\."):
            await threads.predict([HANG])
        return await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), timeout=60)

    ended = asyncio.run(call_all())
    assert {type(error) for error in ended} == {TimedOutError, UnavailableError}
