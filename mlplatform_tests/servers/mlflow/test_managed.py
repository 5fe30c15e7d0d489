"""The port's suite over a server as SageMaker manages it, asked by AWS's plugin, which lies on the path of a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mlplatform_tests.servers.environment import environment

TESTS = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("file", "least"),
    [("conformance/test_tracking.py", 15), ("servers/mlflow/managed_checks.py", 6)],
    ids=["suite", "checks"],
)
def test_the_suite_passes_over_a_server_that_checks_signatures(file: str, least: int) -> None:
    (plugin,) = (environment("mlflow").parent / "lib").glob("python*/site-packages")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", str(TESTS / file)],
        cwd=TESTS.parent, env={**os.environ, "PYTHONPATH": str(plugin), "MLPLATFORM_TEST_TRACKING": "managed"},
        capture_output=True, text=True, timeout=580, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= least
