"""The passengers' example in a project of its own."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from mlplatform.platform import open_platform
from mlplatform.spec.scaffold import make_project

EXAMPLE = Path(__file__).parents[2] / "examples" / "passengers"


@dataclass(frozen=True)
class Harbour:
    """The project at `folder`, its system under `defs`; `env` opens its platform, whose runs `instance` has."""

    folder: Path
    defs: Path
    env: dict[str, str]
    instance: dg.DagsterInstance


@contextmanager
def harbour(root: Path, page: str | None = None) -> Iterator[Harbour]:
    """Make the project under `root`, with the example's lists and, for its YAML, `page`; this process works in it meanwhile."""
    folder = root / "harbour"
    project = make_project("harbour", folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", [str(folder), *sys.path])
        patch.setenv("MLPLATFORM_HOME", str(project.home))
        runpy.run_path(str(EXAMPLE / "lists.py"))
        system = project.defs / "passengers"
        system.mkdir()
        (system / "features.sql").write_text((EXAMPLE / "features.sql").read_text())
        (system / "defs.yaml").write_text(page or (EXAMPLE / "defs.yaml").read_text())
        env = {"MLPLATFORM_HOME": str(project.home), "MLPLATFORM_DEFS": str(project.defs)}
        open_platform(env).asset_events.prepare()
        instance = dg.DagsterInstance.from_config(str(project.home / "dagster"))
        yield Harbour(folder, project.defs, env, instance)
        instance.dispose()
