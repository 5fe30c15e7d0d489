"""`mlplatform erase`: a person's rows, out of everything that holds them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cyclopts import App

from mlplatform.cli.groups import DATA
from mlplatform.cli.output import Json, show
from mlplatform.errors import EXIT_CODES, ConflictError, DataError

if TYPE_CHECKING:
    from mlplatform.stations.erasure import Place

_SHOWN = 20


def register(app: App) -> None:
    """Add these commands to `app`."""
    app.command(erase, group=DATA)


def erase(system: str, subject: str, *, reason: str = "", yes: bool = False, json: Json = False) -> int:
    """Erase a person from everything: table, quarantine, landing objects, capture, feature sets, snapshots. Says what goes first. Exit code 7 if a step is left.

    Parameters
    ----------
    system
        The system's name.
    subject
        Column and value, as in customer_id=4711. Rows whose column is the value go. May run beside 'serve'.
    reason
        Noted with the erasure; the value itself is not.
    yes
        Do it. Without it nothing is erased.
    """
    from mlplatform.core.loads.subject import Subject
    from mlplatform.platform import open_platform
    from mlplatform.platform.erasure import complete, places
    from mlplatform.platform.erasure import erase as run

    column, equals, value = subject.partition("=")
    if not (column and equals and value):
        raise DataError(f"'{subject}' is no subject.", next_step="Name column and value, as in customer_id=4711.")
    stations = open_platform().system(system)
    whom = Subject(column, value)
    name = ""
    if yes:
        name, found = run(stations, whom, reason=reason, now=datetime.now(UTC))
    else:
        found = places(stations, whom)
    gone = [f"  {p.what}: {p.count} {p.unit}" for p in found if not p.kept]
    lines = [
        f"{'Erased' if yes else 'Would erase'} from system '{system}':",
        *(gone or ["  nothing: no place holds a row of the subject"]),
        "Stays:",
        *(_staying(p) for p in found if p.kept),
    ]
    done = complete(found)
    if yes:
        lines.append(f"Erasure {name}. The files that held it are deleted within about two hours, by the worker.")
    else:
        lines.append(f"Nothing was erased. To do it: mlplatform erase {system} {subject} --yes")
    if not done:
        lines.append(
            "The erasure is complete only when the steps named under 'Stays' are taken, and it is asked for again."
        )
    told = {"system": system, "erasure": name, "erased": yes, "complete": done, "places": found}
    show(told, as_json=json, text="\n".join(lines))
    return 0 if done or not yes else EXIT_CODES[ConflictError]


def _staying(place: Place) -> str:
    count = f"{place.count} {place.unit}: " if place.count else ""
    more = len(place.names) - _SHOWN
    names = [*place.names[:_SHOWN], *([f"and {more} more"] if more > 0 else [])]
    lines = [f"  {place.what}: {count}{place.kept}", *(f"    {name}" for name in names)]
    return "\n".join([*lines, *([f"    next: {place.next_step}"] if place.next_step else [])])
