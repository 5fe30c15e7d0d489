"""`mlplatform.Endpoint`: what serves the champion, and the table of what it answered."""

import dagster as dg

from mlplatform.components.approved_run import approved_sensor
from mlplatform.components.platform_resource import PlatformResource
from mlplatform.components.station import REQUEST_TAG, Station, common, key_of, line_of, system_of
from mlplatform.platform.line import load_capture, release
from mlplatform.spec.endpoint import EndpointSpec


class Endpoint(EndpointSpec, Station):  # type: ignore[misc]  # the field `model`, and Dagster's class method
    """An endpoint that follows its model's champion by itself."""

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        system = system_of(context)

        @dg.asset(
            **common(system, self, kinds={"endpoint"}),
            deps=[key_of(system, self.model)],
            metadata={"route": f"/predict/{self.name}"},
            pool=system.name,
        )
        def endpoint(
            context: dg.AssetExecutionContext, platform: dg.ResourceParam[PlatformResource]
        ) -> dg.MaterializeResult:
            request = context.run.tags.get(REQUEST_TAG)
            done = release(platform.system(system.name), self.name, run_id=line_of(context), request=request)
            return platform.result(done.metadata)

        @dg.asset(
            **common(
                system,
                self,
                kinds={"table"},
                suffix="_capture",
                description=f"What {self.name} was asked and answered, one row a prediction.",
            ),
            deps=[key_of(system, self.name)],
        )
        def capture(platform: dg.ResourceParam[PlatformResource]) -> dg.MaterializeResult:
            evidence = load_capture(platform.system(system.name), self.name)
            return platform.result(evidence.metadata)

        return dg.Definitions(assets=[endpoint, capture], sensors=[approved_sensor(system, self.name)])
