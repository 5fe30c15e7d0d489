"""Replacing models and workers under callers."""

from __future__ import annotations

import itertools
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection

import pytest

from mlplatform.adapters.runtimes import PackageRuntimes
from mlplatform.errors import JobError
from mlplatform_tests.gateway.callers import Callers
from mlplatform_tests.gateway.site import NAME, ROW, Site
from mlplatform_tests.serving.until import until

WAIT_S = 60.0


def price_of(site: Site, seed: int) -> float:
    """What the model trained with `seed` says of `ROW`."""
    value = PackageRuntimes().load(site.root / "packages" / site.package(seed)).predict_rows([ROW])[0].value
    assert isinstance(value, float)
    return value


@contextmanager
def half_sent(url: str, body: bytes) -> Iterator[HTTPConnection]:
    """A connection on which a call's head and first bytes are sent; the rest of `body` is the test's to send."""
    connection = HTTPConnection(url.removeprefix("http://"), timeout=30)
    connection.putrequest("POST", "/predict/prices")
    connection.putheader("content-type", "application/json")
    connection.putheader("content-length", str(len(body)))
    connection.endheaders()
    connection.send(body[:5])
    try:
        yield connection
    finally:
        connection.close()


def test_ten_replacements_under_eight_clients_drop_no_call(site: Site) -> None:
    digests = [site.package(seed) for seed in range(11)]
    prices = [price_of(site, seed) for seed in range(11)]
    site.deploy(digests[0], version=1)
    live_at: dict[int, float] = {}
    with site.serve(workers=2) as served, Callers(served.url, site.key()) as callers:
        until(lambda: len(callers.calls) > 50)
        for version, digest in enumerate(digests[1:], 2):
            generation = site.deploy(digest, version=version)
            site.endpoints.wait(NAME, generation, timeout_s=WAIT_S)
            live_at[generation] = time.monotonic()
            enough = len(callers.calls) + 20
            while len(callers.calls) < enough:
                time.sleep(0.01)
    assert callers.failed == []
    assert {c.generation for c in callers.calls} == set(range(1, 12))
    assert all(c.version == c.generation and c.price == prices[c.generation - 1] for c in callers.calls)
    for generation, moment in live_at.items():
        assert all(c.generation >= generation for c in callers.calls if c.began > moment)
    by_generation = {g: [c for c in callers.calls if c.generation == g] for g in range(1, 12)}
    for old, new in itertools.pairwise(by_generation.values()):
        assert min(c.began for c in old) < min(c.ended for c in new)
        assert max(c.began for c in old) < max(c.ended for c in new)
    assert site.endpoints.state(NAME).status == "Updating"  # nobody serves any more


def test_a_call_that_began_with_the_old_generation_ends_with_it_while_the_new_one_answers(site: Site) -> None:
    site.deploy(site.package(0), version=1, public=True)
    body = json.dumps(ROW).encode()
    with site.serve() as served, served.client() as client, half_sent(served.url, body) as slow:
        assert client.post("/predict/prices", json=ROW).headers["x-mlplatform-generation"] == "1"
        generation = site.deploy(site.package(1), version=2, public=True)
        site.endpoints.wait(NAME, generation, timeout_s=WAIT_S)
        new = client.post("/predict/prices", json=ROW)
        slow.send(body[5:])
        old = slow.getresponse()
        answered = json.loads(old.read())
    assert new.headers["x-mlplatform-generation"] == "2"
    assert new.json()["predictions"][0]["price"] == price_of(site, 1)
    assert old.headers["x-mlplatform-generation"] == "1"
    assert answered["predictions"][0]["price"] == price_of(site, 0)


def test_a_damaged_package_fails_and_the_old_one_goes_on(site: Site) -> None:
    site.deploy(site.package(0), public=True)
    digest = site.package(1)
    model = site.root / "packages" / digest / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"x")
    with site.serve() as served, served.client() as client:
        generation = site.deploy(digest, version=2, public=True)
        with pytest.raises(
            JobError,
            match=r"Generation 2 of endpoint 'stock_prices/prices' cannot be served: 'model\.onnx' .* is damaged",
        ):
            site.endpoints.wait(NAME, generation, timeout_s=WAIT_S)
        state = site.endpoints.state(NAME)
        assert (state.status, state.live_generation) == ("Failed", 1)
        assert client.post("/predict/prices", json=ROW).headers["x-mlplatform-generation"] == "1"
        site.deploy(site.package(2), version=3, public=True)
        site.endpoints.wait(NAME, 3, timeout_s=WAIT_S)
        assert client.post("/predict/prices", json=ROW).headers["x-mlplatform-generation"] == "3"


