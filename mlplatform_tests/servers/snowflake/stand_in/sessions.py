"""A session as Snowflake keeps it: locks held to the end of a transaction, tables of its own, statements that can be cancelled."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from typing import Any

import sqlglot
from sqlglot import exp
from stand_in.translation import BLIND

_TEMPORARY = re.compile(r'\s*CREATE\s+TEMP(?:ORARY)?\s+TABLE\s+(?:"[^"]+"\.)*"([^"]+)"', re.I)
_DROP = re.compile(r'\s*DROP\s+TABLE\s+IF\s+EXISTS\s+(?:"[^"]+"\.)*"([^"]+)"', re.I)


class Locks:
    """UPDATE, DELETE and MERGE wait for the transaction that wrote the table before; the next statement sees what it left.

    `idle_s`: a transaction that is in another's way, and whose client sent nothing for so long, is ended; None: none is.
    """

    idle_s: float | None = None

    def __init__(self) -> None:
        self._owner: dict[str, Session] = {}

    async def take(self, table: str, session: Session, timeout_s: float) -> bool:
        """Whether the session has the table's lock now."""
        deadline = time.monotonic() + timeout_s
        while (owner := self._owner.get(table, session)) is not session:
            if self.idle_s is not None and owner.idle() > self.idle_s:
                owner.end()
                self.release(owner)
            elif time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.01)
        self._owner[table] = session
        return True

    def release(self, session: Session) -> None:
        """All that the session holds."""
        self._owner = {table: owner for table, owner in self._owner.items() if owner is not session}


class Session:
    """One client's; `connection` is fakesnow's."""

    def __init__(self, connection: Any, role: str) -> None:
        self.connection = connection
        self.role = role
        self.in_transaction = False
        self.running = 0
        self._answered_at = time.monotonic()
        self._own: dict[str, str] = {}
        self._id = uuid.uuid4().hex[:8]

    def translated(self, sql: str) -> str:
        """DuckDB keeps temporary tables in no schema: here they are tables of a name of their own."""
        if (made := _TEMPORARY.match(sql)) is not None:
            self._own[made[1]] = f"{made[1]}__{self._id}"
            sql = re.sub(r"TEMP(?:ORARY)?\s+", "", sql, count=1, flags=re.I)
        if self.role == BLIND and "FROM INFORMATION_SCHEMA." in sql:
            sql = sql.replace(" WHERE ", " WHERE 1 = 0 AND ", 1)
        for name, own in self._own.items():
            sql = sql.replace(f'"{name}"', f'"{own}"')
        return sql

    def noted(self, sql: str) -> None:
        """A statement that ran."""
        word = sql.strip().partition(" ")[0].upper().rstrip(";")
        if word in ("BEGIN", "COMMIT", "ROLLBACK"):
            self.in_transaction = word == "BEGIN"
        if (gone := _DROP.match(sql)) is not None:
            self._own.pop(gone[1], None)

    def answered(self) -> None:
        """A statement ended."""
        self.running -= 1
        self._answered_at = time.monotonic()

    def idle(self) -> float:
        """Seconds since the last statement; 0 while one runs."""
        return 0.0 if self.running else time.monotonic() - self._answered_at

    def interrupt(self) -> None:
        """Cancels what runs."""
        self.connection._duck_conn.interrupt()

    def end(self) -> None:
        """Rolls back; its own tables have names that nobody else has."""
        self.connection.cursor().execute("ROLLBACK")
        self.in_transaction = False
        self._own.clear()


def written_table(sql: str) -> str | None:
    """The table that the statement locks."""
    if not re.match(r"\s*(UPDATE|DELETE|MERGE)\b", sql, re.I):
        return None
    table = sqlglot.parse_one(sql, read="snowflake").find(exp.Table)
    return table.sql("snowflake") if table is not None else None
