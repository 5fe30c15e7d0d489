"""The parent's side of `walk`: starts runs that stop behind each step, kills them, and looks at what is left."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import dagster as dg

from mlplatform_tests.components.site import LINE, SYSTEM, Site

REPOSITORY = Path(__file__).parents[2]


class Walk:
    """A run in a process of its own, which stops behind each step."""

    def __init__(
        self, site: Site, job: str, request: str = "", parent: str = "", *, env: Mapping[str, str] | None = None
    ) -> None:
        command = [sys.executable, "-m", "mlplatform_tests.faults.walk", job, request, parent]
        self.log = (site.root / "walk.log").open("ab")
        self.process = subprocess.Popen(
            command,
            env={**site.env, **(env or {})},
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        self.expect("ready")

    def expect(self, said: str) -> None:
        """Wait until the process says so."""
        assert self.process.stdout is not None
        found = self.process.stdout.readline().strip()
        if found != said:
            self.kill()
            raise AssertionError(f"'{found}' instead of '{said}': {Path(self.log.name).read_text()[-3000:]}")

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def upto(self, step: str, steps: tuple[str, ...] = LINE) -> Walk:
        """Let it run until `step` is done."""
        for name in steps[: steps.index(step) + 1]:
            if name != steps[0]:
                self.go_on()
            self.expect(f"done {name}")
        return self

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.close()

    def end(self) -> int:
        """Let it end; its exit code."""
        self.go_on()
        code = self.process.wait(timeout=120)
        self.close()
        return code

    def close(self) -> None:
        for stream in (self.process.stdin, self.process.stdout, self.log):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue


def rows(site: Site) -> tuple[int, int]:
    """Rows of the table, and rows of its ledger."""
    query = (
        "SELECT (SELECT count(*) FROM stock_table) AS rows, "
        "(SELECT CAST(coalesce(sum(loaded), 0) AS BIGINT) FROM _ledger WHERE table_name = 'stock_table') AS ledger"
    )
    (found,) = site.stations.warehouse().query(query).to_pylist()
    return found["rows"], found["ledger"]


def swept(site: Site) -> list[str]:
    """Runs that were left as going on by processes that are gone; each is a failed run now."""
    ids = list(site.platform.asset_events.sweep())
    for run_id in ids:
        run = site.instance.get_run_by_id(run_id)
        assert run is not None
        assert run.status is dg.DagsterRunStatus.FAILURE
    return ids


def assert_as_if_nothing_had_happened(site: Site, run_id: str, expected: int) -> None:
    """All of `expected` rows, one version, one generation that this run's line made, told once; nothing left as going on."""
    assert swept(site) == []
    assert rows(site) == (expected, expected)
    (version,) = site.stations.registry("stock_model").versions()
    assert (version.version, version.aliases) == (1, ("champion",))
    history = site.platform.endpoints.history(f"{SYSTEM}/stock_prices")
    assert [(d.generation, d.version, d.digest, d.run_id) for d in history] == [(1, 1, version.digest, run_id)]
    assert site.told() == ["[stock_prices] stock_prices/stock_prices serves version 1 of stock_prices.stock_model"]
