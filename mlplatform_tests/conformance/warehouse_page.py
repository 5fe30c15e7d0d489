"""``python -m mlplatform_tests.conformance.warehouse_page docs/warehouses.md``: the page on warehouses, from what they declare."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from pydantic import BaseModel

from mlplatform.adapters.warehouse.redshift_settings import ClusterSettings, DataApiSettings, WorkgroupSettings
from mlplatform.cli.tables import GENERATED, fields_table
from mlplatform.ports.warehouse import WarehouseCapabilities
from mlplatform_tests.conformance.warehouse_engines import ENGINES, Engine

MEANINGS = {
    "dialect": "SQL that it is sent (written in DuckDB's, transpiled)",
    "snapshots": "reads its tables as they were",
    "transactions": "rows, ledger and guard change in one transaction",
    "min_batch_interval_s": "seconds between two appends that do no harm",
    "histogram": "profiles by `histogram(column, boundaries)`; else by CASE",
    "maintenance": "upkeep merges files and expires snapshots",
    "longest_text_bytes": "longest text in bytes; a record with a longer one is quarantined",
    "null_bytes": "a text may hold a null byte; else its record is quarantined",
}
"""Of each field of `WarehouseCapabilities`."""


WAYS: dict[str, dict[str, type[BaseModel]]] = {
    "redshift": {
        "by IAM": ClusterSettings,
        "Serverless by IAM": WorkgroupSettings,
        "by the Data API": DataApiSettings,
    }
}
"""Further shapes of an adapter's settings, by what they are for."""


def page() -> str:
    """The page's text."""
    parts = [
        f"# Warehouses\n\n{GENERATED}\nThe same `defs.yaml` runs on each of these: a profile's connection says which "
        "([add another](how-to/new-warehouse.md)). One suite of tests runs over all of them, on servers that the tests start "
        "themselves; what such a server cannot show is listed below. `make test-all` runs all of it on each; `make test` leaves "
        "out, on Snowflake, Hive and a team's DuckLake, what is long there and said of the others.\n\n## What each can do\n"
    ]
    able = {engine.adapter: engine.made().capabilities for engine in ENGINES}
    rows = [
        [MEANINGS.get(field.name, field.name), *(_said(getattr(able[e.adapter], field.name)) for e in ENGINES)]
        for field in fields(WarehouseCapabilities)
    ]
    parts.append(_table(["", *(engine.title for engine in ENGINES)], rows))
    parts += [_section(engine) for engine in ENGINES]
    return "\n".join(parts)


def _section(engine: Engine) -> str:
    install = f"`pip install 'mlplatform[{engine.extra}]'`." if engine.extra else "Comes with the package."
    lines = [f"\n## {engine.title}\n", f"{engine.good_for} {install} Adapter: `{engine.adapter}`.\n"]
    if engine.settings is not None:
        lines.append(fields_table(engine.settings, {}))
        for name, settings in WAYS.get(engine.adapter, {}).items():
            lines.append(f"### {engine.title} {name}\n\n{settings.__doc__}\n\n{fields_table(settings, {})}")
    lines.append(f"Shown on: {engine.runs_on}.\n")
    if engine.gaps:
        lines.append(_table(["not shown", "why"], [[gap.what, gap.why] for gap in engine.gaps]))
    return "\n".join(lines)


def _said(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "any"
    return f"{value:g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), "utf-8")
