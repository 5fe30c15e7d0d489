"""`make demo`: real market data through the whole loop, on this machine, in a few minutes.

It only writes records, puts objects and calls HTTP, as a user's data and clients would. Everything else (loading,
training, gating, deploying, watching, retraining) is the platform's own doing, watched from outside.
"""

from __future__ import annotations

import argparse
import json
import operator
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from examples.stock_prices.clients import Clients
from examples.stock_prices.installation import fresh_home, own_environment, serve, stop, wait_ready
from examples.stock_prices.loop import PATIENCE_S, Loop, wait_for
from examples.stock_prices.prices import Day, frame, streamed_days
from mlplatform.cli.output import table
from mlplatform.errors import PlatformError, exit_code
from mlplatform.platform import open_platform

QUARTER = 63


@dataclass
class Report:
    """What happened, for the table at the end and for tests."""

    stages: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[dict[str, Any]]:
        """Time one stage; the dictionary it yields takes the rows and a note."""
        print(f"\n── {name}", flush=True)
        row: dict[str, Any] = {"stage": name, "rows": None, "seconds": 0.0, "note": ""}
        start = time.monotonic()
        yield row
        row["seconds"] = round(time.monotonic() - start, 1)
        self.stages.append(row)


def say(text: str) -> None:
    """A line of progress."""
    print(f"   {text}", flush=True)


def run(loop: Loop, report: Report, *, short: bool = False) -> None:
    """The loop, stage by stage; a `short` one ends before the days that follow."""
    rows = frame()
    days = list(streamed_days(rows))
    with report.stage("base history → warehouse") as row:
        row["rows"] = loop.put_base(rows)
        wait_for("the base history", loop.rows, timeout_s=PATIENCE_S, until=lambda n: n == row["rows"])
        say(f"{row['rows']:,} rows of 20 companies, 1990 to June 2020")
    with report.stage("first model: train → gate → register → deploy") as row:
        say("asked for by the first data; Dagster runs it ...")
        wait_for("generation 1", loop.generation, timeout_s=PATIENCE_S, until=lambda g: g >= 1)
        first = loop.refreshed()
        row["note"] = f"version {first.version}, R² {first.metrics['r2']:.3f} on days held out"
        report.facts["first"] = first.metrics
        say(row["note"])
    _predict(loop, report, days[0])
    _sample(loop, report, rows)
    if short:
        return
    last = days[-1].records[0]
    request = {name: last[name] for name in ("ticker_symbol", "sector", "change")}
    clients = Clients(f"{loop.url}/predict/stock_prices", loop.token, request)
    clients.start()
    try:
        _stream(loop, report, days)
    finally:
        clients.stop()
    report.facts["calls"] = clients.calls
    report.facts["failed_calls"] = len(clients.failed)
    report.facts["answers_by_generation"] = {str(k): v for k, v in sorted(clients.answered.items())}
    say(
        f"{clients.calls:,} calls meanwhile, {len(clients.failed)} failed; by generation {dict(sorted(clients.answered.items()))}"
    )
    for failure in clients.failed[:3]:
        say(f"  {failure}")


def _predict(loop: Loop, report: Report, day: Day) -> None:
    with report.stage("a prediction through the gateway") as row:
        record = day.records[0]
        asked = {name: record[name] for name in ("ticker_symbol", "sector", "change")}
        answer = loop.predict_json(asked)
        say(f"POST {loop.url}/predict/stock_prices  {json.dumps(asked)}")
        say(f"  JSON → {json.dumps(answer['predictions'][0])}, the price was {record['price']}")
        text = loop.predict_csv(asked)
        say(f"  CSV  → {text.strip().replace(chr(10), ' | ')}")
        report.facts["prediction"] = answer
        report.facts["prediction_csv"] = text
        row["rows"], row["note"] = 2, f"inference id {answer['inference_id']}"


def _sample(loop: Loop, report: Report, rows: Any) -> None:
    with report.stage("a sample file under the stream's prefix, three times") as row:
        counts = [loop.rows()]
        for key, why in (
            ("sample.csv", "new"),
            ("sample.csv", "the same key again"),
            ("again.csv", "the same bytes under a new key"),
        ):
            loop.put_sample(rows, key)
            _settled(loop, f"stock_prices/stream/{key}", expected=counts[-1] + 10 if why == "new" else counts[-1])
            counts.append(loop.rows())
            say(f"{key} ({why}): {counts[-1] - counts[-2]} more rows")
        unloaded = loop.unloaded()
        strayed = [r.key for r in loop.receipts() if r.key.startswith("unload/")]
        say(f"{len(unloaded)} objects unloaded to the same store triggered {len(strayed)} loads")
        report.facts["sample_rows"] = [b - a for a, b in pairwise(counts)]
        report.facts["unload_objects"], report.facts["unload_loads"] = len(unloaded), len(strayed)
        row["rows"] = counts[-1] - counts[0]


def _settled(loop: Loop, key: str, *, expected: int) -> None:
    """Wait until the worker has seen the object: its receipt is there, and two more rounds have passed."""
    wait_for(
        f"a receipt of {key}", lambda: [r for r in loop.receipts() if r.key == key], timeout_s=PATIENCE_S, until=bool
    )
    wait_for(f"{expected} rows", loop.rows, timeout_s=PATIENCE_S, until=lambda n: n >= expected)
    time.sleep(2.0)


