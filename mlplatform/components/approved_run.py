"""A sensor that starts the run of what people approved: an endpoint, or a model that none serves."""

from datetime import UTC, datetime

import dagster as dg

from mlplatform.components.due_run import due_run
from mlplatform.components.platform_resource import PlatformResource
from mlplatform.components.station import key_of
from mlplatform.platform.approvals import approved_since
from mlplatform.spec.system import SystemSpec

LOOK_S = 30


def approved_sensor(system: SystemSpec, name: str) -> dg.SensorDefinition:
    """Of the station `name`. Where nothing waits for people, a look asks the item store, and nobody else."""
    sensor_name, key = f"{system.name}_{name}_approved", key_of(system, name)

    @dg.sensor(
        name=sensor_name,
        target=[key],
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=LOOK_S,
        description="Brings a version live when it was approved, where people are asked.",
    )
    def approved(
        context: dg.SensorEvaluationContext, platform: dg.ResourceParam[PlatformResource]
    ) -> dg.SensorResult | dg.SkipReason:
        version = approved_since(platform.system(system.name), name)
        if version is None:
            return dg.SkipReason("No version that waits is approved.")
        due = f"{name}/version {version.version}/{version.digest}"
        return due_run(context.instance, sensor_name, key, due, now=datetime.now(UTC))

    return approved
