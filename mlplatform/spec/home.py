"""Home: where all state of one installation lies, and under which version and profile it was made."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlplatform.errors import PermissionDeniedError, ProfileError, StateError

STATE_VERSION = 1
"""Version of the layout and of every format under the home; `mlplatform state migrate` brings older ones up."""


@dataclass(frozen=True)
class Home:
    """The tree under `MLPLATFORM_HOME`; each property is one room of it, made on first use by who needs it."""

    root: Path

    @property
    def state_file(self) -> Path:
        return self.root / "state.json"

    @property
    def dagster(self) -> Path:
        """DAGSTER_HOME."""
        return self.root / "dagster"

    @property
    def objects(self) -> Path:
        """The embedded object store."""
        return self.root / "objects"

    @property
    def streams(self) -> Path:
        """One folder a stream (``<system>/<stream>``), one SQLite file a shard."""
        return self.root / "streams"

    def warehouse(self, system: str) -> Path:
        """A system's catalogue and data files."""
        return self.root / "warehouse" / system

    @property
    def items(self) -> Path:
        """The item store."""
        return self.root / "items.sqlite"

    @property
    def tracking(self) -> Path:
        """MLflow's database and artifacts."""
        return self.root / "tracking"

    @property
    def packages(self) -> Path:
        """Local copies of model packages, one folder a digest."""
        return self.root / "packages"

    @property
    def jobs(self) -> Path:
        """One ``/opt/ml``-shaped tree a job."""
        return self.root / "jobs"

    @property
    def capture(self) -> Path:
        """Spools of captured requests, before they are landing objects."""
        return self.root / "capture"

    @property
    def reports(self) -> Path:
        """Data Docs and monitoring reports."""
        return self.root / "reports"

    @property
    def run(self) -> Path:
        """Locks, pid files and sockets of the running processes."""
        return self.root / "run"

    @property
    def clock(self) -> Path:
        """How the machine's clocks stood; of no use on another machine, nor after a restore."""
        return self.run / "clock.json"

    @property
    def logs(self) -> Path:
        return self.root / "logs"


def home_path(env: Mapping[str, str]) -> Path:
    """``MLPLATFORM_HOME``, or ``~/.mlplatform``."""
    return Path(env.get("MLPLATFORM_HOME") or Path(env.get("HOME", "~")).expanduser() / ".mlplatform").absolute()


def cache_path(env: Mapping[str, str]) -> Path:
    """``MLPLATFORM_CACHE``, or ``mlplatform`` under the user's caches: what can be made again, shared by all homes."""
    caches = Path(env.get("XDG_CACHE_HOME") or Path(env.get("HOME", "~")).expanduser() / ".cache")
    return Path(env.get("MLPLATFORM_CACHE") or caches / "mlplatform").absolute()


def open_home(root: Path, *, profile: str) -> Home:
    """The home at `root`, stamped with version and profile on first use.

    Raises:
        StateError: the state is of another version, or its stamp is damaged.
        ProfileError: the state was made under another profile.
        PermissionDeniedError: nothing can be written there; also to read, a warehouse needs room for scratch.
    """
    home = Home(root)
    standing = next(folder for folder in (root, *root.parents) if folder.is_dir())
    if not os.access(standing, os.W_OK | os.X_OK):
        raise PermissionDeniedError(
            f"The home '{root}' cannot be written to by this user, or its disk is mounted read-only.",
            next_step="Give this user the right to it, or set another MLPLATFORM_HOME.",
        )
    try:
        stamp = json.loads(home.state_file.read_text())
        version, made_under = stamp["version"], stamp["profile"]
    except FileNotFoundError:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(home.state_file, json.dumps({"version": STATE_VERSION, "profile": profile}).encode())
        return home
    except (ValueError, KeyError, TypeError) as error:
        raise StateError(
            f"'{home.state_file}' is no state stamp: {error!r}.",
            next_step="Restore it from a backup (mlplatform state restore).",
        ) from error
    if version != STATE_VERSION:
        newer = isinstance(version, int) and version > STATE_VERSION
        raise StateError(
            f"State at '{root}' has version {version}, this release reads {STATE_VERSION}.",
            next_step="Install the newer release." if newer else "Run 'mlplatform state migrate'.",
        )
    if made_under != profile:
        raise ProfileError(
            f"State at '{root}' was made under profile '{made_under}', not '{profile}'.",
            next_step=f"Set MLPLATFORM_PROFILE={made_under}, or another MLPLATFORM_HOME.",
        )
    return home


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path` with `data` in one durable step: written aside, fsynced, renamed, folder fsynced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
