"""A channel whose rows lie in the warehouse: what a job asks for them, alone or as one of several hosts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mlplatform.core.sql import identifier
from mlplatform.core.training.split import share_sql
from mlplatform.errors import StateError

FILE = "query.json"
"""The channel's one object."""


@dataclass(frozen=True)
class Pull:
    """The rows of one channel, as a build found them.

    Attributes:
        sql: all of them, in DuckDB's dialect. key: what hosts share them by. order: columns they are sorted by.
        rows: how many there were.
        engine_version: the engine's own snapshot to read at, where it keeps such.
        ledger_position: where it does not: how many loads had brought rows; with others, the rows may be others.
    """

    sql: str
    key: tuple[str, ...]
    order: tuple[str, ...]
    rows: int
    engine_version: str | None
    ledger_position: int

    def statement(self, share: int = 0, shares: int = 1, columns: Sequence[str] | None = None) -> str:
        """One SELECT of one of `shares` (from 0), or of some columns of it."""
        chosen = "*" if columns is None else ", ".join(identifier(name) for name in columns)
        mine = f" WHERE {share_sql(self.key, share, shares)}" if shares > 1 else ""
        by = ", ".join(identifier(name) for name in self.order)
        return f"SELECT {chosen} FROM (\n{self.sql}\n) AS p{mine} ORDER BY {by}"  # noqa: S608

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Pull:
        """Read one back. Raises StateError where it is damaged."""
        try:
            return cls(**{**data, "key": tuple(data["key"]), "order": tuple(data["order"])})
        except (KeyError, TypeError) as error:
            raise StateError(f"'{FILE}' says not which rows: {error!r}.") from error
