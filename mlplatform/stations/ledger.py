"""A table's ledger as its loaders remember it: read once, then only what was added."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from mlplatform.core.loads.plan import Receipt
from mlplatform.core.loads.receipts import quarantine_id, receipt_of
from mlplatform.core.loads.replays import origin_of
from mlplatform.core.tables.books import LEDGER
from mlplatform.ports.warehouse import Warehouse

_KEYS = 500
_COLUMNS = ", ".join(name for name, _ in LEDGER)


class Ledger:
    """Receipts of one table by key and by shard. `refresh` before asking; or, to ask for a few keys once, `look_up`."""

    def __init__(self, warehouse: Warehouse, table: str) -> None:
        self._warehouse = warehouse
        self._table = table
        self.position = 0
        self._by_key: dict[str, list[Receipt]] = defaultdict(list)
        self._newest: dict[str, Receipt] = {}
        self._replays: dict[str, list[str]] = defaultdict(list)

    def unread(self) -> Ledger:
        """Of the same table, and nothing read yet."""
        return Ledger(self._warehouse, self._table)

    def refresh(self) -> None:
        """Reads the rows behind the last one known."""
        for receipt in receipts(self._warehouse, self._table, after=self.position):
            self._remember(receipt)

    def look_up_shards(self) -> None:
        """Reads what `newest` and `with_replays` need, and no more of a ledger that may be long."""
        last = "SELECT max(position) FROM _ledger WHERE table_name = ? GROUP BY shard"
        self._look_up(f"position IN ({last}) OR shard LIKE 'replay/%'", [self._table])

    def look_up(self, keys: Sequence[str]) -> None:
        """Reads the rows of `keys`, which were not asked for before."""
        for start in range(0, len(keys), _KEYS):
            some = list(keys[start : start + _KEYS])
            self._look_up(f"key IN ({', '.join('?' * len(some))}) AND shard NOT LIKE 'replay/%'", some)

    def _look_up(self, where: str, values: Sequence[str]) -> None:
        rows = self._warehouse.query(
            f"SELECT {_COLUMNS} FROM _ledger WHERE table_name = ? AND ({where}) ORDER BY position",  # noqa: S608
            [self._table, *values],
        )
        for row in rows.to_pylist():
            self._remember(receipt_of(row))

    def _remember(self, receipt: Receipt) -> None:
        self.position = max(self.position, receipt.position)
        known = self._newest.get(receipt.shard)
        if known is None or known.position < receipt.position:
            self._newest[receipt.shard] = receipt
        if not receipt.shard.startswith("stream/"):
            before = self._by_key[receipt.key]
            if all(each.position != receipt.position for each in before):
                before.append(receipt)
                before.sort(key=lambda each: each.position)
        origin = origin_of(receipt.key)
        if origin is not None and receipt.batch_id not in self._replays[origin]:
            self._replays[origin].append(receipt.batch_id)

    def of_key(self, key: str) -> list[Receipt]:
        """Receipts of an object that is no delivered range, oldest first."""
        return self._by_key.get(key, [])

    def with_replays(self, batches: Sequence[str]) -> tuple[str, ...]:
        """`batches`, and those that replayed their quarantined records, and theirs."""
        found = list(batches)
        for batch in found:
            found += self._replays.get(batch, [])
        return tuple(found)

    def newest(self, shard: str) -> Receipt | None:
        """The shard's last receipt."""
        return self._newest.get(shard)

    def repaired(self, receipts: Sequence[Receipt]) -> tuple[str, ...]:
        """Quarantine id of an object that lies there whole, and comes again: loading it is its replay.

        None where the record is gone: discarded, erased, or expired.
        """
        if not receipts or receipts[-1].outcome != "unparseable":
            return ()
        name = quarantine_id(receipts[-1].batch_id, "")
        waits = self._warehouse.query(
            "SELECT quarantine_id FROM _quarantine WHERE table_name = ? AND quarantine_id = ? AND replayed_at IS NULL",
            [self._table, name],
        )
        return (name,) if waits.num_rows else ()

    @property
    def shards(self) -> list[str]:
        return sorted(self._newest)


def receipts(warehouse: Warehouse, table: str, *, after: int = 0) -> list[Receipt]:
    """Receipts of `table` behind position `after`, oldest first."""
    rows = warehouse.query(
        f"SELECT {_COLUMNS} FROM _ledger WHERE table_name = ? AND position > ? ORDER BY position",  # noqa: S608
        [table, after],
    )
    return [receipt_of(row) for row in rows.to_pylist()]
