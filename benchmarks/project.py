"""Projects of the benchmarks' own systems: a folder of systems, and a home, for processes of the platform."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from benchmarks.processes import free_port

ROOT = Path(__file__).parents[1]


def write_system(project: Path, name: str, defs: str, queries: Mapping[str, str] | None = None) -> None:
    """Put a system into the project's folder of systems."""
    folder = project / "bench_project" / "defs" / name
    folder.mkdir(parents=True, exist_ok=True)
    (project / "pyproject.toml").write_text(PYPROJECT)
    (project / "bench_project" / "__init__.py").write_text("")
    (project / "bench_project" / "definitions.py").write_text(DEFINITIONS)
    (folder / "defs.yaml").write_text(defs)
    for file, text in (queries or {}).items():
        (folder / file).write_text(text)


def environment(project: Path, home: Path) -> dict[str, str]:
    """The environment of the platform's processes on that project, with ports of its own."""
    ports = {f"MLPLATFORM_{name}_PORT": str(free_port()) for name in ("GATEWAY", "UI", "TRACKER")}
    return {
        **os.environ,
        **ports,
        "MLPLATFORM_HOME": str(home),
        "MLPLATFORM_PROFILE": "local",
        "MLPLATFORM_DEFS": str(project / "bench_project" / "defs"),
        "DAGSTER_HOME": str(home / "dagster"),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "1",
        "PYTHONPATH": os.pathsep.join([str(project), str(ROOT)]),
    }


PYPROJECT = """[project]
name = "bench_project"
version = "0"

[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "bench_project"
code_location_name = "bench_project"
registry_modules = ["mlplatform"]
"""
DEFINITIONS = '''"""The benchmark's systems, as `mlplatform init` would have it."""

from pathlib import Path

import dagster as dg
from mlplatform.definitions import build


@dg.definitions
def defs() -> dg.Definitions:
    return build(Path(__file__).parent)
'''
