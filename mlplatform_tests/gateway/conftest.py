"""One running gateway for the tests that only ask it; those that deploy, kill or rotate make their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mlplatform_tests.gateway.site import Served, Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A site of this test's own."""
    return Site(tmp_path)


@pytest.fixture(scope="session")
def shared_site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Endpoints ``stock_prices/prices`` (with key), ``open`` (public), ``small`` (tight limits) and ``rises`` (classes)."""
    site = Site(tmp_path_factory.mktemp("gateway"))
    digest = site.package()
    site.deploy(digest, version=3)
    site.deploy(digest, endpoint="stock_prices/open", public=True)
    site.deploy(digest, endpoint="stock_prices/small", public=True, max_body_kib=1, max_rows=3)
    site.deploy(site.package(task="binary"), endpoint="fraud/rises", public=True, prediction="rises", keys=[])
    return site


@pytest.fixture(scope="session")
def served(shared_site: Site) -> Iterator[Served]:
    with shared_site.serve() as served:
        yield served


@pytest.fixture(scope="session")
def client(shared_site: Site, served: Served) -> Iterator[httpx.Client]:
    """A client with a key for ``stock_prices/prices``."""
    with served.client(shared_site.key()) as client:
        yield client
