"""The stock price system in Dagster on a home of its own: the package's definitions, a few hundred days, small models."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow.csv as pacsv
import yaml

import mlplatform
from mlplatform.components.platform_resource import PlatformResource
from mlplatform.components.station import PLATFORM
from mlplatform.core.retrain import Request
from mlplatform.platform import Platform, SystemStations, open_platform
from mlplatform_tests.prices import price_rows

if TYPE_CHECKING:
    from dagster._core.definitions.sensor_definition import SensorExecutionData

SYSTEM = "stock_prices"
JOB = "stock_prices_stock_refresh"
LINE = ("stock_features", "stock_model_candidate", "stock_model", "stock_prices")
PACKAGE = Path(mlplatform.__path__[0])
SMALL = {"hyperparameters": {"num_round": 30, "max_depth": 5, "eta": 0.2}, "search": {"trials": 0}}


@dataclass
class Site:
    """A home and a copy of the system's YAML under `root`.

    Assets find the home by this process's environment, so that one site is in use at a time: `enter` it.
    """

    root: Path

    @classmethod
    def make(cls, root: Path) -> Site:
        """A new one, with a model that trains in a second."""
        shutil.copytree(PACKAGE / "defs", root / "defs")
        site = cls(root)
        site.edit("stock_model", **SMALL)
        return site

    def profile(self, name: str, **connections: Mapping[str, Any]) -> None:
        """Write a profile of that name: everything on this machine, but for these connections."""
        profile = yaml.safe_load((PACKAGE.parent / "profiles" / "local.yaml").read_text("utf-8"))
        profile["name"] = name
        for connection, changed in connections.items():
            profile["connections"][connection] |= changed
        (self.root / "profiles").mkdir(exist_ok=True)
        (self.root / "profiles" / f"{name}.yaml").write_text(yaml.safe_dump(profile), "utf-8")
        (self.root / "pyproject.toml").write_text('[tool.dg.project]\nroot_module = "mlplatform"\n', "utf-8")

    def close(self) -> None:
        """Let go of Dagster's instance."""
        instance = self.__dict__.pop("instance", None)
        if instance is not None:
            instance.dispose()

    @property
    def env(self) -> dict[str, str]:
        """What points a process at this home."""
        return {**os.environ, "MLPLATFORM_HOME": str(self.root / "home"), "MLPLATFORM_DEFS": str(self.root / "defs")}

    def enter(self) -> None:
        """Point this process at this home."""
        os.environ["MLPLATFORM_HOME"] = self.env["MLPLATFORM_HOME"]

    def edit(self, station: str, **attributes: Any) -> None:
        """Change a station's attributes in the YAML."""
        path = self.root / "defs" / SYSTEM / "defs.yaml"
        documents = list(yaml.safe_load_all(path.read_text("utf-8")))
        for document in documents:
            if document["attributes"]["name"] == station:
                document["attributes"].update(attributes)
        path.write_text(yaml.safe_dump_all(documents, sort_keys=False), "utf-8")
        self.__dict__.pop("platform", None)

    @cached_property
    def platform(self) -> Platform:
        return open_platform(self.env)

    @property
    def stations(self) -> SystemStations:
        return self.platform.system(SYSTEM)

    @property
    def definitions(self) -> dg.Definitions:
        """The package's own assets, on this site's stations."""
        self.enter()
        return dg.Definitions.merge(
            dg.load_from_defs_folder(path_within_project=PACKAGE),
            dg.Definitions(executor=dg.in_process_executor, resources=self.resources),
        )

    @property
    def resources(self) -> dict[str, Any]:
        """What assets and sensors reach this site's stations by."""
        return {PLATFORM: PlatformResource(defs=str(self.root / "defs"))}

    @cached_property
    def instance(self) -> dg.DagsterInstance:
        self.platform.asset_events.prepare()
        return dg.DagsterInstance.from_config(str(self.root / "home" / "dagster"))

    def put_days(self, first: int, last: int) -> None:
        """Put trading days under the base prefix, as one CSV object."""
        file = io.BytesIO()
        pacsv.write_csv(price_rows(first, last), file)
        self.platform.store.put(f"stock_prices/base/{first:05d}-{last:05d}.csv", file.getvalue())

    def materialize(
        self, *names: str, tags: Mapping[str, str] | None = None, config: Mapping[str, Any] | None = None
    ) -> dg.ExecuteInProcessResult:
        """Materialize assets of the system in one run, by hand."""
        job = self.definitions.resolve_implicit_global_asset_job_def()
        ops = {f"{SYSTEM}__stock_features": {"config": dict(config)}} if config else {}
        return job.execute_in_process(
            asset_selection=[dg.AssetKey([SYSTEM, n]) for n in names],
            instance=self.instance,
            tags=dict(tags or {}),
            run_config={"ops": ops},
            raise_on_error=False,
        )

    def refresh(self, request: str = "", config: Mapping[str, Any] | None = None) -> dg.ExecuteInProcessResult:
        """Run the line from features to endpoint, for a request if one is given."""
        return self.materialize(*LINE, tags={"mlplatform/request": request} if request else {}, config=config)

    def ask(self) -> Request:
        """Have the first training asked for, as the sensor does, once the rows have settled."""
        decided = self.stations.retrain("stock_prices").decide(datetime.now(UTC) + timedelta(minutes=2))
        assert decided.request is not None, decided.reason
        return decided.request

    def request(self, request_id: str) -> Request:
        """A request as it is now."""
        return next(r for r in self.stations.retrain("stock_prices").requests() if r.id == request_id)

    def tick(self, sensor: str) -> SensorExecutionData:
        """What a sensor of the system says now."""
        with dg.build_sensor_context(instance=self.instance, resources=self.resources) as context:
            return self.definitions.resolve_sensor_def(f"{SYSTEM}_{sensor}").evaluate_tick(context)

    def failed(self, run_id: str, sensor: str = "stock_notifications_failures") -> None:
        """Let a failure sensor see a failed run."""
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        events = [e.dagster_event for e in self.instance.all_logs(run_id) if e.dagster_event is not None]
        name = f"{SYSTEM}_{sensor}"
        with dg.build_run_status_sensor_context(
            sensor_name=name,
            dagster_event=next(e for e in reversed(events) if e.is_run_failure),
            dagster_instance=self.instance,
            dagster_run=run,
            resources=self.resources,
        ) as context:
            self.definitions.resolve_sensor_def(name)(context.for_run_failure())

    def told(self) -> list[str]:
        """Titles of the notifications that went out, oldest first."""
        path = self.platform.home.logs / "notifications.jsonl"
        return [json.loads(line)["title"] for line in path.read_text().splitlines()] if path.exists() else []

    def versions(self) -> list[int]:
        """Registered versions."""
        return [v.version for v in self.stations.registry("stock_model").versions()]

    def generation(self) -> int:
        """The generation that is desired; 0 = none yet."""
        desired = self.platform.endpoints.desired(f"{SYSTEM}/stock_prices")
        return desired.generation if desired else 0


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    """Check name → passed, of a run."""
    return {e.check_name: e.passed for e in result.get_asset_check_evaluations()}


def metadata(result: dg.ExecuteInProcessResult, name: str) -> Mapping[str, dg.MetadataValue[Any]]:
    """Metadata of an asset's materialization in a run."""
    events: Sequence[Any] = result.asset_materializations_for_node(f"{SYSTEM}__{name}")
    return dict(events[0].metadata)


def errors(result: dg.ExecuteInProcessResult) -> str:
    """Why steps of a run failed, in words."""
    said = []
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            while error is not None:
                said.append(error.message)
                error = error.cause
    return "".join(said)
