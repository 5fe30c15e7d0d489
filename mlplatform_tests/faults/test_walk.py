"""A run killed between any two stages, in mid-training or in mid-load, then run again: as if nothing had happened."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from mlplatform_tests.components.site import LINE, SYSTEM, Site
from mlplatform_tests.faults.walker import Walk, assert_as_if_nothing_had_happened, rows, swept
from mlplatform_tests.serving.until import until

FILES, KILLS, DAYS = 12, 6, 8_304
ROWS = DAYS * 20


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
        made.enter()
        # Once: a writer's connection waits for its turn, and may wait until every load is done.
        made.stations.ingest("stock_table").create()
        yield made
        made.close()


def kill_behind_next_load(site: Site, pause_s: float) -> tuple[int, int]:
    """Start a load, kill it a moment after a load more is there, thus in the next one; rows and ledger then."""
    walk, before = Walk(site, "load"), rows(site)
    until(lambda: rows(site) != before or walk.process.poll() is not None, timeout_s=60)
    time.sleep(pause_s)
    walk.kill()
    return rows(site)


def test_a_load_killed_at_any_moment_loads_each_row_once(site: Site) -> None:
    seen = []
    for n in range(KILLS):
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
    until(lambda: any(site.platform.home.jobs.glob("*/opt/ml/input/config/hyperparameters.json")), timeout_s=60)
    walk.kill()
    killed = swept(site)
    assert killed == [first]
    for step in LINE[1:]:
        Walk(site, "line", request.id, killed[0]).upto(step, (step,)).kill()
        killed = swept(site)
        assert len(killed) == 1

    assert_as_if_nothing_had_happened(site, first, ROWS)
    done = site.request(request.id)
    assert (done.status, done.run_id, done.message) == ("done", first, "generation 1")


def test_a_whole_run_behind_it_changes_nothing(site: Site) -> None:
    (deployment,) = site.platform.endpoints.history(f"{SYSTEM}/stock_prices")
    assert Walk(site, "line").upto(LINE[-1]).end() == 0
    assert_as_if_nothing_had_happened(site, deployment.run_id, ROWS)
