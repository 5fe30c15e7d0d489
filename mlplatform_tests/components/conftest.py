"""Sites for tests of the assets, each with three hundred days in its table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlplatform_tests.components.site import Site

DAYS = 300


@pytest.fixture(scope="module")
def make_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Site]]:
    """Makes sites; the newest is the one this process's environment points at."""
    made: list[Site] = []

    def make() -> Site:
        root: Path = tmp_path_factory.mktemp("site")
        site = Site.make(root)
        made.append(site)
        return site

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLPLATFORM_HOME", "")  # put back at the end
        yield make
    for site in made:
        site.close()


@pytest.fixture(scope="module")
def loaded(make_site: Callable[[], Site]) -> Site:
    """A site whose table has three hundred days, loaded by hand."""
    site = make_site()
    site.put_days(0, DAYS)
    assert site.materialize("stock_stream_landing", "stock_table").success
    return site
