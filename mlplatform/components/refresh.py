"""`mlplatform.Refresh`: the job from features to endpoint, its schedule, and the sensor that answers requests."""

from datetime import UTC, datetime

import dagster as dg

from mlplatform.components.attention import look
from mlplatform.components.platform_resource import PlatformResource
from mlplatform.components.station import REQUEST_TAG, WILL_RETRY_TAG, Station, key_of, system_of
from mlplatform.platform.line import close_request, pending_requests
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.spec.model import ModelSpec
from mlplatform.spec.refresh import RefreshSpec


class Refresh(RefreshSpec, Station):  # type: ignore[misc]  # the field `model`, and Dagster's class method
    """Runs features → candidate → model → endpoint: on a schedule, at the first data, when a monitor asks."""

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        system = system_of(context)
        name = self.model or system.get(EndpointSpec, str(self.endpoint)).model
        model = system.get(ModelSpec, name)
        stations = [model.features, f"{name}_candidate", name, *([self.endpoint] if self.endpoint else [])]
        line = [key_of(system, station) for station in stations]
        job = dg.define_asset_job(
            f"{system.name}_{self.name}",
            selection=dg.AssetSelection.assets(*line),
            description=self.description or None,
            tags={"mlplatform/system": system.name},
        )

        @dg.sensor(
            name=f"{system.name}_{self.name}_requests",
            job=job,
            default_status=dg.DefaultSensorStatus.RUNNING,
            minimum_interval_seconds=2,
            description="Starts a refresh for each request: the first training, or a retraining a monitor asked for.",
        )
        def requests(
            context: dg.SensorEvaluationContext, platform: dg.ResourceParam[PlatformResource]
        ) -> dg.SensorResult | dg.SkipReason:
            stations = platform.system(system.name)
            pending = look(lambda: pending_requests(stations, self.name, datetime.now(UTC)), context.instance)
            if not pending:
                return dg.SkipReason("Nobody asked.")
            return dg.SensorResult(
                run_requests=[
                    dg.RunRequest(
                        # A system that was destroyed and made again numbers its requests from 1 again.
                        run_key=f"{r.id}@{r.requested_at.isoformat()}",
                        tags={
                            REQUEST_TAG: r.id,
                            "mlplatform/reason": r.reason,
                            **({"mlplatform/evaluation": r.evaluation_id} if r.evaluation_id else {}),
                        },
                    )
                    for r in pending
                ]
            )

        @dg.run_status_sensor(
            run_status=dg.DagsterRunStatus.CANCELED,
            name=f"{system.name}_{self.name}_canceled",
            monitored_jobs=[job],
            default_status=dg.DefaultSensorStatus.RUNNING,
            minimum_interval_seconds=5,
            description="Closes the request of a run that a person cancelled, so that it holds up no later one.",
        )
        def canceled(context: dg.RunStatusSensorContext, platform: dg.ResourceParam[PlatformResource]) -> None:
            request = context.dagster_run.tags.get(REQUEST_TAG)
            if request:
                close_request(platform.system(system.name), request, message="its run was cancelled")

        @dg.run_failure_sensor(
            name=f"{system.name}_{self.name}_failed",
            monitored_jobs=[job],
            default_status=dg.DefaultSensorStatus.RUNNING,
            minimum_interval_seconds=5,
            description="Closes the request of a run that failed for good, so that the next one may be made.",
        )
        def failed(context: dg.RunFailureSensorContext, platform: dg.ResourceParam[PlatformResource]) -> None:
            run = context.dagster_run
            request = run.tags.get(REQUEST_TAG)
            if request and run.tags.get(WILL_RETRY_TAG) != "true":
                message = context.failure_event.message or ""
                close_request(platform.system(system.name), request, message=message)

        schedules = []
        if self.schedule:
            schedules.append(
                dg.ScheduleDefinition(
                    name=f"{system.name}_{self.name}_schedule",
                    job=job,
                    cron_schedule=self.schedule,
                    execution_timezone=self.timezone,
                    default_status=dg.DefaultScheduleStatus.RUNNING,
                    run_config={
                        "ops": {
                            line[0].to_python_identifier(): {"config": self.parameters.model_dump(exclude_none=True)}
                        }
                    },
                    description="The refresh, whatever the monitors say.",
                )
            )
        return dg.Definitions(jobs=[job], sensors=[requests, canceled, failed], schedules=schedules)
