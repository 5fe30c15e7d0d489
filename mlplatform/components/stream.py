"""`mlplatform.Stream`: the stream as an asset that producers write, and its landing objects."""

from datetime import UTC, datetime

import dagster as dg

from mlplatform.components.platform_resource import PlatformResource
from mlplatform.components.station import Station, common, key_of, system_of
from mlplatform.spec.stream import StreamSpec


class Stream(StreamSpec, Station):
    """A stream of records, and its delivery to landing objects."""

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        system = system_of(context)
        stream = dg.AssetSpec(
            **common(system, self, kinds={"stream"}),
            metadata={"shards": self.shards, "partition_key": self.partition_key, "retention_h": self.retention_h},
        )

        @dg.asset(
            **common(
                system,
                self,
                kinds={"file"},
                suffix="_landing",
                description=f"What delivery wrote of {self.name} under {self.delivery.prefix}, one record a line.",
            ),
            deps=[key_of(system, self.name)],
            metadata={"prefix": self.delivery.prefix},
        )
        def landing(platform: dg.ResourceParam[PlatformResource]) -> dg.MaterializeResult:
            # By hand, what waits is delivered now.
            delivery = platform.system(system.name).delivery(self.name)
            delivered = delivery.deliver(datetime.now(UTC) + delivery.max_age)
            return platform.result(
                {
                    "objects": len(delivered),
                    "records": sum(d.records for d in delivered),
                    "keys": [d.key for d in delivered[:50]],
                }
            )

        return dg.Definitions(assets=[stream, landing])
