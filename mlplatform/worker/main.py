"""The worker: delivery, arrivals, capture and monitors, continuously, in lanes of their own."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from mlplatform.errors import PlatformError, exit_code
from mlplatform.platform import Platform, open_platform
from mlplatform.platform.housekeeping import housekeeping, upkeep
from mlplatform.platform.line import judge_windows, load_capture, load_evidence, tell_judged
from mlplatform.ports.endpoints import SelfServing
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.spec.monitor import MonitorSpec
from mlplatform.spec.stream import StreamSpec
from mlplatform.spec.table import TableSpec
from mlplatform.stations.evaluation import Evaluation
from mlplatform.stations.steady_clock import SteadyClock
from mlplatform.worker.clock_hands import ClockHands
from mlplatform.worker.lane import Lane, Task
from mlplatform.worker.meter import Meter
from mlplatform.worker.reporter import Reporter

log = logging.getLogger(__name__)

BEAT_S = 2.0
HOUSEKEEPING_S = 3600.0
UPKEEP_S = 60.0
ADVANCE_S = 5.0
LAST_METRICS_S = 5.0
TURN_S = 1.0
"""A table is loaded for so long before the next task has its turn: one that fills as fast as it loads holds up no other."""


def arrivals(platform: Platform, reporter: Reporter, clock: SteadyClock) -> list[Task]:
    """Delivery and loading, all systems: what is on a stream or under a prefix becomes rows.

    A task makes its station when it first works, so that one that cannot be made is that task's trouble.
    """
    tasks: list[Task] = []
    for system, spec in platform.specs.items():
        for stream in spec.all(StreamSpec):
            tasks.append(Task(f"deliver {system}/{stream.name}", _deliver(platform, system, stream, reporter)))
        for table in spec.all(TableSpec):
            if not table.existing:
                tasks.append(Task(f"load {system}/{table.name}", _load(platform, system, table, reporter)))
        for endpoint in spec.all(EndpointSpec):
            tasks.append(
                Task(f"capture {system}/{endpoint.name}", _capture(platform, system, endpoint, reporter), every_s=2.0)
            )
        tasks.append(Task(f"housekeeping {system}", _keep_house(platform, system, clock), every_s=HOUSEKEEPING_S))
        for connection in sorted({t.connection for t in spec.all(TableSpec) if not t.existing}):
            work = _upkeep(platform, system, connection, clock)
            tasks.append(Task(f"upkeep {system}/{connection}", work, every_s=UPKEEP_S))
    return tasks


def watching(platform: Platform, reporter: Reporter) -> list[Task]:
    """Monitors and what they ask for, all systems."""
    return [
        Task(f"watch {system}/{monitor.name}", _watch(platform, system, monitor, reporter), every_s=0.5)
        for system, spec in platform.specs.items()
        for monitor in spec.all(MonitorSpec)
    ]


def serving(platform: Platform) -> list[Task]:
    """Deployments that another service still has to be asked for, all systems."""
    return [
        Task(f"serve {system}/{endpoint.name}", _advance(platform, system, endpoint), every_s=ADVANCE_S)
        for system, spec in platform.specs.items()
        for endpoint in spec.all(EndpointSpec)
    ]


def _deliver(platform: Platform, system: str, stream: StreamSpec, reporter: Reporter) -> Callable[[], bool]:
    def work() -> bool:
        done = platform.system(system).delivery(stream.name).deliver(datetime.now(UTC))
        if done:
            metadata = {
                "objects": len(done),
                **{name: sum(getattr(d, name) for d in done) for name in ("records", "filtered", "unparsed")},
                "lost": [d.lost for d in done if d.lost],
                "newest": done[-1].key,
            }
            reporter.note((system, f"{stream.name}_landing"), metadata, ())
        return bool(done)

    return work


def _load(platform: Platform, system: str, table: TableSpec, reporter: Reporter) -> Callable[[], bool]:
    def work() -> bool:
        stations = platform.system(system)
        receipts = stations.ingest(table.name).run(for_s=TURN_S)
        if receipts:
            evidence = load_evidence(stations, table.name, receipts)
            reporter.note((system, table.name), evidence.metadata, evidence.checks)
        return bool(receipts)

    return work


def _capture(platform: Platform, system: str, endpoint: EndpointSpec, reporter: Reporter) -> Callable[[], bool]:
    def work() -> bool:
        evidence = load_capture(platform.system(system), endpoint.name, for_s=TURN_S)
        if evidence.metadata.get("loaded"):
            reporter.note((system, f"{endpoint.name}_capture"), evidence.metadata, ())
        return bool(evidence.metadata.get("loaded"))

    return work


def _watch(platform: Platform, system: str, monitor: MonitorSpec, reporter: Reporter) -> Callable[[], bool]:
    def report(evaluation: Evaluation) -> None:
        reporter.note((system, monitor.name), evaluation.evidence(), evaluation.checks)
        reporter.flush(force=True)

    def work() -> bool:
        stations = platform.system(system)
        try:
            return bool(judge_windows(stations, monitor.name, datetime.now(UTC)))
        finally:
            tell_judged(stations, monitor.name, report)

    return work


def _advance(platform: Platform, system: str, endpoint: EndpointSpec) -> Callable[[], bool]:
    def work() -> bool:
        platform.system(system).rollout(endpoint.name).advance()
        return False

    return work


def _keep_house(platform: Platform, system: str, clock: SteadyClock) -> Callable[[], bool]:
    def work() -> bool:
        if not clock.doubt():
            housekeeping(platform.system(system), datetime.now(UTC))
        return False

    return work


def _upkeep(platform: Platform, system: str, connection: str, clock: SteadyClock) -> Callable[[], bool]:
    def work() -> bool:
        now = datetime.now(UTC)
        return upkeep(platform.system(system), connection, now, believed=not clock.doubt())

    return work


def make_lanes(
    opened: Callable[[], Platform], reporter: Reporter, clock: SteadyClock, stop: threading.Event
) -> list[Lane]:
    """What works beside what, each with a platform of its own: a warehouse connection serves one thread."""
    first = opened()
    idle_s = first.profile.worker.idle_s
    lanes = [
        Lane("arrivals", arrivals(first, reporter, clock), idle_s, stop),
        Lane("watching", watching(opened(), reporter), idle_s, stop),
    ]
    if _is_served_elsewhere(first):
        # A lane of its own: a service that hangs holds up no rows.
        lanes.append(Lane("serving", serving(opened()), idle_s, stop))
    return lanes


def _is_served_elsewhere(platform: Platform) -> bool:
    try:
        return isinstance(platform.endpoints, SelfServing)
    except PlatformError:
        return True  # the tasks tell what is wrong with it, and hold up nothing else


def main(argv: Sequence[str] | None = None, env: Mapping[str, str] | None = None) -> int:
    """Work until SIGTERM or SIGINT; then finish the round, report what waits, and end."""
    del argv
    environment = dict(os.environ if env is None else env)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(threadName)s %(name)s: %(message)s")
    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        platform = open_platform(environment)
        clock = SteadyClock(platform.home.clock)
        meter = Meter(platform.metrics)
        reporter = Reporter(lambda: platform.asset_events, platform.profile.worker.report_s, counted=meter.note)
        lanes = make_lanes(lambda: open_platform(environment), reporter, clock, stop)
    except PlatformError as error:
        log.error("the worker cannot start: %s → %s", error.message, error.next_step)
        return exit_code(error)
    for lane in lanes:
        lane.start()
    log.info("working on %s", ", ".join(platform.specs) or "no system")
    hands = ClockHands(platform, clock)
    while not stop.is_set():
        meter.beat(_beat(platform, lanes, hands.look()))
        reporter.flush()
        stop.wait(BEAT_S)
    for lane in lanes:
        if lane.thread is not None:
            lane.thread.join(timeout=30)
    reporter.flush(force=True)
    meter.wait(LAST_METRICS_S)
    platform.items.delete("workers", "worker")
    return 0


def _beat(platform: Platform, lanes: list[Lane], trouble: str) -> int:
    """Write down that the worker lives, with its troubles; how many they are."""
    troubles = {t.name: t.last_error for lane in lanes for t in lane.tasks if t.last_error}
    if trouble:
        troubles["housekeeping"] = trouble
    platform.items.put("workers", "worker", {"pid": os.getpid(), "beat_at": time.time(), "troubles": troubles})
    return len(troubles)


if __name__ == "__main__":
    sys.exit(main())
