"""`mlplatform.Notify`: failed runs of the system reach people; the other events are told by the stations themselves."""

import dagster as dg

from mlplatform.components.platform_resource import PlatformResource
from mlplatform.components.station import WILL_RETRY_TAG, Station, system_of
from mlplatform.platform.line import run_failed
from mlplatform.spec.notification import NotifySpec


class Notify(NotifySpec, Station):
    """Who is told what."""

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        system = system_of(context)

        @dg.run_failure_sensor(
            name=f"{system.name}_{self.name}_failures",
            default_status=dg.DefaultSensorStatus.RUNNING,
            minimum_interval_seconds=5,
            description="Tells people of a run that failed for good.",
        )
        def failures(context: dg.RunFailureSensorContext, platform: dg.ResourceParam[PlatformResource]) -> None:
            run = context.dagster_run
            keys = run.asset_selection or frozenset()
            if run.tags.get("mlplatform/system") != system.name and not any(k.path[0] == system.name for k in keys):
                return
            if run.tags.get(WILL_RETRY_TAG) == "true":
                return
            message = context.failure_event.message or ""
            run_failed(platform.system(system.name), run.root_run_id or run.run_id, message=message)

        return dg.Definitions(sensors=[failures])
