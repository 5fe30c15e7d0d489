"""`mlplatform.Table`: a warehouse table loaded exactly once from what arrives, its quarantine and its upkeep."""

import hashlib
from datetime import UTC, datetime

import dagster as dg

from mlplatform.components.due_run import due_run
from mlplatform.components.platform_resource import PlatformResource
from mlplatform.components.station import Station, column_schema, common, key_of, system_of
from mlplatform.platform.line import load_evidence
from mlplatform.spec.system import SystemSpec
from mlplatform.spec.table import TableSpec


class Table(TableSpec, Station):
    """A warehouse table, its schema and its sources."""

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        system = system_of(context)
        metadata = {
            "dagster/column_schema": column_schema(self.schema_()),
            "dagster/table_name": self.existing or self.name,
            "unique_key": ", ".join(self.unique_key),
        }
        if self.existing:
            spec = dg.AssetSpec(**common(system, self, kinds={"table"}), metadata=metadata)
            return dg.Definitions(assets=[spec])
        parts: list[dg.Definitions] = [self._table(system, metadata)]
        if self._first_of_its_connection(system):
            parts.append(self._upkeep(system))
        return dg.Definitions.merge(*parts)

    def _table(self, system: SystemSpec, metadata: dict[str, object]) -> dg.Definitions:
        key = key_of(system, self.name)

        @dg.asset(
            **common(system, self, kinds={"table"}),
            deps=[key_of(system, f"{s.stream}_landing") for s in self.sources if s.stream],
            metadata=metadata,
            check_specs=[
                dg.AssetCheckSpec(
                    "receipts_balance",
                    asset=key,
                    description="Every record that arrived is accounted for.",
                    blocking=True,
                ),
                dg.AssetCheckSpec("quarantine_empty", asset=key, description="No record waits in quarantine."),
            ],
        )
        def table(platform: dg.ResourceParam[PlatformResource]) -> dg.MaterializeResult:
            stations = platform.system(system.name)
            evidence = load_evidence(stations, self.name, stations.ingest(self.name).run())
            return platform.result(evidence.metadata, evidence.checks)

        @dg.sensor(
            name=f"{system.name}_{self.name}_arrivals",
            target=[key],
            default_status=dg.DefaultSensorStatus.RUNNING,
            minimum_interval_seconds=10,
            description="Loads what arrived, where no worker does.",
        )
        def arrivals(
            context: dg.SensorEvaluationContext, platform: dg.ResourceParam[PlatformResource]
        ) -> dg.SensorResult | dg.SkipReason:
            opened = platform.open()
            if opened.worker_alive():
                return dg.SkipReason("The worker loads arrivals.")
            plans = opened.system(system.name).ingest(self.name).plan(noticed=True)
            if not plans:
                return dg.SkipReason("No new object.")
            # With the guard's position: an object may come to what it once was, and is loaded again.
            names = [f"{p.key}:{p.etag}@{p.last or 0}" for p in plans]
            due = names[0] if len(names) == 1 else hashlib.sha256("\n".join(names).encode()).hexdigest()
            return due_run(context.instance, f"{system.name}_{self.name}_arrivals", key, due, now=datetime.now(UTC))

        return dg.Definitions(assets=[table], sensors=[arrivals])

    def _upkeep(self, system: SystemSpec) -> dg.Definitions:
        @dg.asset(
            **{
                **common(
                    system,
                    self,
                    kinds={"task"},
                    description=f"Upkeep of connection {self.connection}: merges small files, expires snapshots that no "
                    "model refers to, deletes files nobody needs.",
                ),
                "key": key_of(system, f"{self.connection}_upkeep"),
            },
            deps=[key_of(system, self.name)],
        )
        def upkeep(
            context: dg.AssetExecutionContext, platform: dg.ResourceParam[PlatformResource]
        ) -> dg.MaterializeResult:
            stations = platform.system(system.name)
            if doubt := stations.platform.clock_doubt():
                context.log.warning(f"Files are merged, and nothing expires or is deleted: {doubt}.")
            done = stations.maintenance(self.connection).run(
                datetime.now(UTC), believed=not doubt, on_progress=context.log.info
            )
            return platform.result(
                {
                    "files_before": done.files_before,
                    "files_after": done.files_after,
                    "snapshots_expired": done.snapshots_expired,
                    "files_deleted": done.files_deleted,
                    "pinned_versions": list(done.kept_versions),
                }
            )

        daily = dg.ScheduleDefinition(
            name=f"{system.name}_{self.connection}_upkeep_nightly",
            cron_schedule="30 3 * * *",
            target=[upkeep],
            default_status=dg.DefaultScheduleStatus.RUNNING,
        )
        return dg.Definitions(assets=[upkeep], schedules=[daily])

    def _first_of_its_connection(self, system: SystemSpec) -> bool:
        same = [t.name for t in system.all(TableSpec) if t.connection == self.connection and not t.existing]
        return same[:1] == [self.name]
