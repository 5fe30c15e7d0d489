"""`docs/benchmarks.md` and its pictures from the results; nothing in them is written by hand but what was found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.plots import bars
from benchmarks.results import Results
from benchmarks.rows import Row

FINDINGS = Path(__file__).with_name("findings.md")
FAMILIES = {
    "serving": (
        "Serving",
        "One row over HTTP on keep-alive connections, in a closed loop (wrk). Ours with validation, API key, inference id and capture on. All servers serve the same XGBoost model (300 trees of depth 6, 30 features; its answer is checked before anything is timed), with as many worker processes, on the machine that also runs the load generator; each peer set up as its own guide advises for throughput (`benchmarks/peers/<name>/serve.py`).",
    ),
    "ingest": (
        "Loading",
        "An object that arrived, to rows in the table: planned, read, checked against the schema, bad records set aside, counted from its bytes, committed with receipt and ledger. Beside DuckDB's own `COPY` of the same CSV into a DuckDB file. Warm processes, a new table each round.",
    ),
    "warehouses": (
        "Warehouses",
        "A Parquet object into a table and back out, and rows into training, by the platform's adapter with every check, receipt and ledger; beside each warehouse's own loader, unloader and Arrow fetch of the same rows. Warm processes, a new table each round. The warehouses are test servers on this machine, not the services: ratios tell what the platform adds, not how fast a service is.",
    ),
    "drift": (
        "Drift",
        "Profile of a window in the warehouse, every statistic of every feature, and the suite's verdict; Data Docs apart. Warm processes. The tools must find the same features before anything is timed.",
    ),
    "refresh": (
        "Refresh",
        "The loop itself: how fresh a table is, and what a refresh costs beside the same work as one plain script.",
    ),
    "automl": (
        "AutoML",
        "What `container: autogluon` finds on the examples' rows, and what it costs, beside `container: xgboost` as each example has it: the same snapshot, the same held-out rows. There is no bar: they are figures to choose by.",
    ),
    "arrivals": (
        "Arrivals",
        "A look for what arrived, by S3's notices, where a hundred thousand objects lie and where a hundred do; ministack stands in for S3 and SQS.",
    ),
    "aws": (
        "AWS",
        "The adapters to AWS: readers beside loops with boto3 alone against the same server; a record's way through Kinesis, Firehose and COPY; and what the platform adds to a job on SageMaker. Test servers on this machine stand in for the services (ministack, PostgreSQL behind a proxy that speaks Redshift, the SageMaker stand-in): the figures tell what the platform adds, not how fast a service is.",
    ),
    "start": ("Starting", "Fresh processes, compiled bytecode."),
    "loop": ("Scale", "Many systems on one machine, and one large table."),
}
"""Part of an id before the first dot → its heading, and how it is measured."""


def render(results: Results, docs: Path) -> None:
    """Write ``benchmarks.md`` and ``images/benchmarks/*.svg`` below `docs`."""
    images = docs / "images" / "benchmarks"
    images.mkdir(parents=True, exist_ok=True)
    parts = [_head(results)]
    for family, (title, how) in FAMILIES.items():
        rows = [r for r in results.rows.values() if r.id.partition(".")[0] == family]
        if not rows:
            continue
        rows.sort(key=lambda r: r.id)
        parts.append(f"## {title}\n\n{how}\n")
        barred = [r for r in rows if r.holds is not None and r.ratio is not None]
        if barred:
            (images / f"{family}.svg").write_text(bars(title, barred))
            parts.append(f"![{title}: each ratio beside its bar](images/benchmarks/{family}.svg)\n")
        parts.append(_markdown(rows))
    if FINDINGS.exists():
        parts.append(FINDINGS.read_text().strip() + "\n")
    (docs / "benchmarks.md").write_text("\n".join(parts))


def table(rows: Sequence[Row]) -> str:
    """Rows as text for a terminal."""
    lines = []
    for r in rows:
        beside = "" if r.peer is None else f"  {r.peer_name}: {figure(r.peer)}"
        ratio = "" if r.ratio is None else f"  ratio {figure(r.ratio)}"
        lines.append(
            f"  {verdict(r):6} {r.id:40} {figure(r.ours)} {r.unit}{beside}{ratio}{f'  ({r.bar})' if r.bar else ''}"
        )
    return "\n".join(lines)


def verdict(row: Row) -> str:
    """``holds``, ``MISSED``, or nothing where nothing was promised."""
    return "" if row.holds is None else "holds" if row.holds else "MISSED"


def figure(value: float) -> str:
    """Three digits that count, thousands apart: 17,160 · 1.55 · 0.085."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{float(f'{value:.3g}'):g}"


def _head(results: Results) -> str:
    machine = results.machine
    held = [r for r in results.rows.values() if r.holds]
    missed = [r for r in results.rows.values() if r.holds is False]
    dates = sorted(r.date for r in results.rows.values())
    versions = ", ".join(f"{name} {number}" for name, number in sorted(results.versions.items()))
    told = "\n".join(f"- **{r.id}**: {r.title}. {r.bar} was promised, {_measured(r)} measured." for r in missed)
    return f"""# Benchmarks

Measured by `make bench`, ours and a peer in turn within one run (A B A B …), each other tool in an environment of its own;
what takes long (the wide refresh, half an hour of freshness, 100 million rows, memory, executors) by `make bench BENCH_ARGS=--full`. A
figure is the median of its rounds (of one, where the table says one), with the smallest and the largest behind it; a ratio is the median of the rounds' own ratios.
These pages are rendered from `benchmarks/results.json`; figures of another machine are others, ratios less so.

{machine.get("processor", "")}, {machine.get("cores", "")} cores, {machine.get("memory", "")}, {machine.get("system", "")}, Python {machine.get("python", "")}.
{versions}. Each row names the commit that it was measured at, {dates[0][:10] if dates else ""}{f" to {dates[-1][:10]}" if dates and dates[-1][:10] != dates[0][:10] else ""}.

**{len(held)} bars hold, {len(missed)} {"is" if len(missed) == 1 else "are"} missed.**

{told}
"""


def _measured(row: Row) -> str:
    return (
        f"{figure(row.ours)} {row.unit}"
        if row.bar.startswith("ours ") and "/" not in row.bar
        else figure(row.ratio or 0)
    )


def _markdown(rows: Sequence[Row]) -> str:
    lines = ["| what | ours | beside | ratio | bar | rounds | commit |", f"|{' --- |' * 7}"]
    for r in rows:
        peer = "" if r.peer is None else f"{r.peer_name}: {_spread(r.peer, r.peer_spread, r.unit)}"
        said = verdict(r)
        bar = f"{r.bar}: {'**missed**' if said == 'MISSED' else said}" if r.bar else ""
        ratio = "" if r.ratio is None else figure(r.ratio)
        cells = [
            f"`{r.id}` {r.title}",
            _spread(r.ours, r.ours_spread, r.unit),
            peer,
            ratio,
            bar,
            str(r.rounds),
            r.commit[:7],
        ]
        lines.append(f"| {' | '.join(cells)} |")
    notes = sorted({r.note for r in rows if r.note})
    return "\n".join([*lines, "", *(f"- {note}" for note in notes), *([""] if notes else [])])


def _spread(middle: float, spread: tuple[float, float] | None, unit: str) -> str:
    if spread is None or spread[0] == spread[1]:
        return f"{figure(middle)} {unit}"
    return f"{figure(middle)} {unit} ({figure(spread[0])} … {figure(spread[1])})"
