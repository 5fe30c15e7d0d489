"""The checks of dagster-snowflake's resource, run where that is: it has Dagster import Snowpark in every process, for seconds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from mlplatform_tests.servers.environment import environment

REPOSITORY = Path(__file__).parents[3]


def test_a_connection_is_dagsters_own_resource_and_the_other_way_round() -> None:
    (packages,) = (environment("snowflake_resource").parent / "lib").glob("python*/site-packages")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider",
         str(Path(__file__).with_name("resource_checks.py"))],
        cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": str(packages)},
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= 6
