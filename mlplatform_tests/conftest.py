"""For every test: generated cases are never judged by how long they took, containers' environments are made once, and what
adapters ask of AWS is on the list of what they may ask."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from mlplatform_tests.aws_calls import recorder
from mlplatform_tests.conformance.hive_warehouse import hive_server

__all__ = ["hive_server"]

settings.register_profile("untimed", deadline=None)
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