def _stream(loop: Loop, report: Report, days: list[Day]) -> None:
    judged: list[dict[str, Any]] = []
    for number in range(1, len(days) // QUARTER + 1):
        quarter = days[(number - 1) * QUARTER : number * QUARTER]
        with report.stage(f"quarter {number}: {quarter[0].trading_day} … {quarter[-1].trading_day}") as row:
            before = loop.rows()
            row["rows"] = loop.put_days(quarter)
            arrived = before + row["rows"]
            wait_for("the quarter's rows", loop.rows, timeout_s=PATIENCE_S, until=partial(operator.eq, arrived))
            judged_before = len(judged)
            found = wait_for(
                "the quarter's evaluation",
                loop.evaluations,
                timeout_s=PATIENCE_S,
                until=partial(_more_than, judged_before),
            )
            evaluation = found[-1]
            judged.append({"quarter": number, **evaluation.summary()})
            row["note"] = f"R² {evaluation.quality:.2f}, " + (
                "passes" if "quality" not in evaluation.failed else "FAILS"
            )
            drifted = sorted(c.name for c in evaluation.checks if c.name.startswith("drift_") and not c.passed)
            say(f"predicted against arrived: {row['note']}; drift: {', '.join(drifted) or 'none'}")
        report.facts[f"quarter_{number}"] = {
            "r2": evaluation.quality,
            "passed": "quality" not in evaluation.failed,
            "checks": {check.name: check.passed for check in evaluation.checks},
            "drift": {name: value for name, value in evaluation.evidence().items() if name.startswith("drift_")},
            "evaluation": evaluation.id,
        }
        if number == 1:
            report.facts["retrainings_in_quiet_quarter"] = sum(1 for r in loop.requests() if r.evaluation_id)
        if "quality" in evaluation.failed:
            _retrained(loop, report, evaluation)
            break
    rest = days[number * QUARTER :]
    with report.stage(f"the days behind: {rest[0].trading_day} … {rest[-1].trading_day}") as row:
        before = loop.rows()
        row["rows"] = loop.put_days(rest)
        wait_for("the last rows", loop.rows, timeout_s=PATIENCE_S, until=lambda n: n == before + row["rows"])
        report.facts["rows"] = loop.rows()
        say(f"{report.facts['rows']:,} rows in the warehouse")


def _more_than(count: int, found: Sequence[Any]) -> bool:
    return len(found) > count


def _retrained(loop: Loop, report: Report, evaluation: Any) -> None:
    with report.stage("the loop retrains by itself") as row:
        live = loop.generation()
        wait_for("the next generation", loop.generation, timeout_s=PATIENCE_S, until=lambda g: g > live)
        wait_for("the request's end", loop.requests, timeout_s=PATIENCE_S, until=lambda r: not any(x.open for x in r))
        done = loop.refreshed()
        figures = done.verdict["figures"]
        row["note"] = (
            f"version {done.version}: R² {figures['value']:.2f} against {figures['comparison']['champion']:.2f} "
            "on the same held-out rows"
        )
        say(f"run {done.request['run_id'][:8]} because: {done.request['reason']}")
        say(f"challenger {done.verdict['outcome']}: {row['note']}")
        say(f"generation {live} → {done.generation}, while clients kept calling")
        report.facts["retraining"] = {
            "request": done.request,
            "verdict": done.verdict,
            "generation": done.generation,
            "evaluation": evaluation.id,
        }


def main(argv: list[str] | None = None) -> int:
    """Run the demo; exit code as `mlplatform`'s."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end")
    parser.add_argument("--short", action="store_true", help="end before the days that follow are streamed")
    parser.add_argument("--report", type=Path, help="also write what happened to this file, as JSON")
    arguments = parser.parse_args(argv)
    asked, env = dict(os.environ), own_environment()
    print(fresh_home(Path(env["MLPLATFORM_HOME"])))
    os.environ.update(env)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as with Ctrl-C, nothing is left behind
    report = Report()
    supervisor = serve(env)
    try:
        wait_ready(supervisor, Path(env["MLPLATFORM_HOME"]))
        run(Loop(open_platform()), report, short=arguments.short)
        print("\n" + table(report.stages))
    except PlatformError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return exit_code(error)
    finally:
        if arguments.report:
            arguments.report.write_text(json.dumps({"stages": report.stages, "facts": report.facts}, default=str))
        if not arguments.keep:
            stop(supervisor)
    if arguments.keep:
        print(f"\nStill running (pid {supervisor.pid}). Stop it: kill {supervisor.pid}")
        _tell_addresses(env)
    else:
        again = {**asked, "MLPLATFORM_HOME": env["MLPLATFORM_HOME"]}
        print(f"\nAll is stopped again. To look at it: MLPLATFORM_HOME={again['MLPLATFORM_HOME']} make ui, and then:")
        _tell_addresses(again)
    return 0


def _tell_addresses(env: Mapping[str, str]) -> None:
    addresses = open_platform(env).profile.addresses
    print(f"\nDagster UI           http://{addresses.host}:{addresses.ui_port}/asset-groups")
    print(f"Gateway's API docs   http://{addresses.host}:{addresses.gateway_port}/schema")
    print(f"Experiment tracker   http://{addresses.host}:{addresses.tracker_port}")


if __name__ == "__main__":
    sys.exit(main())
