"""Load from wrk (Debian's package `wrk`): a closed loop of keep-alive connections, each sending the next call on an answer."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SCRIPT = """
wrk.method = "POST"
wrk.body = %(body)s
%(headers)s
done = function(summary, latency, requests)
  io.write(string.format('\\nMEASURED {"requests": %%d, "microseconds": %%d, "refused": %%d, "broken": %%d, "p50": %%g, "p99": %%g}\\n',
    summary.requests, summary.duration, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50.0), latency:percentile(99.0)))
end
"""
_MEASURED = re.compile(r"^MEASURED (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Call:
    """One request, sent again and again."""

    url: str
    body: bytes
    headers: Mapping[str, str]


def load(call: Call, *, clients: int, seconds: float, script: Path) -> dict[str, float]:
    """Requests per second (``rps``), ``p50_ms`` and ``p99_ms`` of `clients` connections.

    Raises:
        RuntimeError: some calls were refused or broke; figures of a server that fails are none.
    """
    headers = "\n".join(f"wrk.headers[{_lua(k)}] = {_lua(v)}" for k, v in call.headers.items())
    script.write_text(SCRIPT % {"body": _lua(call.body.decode()), "headers": headers})
    command = [
        _wrk(),
        "-t1",
        f"-c{clients}",
        f"-d{max(1, round(seconds))}s",
        "--timeout",
        "10s",
        "-s",
        str(script),
        call.url,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False)
    found = _MEASURED.search(done.stdout)
    if found is None:
        raise RuntimeError(
            f"wrk against {call.url} ended with {done.returncode}: {done.stdout[-500:]}{done.stderr[-500:]}"
        )
    said = json.loads(found[1])
    if said["refused"] or said["broken"] or not said["requests"]:
        raise RuntimeError(
            f"{call.url}: {said['refused']} of {said['requests']} calls were refused and {said['broken']} broke."
        )
    return {
        "rps": said["requests"] / (said["microseconds"] / 1e6),
        "p50_ms": said["p50"] / 1000,
        "p99_ms": said["p99"] / 1000,
    }


def _wrk() -> str:
    found = shutil.which("wrk")
    if found is None:
        raise FileNotFoundError("the load generator wrk is not on the path; Debian: apt-get install wrk")
    return found


def _lua(text: str) -> str:
    """A Lua string of ASCII text."""
    return json.dumps(text)
