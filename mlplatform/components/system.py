"""`mlplatform.System`: scaffolding only; it writes a whole system to edit (`dg scaffold defs mlplatform.System NAME`)."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from mlplatform.spec.station import check_name

TEMPLATES = Path(__file__).parent / "templates"


class SystemScaffolder(dg.Scaffolder):
    """Writes `defs.yaml` and its query file."""

    def scaffold(self, request: dg.ScaffoldRequest) -> None:
        write_system(Path(request.target_path))


def write_system(folder: Path) -> None:
    """Write a working system named after `folder` into it. Raises ValueError where the name is none."""
    name = check_name(folder.name)
    folder.mkdir(parents=True, exist_ok=True)
    for template in sorted(TEMPLATES.iterdir()):
        (folder / template.name).write_text(template.read_text("utf-8").replace("my_system", name), "utf-8")


@dg.scaffold_with(SystemScaffolder)
class System(dg.Component, dg.Resolvable):
    """A whole system to start from: stream, table, features, model, endpoint, monitor, refresh, notifications."""

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        raise NotImplementedError(f"{context.path}: mlplatform.System only scaffolds; it is no part of a system.")
