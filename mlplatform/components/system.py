"""`mlplatform.System`: scaffolding only; it writes a whole system to edit (`dg scaffold defs mlplatform.System NAME`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg

from mlplatform.platform.locate import project_folder
from mlplatform.spec.scaffold import write_system


class SystemScaffolder(dg.Scaffolder):
    """Writes `defs.yaml` and its query file."""

    def scaffold(self, request: dg.ScaffoldRequest[Any]) -> None:
        folder = Path(request.target_path)
        write_system(folder, project=project_folder(folder))


@dg.scaffold_with(SystemScaffolder)
class System(dg.Component, dg.Model, dg.Resolvable):
    """A whole system to start from: stream, table, features, model, endpoint, monitor, refresh, notifications."""

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        raise dg.DagsterInvalidDefinitionError(
            f"{context.path}: mlplatform.System only scaffolds; write its parts instead."
        )
