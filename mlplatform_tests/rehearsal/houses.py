"""A rehearsal's house in a folder of the test, with systems as a test writes them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from mlplatform.rehearsal import Report, Stage, Wishes, open_house, rehearse
from mlplatform.spec.scaffold import write_system
from mlplatform_tests.cli.commands import OWN
from mlplatform_tests.spec.editing import edit

NOW = datetime(2024, 5, 17, 12, tzinfo=UTC)


@dataclass
class House:
    """Systems under `root`/defs, and what a rehearsal of them says."""

    root: Path
    more: dict[str, str] = field(default_factory=dict)

    @property
    def defs(self) -> Path:
        return self.root / "defs"

    def write(self, name: str, yaml: str = "", **files: str) -> Path:
        """A system's folder: as scaffolded without a `yaml`; other files by name (``__`` is a dot)."""
        folder = self.defs / name
        if yaml:
            folder.mkdir(parents=True)
            (folder / "defs.yaml").write_text(yaml)
        else:
            write_system(folder)
        for file, text in files.items():
            (folder / file.replace("__", ".")).write_text(text)
        return folder

    def edit(self, name: str, before: str, after: str, *, file: str = "defs.yaml") -> None:
        edit(self.defs / name / file, before, after)

    def rehearse(self, name: str, wishes: Wishes | None = None) -> Report:
        inherited = {k: v for k, v in os.environ.items() if k not in OWN}
        env = {**inherited, "MLPLATFORM_DEFS": str(self.defs), "MLPLATFORM_HOME": str(self.root / "users"), **self.more}
        house = open_house(env, self.root / "house")
        try:
            return rehearse(house, name, wishes or Wishes(rows=400), now=NOW)
        finally:
            house.close()


def stage(report: Report, name: str, station: str | None = None) -> Stage:
    """The stage of that name, of one station where several have it."""
    (found,) = [s for s in report.stages if s.stage == name and station in (None, s.station)]
    return found
