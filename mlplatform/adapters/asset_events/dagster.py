"""Dagster's event log as port `asset_events`: reports without a run, initialisation, and the sweep of dead runs.

An instance is the folder DAGSTER_HOME with its `dagster.yaml` and SQLite files. Initialised by several processes at
once it breaks for good (its migrations race), so `prepare` does it once, under a file lock, before anything else runs.
A report costs about 13 ms and 6 KB for ever: callers bundle.
"""

from __future__ import annotations

import fcntl
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplatform.adapters.driver_imports import DRIVER_IMPORTS
from mlplatform.errors import StateError, UnavailableError
from mlplatform.ports.asset_events import CheckOutcome

if TYPE_CHECKING:
    import psutil
    from dagster import DagsterInstance


class DagsterAssetEvents:
    """The instance at `home`; `template` is the `dagster.yaml` a new one starts from."""

    def __init__(self, home: Path, template: Path) -> None:
        self._home = home
        self._template = template

    def prepare(self) -> None:
        """Make the instance where it is missing; safe from many processes, cheap where it is there."""
        done = self._home / ".initialised"
        if done.exists():
            return
        with self._locked():
            if done.exists():
                return
            if not (self._home / "dagster.yaml").exists():
                shutil.copyfile(self._template, self._home / "dagster.yaml")
            with self._open() as instance:
                instance.get_runs(limit=1)
                instance.all_asset_keys()
                instance.all_instigator_state()
            done.touch()

    def materialized(
        self, asset: Sequence[str], *, metadata: Mapping[str, Any], checks: Sequence[CheckOutcome] = ()
    ) -> None:
        """See `ports.asset_events.AssetEvents`."""
        with DRIVER_IMPORTS:
            import dagster as dg

        key = dg.AssetKey(list(asset))
        self._instance.report_runless_asset_event(dg.AssetMaterialization(key, metadata=self.shown(metadata)))
        for check in checks:
            self._instance.report_runless_asset_event(
                dg.AssetCheckEvaluation(
                    asset_key=key,
                    check_name=check.name,
                    passed=check.passed,
                    metadata=self.shown(check.metadata),
                    severity=dg.AssetCheckSeverity.ERROR if check.blocking else dg.AssetCheckSeverity.WARN,
                    description=check.description or None,
                )
            )

    def shown(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """See `ports.asset_events.AssetEvents`."""
        with DRIVER_IMPORTS:
            from mlplatform.adapters.asset_events.shown import shown

        return dict(shown(metadata))

    def sweep(self) -> list[str]:
        """Mark runs as failed whose process is gone though they are written down as going on; their ids.

        Run monitoring misses runs whose code server and daemon died with them.
        """
        import dagster as dg

        open_states = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.CANCELING]
        swept = []
        for record in self._instance.get_run_records(dg.RunsFilter(statuses=open_states)):
            pids = list(self._pids(record.dagster_run.run_id))
            if pids and not any(self._alive(pid, not_after=record.update_timestamp.timestamp()) for pid in pids):
                self._instance.report_run_failed(
                    record.dagster_run,
                    "Its process is gone (killed, or the machine restarted); marked as failed at start-up.",
                )
                swept.append(record.dagster_run.run_id)
        return swept

    def bring_back(self, now: datetime) -> list[str]:
        """See `ports.asset_events.AssetEvents`."""
        from sqlalchemy.exc import SQLAlchemyError

        from mlplatform.adapters.asset_events.set_back import bring_back

        try:
            return bring_back(self._instance, now.timestamp())
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise UnavailableError(
                f"The Dagster instance at '{self._home}' did not take back times that lie ahead: {error}.",
                next_step="Check the disk (space, rights), and for a process that holds its files.",
            ) from error

    def _pids(self, run_id: str) -> Iterator[int]:
        for entry in self._instance.all_logs(run_id):
            event = entry.dagster_event
            if event is not None and event.is_engine_event:
                value = event.engine_event_data.metadata.get("pid")
                if value is not None and str(value.value).isdigit():
                    yield int(str(value.value))

    def _alive(self, pid: int, *, not_after: float) -> bool:
        """Whether process `pid` runs, and is the one meant: it started before `not_after`, or knows this instance.

        A later one that only has the number does neither. The first alone would not do: where the clock was set ahead,
        the start of every process is told anew, by the new clock.
        """
        import psutil

        try:
            process = psutil.Process(pid)
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                return False
            return bool(process.create_time() <= not_after or self._knows_this(process))
        except psutil.NoSuchProcess:
            return False

    def _knows_this(self, process: psutil.Process) -> bool:
        """Whether a process was started with a folder of this home in its environment."""
        import psutil

        root = self._home.parent
        try:
            return any(Path(value).is_relative_to(root) for value in process.environ().values() if value[:1] == "/")
        except (psutil.AccessDenied, OSError):
            return False

    @cached_property
    def _instance(self) -> DagsterInstance:
        self.prepare()
        with DRIVER_IMPORTS:
            from dagster import DagsterInstance

            return DagsterInstance.from_config(str(self._home))

    @contextmanager
    def _open(self) -> Iterator[DagsterInstance]:
        try:
            with DRIVER_IMPORTS:
                from dagster import DagsterInstance

                instance = DagsterInstance.from_config(str(self._home))
        except OSError as error:
            raise StateError(f"The Dagster instance at '{self._home}' cannot be opened: {error}.") from error
        with instance:
            yield instance

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._home.mkdir(parents=True, exist_ok=True)
        with (self._home / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
