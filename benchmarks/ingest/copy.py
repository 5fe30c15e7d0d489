"""DuckDB's COPY of the CSV into a DuckDB file, in a warm process: no provenance, no quarantine, no receipt."""

from __future__ import annotations

from typing import Any

from benchmarks.measured import answer


class Copier:
    """One DuckDB file; each copy is into a table of its own."""

    def open(self, file: str) -> None:
        """Open the file."""
        import duckdb

        self._connection = duckdb.connect(file)

    def prepare(self, table: str) -> None:
        """A table with one row."""
        self._connection.execute(
            f"CREATE TABLE {table} (ticker_symbol VARCHAR NOT NULL, sector VARCHAR NOT NULL, change DOUBLE, "
            "price DOUBLE NOT NULL, trading_day DATE NOT NULL)"
        )
        self._connection.execute(f"INSERT INTO {table} VALUES ('T', 'S', 0, 1, DATE '1600-01-01')")  # noqa: S608 - made here

    def copy(self, table: str, csv: str) -> dict[str, Any]:
        """COPY, with the dialect declared."""
        dialect = "FORMAT csv, HEADER true, DELIMITER ',', QUOTE '\"', ESCAPE '\"', NULLSTR '', AUTO_DETECT false"
        done = self._connection.execute(f"COPY {table} FROM '{csv}' ({dialect})").fetchone()
        return {"loaded": done[0] if done else 0}


if __name__ == "__main__":
    copier = Copier()
    answer({"open": copier.open, "prepare": copier.prepare, "copy": copier.copy})
