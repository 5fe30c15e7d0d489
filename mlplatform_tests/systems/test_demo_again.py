"""`make demo` on a machine where it ran before, and is still running."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import httpx
import pytest

from mlplatform.spec.process_name import is_alive, process_name
from mlplatform_tests.serving.until import until
from mlplatform_tests.systems.demo import running_of, whole_loop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_a_second_demo_stops_one_that_was_kept_and_starts_clean(tmp_path: Path) -> None:
    env = {**os.environ, "MLPLATFORM_HOME": str(tmp_path / "state")}
    first = whole_loop(env, tmp_path / "first.json", "--short", "--keep")
    assert "Starting with an empty home at" in first["output"]
    kept = re.search(r"Still running \(pid (\d+)\)\. Stop it: kill \1", first["output"])
    assert kept is not None
    supervisor = process_name(int(kept[1]))
    try:
        api = re.search(r"Gateway's API docs +(http://\S+)/schema", first["output"])
        assert api is not None
        assert httpx.get(f"{api[1]}/ping", timeout=30).status_code == 200
        second = whole_loop(env, tmp_path / "second.json", "--short")
        assert not is_alive(supervisor)
    finally:
        if is_alive(supervisor):
            os.kill(int(kept[1]), signal.SIGTERM)
    assert f"Stopping the demo that still runs (pid {kept[1]}) ..." in second["output"]
    assert "Found the state of an earlier demo at" in second["output"]
    assert "All is stopped again." in second["output"]
    assert first["sample_rows"] == second["sample_rows"] == [10, 0, 0]
    until(lambda: not running_of(tmp_path), timeout_s=30)
