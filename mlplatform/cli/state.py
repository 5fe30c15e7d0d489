"""`mlplatform state …`: version, migration, backup, restore and check of MLPLATFORM_HOME."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from cyclopts import App

from mlplatform.cli.groups import OPERATION
from mlplatform.cli.output import Json, show

state = App(
    name="state", group=OPERATION, help="The state under MLPLATFORM_HOME: version, migrate, backup, restore, check."
)


def register(app: App) -> None:
    """Add these commands to `app`."""
    app.command(state)


@state.command
def version(*, json: Json = False) -> int:
    """Version and profile the state was made under, and the version this release reads."""
    from mlplatform.platform.migrations import stamp
    from mlplatform.spec.home import STATE_VERSION, home_path

    root = home_path(os.environ)
    found = stamp(root)
    show({"home": root, "state_version": found.version, "profile": found.profile, "reads": STATE_VERSION}, as_json=json)
    return 0


@state.command
def migrate(*, json: Json = False) -> int:
    """Bring state of an older release up to this one's version. Stop everything first; a backup is made beside it."""
    from mlplatform.platform.migrations import migrate as run
    from mlplatform.serving.supervisor import refuse_if_running
    from mlplatform.spec.home import Home, home_path

    root = home_path(os.environ)
    refuse_if_running(Home(root))
    steps = run(root, now=datetime.now(UTC))
    show({"steps": steps}, as_json=json, text="\n".join(steps) or "Nothing to migrate: the state is of this release.")
    return 0


@state.command
def backup(target: Path, *, json: Json = False) -> int:
    """Write a backup of the home to the file TARGET, also while everything runs.

    Parameters
    ----------
    target
        File to write (a tar); it must not exist.
    """
    from mlplatform.platform import open_platform
    from mlplatform.platform.backup import backup as run

    made = run(open_platform().home, target, now=datetime.now(UTC))
    show(made, as_json=json, text=f"{made.files} files, {made.size_bytes / 2**20:.1f} MiB in {made.path}")
    return 0


@state.command
def restore(source: Path, *, replace: bool = False, json: Json = False) -> int:
    """Make the home from the backup SOURCE. Stop everything first.

    Parameters
    ----------
    source
        A file that 'state backup' wrote.
    replace
        Put it in the place of the state that is there; that one is kept beside it.
    """
    from mlplatform.platform.backup import restore as run
    from mlplatform.serving.supervisor import refuse_if_running
    from mlplatform.spec.home import Home, home_path

    root = home_path(os.environ)
    refuse_if_running(Home(root))
    done = run(source, root, replace=replace)
    show(done, as_json=json, text=f"{done.files} files of {done.made_at} are now at {root}")
    return 0


@state.command
def check(*, json: Json = False) -> int:
    """Look for damage: databases, model packages, tables whose rows are not those of their ledger. Exit code 12 if any."""
    from mlplatform.platform import open_platform
    from mlplatform.platform.checkup import checkup

    findings = checkup(open_platform())
    bad = [f for f in findings if not f.ok]
    show(findings, as_json=json)
    return 12 if bad else 0
