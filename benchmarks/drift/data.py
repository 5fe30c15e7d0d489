"""Rows to judge: 30 numeric features, as Parquet; the reference, and a window of which every third feature has moved."""

from __future__ import annotations

from pathlib import Path

FEATURES = [f"feature_{k}" for k in range(30)]
PART_ROWS = 1_000_000


def write_parts(folder: Path, rows: int, *, moved: bool, seed: float) -> list[Path]:
    """Synthetic rows in files of at most a million; the same arguments give the same values."""
    import duckdb

    folder.mkdir(parents=True)
    parts = []
    with duckdb.connect(config={"threads": "1"}) as connection:
        connection.execute(f"SELECT setseed({seed})")
        shift = [0.5 if moved and k % 3 == 0 else 0.0 for k in range(len(FEATURES))]
        # Three uniform numbers: near enough to a bell, and made in a tenth of the time.
        columns = ", ".join(
            f"random() + random() + random() + {s} AS {name}" for name, s in zip(FEATURES, shift, strict=True)
        )
        for first in range(0, rows, PART_ROWS):
            part = folder / f"part-{first // PART_ROWS:03d}.parquet"
            some = min(PART_ROWS, rows - first)
            connection.execute(f"COPY (SELECT {columns} FROM range({some})) TO '{part}' (FORMAT parquet)")  # noqa: S608
            parts.append(part)
    return parts
