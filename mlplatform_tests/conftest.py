"""For every test: generated cases are never judged by how long they took, and are the same in each run of the same code;
containers' environments are made once, and what adapters ask of AWS is on the list of what they may ask."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from mlplatform_tests.aws_calls import recorder
from mlplatform_tests.conformance.hive_warehouse import hive_server

__all__ = ["hive_server"]

RANDOM = "MLPLATFORM_TEST_RANDOM"
"""Set to ``yes``, generated cases are others in each run: to search for what is not known yet, not to check a change."""

settings.register_profile(
    "untimed",
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=os.environ.get(RANDOM) != "yes",
)
settings.load_profile("untimed")

os.environ.setdefault("MLPLATFORM_CACHE", str(Path(__file__).parents[1] / ".test-env" / "cache"))

recorder.install()


@pytest.fixture(autouse=True)
def _asks_of_aws_what_is_listed() -> Iterator[None]:
    before = set(recorder.CALLED)
    yield
    new = recorder.CALLED - before
    if os.environ.get(recorder.RECORD) == "yes":
        recorder.keep(new)
    elif unlisted := recorder.unlisted(new):
        pytest.fail(recorder.told(unlisted))
