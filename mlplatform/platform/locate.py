"""Where this installation's systems and profiles lie."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import mlplatform
from mlplatform.errors import NotFoundError, ProfileError

_PATHS = ("MLPLATFORM_HOME", "MLPLATFORM_DEFS", "MLPLATFORM_CACHE", "MLPLATFORM_PRICES", "DAGSTER_HOME")


def defs_folder(env: Mapping[str, str], *, start: Path | None = None) -> Path:
    """The folder of systems.

    ``MLPLATFORM_DEFS``; else ``<root_module>/defs`` of the nearest `pyproject.toml` above `start` (the working
    directory) that is a Dagster project; else the examples that come with the package.
    """
    if env.get("MLPLATFORM_DEFS"):
        return Path(env["MLPLATFORM_DEFS"]).absolute()
    project = project_folder(start)
    if project is not None:
        data = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))
        module = data.get("tool", {}).get("dg", {}).get("project", {}).get("root_module")
        if module:
            return _module_folder(project, str(module)) / "defs"
    return package_folder() / "defs"


def profile_folders(*, start: Path) -> list[Path]:
    """Where profiles are looked for: those of the project that `start` lies in, then the package's."""
    project = project_folder(start)
    package = package_folder()
    own = [project / "profiles"] if project is not None else []
    return [*own, package / "profiles", package.parent / "profiles"]


def dagster_template(*, start: Path) -> Path:
    """The `dagster.yaml` that a new home starts from."""
    project = project_folder(start)
    package = package_folder()
    candidates = [*([project] if project is not None else []), package, package.parent]
    return next(p / "dagster.yaml" for p in candidates if (p / "dagster.yaml").is_file())


def project_folder(start: Path | None = None) -> Path | None:
    """The nearest folder at or above `start` whose `pyproject.toml` has ``[tool.dg.project]``, or None."""
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        path = folder / "pyproject.toml"
        if path.is_file() and b"[tool.dg.project]" in path.read_bytes():
            return folder
    return None


def project_settings(start: Path | None = None) -> dict[str, str]:
    """What the project's `.env` sets, for commands that run in it; the environment wins over it.

    It is read as Dagster reads it (python-dotenv); a relative path of ours is taken from where the file lies.

    Raises:
        ProfileError: it is no text.
    """
    from dotenv import dotenv_values

    project = project_folder(start)
    if project is None or not (project / ".env").is_file():
        return {}
    path = project / ".env"
    try:
        values = dotenv_values(path, encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ProfileError(f"{path}: expected UTF-8, found {error}.", next_step="Save it as UTF-8.") from error
    settings = {name: value for name, value in values.items() if value is not None}
    return {
        name: os.path.normpath(project / Path(value).expanduser()) if name in _PATHS and value else value
        for name, value in settings.items()
    }


def package_folder() -> Path:
    """Folder of the package itself."""
    return Path(mlplatform.__path__[0])


def _module_folder(project: Path, module: str) -> Path:
    parts = module.split(".")
    source = project.joinpath("src", *parts)
    return source if source.is_dir() else project.joinpath(*parts)


def definitions_module(defs: Path) -> str:
    """The Python module that Dagster loads for the systems under `defs`: ``<package>.definitions`` beside it.

    Raises:
        NotFoundError: there is none, so Dagster has nothing to load.
    """
    if not (defs.parent / "definitions.py").is_file():
        raise NotFoundError(
            f"There is no 'definitions.py' beside '{defs}', so Dagster has nothing to load.",
            next_step="Make a project (mlplatform init NAME) and put the systems under its defs/.",
        )
    package = defs.parent
    names = [package.name]
    while (package.parent / "__init__.py").is_file():
        package = package.parent
        names.insert(0, package.name)
    return ".".join([*names, "definitions"])


def make_importable(defs: Path) -> None:
    """Let the code of the project around `defs` be imported, from wherever this process was started."""
    folder = str(working_folder(defs))
    if folder not in sys.path:
        sys.path.append(folder)


def working_folder(defs: Path) -> Path:
    """The folder from which that module is imported."""
    folder = defs.parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder
