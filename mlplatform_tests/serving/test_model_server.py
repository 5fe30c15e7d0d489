"""Generations in one worker: kept apart, and gone when they are done with."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path

import pytest

from mlplatform.errors import ConflictError, DataError, UnavailableError
from mlplatform.ports.endpoints import Deployment, Served, ServingDesk
from mlplatform.serving.capture import Capture
from mlplatform.serving.model_server import ModelServer
from mlplatform_tests.gateway.site import NAME, ROW, Site
from mlplatform_tests.gateway.worker import ports
from mlplatform_tests.serving.capturing import no_secret, record


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def server(site: Site) -> ModelServer:
    found = ports(site.root)
    return ModelServer(found.desk, found.runtimes, found.packages)


def test_an_old_generation_goes_when_its_last_request_ends(site: Site) -> None:
    site.deploy(site.package(0))
    found = ports(site.root)
    capture = Capture(site.root / "spool", secret=no_secret)
    models = ModelServer(found.desk, found.runtimes, found.packages, prepare=capture.prepare)
    asyncio.run(models.reconcile())
    request = models.get(NAME)
    record(capture, request)
    capture.flush()
    old = weakref.ref(request.model)
    site.deploy(site.package(1))
    asyncio.run(models.reconcile())
    gc.collect()
    assert models.get(NAME).deployment.generation == 2
    assert old() is request.model
    del request
    gc.collect()
    assert old() is None
    capture.close()


def test_two_systems_with_an_endpoint_of_one_name_are_told_apart_by_the_route(site: Site) -> None:
    for system in ("a", "b"):
        site.deploy(site.package(), endpoint=f"{system}/prices")
    models = server(site)
    asyncio.run(models.reconcile())
    assert models.get("a/prices").name == "a/prices"
    with pytest.raises(
        ConflictError, match=r"Several systems serve an endpoint 'prices': a/prices, b/prices\. Call /predict/a/prices"
    ):
        models.get("prices")
    site.endpoints.remove("a/prices")
    asyncio.run(models.reconcile())
    assert models.get("prices").name == "b/prices"


def test_settings_that_cannot_be_read_fail_the_generation(site: Site) -> None:
    digest = site.package()
    site.deploy(digest)
    current = site.endpoints.desired(NAME)
    assert current is not None
    site.endpoints.deploy(Deployment(**{**current.to_json(), "generation": 2, "settings": {"colour": "red"}}))
    models = server(site)
    asyncio.run(models.start())
    said = "settings of generation 2 of endpoint 'stock_prices/prices' are not readable: name, model, colour"
    assert said in site.endpoints.state(NAME).message
    with pytest.raises(
        UnavailableError, match=r"^Endpoint 'prices' is deployed, and its model cannot be loaded\. Tell who"
    ):
        models.get("prices")


def test_where_a_key_is_masked_a_refusal_tells_no_value_that_may_have_slipped_from_it(site: Site) -> None:
    site.deploy(site.package(), keys=["email"], capture={"mask": ["email"]})
    models = server(site)
    asyncio.run(models.reconcile())
    with pytest.raises(DataError, match=r"(?m)'change': expected a number, found a text \(•••\)\.$"):
        models.get(NAME).model.predict_rows([{**ROW, "change": "ann@example.org"}])


def test_a_package_that_is_away_for_now_is_tried_again(site: Site) -> None:
    digest = site.package()
    site.deploy(digest)
    found = ports(site.root)
    tries: list[str] = []

    def packages(model: str, wanted: str) -> Path:
        tries.append(wanted)
        if len(tries) == 1:
            raise UnavailableError("The tracker is away.")
        return site.root / "packages" / wanted

    desk: ServingDesk = found.desk
    models = ModelServer(desk, found.runtimes, packages)
    asyncio.run(models.start())
    assert site.endpoints.state(NAME).status == "Updating"
    assert "The tracker is away." in site.endpoints.state(NAME).message
    with pytest.raises(
        UnavailableError, match=r"^Endpoint 'prices' is deployed, and its model is not yet loaded\. Try"
    ):
        models.get("prices")
    with pytest.raises(UnavailableError, match="is not yet loaded"):
        models.only()
    asyncio.run(models.start())
    assert tries == [digest, digest]
    assert site.endpoints.state(NAME).status == "InService"
    models.stop()


class HangingDesk:
    """Of a service that does not answer before the test lets it."""

    def __init__(self) -> None:
        self.asked, self.answers = threading.Event(), threading.Event()
        self.heard: list[bool] = []
        self.over = False

    def changed(self) -> bool:
        self._hang()
        return True

    def desired(self) -> dict[str, Deployment]:
        self._hang()
        return {}

    def _hang(self) -> None:
        if self.over:
            return
        self.asked.set()
        self.heard.append(self.answers.wait(timeout=10))
        self.answers.clear()

    def acknowledge(self, served: Mapping[str, Served], *, ready: bool) -> None:
        """Nobody listens."""

    def leave(self) -> None:
        """Nobody listens."""


def test_while_the_service_that_is_followed_hangs_calls_go_on(site: Site) -> None:
    found, desk = ports(site.root), HangingDesk()

    async def follow() -> None:
        task = asyncio.create_task(ModelServer(desk, found.runtimes, found.packages).run())
        for _ in ("changed", "desired", "changed"):
            while not desk.asked.is_set():
                await asyncio.sleep(0.01)
            desk.asked.clear()
            desk.answers.set()
        desk.over = True
        task.cancel()
        desk.answers.set()

    asyncio.run(follow())
    assert set(desk.heard[:3]) == {True}
