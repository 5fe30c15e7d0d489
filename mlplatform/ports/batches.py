"""Batches: a query's rows one part after the other, from warehouses that need not hold the whole result for that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from mlplatform.ports.warehouse import Warehouse


@runtime_checkable
class Batched(Protocol):
    """A warehouse that gives rows as they come."""

    def batches(self, sql: str, *, at: str | None = None) -> Iterator[pa.RecordBatch]:
        """Rows of one read-only statement, at least one batch, so that its columns are known; errors as `Warehouse.query`."""
        ...


def batches(warehouse: Warehouse, sql: str, *, at: str | None = None) -> Iterator[pa.RecordBatch]:
    """`Batched.batches`, or the parts of what `query` gave."""
    import pyarrow as pa

    if isinstance(warehouse, Batched):
        yield from warehouse.batches(sql, at=at)
        return
    table = warehouse.query(sql, at=at)
    yield from table.to_batches(max_chunksize=1 << 16) or [pa.RecordBatch.from_pylist([], schema=table.schema)]
