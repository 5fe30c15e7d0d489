"""A look that lasts: finds what comes while it looks, and is one glance where it would hold up others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from mlplatform.components.attention import WAIT, look

LONG = {WAIT: "60"}
SHORT = {WAIT: "0.5"}


class Requests:
    """Something to look at, which counts the glances."""

    def __init__(self, *, from_glance: int) -> None:
        self.glances = 0
        self._from = from_glance

    def find(self) -> list[str]:
        self.glances += 1
        return ["a request"] if self.glances >= self._from else []


@pytest.fixture(scope="module")
def threaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    root = tmp_path_factory.mktemp("dagster")
    (root / "dagster.yaml").write_bytes((Path(__file__).parents[2] / "dagster.yaml").read_bytes())
    with dg.DagsterInstance.from_config(str(root)) as instance:
        yield instance


def test_what_comes_while_it_looks_is_found(threaded: dg.DagsterInstance) -> None:
    requests = Requests(from_glance=3)
    assert look(requests.find, threaded, LONG) == ["a request"]
    assert requests.glances == 3


def test_a_look_ends_with_nothing(threaded: dg.DagsterInstance) -> None:
    requests = Requests(from_glance=1000)
    assert look(requests.find, threaded, SHORT) == []
    assert 2 <= requests.glances <= 4


def test_without_a_wait_it_is_one_glance(threaded: dg.DagsterInstance) -> None:
    requests = Requests(from_glance=2)
    assert look(requests.find, threaded, {}) == []
    assert requests.glances == 1


def test_where_sensors_share_a_thread_it_is_one_glance(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    requests = Requests(from_glance=2)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert look(requests.find, instance, LONG) == []
    assert requests.glances == 1


class Held(Requests):
    """It comes only when it is let go of; `looking` says that the look lasts."""

    def __init__(self) -> None:
        super().__init__(from_glance=2)
        self.looking, self.let_go = threading.Event(), threading.Event()

    def find(self) -> list[str]:
        if self.glances == 1:
            self.looking.set()
            assert self.let_go.wait(30)
        return super().find()


def test_a_third_sensor_glances_once_while_two_look(threaded: dg.DagsterInstance) -> None:
    lasting = [Held(), Held()]
    threads = [threading.Thread(target=look, args=(held.find, threaded, LONG)) for held in lasting]
    for thread in threads:
        thread.start()
    assert all(held.looking.wait(30) for held in lasting)
    third = Requests(from_glance=2)
    assert look(third.find, threaded, LONG) == []
    for held in lasting:
        held.let_go.set()
    for thread in threads:
        thread.join()
    assert look(third.find, threaded, LONG) == ["a request"]
