"""An installation opened for reading, from a notebook or script: ``mlplatform.open()``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from mlplatform.errors import NotFoundError

if TYPE_CHECKING:
    from mlplatform.notebook.system import SystemView
    from mlplatform.platform import Platform


class Project:
    """Systems and their state; read-only. Close it, or use it in a ``with`` statement, to give files back."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def __repr__(self) -> str:
        return f"mlplatform project: {', '.join(self.systems) or 'no systems'} (state at {self.home})"

    @property
    def home(self) -> Path:
        """Where its state lies."""
        return self._platform.home.root

    @property
    def systems(self) -> list[str]:
        """Names of its systems."""
        return list(self._platform.specs)

    def system(self, name: str) -> SystemView:
        """One system. Raises NotFoundError with those there are."""
        from mlplatform.notebook.system import SystemView

        return SystemView(self._platform, self._platform.system(name))

    def close(self) -> None:
        """Give back files and connections; what is asked for afterwards opens them again."""
        self._platform.close()

    def __enter__(self) -> Project:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_project(
    *, home: str | Path | None = None, project: str | Path | None = None, profile: str | None = None
) -> Project:
    """Open an installation for reading; nothing is started, and nothing that runs is disturbed.

    Args:
        home: where its state lies; default: what the project's ``.env`` or ``MLPLATFORM_HOME`` says.
        project: a folder in the project; default: the working directory's, and ``MLPLATFORM_DEFS``.
        profile: default: ``MLPLATFORM_PROFILE``, else ``local``.

    Raises:
        NotFoundError: there is no state, or no systems.
        ProfileError, StateError, SpecError: the profile, the state or a system's YAML is wrong.
    """
    from mlplatform.platform import open_platform
    from mlplatform.spec.home import Home, home_path

    env = _environment(os.environ, project)
    given = {"MLPLATFORM_HOME": home, "MLPLATFORM_PROFILE": profile}
    env |= {name: str(value) for name, value in given.items() if value is not None}
    found = Home(home_path(env))
    if not found.state_file.is_file():
        raise NotFoundError(
            f"There is no state at '{found.root}'.",
            next_step="Say where it lies: mlplatform.open(home=…), or MLPLATFORM_HOME.",
        )
    platform = open_platform(env)
    _ = platform.specs  # a fault in a YAML is told here, not where a system is first asked for
    return Project(platform)


def _environment(outer: Mapping[str, str], project: str | Path | None) -> dict[str, str]:
    """The environment to open with: a project that is named wins over it, else its settings win."""
    from mlplatform.platform.locate import defs_folder, project_settings

    env = dict(outer)
    if project is None:
        settings = project_settings()
        return {**settings, **env, "MLPLATFORM_DEFS": str(defs_folder({**settings, **env}))}
    start = Path(project).expanduser().absolute()
    if not start.is_dir():
        raise NotFoundError(
            f"There is no folder '{start}'.", next_step="Give the project's folder, or start the notebook in it."
        )
    env |= project_settings(start)
    env.pop("MLPLATFORM_DEFS", None)
    return {**env, "MLPLATFORM_DEFS": str(defs_folder(env, start=start))}