def test_a_package_of_another_digest_is_not_served(site: Site) -> None:
    good, other = site.package(0), site.package(1)
    folder = site.root / "packages"
    (folder / good).rename(folder / "kept")
    (folder / other).rename(folder / good)
    site.deploy(good, public=True)
    with site.serve() as served, served.client() as client:
        answer = client.post("/predict/prices", json=ROW)
        message = answer.json()["error"]["message"]
        assert (answer.status_code, message) == (503, "Endpoint 'prices' is deployed, and its model cannot be loaded.")
        assert f"has digest {other[:12]}…, expected {good[:12]}…" in site.endpoints.state(NAME).message
        assert client.get("/ping").status_code == 200


def test_a_killed_worker_leaves_the_socket_to_the_others(site: Site) -> None:
    site.deploy(site.package(0), public=True)
    with site.serve(workers=2) as served:
        with served.client() as client:
            victim = client.get("/health").json()["pid"]
        os.kill(victim, signal.SIGKILL)
        next(p for p in served.processes if p.pid == victim).wait()
        for _ in range(20):
            with served.client() as client:
                assert client.post("/predict/prices", json=ROW).status_code == 200
        assert site.endpoints.state(NAME).workers == 1
        served.processes.append(served.start())
        until(lambda: site.endpoints.state(NAME).workers == 2)


def test_sigterm_ends_a_worker_after_the_calls_in_flight(site: Site) -> None:
    site.deploy(site.package(0), public=True)
    body = json.dumps(ROW).encode()
    with site.serve() as served:
        with half_sent(served.url, body) as slow:
            with served.client() as client:
                client.post("/predict/prices", json=ROW)
            served.processes[0].terminate()
            until(lambda: "Waiting for connections to close" in (site.root / "gateway.log").read_text())
            slow.send(body[5:])
            assert slow.getresponse().status == 200
        assert served.processes[0].wait(90) == 0
    assert site.endpoints.state(NAME).workers == 0


def test_an_endpoint_that_is_removed_is_no_longer_served(site: Site) -> None:
    site.deploy(site.package(0), public=True)
    with site.serve() as served, served.client() as client:
        assert client.post("/predict/prices", json=ROW).status_code == 200
        site.endpoints.remove(NAME)
        until(lambda: client.post("/predict/prices", json=ROW).status_code == 404)
        site.deploy(site.package(1), public=True)
        until(lambda: client.post("/predict/prices", json=ROW).status_code == 200)
        assert client.post("/predict/prices", json=ROW).json()["predictions"][0]["price"] == price_of(site, 1)


def test_a_gateway_without_endpoints_is_well(site: Site) -> None:
    with site.serve() as served, served.client() as client:
        answer = client.post("/invocations", json=ROW)
        assert (answer.status_code, answer.json()["error"]["message"]) == (404, "No endpoint is served.")
        assert client.get("/endpoints").json() == []
        assert "/ping" in client.get("/schema/openapi.json").json()["paths"]


def test_a_damaged_record_stops_neither_its_endpoint_nor_another(site: Site) -> None:
    site.deploy(site.package(0), public=True)
    site.deploy(site.package(0), endpoint="stock_prices/other", public=True)
    with site.serve() as served, served.client() as client:
        record = site.root / "endpoints" / NAME / "000000002.json"
        record.write_text("{")
        until(lambda: "is damaged" in (site.root / "gateway.log").read_text())
        assert client.post("/predict/prices", json=ROW).headers["x-mlplatform-generation"] == "1"
        rows = {e["endpoint"]: e for e in client.get("/endpoints").json()}
        assert (rows[NAME]["status"], rows["stock_prices/other"]["status"]) == ("Failed", "InService")
        assert rows[NAME]["message"].startswith(f"Deployment record '{record}' is damaged")
    with site.serve() as served, served.client() as client:
        assert client.post("/predict/prices", json=ROW).headers["x-mlplatform-generation"] == "1"
