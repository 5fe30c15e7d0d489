"""`mlplatform init | schema | plan | apply | destroy`: a project of one's own, what an edit would change, and an end."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App

from mlplatform.cli.groups import SYSTEMS
from mlplatform.cli.output import Json, show
from mlplatform.errors import NotFoundError

if TYPE_CHECKING:
    from mlplatform.spec.scaffold import Project


def register(app: App) -> None:
    """Add these commands to `app`."""
    for command in (init, schema, plan, apply, destroy):
        app.command(command, group=SYSTEMS)


def init(name: str, *, folder: Path | None = None, json: Json = False) -> int:
    """Make a project: its `defs/` with one system to edit, profile, workspace file, `.env`, tests.

    Parameters
    ----------
    name
        Python package and project name, e.g. my_project.
    folder
        Where to make it; default: a folder of that name here.
    """
    from mlplatform.spec.scaffold import make_project

    made = make_project(name, (folder or Path.cwd() / name).absolute())
    _prepare(made)
    text = "\n".join(
        [
            f"Made {made.folder}:",
            *(f"  {f}" for f in made.files),
            "",
            "Next:",
            *(f"  {step}" for step in made.next_steps),
            *(f"{name} is set in this shell and wins over the project's .env: unset {name}" for name in _overriding()),
        ]
    )
    show(made, as_json=json, text=text)
    return 0


def schema(folder: Path | None = None, *, json: Json = False) -> int:
    """Write the JSON Schema files by which editors complete and check `defs.yaml` and profiles, anew after an upgrade.

    Parameters
    ----------
    folder
        Where to write system.json and profile.json; default: `schema/` of the project around this folder.
    """
    from mlplatform.platform.locate import project_folder
    from mlplatform.spec.json_schema import FOLDER, write_schemas

    project = project_folder()
    if folder is None and project is None:
        raise NotFoundError(
            f"There is no project at or above '{Path.cwd()}'.",
            next_step="Name a folder: mlplatform schema FOLDER.",
        )
    written = write_schemas(folder or (project or Path.cwd()) / FOLDER)
    show({"files": written}, as_json=json, text="\n".join(map(str, written)))
    return 0


def plan(system: str | None = None, *, json: Json = False) -> int:
    """Say what the edited YAML would change on the live systems, before it happens. Exit code 7 if it cannot be done.

    Parameters
    ----------
    system
        One system; default: all.
    """
    from mlplatform.platform import open_platform
    from mlplatform.platform.applied import plan_changes

    platform = open_platform()
    plans = plan_changes(platform, [system] if system else None)
    lines: list[str] = []
    for item in plans:
        head = (
            "not applied yet"
            if item.new
            else ("removed from defs/" if item.gone else f"{len(item.changes)} change{'s' * (len(item.changes) != 1)}")
        )
        lines.append(f"{item.system}: {head if item.changes or item.new or item.gone else 'as it is'}")
        lines += [
            f"  {_sign(c.action)} {c.station}{'.' + c.field if c.field else ''}: {_values(c)}{'refused: ' if c.reach == 'refused' else ''}{c.effect}"
            for c in item.changes
        ]
        lines += [f"  ! missing here: {what}" for what in item.missing]
    show(plans, as_json=json, text="\n".join(lines) or "There is no system.")
    return 7 if any(c.reach == "refused" for p in plans for c in p.changes) else 0


def apply(system: str | None = None, *, json: Json = False) -> int:
    """Make the edited YAML the live one, with which 'plan' compares. 'serve' does so when it starts.

    Parameters
    ----------
    system
        One system; default: all.
    """
    from mlplatform.platform import open_platform
    from mlplatform.platform.applied import apply_specs

    applied = apply_specs(open_platform(), [system] if system else None, now=datetime.now(UTC))
    show({"applied": applied}, as_json=json, text="\n".join(f"{name}: applied" for name in applied))
    return 0


def destroy(system: str, *, yes: bool = False, json: Json = False) -> int:
    """Remove a system's state for good: streams, landing objects, tables, models, endpoint. Says what goes first.

    Parameters
    ----------
    system
        The system's name, also of one whose YAML is gone. A folder under `defs/` stays and is yours to delete. Or
        SYSTEM/ENDPOINT, an endpoint that was taken out of the YAML: it alone goes, which goes on serving otherwise.
    yes
        Do it. Without it nothing is removed.
    """
    from mlplatform.platform import open_platform
    from mlplatform.platform.removal import refuse_while_worked_on, remove_system, what_goes
    from mlplatform.platform.stray_endpoints import end_stray
    from mlplatform.serving.supervisor import refuse_if_running

    platform = open_platform()
    goes = what_goes(platform, system)
    text = "\n".join(
        [
            f"{'Removed' if yes else 'Would remove'} of {'endpoint' if '/' in system else 'system'} '{system}':",
            *(f"  {g.what}: {g.detail}" for g in goes if not g.kept),
            f"{'Kept' if yes else 'Would keep'}:",
            *(f"  {g.what}: {g.detail}" for g in goes if g.kept),
        ]
    )
    if not yes:
        text += f"\nNothing was removed. To do it: mlplatform destroy {system} --yes"
    if yes:
        refuse_if_running(platform.home)
        if "/" in system:
            refuse_while_worked_on(platform)
            end_stray(platform, system)
        else:
            remove_system(platform, system)
    show({"system": system, "removed": yes, "goes": goes}, as_json=json, text=text)
    return 0


def _prepare(made: Project) -> None:
    """Make the home and Dagster's, which its commands expect to find where the `.env` says."""
    from mlplatform.platform import open_platform

    own = {"MLPLATFORM_HOME": str(made.home), "MLPLATFORM_DEFS": str(made.defs), "MLPLATFORM_PROFILE": "local"}
    open_platform({**os.environ, **own}).asset_events.prepare()


def _overriding() -> list[str]:
    return [name for name in ("MLPLATFORM_HOME", "MLPLATFORM_DEFS", "DAGSTER_HOME") if os.environ.get(name)]


def _sign(action: str) -> str:
    return {"add": "+", "remove": "-", "change": "~"}[action]


def _values(change: object) -> str:
    before, after = getattr(change, "before", None), getattr(change, "after", None)
    if (
        isinstance(before, str | int | float)
        and isinstance(after, str | int | float)
        and "\n" not in f"{before}{after}"
    ):
        return f"{before} → {after}; "
    return ""
