"""A refresh killed behind any of its steps, and another one started from the beginning: as if nothing had happened."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mlplatform_tests.components.site import LINE, SYSTEM, Site
from mlplatform_tests.faults.walker import Walk, assert_as_if_nothing_had_happened, swept

DAYS = 300


@pytest.fixture(scope="module")
def refreshed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site whose model was trained and deployed once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLPLATFORM_HOME", "")  # put back at the end
        made = Site.make(tmp_path_factory.mktemp("anew"))
        made.put_days(0, DAYS)
        assert made.materialize("stock_table", *LINE).success
        yield made
        made.close()


@pytest.mark.slow
@pytest.mark.parametrize("step", LINE)
def test_a_refresh_started_anew_wherever_the_one_before_was_killed(refreshed: Site, step: str) -> None:
    (deployment,) = refreshed.platform.endpoints.history(f"{SYSTEM}/stock_prices")
    Walk(refreshed, "line").upto(step).kill()
    assert len(swept(refreshed)) == 1
    assert Walk(refreshed, "line").upto(LINE[-1]).end() == 0
    assert_as_if_nothing_had_happened(refreshed, deployment.run_id, DAYS * 20)
