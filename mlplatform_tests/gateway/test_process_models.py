"""Models that a process beside the gateway's worker holds: served, replaced and restarted like any other."""

from __future__ import annotations

import threading
import time
from typing import Any

import httpx
import psutil

from mlplatform.core.packages.manifest import InputField
from mlplatform_tests.gateway.callers import Callers
from mlplatform_tests.gateway.site import NAME, ROW, Served, Site
from mlplatform_tests.packages import INPUTS
from mlplatform_tests.serving.until import until

WAIT_S = 60.0
OTHER = "stock_prices/others"
WIDE = (*INPUTS[:2], InputField("change", "double", missing="keep"))


def scorers(served: Served) -> list[int]:
    """Pids of the models' processes."""
    found = [child for p in served.processes for child in psutil.Process(p.pid).children(recursive=True)]
    return [child.pid for child in found if not gone(child.pid)]


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def ask(client: httpx.Client, endpoint: str = "prices", **changes: Any) -> httpx.Response:
    return client.post(f"/predict/{endpoint}", json={**ROW, **changes})


def test_it_is_replaced_by_its_like_and_by_another_kind_under_callers_who_notice_nothing(site: Site) -> None:
    onnx, first, second = site.package(0), site.package(1, runtime="process"), site.package(2, runtime="process")
    site.deploy(first, version=1)
    with site.serve(workers=2) as served, Callers(served.url, site.key()) as callers:
        until(lambda: len(callers.calls) > 20)
        for version, digest in enumerate((second, onnx), 2):
            site.endpoints.wait(NAME, site.deploy(digest, version=version), timeout_s=WAIT_S)
            if digest != onnx:
                until(lambda: len(scorers(served)) == 2)
            enough = len(callers.calls) + 20
            while len(callers.calls) < enough:
                time.sleep(0.01)
        until(lambda: scorers(served) == [])
    assert callers.failed == []
    assert {call.generation for call in callers.calls} == {1, 2, 3}


def test_callers_of_one_that_was_killed_are_told_to_try_again_and_then_answered(site: Site) -> None:
    site.deploy(site.package(1, runtime="process"))
    with site.serve() as served, served.client(site.key()) as client:
        before = ask(client)
        assert before.status_code == 200
        (pid,) = scorers(served)
        psutil.Process(pid).kill()
        answers: list[httpx.Response] = []
        until(lambda: answers.append(ask(client)) or (answers[-1].status_code == 200 and scorers(served) != [pid]))
        assert {a.status_code for a in answers} <= {200, 503}
        refused = [a.json()["error"] for a in answers if a.status_code == 503]
        assert all(r["code"] == "unavailable_error" and r["next_step"] == "Try again in a moment." for r in refused)
        assert answers[-1].json()["predictions"] == before.json()["predictions"]


def test_a_model_that_takes_long_holds_up_no_other(site: Site) -> None:
    site.deploy(site.package(1, runtime="process", inputs=WIDE))
    site.deploy(site.package(0), endpoint=OTHER)
    with site.serve() as served, served.client(site.key()) as client, served.client(site.key(OTHER)) as other:
        slow = threading.Thread(target=lambda: ask(client, change=1002.0))
        slow.start()
        (pid,) = scorers(served)
        until(lambda: psutil.Process(pid).num_threads() > 1)
        assert [ask(other, "others").status_code for _ in range(20)] == [200] * 20
        psutil.Process(pid).kill()
        slow.join(30)
        assert not slow.is_alive()


def test_its_process_ends_with_a_worker_that_is_killed(site: Site) -> None:
    site.deploy(site.package(1, runtime="process"))
    with site.serve() as served:
        (pid,) = scorers(served)
        served.processes[0].kill()
        until(lambda: gone(pid))
