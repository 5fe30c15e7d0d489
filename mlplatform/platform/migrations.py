"""State of older releases brought up to this one's version, step by step."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mlplatform.errors import NotFoundError, StateError
from mlplatform.platform.backup import backup
from mlplatform.spec.home import STATE_VERSION, Home, write_atomically

Migrations = Mapping[int, tuple[str, Callable[[Home], None]]]
"""From a version to the next: what the step does in words, and the step, which may be done again after a crash in it."""

MIGRATIONS: Migrations = {}
"""Those of this release. Version 1 is the first."""


@dataclass(frozen=True)
class Stamp:
    """What `state.json` says."""

    version: int
    profile: str


def stamp(root: Path) -> Stamp:
    """The stamp of the state at `root`.

    Raises:
        NotFoundError: there is no state.
        StateError: the stamp is damaged.
    """
    path = Home(root).state_file
    try:
        data = json.loads(path.read_text())
        return Stamp(int(data["version"]), str(data["profile"]))
    except FileNotFoundError as error:
        raise NotFoundError(
            f"There is no state at '{root}'.", next_step="Set MLPLATFORM_HOME, or run 'mlplatform serve'."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise StateError(f"'{path}' is no state stamp: {error!r}.", next_step="Restore a backup.") from error


def migrate(root: Path, *, now: datetime, to: int = STATE_VERSION, migrations: Migrations = MIGRATIONS) -> list[str]:
    """Take the state at `root` to version `to`; what was done, in words. A backup is written beside it first.

    Each step is stamped when it is done: what a crash cut off goes on there.

    Raises:
        StateError: it is newer than this release, or there is no way from its version.
    """
    found = stamp(root)
    if found.version == to:
        return []
    missing = [v for v in range(found.version, to) if v not in migrations]
    if found.version > to or missing:
        raise StateError(
            f"There is no way from state version {found.version} to {to} at '{root}'.",
            next_step="Install the release that wrote it, or the newer one.",
        )
    home = Home(root)
    safety = root.with_name(f"{root.name}.before-migration-{now:%Y%m%dT%H%M%S.%fZ}.tar")
    backup(home, safety, now=now)
    steps = [f"backup written to {safety}"]
    for version in range(found.version, to):
        words, step = migrations[version]
        step(home)
        write_atomically(home.state_file, json.dumps({"version": version + 1, "profile": found.profile}).encode())
        steps.append(f"version {version} → {version + 1}: {words}")
    return steps
