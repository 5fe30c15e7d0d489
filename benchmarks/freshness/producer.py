"""Puts records at a steady rate: ``python -m benchmarks.freshness.producer RATE SECONDS LOG``.

The schedule does not wait for anybody: where a put took long, the next comes at once, so that a platform that holds up
its producer is not measured as fast. LOG gets one line a put: the time before it, and the first and last id of the put.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from mlplatform.platform import open_platform

SYSTEM, STREAM = "bench", "fresh_stream"
TICK_S = 0.05
KEYS = 8


def main(rate: int, seconds: float, log: Path) -> int:
    """Put them; exit code 1 where a record was refused."""
    producer = open_platform().system(SYSTEM).producer(STREAM)
    size = max(1, round(rate * TICK_S))
    start, sent = time.time(), 0
    with log.open("w") as lines:
        for tick in range(round(seconds / TICK_S)):
            due = start + tick * TICK_S
            time.sleep(max(0.0, due - time.time()))
            ids = range(sent, sent + size)
            records = [json.dumps({"id": i, "key": f"k{i % KEYS}", "value": i % 97}).encode() for i in ids]
            if any(r.error_code for r in producer.put(records)):
                return 1
            # The time it was due, not the time we came to it: a late put is a stale record.
            lines.write(f"{due} {sent} {sent + size - 1}\n")
            sent += size
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3])))
