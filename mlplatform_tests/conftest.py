"""For every test: generated cases are never judged by how long they took, and containers' environments are made once."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import settings

from mlplatform_tests.conformance.hive_warehouse import hive_server

__all__ = ["hive_server"]

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

os.environ.setdefault("MLPLATFORM_CACHE", str(Path(__file__).parents[1] / ".test-env" / "cache"))
