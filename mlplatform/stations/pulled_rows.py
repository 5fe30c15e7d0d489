"""Rows that stay in the warehouse: where its tables stand, and the rows of a channel as they stood then."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlplatform.core.features.pull import Pull
from mlplatform.errors import NotFoundError
from mlplatform.ports.batches import batches
from mlplatform.ports.versions import Versioned
from mlplatform.ports.warehouse import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Standing:
    """How the tables stand that a query names: the engine's newest snapshot, None where it keeps none; how many loads brought
    rows; and each table's position in the ledger of the newest of these."""

    version: str | None
    loads: int
    positions: Mapping[str, int]


def standing(warehouse: Warehouse, sql: str) -> Standing:
    """How the tables that `sql` names stand now."""
    version = None
    if warehouse.capabilities.snapshots and isinstance(warehouse, Versioned):
        version = warehouse.versions()[-1].version
    return _standing(warehouse, sql, version)


def pull(
    warehouse: Warehouse, wanted: Pull, share: int = 0, shares: int = 1, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """The rows of `wanted`, or one host's share of them.

    Raises:
        NotFoundError: they are gone: their snapshot has expired, or tables without snapshots were loaded since.
    """
    check_standing(warehouse, wanted)
    yield from batches(warehouse, wanted.statement(share, shares, columns), at=wanted.engine_version)


def pull_all(warehouse: Warehouse, wanted: Pull, columns: Sequence[str] | None = None) -> pa.Table:
    """All rows of `wanted` as a table. Raises NotFoundError as `pull` does, and where there are not as many as there were."""
    import pyarrow as pa

    table = pa.Table.from_batches(list(pull(warehouse, wanted, columns=columns)))
    check_count(wanted, table.num_rows)
    return table


def check_standing(warehouse: Warehouse, wanted: Pull) -> None:
    """Raises NotFoundError where tables without snapshots were loaded since the build."""
    if wanted.engine_version is not None:
        return
    found = _standing(warehouse, wanted.sql, None).loads
    if found != wanted.ledger_position:
        raise NotFoundError(
            "The rows are gone as they were: the warehouse keeps no snapshots, and the query's tables had seen "
            f"{wanted.ledger_position} loads when the feature set was built; now they have seen {found}.",
            next_step="Build the feature set again.",
        )


def check_count(wanted: Pull, rows: int) -> None:
    """Raises NotFoundError where there are not as many rows as the build found."""
    if rows != wanted.rows:
        raise NotFoundError(
            f"The rows are gone as they were: the feature set was built on {wanted.rows}, and there are {rows}.",
            next_step="Build the feature set again.",
        )


def _standing(warehouse: Warehouse, sql: str, version: str | None) -> Standing:
    seen = "SELECT table_name, COUNT(*) AS n, MAX(position) AS newest FROM _ledger WHERE loaded > 0 GROUP BY table_name"
    try:
        found = warehouse.query(seen, at=version).to_pylist()
    except NotFoundError:
        found = []  # Where every table is loaded by others, nobody made the books.
    named = set(re.findall(r"\w+", sql.lower()))
    rows = [row for row in found if str(row["table_name"]).lower() in named]
    positions = {str(row["table_name"]): int(row["newest"]) for row in rows}
    return Standing(version, sum(int(row["n"]) for row in rows), positions)
