"""Several deliverers at once, in threads whose order is chosen and in processes that are killed."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.stream.sqlite import SqliteStream
from mlplatform.ports.stream import Record
from mlplatform.stations.delivery import Delivery
from mlplatform_tests.stations.crashing_store import Crash, EdgedStore
from mlplatform_tests.stations.delivery_world import PREFIX, World, spec
from mlplatform_tests.stations.landed import assert_delivered_once, landed

HERE = "mlplatform_tests.stations.test_delivery_rivals"


class Turns:
    """Lets threads pass one at a time, in the order that a list of their numbers says; then all."""

    def __init__(self, order: list[int]) -> None:
        self._order = order
        self._condition = threading.Condition()
        self._finished: set[int] = set()

    def wait(self, number: int) -> None:
        with self._condition:
            while self._order and self._order[0] != number and self._order[0] not in self._finished:
                assert self._condition.wait(30)
            if self._order:
                self._order.pop(0)
            self._condition.notify_all()

    def finish(self, number: int) -> None:
        with self._condition:
            self._finished.add(number)
            self._condition.notify_all()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(order=st.lists(st.integers(0, 2), min_size=10, max_size=60), crashes=st.sets(st.integers(0, 30), max_size=2))
def test_two_deliverers_and_a_producer_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], crashes: set[int]
) -> None:
    world = World(tmp_path_factory.mktemp("world"))
    world.put(3)
    turns = Turns(list(order))
    steps = [0]
    failures: list[Exception] = []

    def edge_of(number: int) -> EdgedStore:
        def edge(_: str) -> None:
            turns.wait(number)
            steps[0] += 1
            if steps[0] in crashes:
                raise Crash

        return EdgedStore(world.store, edge)

    def deliver(number: int) -> None:
        try:
            delivery = world.delivery(edge_of(number))
            for _ in range(4):
                delivery.deliver(world.due)
        except Crash:
            pass
        except Exception as error:  # noqa: BLE001 - shown by the test's thread
            failures.append(error)
        finally:
            turns.finish(number)

    def produce() -> None:
        for _ in range(4):
            turns.wait(2)
            world.put(2)
        turns.finish(2)

    threads = [threading.Thread(target=deliver, args=(n,)) for n in (0, 1)] + [threading.Thread(target=produce)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    world.assert_delivered_once(whole=False)
    world.delivery().deliver(world.due)
    world.assert_delivered_once()
    world.stream.close()


def deliver_for_ever(folder: str) -> None:
    """A deliverer process of `test_kill_9_of_racing_deliverers`; says once that it runs."""
    impatient = spec(shards=2)
    impatient = impatient.model_copy(update={"delivery": impatient.delivery.model_copy(update={"max_age_s": 0.001})})
    stream = SqliteStream(Path(folder) / "stream", impatient)
    delivery = Delivery(stream, DirectoryObjectStore(Path(folder) / "objects"), impatient, system="demo")
    print("up", flush=True)
    while True:
        delivery.deliver(datetime.now(UTC))
        time.sleep(0.001)


def start_deliverer(folder: Path) -> subprocess.Popen[str]:
    command = f"from {HERE} import deliver_for_ever; deliver_for_ever({str(folder)!r})"
    process = subprocess.Popen([sys.executable, "-c", command], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def test_kill_9_of_racing_deliverers(tmp_path: Path) -> None:
    stream = SqliteStream(tmp_path / "stream", spec(shards=2))
    store = DirectoryObjectStore(tmp_path / "objects")
    produced = 0
    for round_ in range(4):
        rivals, puts, before = [start_deliverer(tmp_path) for _ in range(2)], 0, len(landed(store, PREFIX))
        # On a busy machine the rivals have their turn later.
        while puts < 40 + round_ * 7 or len(landed(store, PREFIX)) < before + 3:
            stream.put([Record(f"k{n}", b'{"n":%d}' % n) for n in range(produced, produced + 5)])
            produced, puts = produced + 5, puts + 1
        for rival in rivals:
            rival.kill()
            rival.communicate()
        assert_delivered_once(store, PREFIX, stream, whole=False)

    assert len(landed(store, PREFIX)) > 8
    Delivery(stream, store, spec(shards=2), system="demo").deliver(datetime.now(UTC) + timedelta(seconds=10))
    assert_delivered_once(store, PREFIX, stream)
    assert sorted(line["n"] for found in landed(store, PREFIX) for line in found.lines) == list(range(produced))
    stream.close()
