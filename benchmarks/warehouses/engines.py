"""The engines as they are started: the platform's own test servers, none of them the service itself."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from benchmarks.warehouses.place import Place


@contextlib.contextmanager
def snowflake(folder: Path) -> Iterator[Place]:
    """fakesnow."""
    from mlplatform_tests.servers.snowflake.server import snowflake as started

    with started(_made(folder / "server")) as server:
        yield Place(
            "snowflake",
            server.settings,
            **_folder_store(folder),
            loader="PUT and COPY INTO",
            unloader="the driver's Arrow batches, written by pyarrow",
            reader="the driver's fetch_arrow_all",
            note="Snowflake: fakesnow on this machine stands in for the service, and keeps a stage's files itself; it "
            "cannot unload to a stage, so that the driver's batches stand beside our unload",
            env=server.secrets,
        )


ENGINES: dict[str, Callable[[Path], AbstractContextManager[Place]]] = {"snowflake": snowflake}
"""Name → starts it; `folder` takes all its files."""


def _folder_store(folder: Path) -> dict[str, Any]:
    return {
        "store": "directory",
        "store_settings": {"path": str(_made(folder / "objects"))},
        "home": str(_made(folder / "home")),
    }


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
