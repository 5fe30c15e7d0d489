"""`mlplatform test`: systems run on sample rows in seconds, in a home that is thrown away: what a user's CI runs."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from mlplatform.cli.groups import SYSTEMS
from mlplatform.cli.output import Count, Json, show
from mlplatform.errors import ConflictError, DataError

if TYPE_CHECKING:
    from mlplatform.rehearsal import Stage


def register(app: App) -> None:
    """Add this command to `app`."""
    app.command(rehearse, name="test", group=SYSTEMS)


def rehearse(
    system: str | None = None,
    *,
    rows: Annotated[
        list[Path] | None, Parameter(help="Files of sample rows; default: those in the system's sample/, else made up.")
    ] = None,
    count: Count = 2000,
    seed: int = 0,
    gate: bool = False,
    keep: Path | None = None,
    json: Json = False,
) -> int:
    """Run systems on sample rows, from arrival to a judged window, in a home of their own that is thrown away. The exit
    code is that of the first stage that failed.

    Parameters
    ----------
    system
        One system; default: all.
    rows
        Files of sample rows.
    count
        Rows made up for a table that has no sample, about.
    seed
        Of the rows made up.
    gate
        Also fail where a model misses its gate, which a sample can seldom show.
    keep
        Keep the home in this new folder, to look at with MLPLATFORM_HOME.
    """
    from mlplatform.platform.locate import defs_folder
    from mlplatform.rehearsal import Wishes, find_systems, first_failure, open_house
    from mlplatform.rehearsal import rehearse as run

    if rows and system is None:
        raise DataError("--rows is for one system, and none is named.", next_step="mlplatform test SYSTEM --rows FILE")
    if keep is not None and keep.exists() and any(keep.iterdir()):
        raise ConflictError(f"'{keep}' is there and not empty.", next_step="Name a new folder with --keep.")
    names = find_systems(defs_folder(os.environ), system)
    with ExitStack() as leaving:
        home = keep or Path(leaving.enter_context(tempfile.TemporaryDirectory(prefix="mlplatform-test-")))
        house = open_house(os.environ, home.absolute())
        leaving.callback(house.close)
        wishes = Wishes(tuple(rows or ()), count, seed, gate)
        reports = []
        for name in names:
            tell = _teller(name, quiet=json)
            reports.append(run(house, name, wishes, now=datetime.now(UTC), on_stage=tell))
    failed = first_failure(reports)
    if json:
        show({"passed": failed is None, "systems": [r.to_json() for r in reports]}, as_json=True)
    else:
        for report in reports:
            print(_summary(report.to_json()))
        if failed is not None and keep is None:
            print("Paths above are gone with the home they were in; --keep FOLDER keeps it.")
    return 0 if failed is None or failed.error is None else int(failed.error["exit_code"])


def _teller(system: str, *, quiet: bool) -> Callable[[Stage], None]:
    """Prints each stage as a line of a table as it ends; of a failed one also what to do about it."""
    if quiet:
        return lambda _: None
    width = shutil.get_terminal_size((200, 24)).columns if sys.stdout.isatty() else 10_000
    print(f"{system}\n{'result':<8}{'stage':<12}{'station':<26}{'rows':>7}{'seconds':>9}  what", flush=True)

    def tell(stage: Stage) -> None:
        rows = "–" if stage.rows is None else f"{stage.rows:,}"
        line = f"{stage.status:<8}{stage.stage:<12}{stage.station:<26}{rows:>7}{stage.seconds:>9.2f}  {stage.detail}"
        print(line if len(line) <= width else line[: width - 1] + "…", flush=True)
        if stage.error is not None:
            print(f"  error: {stage.error['message']}")
            if stage.error["next_step"]:
                print(f"  → {stage.error['next_step']}")

    return tell


def _summary(report: dict[str, Any]) -> str:
    counts = {
        s: sum(1 for stage in report["stages"] if stage["status"] == s)
        for s in ("passed", "noted", "failed", "skipped")
    }
    said = ", ".join(f"{n} {status}" for status, n in counts.items() if n)
    return f"{report['system']}: {'passed' if report['passed'] else 'failed'} in {report['seconds']:.1f} s ({said})\n"
