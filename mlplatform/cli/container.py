"""`mlplatform container install`: what a training would make first, made ahead."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cyclopts import App

from mlplatform.cli.groups import OPERATION
from mlplatform.cli.output import Json, show

container = App(
    name="container",
    group=OPERATION,
    help="Containers that models are trained in: install the environment that one needs.",
)


def register(app: App) -> None:
    """Add these commands to `app`."""
    app.command(container)


@container.command
def install(name: str, *, json: Json = False) -> int:
    """Make a container's own Python environment now, which the first training would make. Safe to call again.

    A container has one where its folder holds a `requirements.lock`. It lies under MLPLATFORM_CACHE (default:
    ~/.cache/mlplatform), serves every project of this user, and may be deleted at any time.

    Parameters
    ----------
    name
        Folder under `containers/`, of this project's or of those that come with mlplatform: autogluon, autogluon_neural, xgboost.
    """
    from mlplatform.platform import open_platform

    done = open_platform().compute.prepare(name, on_log=lambda line: print(line, file=sys.stderr, flush=True))
    size = None if done.folder is None else _size_mib(done.folder)
    if done.folder is None:
        text = f"Container '{name}' needs no environment of its own."
    else:
        text = f"Container '{name}' is ready: {done.folder} ({size} MiB{'' if done.made else ', was there already'})."
    show({**vars(done), "size_mib": size}, as_json=json, text=text)
    return 0


def _size_mib(folder: Path) -> int:
    seen: dict[int, int] = {}
    for root, _, names in os.walk(folder):
        for name in names:
            stat = Path(root, name).lstat()
            seen[stat.st_ino] = stat.st_blocks * 512
    return round(sum(seen.values()) / 2**20)
