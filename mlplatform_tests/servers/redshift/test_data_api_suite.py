"""The suite of the warehouse's port over Redshift by the Data API: a part of it here, the whole of it where there is time."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = Path(__file__).parents[2] / "conformance"
CASE = "redshift-data-api"


@pytest.mark.parametrize(
    ("files", "which", "least"),
    [
        pytest.param(
            "test_warehouse_loads.py",
            "replaying or overlapping or superseding_load_replaces or claimed_the_shard or positions",
            5,
            id="short",
        ),
        pytest.param("test_warehouse_*.py", "", 100, id="whole", marks=[pytest.mark.slow, pytest.mark.timeout(900)]),
    ],
)
def test_the_suite_passes_over_the_data_api(files: str, which: str, least: int) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", "-k", which]
    done = subprocess.run(
        [*command, *map(str, sorted(SUITE.glob(files)))],
        cwd=SUITE.parents[1], env={**os.environ, "MLPLATFORM_TEST_WAREHOUSES": CASE},
        capture_output=True, text=True, timeout=880, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= least
