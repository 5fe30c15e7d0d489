"""`mlplatform quarantine list | replay | discard`: records that did not fit, and what becomes of them."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated

from cyclopts import App, Parameter

from mlplatform.cli.groups import DATA
from mlplatform.cli.output import Count, Json, show
from mlplatform.cli.table_name import loaded_table
from mlplatform.core.loads.remedy import fix_records

WAITING = ("quarantine_id", "reason", "source", "offset", "raw")
"""What people are shown of a record; `--json` has all."""

quarantine = App(
    name="quarantine",
    group=DATA,
    help="Records that did not fit: list them, load them again after a fix, or discard them.",
)


@quarantine.command(name="list")
def list_quarantine(table: str, *, limit: Count = 50, reveal: bool = False, json: Json = False) -> int:
    """List quarantined records with reason, source, offset and their bytes; values of personal columns are masked.

    Parameters
    ----------
    table
        SYSTEM/TABLE.
    limit
        At most so many.
    reveal
        Show records as they arrived, values of personal columns too.
    """
    stations, name = loaded_table(table)
    station = stations.quarantine(name)
    found = station.list(limit=limit)
    personal = ", ".join(sorted(station.personal))
    if not reveal:
        found = station.masked(found, stations.masking())
    show(found, as_json=json, columns=WAITING)
    if personal and found:
        told = (
            f"This shows personal columns: {personal}."
            if reveal
            else f"Masked: {personal}, and what may be one of these. --reveal shows all."
        )
        sys.stdout.flush()
        print(told, file=sys.stderr)
    if found and not json:
        sys.stdout.flush()
        print(f"  → {fix_records(name, stations.spec.name)}", file=sys.stderr)
    return 0


@quarantine.command
def replay(
    table: str,
    ids: Annotated[list[str] | None, Parameter(help="Quarantine ids; default: all.")] = None,
    *,
    json: Json = False,
) -> int:
    """Load quarantined records again, after the schema or the data was fixed; each at most once.

    Parameters
    ----------
    table
        SYSTEM/TABLE.
    ids
        Quarantine ids as listed; default: all that wait.
    """
    stations, name = loaded_table(table)
    done = stations.quarantine(name).replay(ids or None)
    text = (
        f"{done.records} taken: {done.loaded} loaded, {done.quarantined} in quarantine again, "
        f"{done.duplicates} there already"
    )
    if done.skipped:
        told = [f"\n  {name}: {why}" for name, why in islice(done.skipped.items(), 20)]
        text += f"\n{len(done.skipped)} skipped, since they cannot be read:{''.join(told)}"
    show(done, as_json=json, text=text)
    return 0


@quarantine.command
def discard(
    table: str,
    ids: Annotated[list[str] | None, Parameter(help="Quarantine ids; default: all.")] = None,
    *,
    reason: str = "",
    yes: bool = False,
    json: Json = False,
) -> int:
    """Take quarantined records out for good; says how many first. The table `_erasures` keeps how many went, and why.

    Parameters
    ----------
    table
        SYSTEM/TABLE.
    ids
        Quarantine ids as listed; default: all that wait.
    reason
        Noted in `_erasures`.
    yes
        Do it. Without it nothing is discarded.
    """
    stations, name = loaded_table(table)
    station = stations.quarantine(name)
    if yes:
        count = station.discard(ids or None, reason=reason, now=datetime.now(UTC))
        text = f"{count} discarded"
    else:
        count = len(set(ids)) if ids else station.count()
        text = f"Would discard {count}. Nothing was discarded. To do it: add --yes"
    show({"table": table, "records": count, "discarded": yes}, as_json=json, text=text)
    return 0
