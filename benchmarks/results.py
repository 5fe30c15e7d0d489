"""`results.json`: rows by id, updated as each benchmark ends, so that a run that is broken off loses nothing."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.rows import Row

FORMAT = 1


@dataclass
class Results:
    """The file's content: the machine it was measured on, versions of our own packages, and the rows by id."""

    machine: dict[str, str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
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
        return cls(data["machine"], data["versions"], {r["id"]: Row.from_json(r) for r in data["rows"]})

    def put(
        self,
        rows: Iterable[Row],
        *,
        benchmark: str,
        commit: str = "",
        versions: Mapping[str, str] | None = None,
        now: datetime | None = None,
    ) -> None:
        """Replace what `benchmark` measured before by `rows`."""
        stamp = (now or datetime.now(UTC)).isoformat(timespec="seconds")
        kept = {i: r for i, r in self.rows.items() if not _below(i, benchmark)}
        self.rows = {**kept, **{r.id: replace(r, commit=commit, date=stamp) for r in rows}}
        self.versions = {**self.versions, **(versions or {})}

    def elsewhere(self, here: Mapping[str, str]) -> bool:
        """Whether rows are there that another machine measured: figures of two machines do not belong on one page."""
        return bool(self.rows) and any(self.machine.get(k) != here.get(k) for k in ("processor", "cores", "memory"))

    def has(self, benchmark: str, *, commit: str) -> bool:
        """Whether `benchmark` was measured at `commit`."""
        return any(_below(i, benchmark) and r.commit == commit for i, r in self.rows.items())

    def write(self, path: Path) -> None:
        """Replace the file in one step."""
        rows = [self.rows[i].to_json() for i in sorted(self.rows)]
        text = json.dumps(
            {"format": FORMAT, "machine": self.machine, "versions": self.versions, "rows": rows},
            indent=1,
            ensure_ascii=False,
        )
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "w") as file:
            file.write(text + "\n")
        Path(temporary).replace(path)


def _below(row: str, benchmark: str) -> bool:
    """Whether the row is of the benchmark: the same id, or one below it."""
    return row == benchmark or row.startswith(f"{benchmark}.")
