"""`mlplatform.FeatureSet`: the unloaded training rows, split, and the data tests before training."""

import dagster as dg

from mlplatform.components.platform_resource import PlatformResource
from mlplatform.components.station import REQUEST_TAG, Station, common, key_of, line_of, system_of
from mlplatform.platform.line import build_features
from mlplatform.spec.feature_set import FeatureSetSpec


class RefreshParameters(dg.Config):
    """Parameters of one refresh, as run configuration."""

    as_of: str | None = None
    """Only rows whose window column is at most this value; for backfills. Default: all."""
    window_last: int | None = None
    """Overrides the feature set's window for this run."""


class FeatureSet(FeatureSetSpec, Station):
    """The rows and columns a model learns from."""

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        system = system_of(context)
        key = key_of(system, self.name)
        query = system.query(self)

        @dg.asset(
            **common(system, self, kinds={"parquet" if self.channel == "files" else "sql"}, query=query),
            deps=[key_of(system, self.table)],
            metadata={"query": dg.MetadataValue.md(f"```sql\n{query.strip()}\n```"), "target": self.target},
            check_specs=[
                dg.AssetCheckSpec(
                    "data_tests", asset=key, description="Great Expectations on the training rows.", blocking=True
                )
            ],
            pool=system.name,
        )
        def features(
            context: dg.AssetExecutionContext, config: RefreshParameters, platform: dg.ResourceParam[PlatformResource]
        ) -> dg.MaterializeResult:
            done = build_features(
                platform.system(system.name),
                self.name,
                parameters=config.model_dump(exclude_none=True),
                run_id=line_of(context),
                request=context.run.tags.get(REQUEST_TAG),
            )
            return platform.result(done.metadata, done.checks)

        return dg.Definitions(assets=[features])
