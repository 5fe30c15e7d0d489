"""The adapter that the how-to on warehouses shows is one: the suite of the port passes over it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mlplatform_tests.docs.walkthrough import blocks

REPOSITORY = Path(__file__).parents[2]
SUITE = REPOSITORY / "mlplatform_tests" / "conformance"


@pytest.mark.parametrize(
    ("suites", "least"),
    [
        pytest.param("test_warehouse_loads.py", 20, id="loads"),
        pytest.param("test_warehouse_parts.py", 5, id="unloads"),
        pytest.param("test_warehouse_*.py", 95, id="whole", marks=[pytest.mark.slow, pytest.mark.timeout(900)]),
    ],
)
def test_the_suite_passes_over_the_adapter_of_the_page(tmp_path: Path, suites: str, least: int) -> None:
    page = blocks(REPOSITORY / "docs" / "how-to" / "new-warehouse.md")
    for block in page:
        if block.title:
            (tmp_path / block.title).write_text(block.text)
    ((command, _),) = next(block for block in page if block.language == "console").commands
    chosen, *words = command.split()
    assert words == ["pytest", "mlplatform_tests/conformance/test_warehouse_*.py"]
    name, _, value = chosen.partition("=")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:xdist",
            "-p",
            "no:cacheprovider",
            *map(str, SUITE.glob(suites)),
        ],
        cwd=REPOSITORY,
        env={**os.environ, name: value, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=880,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) >= least
