"""Files to start from: a whole system to edit, and a project of one's own around it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

from mlplatform.errors import ConflictError, SpecError
from mlplatform.spec.json_schema import FOLDER, SYSTEM_FILE, schema_line, write_schemas
from mlplatform.spec.station import check_name

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Project:
    """A project as made: its folder, where its state will lie, its systems, its files relative to it, and what to do next."""

    folder: Path
    home: Path
    defs: Path
    files: tuple[str, ...]
    next_steps: tuple[str, ...]


def write_system(folder: Path, *, project: Path | None = None) -> list[Path]:
    """Write a working system named after `folder` into it; the files written.

    Args:
        project: the project's folder, whose JSON Schema the YAML names, for editors; made where it is not there.

    Raises:
        SpecError: the folder's name is no system name.
        ConflictError: there is a system already.
    """
    try:
        name = check_name(folder.name)
    except ValueError as error:
        raise SpecError(str(error), next_step="Choose another name for the system.") from error
    if (folder / "defs.yaml").exists():
        raise ConflictError(f"'{folder}' has a defs.yaml already.", next_step="Choose another name for the system.")
    files = _write(TEMPLATES / "system", folder, {"my_system": name})
    if project is not None:
        schema = project / FOLDER / SYSTEM_FILE
        if not schema.is_file():
            write_schemas(schema.parent)
        path = folder / "defs.yaml"
        path.write_text(schema_line(path, schema) + path.read_text("utf-8"), "utf-8")
    return files


def make_project(name: str, folder: Path) -> Project:
    """Write a project: package with `definitions.py` and one system under `defs/`, profile, workspace, `.env`, the schemas for editors, a test.

    Raises:
        SpecError: `name` is no package name.
        ConflictError: `folder` is there and not empty.
    """
    try:
        check_name(name)
    except ValueError as error:
        raise SpecError(str(error), next_step="Choose another name for the project.") from error
    if folder.exists() and any(folder.iterdir()):
        raise ConflictError(f"'{folder}' is there and not empty.", next_step="Choose another folder with --folder.")
    home = folder / ".mlplatform"
    words = {"my_project": name, "MY_HOME": str(home), "MY_MASK_KEY": secrets.token_hex(32)}
    files = _write(TEMPLATES / "project", folder, words)
    (folder / ".env").chmod(0o600)
    files += write_schemas(folder / FOLDER)
    files += write_system(folder / name / "defs" / f"{name}_system", project=folder)
    names = tuple(sorted(str(f.relative_to(folder)) for f in files))
    steps = (
        f"cd {folder}",
        "dg check yaml",
        f"edit {name}/defs/{name}_system/defs.yaml",
        "mlplatform plan",
        "mlplatform serve --ui",
    )
    return Project(folder, home, folder / name / "defs", names, steps)


def _write(source: Path, target: Path, words: dict[str, str]) -> list[Path]:
    """Copy the tree `source`; words are replaced in names and texts, ``dot_`` in front of a name is a dot, ``.in`` behind it falls."""
    written = []
    for path in sorted(source.rglob("*")):
        if path.is_dir() or "__pycache__" in path.parts:
            continue
        relative, text = str(path.relative_to(source)), path.read_text("utf-8")
        for word, value in words.items():
            relative, text = relative.replace(word, value), text.replace(word, value)
        made = target / relative.removesuffix(".in").replace("dot_", ".")
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_text(text, "utf-8")
        written.append(made)
    return written
