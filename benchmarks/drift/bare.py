"""The bare query, in a warm process: DuckDB over the same Parquet files, counts, moments and histograms, nothing judged."""

from __future__ import annotations

from typing import Any

from benchmarks.drift.data import FEATURES
from benchmarks.measured import answer


def query(parts: list[str], edges: list[list[float]]) -> dict[str, Any]:
    """One SELECT over all features, on the bins given."""
    import duckdb

    outputs = ["count(*)"]
    for name, bins in zip(FEATURES, edges, strict=True):
        outputs += [f"{what}({name})" for what in ("count", "avg", "stddev_pop", "min", "max")]
        outputs.append(f"histogram({name}, {[float(b) for b in bins]})")
    files = ", ".join(f"'{p}'" for p in parts)
    row = duckdb.execute(f"SELECT {', '.join(outputs)} FROM read_parquet([{files}])").fetchone()  # noqa: S608 - made here
    return {"rows": row[0] if row else 0}


if __name__ == "__main__":
    answer({"query": query})
