"""Profile and verdict of a window of 30 features, warm, Data Docs apart; ours and one other in turn."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from benchmarks.drift.data import write_parts
from benchmarks.options import Options
from benchmarks.peers.environment import environment
from benchmarks.processes import Warm, warm
from benchmarks.rounds import paired, series
from benchmarks.rows import Bar, Row, row

MEMORY_MIB = 1024
REFERENCE_ROWS = 1_000_000


def bare(options: Options) -> list[Row]:
    """Rows ``drift.bare``, ``drift.bare.memory``: 10 million rows, beside one DuckDB query."""
    scratch = options.folder("drift-bare")
    rows = options.size(10_000_000, 200_000)
    with (
        warm("benchmarks.drift.ours", log=scratch / "ours.log") as ours,
        warm("benchmarks.drift.bare", log=scratch / "bare.log") as query,
    ):
        edges, parts = _prepare(options, ours, scratch, rows)
        paths = [str(p) for p in parts]

        def ask() -> dict[str, float]:
            return query.ask("query", parts=paths, edges=edges)

        _verdict(ours, "psi"), ask()
        pairs = paired(
            lambda: _verdict(ours, "psi"),
            ask,
            rounds=options.rounds(),
            say=lambda t: options.say(f"{rows:,} rows x 30 features, bare query: {t}"),
        )
    name = "DuckDB, one query over the same files"
    seconds, memory = series(pairs, "seconds"), series(pairs, "peak_mib")
    title = f"Profile and verdict of {rows:,} rows x 30 features"
    return [
        row("drift.bare", title, "s", *seconds, peer_name=name, bar=Bar("ours / peer", "most", 1.5)),
        row(
            "drift.bare.memory",
            f"{title}: memory at the peak",
            "MiB",
            *memory,
            peer_name=name,
            bar=Bar("ours", "most", MEMORY_MIB),
        ),
    ]


def evidently(options: Options) -> list[Row]:
    """Rows ``drift.evidently``: a million rows beside Evidently's PSI preset."""
    return _beside(options, "evidently", "Evidently, PSI preset", "psi", bar=30, rounds=3)


def nannyml(options: Options) -> list[Row]:
    """Rows ``drift.nannyml``: a million rows beside NannyML's univariate Jensen–Shannon.

    Both prepare the reference once (our baseline, its `fit`) and judge a window on it; `….reference` has both parts.
    """
    return _beside(options, "nannyml", "NannyML, univariate Jensen–Shannon", "js", bar=5, rounds=5)


def _beside(options: Options, name: str, title: str, statistic: str, *, bar: float, rounds: int) -> list[Row]:
    scratch = options.folder(f"drift-{name}")
    rows = options.size(1_000_000, 50_000)
    python = environment(name) / "python"
    with (
        warm("benchmarks.drift.ours", log=scratch / "ours.log") as ours,
        warm(f"benchmarks.peers.{name}.judge", python=python, log=scratch / f"{name}.log") as peer,
    ):
        _, parts = _prepare(options, ours, scratch, rows)
        peer.ask("load", table="reference", parts=[str(p) for p in sorted((scratch / "reference").iterdir())])
        peer.ask("load", table="judged", parts=[str(p) for p in parts])
        fits = name == "nannyml"
        if fits:
            peer.ask("fit")
        first, second = _verdict(ours, statistic), peer.ask("verdict", table="judged")
        if first["drifted"] != second["drifted"]:
            raise RuntimeError(f"the verdicts differ: ours {first['drifted']}, {title} {second['drifted']}")
        say = partial(_say, options, f"{rows:,} rows x 30 features, {title}")
        pairs = paired(
            lambda: _verdict(ours, statistic),
            lambda: peer.ask("verdict", table="judged"),
            rounds=options.rounds(rounds),
            say=say,
        )
        references = (
            paired(
                lambda: ours.ask("baseline", table="reference"),
                lambda: peer.ask("fit"),
                rounds=options.rounds(3),
                say=say,
            )
            if fits
            else []
        )
    about = f"Profile and verdict of {rows:,} rows x 30 features"
    note = "ours reads the warehouse's files; the peer's frames are in memory before it is timed; same features found"
    return [
        row(
            f"drift.{name}",
            about,
            "s",
            *series(pairs, "seconds"),
            peer_name=title,
            bar=Bar("peer / ours", "least", bar),
            note=note,
        ),
        row(f"drift.{name}.memory", f"{about}: memory at the peak", "MiB", *series(pairs, "peak_mib"), peer_name=title),
        *(
            [
                row(
                    f"drift.{name}.reference",
                    f"Reference of {rows:,} rows x 30 features prepared, once a model",
                    "s",
                    *series(references, "seconds"),
                    peer_name=title,
                )
            ]
            if references
            else []
        ),
    ]


def _say(options: Options, what: str, text: str) -> None:
    options.say(f"{what}: {text}")


def _prepare(options: Options, ours: Warm, scratch: Path, rows: int) -> tuple[list[list[float]], list[Path]]:
    """Reference and window in our warehouse, the reference profiled; the bins' edges, and the window's files."""
    options.say(f"making {rows:,} rows x 30 features, and a reference")
    reference = write_parts(scratch / "reference", min(rows, REFERENCE_ROWS), moved=False, seed=0.25)
    parts = write_parts(scratch / "judged", rows, moved=True, seed=0.75)
    ours.ask("open", home=str(scratch / "home"))
    ours.ask("load", table="reference", parts=[str(p) for p in reference])
    loaded = ours.ask("load", table="judged", parts=[str(p) for p in parts])["rows"]
    if loaded != rows:
        raise RuntimeError(f"expected {rows} rows in the warehouse, found {loaded}")
    return ours.ask("baseline", table="reference")["edges"], parts


def _verdict(ours: Warm, statistic: str) -> dict[str, float]:
    return ours.ask("verdict", table="judged", statistic=statistic)
