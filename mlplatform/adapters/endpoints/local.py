"""Endpoints served on this machine: deployment records as files, and what live workers say of them.

    <root>/<system>/<endpoint>/<generation, 9 digits>.json   one record, never changed; made by a hard link, so that of
                                                             two who deploy the same generation one fails
    <root>/.workers/<pid>-<start>.json                       a worker's word, replaced by rename

A worker is alive while a process with its pid and start time is; words of dead ones are not counted and swept.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mlplatform.adapters.endpoints.generations import checked, conflict, follows, nothing_deployed
from mlplatform.adapters.endpoints.workers import read_reports
from mlplatform.core.rollout.status import observe, settled
from mlplatform.errors import JobError, NotFoundError, StateError, TimedOutError
from mlplatform.ports.endpoints import Deployment, EndpointState

if TYPE_CHECKING:
    from mlplatform.adapters.endpoints.desk import LocalDesk

POLL_S = 0.05


class LocalEndpoints:
    """Deployment records under `root`; any number of processes may use it at once."""

    def __init__(
        self, root: Path, *, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._root = root
        self._clock = clock
        self._sleep = sleep

    def deploy(self, deployment: Deployment) -> None:
        folder = self._folder(deployment.endpoint)
        current = newest_generation(folder)
        if not follows(deployment, current):
            raise conflict(deployment, current)
        folder.mkdir(parents=True, exist_ok=True)
        data = json.dumps(deployment.to_json(), sort_keys=True).encode()
        try:
            _link_whole(record_path(folder, deployment.generation), data)
        except FileExistsError as error:
            raise conflict(deployment, newest_generation(folder)) from error

    def desired(self, endpoint: str) -> Deployment | None:
        folder = self._folder(endpoint)
        generation = newest_generation(folder)
        return read_record(record_path(folder, generation)) if generation else None

    def history(self, endpoint: str) -> list[Deployment]:
        folder = self._folder(endpoint)
        generations = range(1, newest_generation(folder) + 1)
        return [found for g in generations if (found := read_record(record_path(folder, g))) is not None]

    def state(self, endpoint: str) -> EndpointState:
        desired = self.desired(endpoint)
        if desired is None:
            return EndpointState(endpoint, None, 0, "Failed", 0, nothing_deployed(endpoint))
        seen = observe(
            desired.generation,
            rolling_back=desired.reason.startswith("rollback"),
            reports=read_reports(self._root, endpoint),
        )
        return EndpointState(endpoint, desired, seen.live_generation, seen.status, seen.workers, seen.message)

    def wait(self, endpoint: str, generation: int, *, timeout_s: float) -> EndpointState:
        deadline = self._clock() + timeout_s
        while True:
            state = self.state(endpoint)
            if state.desired is None:
                raise NotFoundError(state.message)
            reports = read_reports(self._root, endpoint)
            if settled(generation, reports):
                return state
            if any(r.failed_generation == generation for r in reports):
                broken = next(r for r in reports if r.failed_generation == generation)
                raise JobError(
                    f"Generation {generation} of endpoint '{endpoint}' cannot be served: {broken.message}",
                    next_step="The previous generation goes on serving; roll back or deploy another version.",
                )
            if self._clock() >= deadline:
                raise TimedOutError(
                    f"Endpoint '{endpoint}' does not answer with generation {generation} after {timeout_s:g} s: {state.message}",
                    next_step="Start 'mlplatform serve'." if not reports else "Look at the gateway's logs.",
                )
            self._sleep(POLL_S)

    def list(self) -> list[str]:
        return list_endpoints(self._root)

    def remove(self, endpoint: str) -> None:
        folder = self._folder(endpoint)
        if not folder.is_dir():
            return
        grave = Path(tempfile.mkdtemp(dir=self._root, prefix=".removed-"))
        with contextlib.suppress(FileNotFoundError):
            folder.rename(grave / "records")
        shutil.rmtree(grave, ignore_errors=True)

    def desk(self) -> LocalDesk:
        """The desk of this process."""
        from mlplatform.adapters.endpoints.desk import LocalDesk

        return LocalDesk(self._root)

    def _folder(self, endpoint: str) -> Path:
        return self._root / checked(endpoint)


def record_path(folder: Path, generation: int) -> Path:
    """Where the record of `generation` lies."""
    return folder / f"{generation:09d}.json"


def newest_generation(folder: Path) -> int:
    """The newest record's generation, 0 where there is none."""
    try:
        names = [name for name in os.listdir(folder) if name.endswith(".json") and name[:-5].isdigit()]  # noqa: PTH208 - names only, and often
    except FileNotFoundError:
        return 0
    return int(max(names)[:-5]) if names else 0


def list_endpoints(root: Path) -> list[str]:
    """``<system>/<endpoint>`` of every folder with a record, sorted."""
    found = []
    with contextlib.suppress(FileNotFoundError):
        for system in root.iterdir():
            if system.name.startswith(".") or not system.is_dir():
                continue
            found += [f"{system.name}/{e.name}" for e in system.iterdir() if newest_generation(e)]
    return sorted(found)


def read_record(path: Path) -> Deployment | None:
    """A deployment record, None where it is gone. Raises StateError for a damaged one."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        return Deployment(**json.loads(data))
    except (ValueError, TypeError) as error:
        raise StateError(
            f"Deployment record '{path}' is damaged: {error}.", next_step="Restore it from a backup, or deploy again."
        ) from error


def _link_whole(path: Path, data: bytes) -> None:
    """Make `path` with `data`, whole and durable, or raise FileExistsError."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(temporary)
    finally:
        Path(temporary).unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
