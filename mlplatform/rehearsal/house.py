"""The house of a rehearsal: a home of its own, and the user's profile with every adapter exchanged for an embedded one."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlplatform.errors import NotFoundError
from mlplatform.platform.locate import defs_folder, profile_folders
from mlplatform.platform.root import Platform
from mlplatform.spec.home import open_home
from mlplatform.spec.loader import FILE_NAME
from mlplatform.spec.profile import Connection, Port, Profile, load_profile

EMBEDDED: Mapping[Port, str] = {
    "object_store": "directory",
    "stream": "sqlite",
    "warehouse": "ducklake",
    "compute": "subprocess",
    "endpoints": "local",
    "tracking": "mlflow",
    "item_store": "sqlite",
    "secrets": "environment",
    "notifications": "apprise",
    "asset_events": "dagster",
}
"""The adapter of each port that needs this machine only."""


@dataclass(frozen=True)
class House:
    """Where a rehearsal happens, and the profile as the user has it, which nothing is opened by."""

    platform: Platform
    profile: Profile

    def close(self) -> None:
        """Give back files and connections."""
        self.platform.close()


def open_house(env: Mapping[str, str], home: Path) -> House:
    """An installation at `home` with the user's systems and nothing of the user's state: no remote system is reached.

    Connections keep their names, so that a YAML that names one the profile lacks fails here as it would there. Secrets
    are left out; the key that masks captured fields is made up.

    Raises:
        ProfileError: the user's profile is wrong.
    """
    defs = defs_folder(env)
    given = load_profile(env, profile_folders(start=defs))
    profile = _embedded(given)
    kept = {name: value for name, value in env.items() if not name.startswith("MLPLATFORM_SECRET_")}
    own = {"MLPLATFORM_HOME": str(home), "MLPLATFORM_SECRET_CAPTURE_MASK_KEY": secrets.token_hex(16)}
    return House(Platform({**kept, **own}, open_home(home, profile=profile.name), profile, defs), given)


def find_systems(defs: Path, name: str | None) -> list[str]:
    """The system `name`, or every one under `defs`. Raises NotFoundError with those there are."""
    there = sorted(path.parent.name for path in defs.glob(f"*/{FILE_NAME}"))
    if name is not None and name not in there:
        raise NotFoundError(
            f"There is no system '{name}' under '{defs}'; there are: {', '.join(there) or 'none'}.",
            next_step="Name one of these.",
        )
    if not there:
        raise NotFoundError(
            f"There is no system under '{defs}'.", next_step="Make one: dg scaffold defs mlplatform.System NAME"
        )
    return [name] if name is not None else there


def _embedded(profile: Profile) -> Profile:
    connections = {
        name: Connection(port=found.port, adapter=EMBEDDED[found.port]) for name, found in profile.connections.items()
    }
    return profile.model_copy(update={"connections": connections})
