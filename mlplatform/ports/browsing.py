"""Browsing: what a warehouse holds, for people who look around in it. A warehouse that can is `Browsable` besides."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Browsable(Protocol):
    """A look around. Rows come by `Warehouse.query`."""

    def databases(self) -> list[str]:
        """Names of what holds tables (databases, or schemas of one), as far as this connection may look; its own among them."""
        ...

    def tables(self, database: str | None = None) -> dict[str, dict[str, str]]:
        """Tables by name, with their columns' types: logical ones where there is one, else the warehouse's own.

        `database`: one of `databases`; None = where the system's tables are, the platform's books among them.

        Raises:
            NotFoundError: there is no such database, with those there are.
        """
        ...
