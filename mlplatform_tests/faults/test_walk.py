"""A run killed between any two stages, in mid-training or in mid-load, then run again: as if nothing had happened."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from mlplatform_tests.components.site import LINE, SYSTEM, Site
from mlplatform_tests.serving.until import until

FILES, DAYS = 6, 8_310
ROWS = DAYS * 20
REPOSITORY = Path(__file__).parents[2]


class Walk:
    """A run in a process of its own, which stops behind each step."""

    def __init__(self, site: Site, job: str, request: str = "", parent: str = "") -> None:
        command = [sys.executable, "-m", "mlplatform_tests.faults.walk", job, request, parent]
        self.log = (site.root / "walk.log").open("ab")
        self.process = subprocess.Popen(
            command,
            env=site.env,
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


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site whose whole history waits, in a few objects."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLPLATFORM_HOME", "")  # put back at the end
        made = Site.make(tmp_path_factory.mktemp("walk"))
        each = DAYS // FILES
        for n in range(FILES):
            made.put_days(n * each, (n + 1) * each)
        made.platform.asset_events.prepare()
        yield made
        made.close()


def rows(site: Site) -> tuple[int, int]:
    """Rows of the table, and rows of its ledger."""
    query = (
        "SELECT (SELECT count(*) FROM stock_table) AS rows, "
        "(SELECT CAST(coalesce(sum(loaded), 0) AS BIGINT) FROM _ledger WHERE table_name = 'stock_table') AS ledger"
    )
    site.stations.ingest("stock_table").create()
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


def kill_behind_next_load(site: Site, pause_s: float) -> tuple[int, int]:
    """Start a load, kill it a moment after a load more is there, thus in the next one; rows and ledger then."""
    walk, before = Walk(site, "load"), rows(site)
    until(lambda: rows(site) != before or walk.process.poll() is not None, timeout_s=60)
    time.sleep(pause_s)
    walk.kill()
    return rows(site)


def test_a_load_killed_at_any_moment_loads_each_row_once(site: Site) -> None:
    seen = []
    for n in range(FILES):
        found, ledger = kill_behind_next_load(site, 0.02 * n)
        assert found == ledger
        seen.append(found)
        if found == ROWS:
            break
    assert min(seen) < ROWS, "no kill fell into a load"
    assert len(swept(site)) == len(seen)
    assert Walk(site, "load").upto("stock_table", ("stock_table",)).end() == 0
    assert rows(site) == (ROWS, ROWS)


def test_a_refresh_killed_behind_each_stage_goes_on_from_there(site: Site) -> None:
    request = site.ask()
    walk = Walk(site, "line", request.id).upto("stock_features")
    first = site.request(request.id).run_id
    walk.go_on()
    jobs = site.platform.home.jobs
    until(lambda: jobs.is_dir() and any(jobs.rglob("hyperparameters.json")), timeout_s=60)
    walk.kill()
    killed = swept(site)
    assert killed == [first]
    for step in LINE[1:]:
        Walk(site, "line", request.id, killed[0]).upto(step, (step,)).kill()
        killed = swept(site)
        assert len(killed) == 1

    assert_as_if_nothing_had_happened(site, first)
    done = site.request(request.id)
    assert (done.status, done.run_id, done.message) == ("done", first, "generation 1")


def test_a_whole_run_behind_it_changes_nothing(site: Site) -> None:
    (deployment,) = site.platform.endpoints.history(f"{SYSTEM}/stock_prices")
    assert Walk(site, "line").upto(LINE[-1]).end() == 0
    assert_as_if_nothing_had_happened(site, deployment.run_id)


@pytest.mark.slow
@pytest.mark.parametrize("step", LINE)
def test_a_refresh_started_anew_wherever_the_one_before_was_killed(site: Site, step: str) -> None:
    (deployment,) = site.platform.endpoints.history(f"{SYSTEM}/stock_prices")
    Walk(site, "line").upto(step).kill()
    assert len(swept(site)) == 1
    assert Walk(site, "line").upto(LINE[-1]).end() == 0
    assert_as_if_nothing_had_happened(site, deployment.run_id)


def assert_as_if_nothing_had_happened(site: Site, run_id: str) -> None:
    """All rows, one version, one generation that this run's line made, told once; nothing left as going on."""
    assert swept(site) == []
    assert rows(site) == (ROWS, ROWS)
    (version,) = site.stations.registry("stock_model").versions()
    assert (version.version, version.aliases) == (1, ("champion",))
    history = site.platform.endpoints.history(f"{SYSTEM}/stock_prices")
    assert [(d.generation, d.version, d.digest, d.run_id) for d in history] == [(1, 1, version.digest, run_id)]
    assert site.told() == ["[stock_prices] stock_prices/stock_prices serves version 1 of stock_prices.stock_model"]
