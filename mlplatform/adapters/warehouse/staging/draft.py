"""An object judged record by record: the receipt it will get, and files of the rows and of the records that do not fit.

Every warehouse's load begins with this, on a DuckDB of its own or the warehouse's: the same record has the same fate
and the same reason wherever it goes.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from mlplatform.adapters.warehouse.staging.appended import begins_with
from mlplatform.adapters.warehouse.staging.job import Bad, Job, Staged, write_quarantine
from mlplatform.adapters.warehouse.staging.read_csv import stage_csv
from mlplatform.adapters.warehouse.staging.read_jsonl import stage_jsonl
from mlplatform.adapters.warehouse.staging.read_parquet import stage_parquet
from mlplatform.adapters.warehouse.staging.source import Source
from mlplatform.core.loads.plan import CsvFormat, JsonLinesFormat, ParquetFormat, Receipt
from mlplatform.core.loads.remedy import fix_dialect
from mlplatform.errors import DataError
from mlplatform.ports.object_store import ObjectStore

_SHOWN_BYTES = 64 * 1024
"""How much of an object that is quarantined whole is kept beside the reason."""


def draft(job: Job, source: Source, store: ObjectStore) -> Receipt:
    """The receipt as it will be unless rows turn out to be duplicates. `job.rows_file` is there if rows were `loaded`,
    `job.quarantine_file` if records were `quarantined`."""
    job = replace(job, schema=job.schema.loaded_at(job.loaded_at))
    refuse = job.plan.refuse or _not_appended(job, source)
    if refuse:
        return _refused(job, source, refuse)
    try:
        staged = _stage(job, source)
        arrived = source.count()
    except DataError as error:
        return _unparseable(job, source, store, error)
    if staged.total != arrived:
        counts = DataError(
            f"the object has {arrived} records by its bytes, and {staged.total} by the parser",
            next_step=fix_dialect(job.plan.table),
        )
        return _unparseable(job, source, store, counts)
    return replace(
        _receipt(job, source),
        arrived=arrived,
        loaded=staged.rows,
        quarantined=staged.quarantined,
        duplicates=staged.skipped,
        filtered=staged.filtered,
    )


def _not_appended(job: Job, source: Source) -> str:
    """Why an object that should only have grown is refused; "" where it did, or where that is not asked."""
    plan = job.plan
    if not plan.appends_to or source.error is not None:
        return ""
    if isinstance(plan.format, ParquetFormat) or plan.key.endswith(".gz"):
        return (
            f"Object '{plan.key}' changed after it was loaded, and nothing shows that it only grew: on_changed_object "
            "append needs plain CSV or JSON lines. Set it to replace, or give new data a new key."
        )
    format_ = plan.format if isinstance(plan.format, CsvFormat) else None
    single = len(job.schema.columns) == 1
    if begins_with(source.path, format_, records=plan.skip_rows, sha256=plan.appends_to, single_column=single):
        return ""
    return (
        f"Object '{plan.key}' should only have grown (on_changed_object: append): expected the {plan.skip_rows} records "
        "that were loaded from it at its beginning, unchanged, found others. Set it to replace, or put them back."
    )


def refused_twin(receipt: Receipt, twin: str) -> Receipt:
    """The receipt of an object whose bytes were loaded before, as `twin`."""
    why = f"Object '{receipt.key}' has the same bytes as '{twin}', which was loaded before. Nothing is to be done."
    return replace(
        receipt, outcome="refused", reason=why, loaded=0, quarantined=0, filtered=0, duplicates=receipt.arrived
    )


def _stage(job: Job, source: Source) -> Staged:
    if source.error is not None:
        raise source.error
    if isinstance(job.plan.format, CsvFormat):
        return stage_csv(job, source, job.plan.format)
    if isinstance(job.plan.format, JsonLinesFormat):
        return stage_jsonl(job, source)
    return stage_parquet(job, source)


def _receipt(job: Job, source: Source) -> Receipt:
    plan = job.plan
    return Receipt(
        batch_id=plan.batch_id,
        table=plan.table,
        shard=plan.shard,
        last=plan.last,
        upto=plan.upto,
        epoch=plan.epoch,
        key=plan.key,
        etag=plan.etag,
        content_sha256=source.sha256,
        outcome="loaded",
        arrived=0,
        loaded=0,
        quarantined=0,
        duplicates=0,
        filtered=0,
        loaded_at=job.loaded_at,
    )


def _refused(job: Job, source: Source, why: str) -> Receipt:
    try:
        arrived = source.count()
    except DataError:
        arrived = 1
    return replace(_receipt(job, source), outcome="refused", reason=why, arrived=arrived, duplicates=arrived)


def _unparseable(job: Job, source: Source, store: ObjectStore, error: DataError) -> Receipt:
    job.rows_file.unlink(missing_ok=True)
    job.quarantine_file.unlink(missing_ok=True)
    with suppress(DataError):
        source.count()
    why = f"Object '{job.plan.key}': {error.message}. {error.next_step}"
    with store.open(job.plan.key) as file:
        write_quarantine(job, [Bad("", why, file.read(_SHOWN_BYTES))])
    return replace(_receipt(job, source), outcome="unparseable", reason=why, arrived=1, quarantined=1)
