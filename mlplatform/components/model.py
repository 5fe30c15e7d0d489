"""`mlplatform.Model`: a trained candidate with its gate, and the registered version."""

import dagster as dg

from mlplatform.components.approved_run import approved_sensor
from mlplatform.components.platform_resource import PlatformResource
from mlplatform.components.station import REQUEST_TAG, Station, common, key_of, line_of, system_of
from mlplatform.platform.line import register_candidate, train_candidate
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.spec.model import ModelSpec


class Model(ModelSpec, Station):
    """A model: trained in a container, gated, registered."""

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        system = system_of(context)
        candidate_key = key_of(system, f"{self.name}_candidate")

        @dg.asset(
            **common(
                system,
                self,
                kinds={self.container, "mlflow"},
                suffix="_candidate",
                description=f"A trained {self.name}, staged and judged, not yet registered.",
            ),
            deps=[key_of(system, self.features)],
            check_specs=[
                dg.AssetCheckSpec(
                    "gate",
                    asset=candidate_key,
                    description="Absolute threshold, and better than the champion on rows neither was trained on.",
                    blocking=True,
                )
            ],
            pool=system.name,
        )
        def candidate(
            context: dg.AssetExecutionContext, platform: dg.ResourceParam[PlatformResource]
        ) -> dg.MaterializeResult:
            done = train_candidate(
                platform.system(system.name),
                self.name,
                run_id=line_of(context),
                request=context.run.tags.get(REQUEST_TAG),
                on_log=context.log.info,
            )
            return platform.result(done.metadata, done.checks)

        @dg.asset(
            **common(system, self, kinds={"mlflow"}),
            deps=[candidate_key],
            pool=system.name,
        )
        def registered(
            context: dg.AssetExecutionContext, platform: dg.ResourceParam[PlatformResource]
        ) -> dg.MaterializeResult:
            done = register_candidate(
                platform.system(system.name),
                self.name,
                run_id=line_of(context),
                request=context.run.tags.get(REQUEST_TAG),
            )
            return platform.result(done.metadata)

        served = any(endpoint.model == self.name for endpoint in system.all(EndpointSpec))
        sensors = [] if served else [approved_sensor(system, self.name)]
        return dg.Definitions(assets=[candidate, registered], sensors=sensors)
