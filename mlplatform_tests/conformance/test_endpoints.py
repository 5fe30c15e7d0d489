"""One contract for every endpoints adapter."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from mlplatform.adapters.endpoints import LocalDesk, LocalEndpoints
from mlplatform.errors import ConflictError, JobError, NotFoundError, TimedOutError
from mlplatform.ports.endpoints import Deployment, Endpoints, Served, ServingDesk
from mlplatform_tests.conformance.endpoint_places import SageMakerPlace, sagemaker_place
from mlplatform_tests.servers.sagemaker.fixtures import sagemaker_server

__all__ = ["sagemaker_place", "sagemaker_server"]

NAME = "stock_prices/prices"


@dataclass
class World:
    """An adapter and the desk of one serving process (this one)."""

    endpoints: Endpoints
    desk: ServingDesk
    reopen: Callable[[], Endpoints]
    root: Path


@pytest.fixture(params=["local", "sagemaker"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    if request.param == "sagemaker":
        place: SageMakerPlace = request.getfixturevalue("sagemaker_place")
        place.empty_packages(*(f"{generation:064x}" for generation in range(9)))
        opened = place.open(image="nobody/knows:1")
        return World(opened, opened.follower(), lambda: place.open(image="nobody/knows:1"), tmp_path)
    return local_world(tmp_path / "endpoints")


@pytest.fixture
def self_served(tmp_path: Path) -> World:
    """An adapter whose endpoints this platform's own processes serve. What others serve themselves (SageMaker) says itself how
    it stands: `adapters/test_sagemaker_endpoints.py`."""
    return local_world(tmp_path / "endpoints")


def local_world(root: Path) -> World:
    return World(LocalEndpoints(root), LocalDesk(root), lambda: LocalEndpoints(root), root)


def deployment(
    generation: int, *, endpoint: str = NAME, version: int | None = None, reason: str = "refresh"
) -> Deployment:
    return Deployment(
        endpoint=endpoint,
        generation=generation,
        model="stock_prices.stock_model",
        version=version or generation,
        digest=f"{generation:064x}",
        reason=reason,
        run_id="run-1",
        created_at="2026-01-02T03:04:05+00:00",
        settings={"prediction": "price"},
    )


def test_an_endpoint_nobody_deployed_has_no_record(world: World) -> None:
    assert world.endpoints.desired(NAME) is None
    assert world.endpoints.history(NAME) == []
    assert world.endpoints.list() == []
    state = world.endpoints.state(NAME)
    assert (state.desired, state.workers, state.status) == (None, 0, "Failed")
    assert state.message == f"Endpoint '{NAME}' has no deployment record; deploy a version."


def test_generations_follow_each_other_and_stay_as_they_were_made(world: World) -> None:
    records = [deployment(1), deployment(2), deployment(3, version=1, reason="rollback")]
    for record in records:
        world.endpoints.deploy(record)
    again = world.reopen()
    assert again.history(NAME) == records
    assert again.desired(NAME) == records[2]
    assert again.list() == [NAME]


@pytest.mark.parametrize("generation", [0, 1, 3])
def test_only_the_next_generation_is_accepted(world: World, generation: int) -> None:
    world.endpoints.deploy(deployment(1))
    with pytest.raises(
        ConflictError, match=rf"is at generation 1; generation {generation} cannot follow it, expected 2"
    ):
        world.endpoints.deploy(deployment(generation))
    assert world.endpoints.desired(NAME) == deployment(1)


def test_of_many_who_deploy_the_same_generation_one_wins(world: World) -> None:
    outcomes: list[str] = []
    barrier = threading.Barrier(8)

    def deploy(number: int) -> None:
        barrier.wait()
        try:
            world.reopen().deploy(replace(deployment(1), run_id=f"run-{number}"))
        except ConflictError:
            outcomes.append("conflict")
        else:
            outcomes.append(f"run-{number}")

    threads = [threading.Thread(target=deploy, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [o for o in outcomes if o != "conflict"]
    assert len(winners) == 1
    record = world.endpoints.desired(NAME)
    assert record is not None
    assert record.run_id == winners[0]


def test_a_name_that_is_none_is_refused(world: World) -> None:
    with pytest.raises(NotFoundError, match=r"'\.\./x' is no endpoint; expected <system>/<endpoint>"):
        world.endpoints.desired("../x")


def test_the_state_says_that_nobody_serves(self_served: World) -> None:
    self_served.endpoints.deploy(deployment(1))
    state = self_served.endpoints.state(NAME)
    assert (state.status, state.live_generation, state.workers) == ("Updating", 0, 0)
    assert state.message == "nobody serves; generation 1 waits for them."


def test_a_worker_that_starts_is_waited_for_but_not_counted(self_served: World) -> None:
    self_served.endpoints.deploy(deployment(1))
    self_served.desk.acknowledge({}, ready=False)
    assert self_served.endpoints.state(NAME).workers == 0
    self_served.desk.acknowledge({NAME: Served(1)}, ready=True)
    state = self_served.endpoints.state(NAME)
    assert (state.status, state.live_generation, state.workers, state.message) == ("InService", 1, 1, "")


def test_the_state_is_that_of_the_slowest_worker(self_served: World) -> None:
    self_served.endpoints.deploy(deployment(1))
    self_served.endpoints.deploy(deployment(2))
    self_served.desk.acknowledge({NAME: Served(2)}, ready=True)
    context = multiprocessing.get_context("spawn")
    other = context.Process(
        target=_serve_generation_1, args=(self_served.root, ready := context.Event(), go := context.Event())
    )
    other.start()
    try:
        assert ready.wait(90)
        state = self_served.endpoints.state(NAME)
        assert (state.status, state.live_generation, state.workers) == ("Updating", 1, 2)
        assert state.message == "1 of 2 workers do not answer with generation 2 yet."
    finally:
        go.set()
        other.join(90)
    assert self_served.endpoints.state(NAME).status == "InService"


def _serve_generation_1(root: Path, ready: threading.Event, go: threading.Event) -> None:
    LocalDesk(root).acknowledge({NAME: Served(1)}, ready=True)
    ready.set()
    go.wait(90)


def test_a_killed_worker_is_not_counted(self_served: World) -> None:
    self_served.endpoints.deploy(deployment(1))
    code = (
        "import sys, time; from pathlib import Path; from mlplatform.adapters.endpoints import LocalDesk;"
        "from mlplatform.ports.endpoints import Served;"
        f"LocalDesk(Path(sys.argv[1])).acknowledge({{{NAME!r}: Served(1)}}, ready=True); print('up', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(self_served.root)], stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"up\n"
        assert self_served.endpoints.state(NAME).workers == 1
        worker.kill()
        worker.wait()
        assert self_served.endpoints.state(NAME).workers == 0


def test_a_worker_that_left_is_not_counted(self_served: World) -> None:
    self_served.endpoints.deploy(deployment(1))
    self_served.desk.acknowledge({NAME: Served(1)}, ready=True)
    self_served.desk.leave()
    assert self_served.endpoints.state(NAME).workers == 0


def test_wait_returns_when_every_worker_answers_with_the_generation(self_served: World) -> None:
    self_served.endpoints.deploy(deployment(1))
    self_served.desk.acknowledge({}, ready=False)
    timer = threading.Timer(0.2, lambda: self_served.desk.acknowledge({NAME: Served(1)}, ready=True))
    timer.start()
    state = self_served.endpoints.wait(NAME, 1, timeout_s=30)
    timer.join()
    assert (state.status, state.live_generation) == ("InService", 1)


def test_wait_is_content_with_a_later_generation(self_served: World) -> None:
    for generation in (1, 2):
        self_served.endpoints.deploy(deployment(generation))
    self_served.desk.acknowledge({NAME: Served(2)}, ready=True)
    assert self_served.endpoints.wait(NAME, 1, timeout_s=5).live_generation == 2


def test_wait_says_that_nobody_serves(self_served: World) -> None:
    self_served.endpoints.deploy(deployment(1))
    with pytest.raises(TimedOutError, match=r"after 0\.1 s: nobody serves; .* Start 'mlplatform serve'"):
        self_served.endpoints.wait(NAME, 1, timeout_s=0.1)


def test_wait_says_why_a_generation_cannot_be_served(self_served: World) -> None:
    for generation in (1, 2):
        self_served.endpoints.deploy(deployment(generation))
    self_served.desk.acknowledge({NAME: Served(1, failed_generation=2, message="package is damaged.")}, ready=True)
    with pytest.raises(
        JobError, match="Generation 2 of endpoint 'stock_prices/prices' cannot be served: package is damaged"
    ):
        self_served.endpoints.wait(NAME, 2, timeout_s=5)
    state = self_served.endpoints.state(NAME)
    assert (state.status, state.live_generation) == ("Failed", 1)
    assert "generation 1 goes on serving" in state.message


def test_a_rollback_on_its_way_is_shown_as_one(self_served: World) -> None:
    self_served.endpoints.deploy(deployment(1))
    self_served.endpoints.deploy(deployment(2, version=1, reason="rollback"))
    self_served.desk.acknowledge({NAME: Served(1)}, ready=True)
    assert self_served.endpoints.state(NAME).status == "RollingBack"


def test_a_desk_sees_each_change_once_it_reads(world: World) -> None:
    desk = world.desk
    assert desk.desired() == {}
    assert not desk.changed()
    for generation in (1, 2):
        world.endpoints.deploy(deployment(generation))
        assert desk.changed()
        assert desk.desired() == {NAME: deployment(generation)}
        assert not desk.changed()
    world.endpoints.deploy(deployment(1, endpoint="fraud/scores"))
    assert desk.changed()
    assert sorted(desk.desired()) == ["fraud/scores", NAME]
    world.endpoints.remove(NAME)
    assert desk.changed()
    assert sorted(desk.desired()) == ["fraud/scores"]
    assert not desk.changed()


def test_a_removed_endpoint_is_forgotten_and_may_count_on(world: World) -> None:
    world.endpoints.deploy(deployment(1))
    world.endpoints.remove(NAME)
    world.endpoints.remove(NAME)
    assert world.endpoints.list() == []
    assert world.endpoints.history(NAME) == []
    desk = world.desk
    (world.root / NAME).mkdir(parents=True, exist_ok=True)
    assert desk.desired() == {}
    world.endpoints.deploy(deployment(7))
    assert desk.changed()
    assert desk.desired() == {NAME: deployment(7)}
    assert world.endpoints.history(NAME) == [deployment(7)]
    with pytest.raises(ConflictError, match="is at generation 7; generation 1 cannot follow it, expected 8"):
        world.endpoints.deploy(deployment(1))
