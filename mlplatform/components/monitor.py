"""`mlplatform.Monitor`: each window of arrived rows judged; failed checks ask for a retraining."""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from mlplatform.components.due_run import due_run
from mlplatform.components.platform_resource import PlatformResource
from mlplatform.components.station import Station, common, key_of, system_of
from mlplatform.platform.line import judge_windows, tell_judged
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.spec.feature_set import FeatureSetSpec
from mlplatform.spec.model import ModelSpec
from mlplatform.spec.monitor import MonitorSpec
from mlplatform.spec.system import SystemSpec


class Monitor(MonitorSpec, Station):
    """Watches an endpoint's model on the rows that arrive."""

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        system = system_of(context)
        key = key_of(system, self.name)

        specs = self._checks(system, key)

        # A subset may be left out: before the first window there are no results, and a new check has none yet.
        @dg.multi_asset(
            name=f"{system.name}__{self.name}",
            specs=[
                dg.AssetSpec(
                    **common(system, self, kinds={"greatexpectations"}),
                    deps=[key_of(system, self.endpoint), key_of(system, self.table)],
                )
            ],
            check_specs=specs,
            can_subset=True,
        )
        def monitor(platform: dg.ResourceParam[PlatformResource]) -> Iterator[dg.MaterializeResult]:
            stations = platform.system(system.name)
            evaluations = judge_windows(stations, self.name, datetime.now(UTC))
            # The newest is reported below, by this run.
            tell_judged(stations, self.name, lambda _: None)
            latest = evaluations[-1] if evaluations else stations.monitor(self.name).latest()
            declared = {s.name for s in specs}
            yield platform.result(
                {"judged": len(evaluations), **(latest.evidence() if latest else {})},
                [c for c in latest.checks if c.name in declared] if latest else (),
            )

        @dg.sensor(
            name=f"{system.name}_{self.name}_due",
            target=[key],
            default_status=dg.DefaultSensorStatus.RUNNING,
            minimum_interval_seconds=30,
            description="Judges windows that are full, where no worker does.",
        )
        def due(
            context: dg.SensorEvaluationContext, platform: dg.ResourceParam[PlatformResource]
        ) -> dg.SensorResult | dg.SkipReason:
            opened = platform.open()
            if opened.worker_alive():
                return dg.SkipReason("The worker judges windows.")
            now = datetime.now(UTC)
            windows = opened.system(system.name).monitor(self.name).due(now)
            if not windows:
                return dg.SkipReason("No window is full.")
            return due_run(context.instance, f"{system.name}_{self.name}_due", key, windows[-1].id, now=now)

        return dg.Definitions(assets=[monitor], sensors=[due])

    def _checks(self, system: SystemSpec, key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
        model = system.get(ModelSpec, system.get(EndpointSpec, self.endpoint).model)
        features = system.get(FeatureSetSpec, model.features)
        specs = []
        if self.quality:
            specs.append(
                dg.AssetCheckSpec(
                    "quality",
                    asset=key,
                    description=f"{self.quality.metric} of predicted against arrived {features.target}.",
                )
            )
        if self.corrections:
            specs.append(
                dg.AssetCheckSpec(
                    "corrections",
                    asset=key,
                    description="Rows of its training that came late, were corrected or erased since.",
                )
            )
        if self.drift:
            specs += [
                dg.AssetCheckSpec(
                    f"drift_{f.name}", asset=key, description=f"{f.name} against its profile at training time."
                )
                for f in features.features
            ]
        return specs
