"""`mlplatform score`: the rows of a feature set's query, scored by a registered model in one go."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import UTC, datetime

from cyclopts import App

from mlplatform.cli.groups import MODELS
from mlplatform.cli.output import Json, show
from mlplatform.cli.table_name import split_name


def register(app: App) -> None:
    """Add this command to `app`."""
    app.command(score, group=MODELS)


def score(
    model: str,
    *,
    where: str = "",
    key: list[str] | None = None,
    version: int | None = None,
    json: Json = False,
) -> int:
    """Score rows of the model's feature set in one go: a batch transform job where jobs run on SageMaker, else on this machine.

    Rows come from the feature set's query, with or without a target. Each is answered once, or none is; keys and answers
    lie in the object store as Parquet afterwards. The same rows are not scored again by the same version.

    Parameters
    ----------
    model
        SYSTEM/MODEL.
    where
        Which rows, as SQL over the query's columns, e.g. "trading_day > '2026-01-01'"; default: all.
    key
        A column that tells rows apart, several times for several; default: the table's unique_key.
    version
        The model's version; default: its champion.
    """
    from mlplatform.platform import open_platform
    from mlplatform.platform.scoring import scoring_of

    system, name = split_name(model, "SYSTEM/MODEL")
    done = scoring_of(open_platform().system(system), name).score(
        datetime.now(UTC),
        key,
        where=where,
        version=version,
        on_log=lambda line: print(line, file=sys.stderr, flush=True),
    )
    flagged = f", {done.flagged} of them flagged" if done.flagged else ""
    show(
        asdict(done),
        as_json=json,
        text=f"{done.rows} rows scored by version {done.version} of {done.model}{flagged}: {done.prefix}",
    )
    return 0
