"""Jobs that stop behind each step until they are told to go on, for tests that kill them there."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import dagster as dg

from mlplatform_tests.components.site import LINE, SYSTEM, Site


@dg.success_hook
def told(context: dg.HookContext) -> None:
    """Say which step is done, and wait for a line."""
    print(f"done {context.op.name.removeprefix(f'{SYSTEM}__')}", flush=True)
    sys.stdin.readline()


def site() -> Site:
    """The site that this process's environment points at."""
    return Site(Path(os.environ["MLPLATFORM_DEFS"]).parent)


def line() -> dg.JobDefinition:
    """Features to endpoint."""
    return _job(*LINE)


def load() -> dg.JobDefinition:
    """The table."""
    return _job("stock_table")


def _job(*names: str) -> dg.JobDefinition:
    selection = dg.AssetSelection.assets(*(dg.AssetKey([SYSTEM, n]) for n in names))
    hooks: Any = {told}
    walked = dg.define_asset_job("walked", selection=selection, hooks=hooks)
    return dg.Definitions.merge(site().definitions, dg.Definitions(jobs=[walked])).resolve_job_def("walked")
