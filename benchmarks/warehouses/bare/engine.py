"""What an engine's own loader is asked for, in a warm process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from benchmarks.measured import answer
from benchmarks.warehouses.place import Place


class Bare(Protocol):
    """An engine by its own driver. Connected when it is made; each answers with rows."""

    def prepare(self, table: str) -> None:
        """An empty table."""
        ...

    def load(self, table: str, key: str) -> None:
        """The object into the table, the fastest way."""
        ...

    def count(self, table: str) -> int:
        """Rows of the table."""
        ...

    def unload(self, table: str, prefix: str) -> int:
        """The table as Parquet below the prefix, in the same kind of store."""
        ...

    def read(self, sql: str) -> int:
        """Rows as Arrow in this process."""
        ...


def serve(make: Callable[[Place], Bare]) -> None:
    """Answer what the benchmark asks."""
    made: list[Bare] = []

    def rows(count: int) -> dict[str, Any]:
        return {"rows": count}

    answer(
        {
            "open": lambda place: made.append(make(Place(**place))),
            "prepare": lambda table: made[0].prepare(table),
            "load": lambda table, key: made[0].load(table, key),
            "count": lambda table: rows(made[0].count(table)),
            "unload": lambda table, prefix: rows(made[0].unload(table, prefix)),
            "read": lambda sql: rows(made[0].read(sql)),
        }
    )
