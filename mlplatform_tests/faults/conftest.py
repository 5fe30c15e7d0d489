"""Tests on a small disk run in a child process where nothing can be mounted: none is skipped."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlplatform_tests.faults.small_disk import SmallDisk, can_mount, run_with_shim
from mlplatform_tests.faults.small_disk_shim import STATE


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk | None]:
    """A disk of 48 MiB; None where the test runs in a child process (`pytest_pyfunc_call`)."""
    if STATE in os.environ or can_mount(tmp_path):
        with SmallDisk.mounted(tmp_path / "disk", size_mib=48) as mounted:
            yield mounted
    else:
        yield None


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test whose disk cannot be mounted in a child."""
    if "disk" not in pyfuncitem.funcargs or pyfuncitem.funcargs["disk"] is not None:
        return None
    run_with_shim(pyfuncitem.nodeid, pyfuncitem.funcargs["tmp_path"])
    return True
