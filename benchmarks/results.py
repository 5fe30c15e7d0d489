"""`results.json`: rows by id, updated as each benchmark ends, so that a run that is broken off loses nothing."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.rows import Row

FORMAT = 1


@dataclass
class Results:
    """The file's content: the machine it was measured on, and its rows in the order of their ids."""

    machine: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, Row] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Results:
        """What is there; nothing where there is no file."""
        try:
            data = json.loads(path.read_text())
        except FileNotFoundError:
            return cls()
        if data.get("format") != FORMAT:
            raise ValueError(f"'{path}' has format {data.get('format')}, expected {FORMAT}; remove it and measure anew")
        return cls(data["machine"], {r["id"]: Row.from_json(r) for r in data["rows"]})

    def put(self, rows: Iterable[Row], *, benchmark: str, quick: bool, now: datetime | None = None) -> None:
        """Replace what `benchmark` measured before (its own id and what is below it) by `rows`."""
        stamp = (now or datetime.now(UTC)).isoformat(timespec="seconds")
        kept = {i: r for i, r in self.rows.items() if i != benchmark and not i.startswith(f"{benchmark}.")}
        self.rows = {**kept, **{r.id: replace(r, quick=quick, date=stamp) for r in rows}}

    def write(self, path: Path) -> None:
        """Replace the file in one step."""
        rows = [self.rows[i].to_json() for i in sorted(self.rows)]
        text = json.dumps({"format": FORMAT, "machine": self.machine, "rows": rows}, indent=1, ensure_ascii=False)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "w") as file:
            file.write(text + "\n")
        Path(temporary).replace(path)
