"""A producer that may be killed at any time: ``python -m … ROOT SEED [PAUSE_S]``, until SIGTERM.

Records follow from seed and number. A batch's number is written down before it is put, and again when it is stored; one
that was under way when the producer died is put once more by the next.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from mlplatform.platform import open_platform
from mlplatform_tests.components.site import SYSTEM
from mlplatform_tests.faults.storm.installation import BASE_DAYS
from mlplatform_tests.faults.storm.leaving_out import TEST_SECTOR
from mlplatform_tests.prices import price_rows

JOURNAL = "produced.jsonl"


def batch(seed: int, number: int) -> list[bytes]:
    """A day's records; some do not fit, some come twice, some are to be left out."""
    rng = random.Random(f"{seed}-{number}")
    records = []
    for row in price_rows(BASE_DAYS + number, BASE_DAYS + number + 1).to_pylist():
        row["trading_day"] = row["trading_day"].isoformat()
        chance = rng.random()
        if chance < 0.05:
            row["price"] = "a lot"
        elif chance < 0.1:
            del row["trading_day"]
        elif chance < 0.15:
            row["sector"] = TEST_SECTOR
        data = json.dumps(row).encode()
        records += [data] * (2 if chance > 0.9 else 1)
    return records


def journal(root: Path) -> Iterator[tuple[str, int]]:
    """What was written down, ("put" or "stored", batch)."""
    path = root / JOURNAL
    for line in path.read_text().splitlines() if path.exists() else ():
        what, number = line.split()
        yield what, int(number)


def main(root: Path, seed: int, pause_s: float = 0.2) -> int:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    producer = open_platform(os.environ).system(SYSTEM).producer("stock_stream")
    number = 1 + max((n for what, n in journal(root) if what == "stored"), default=-1)
    with (root / JOURNAL).open("a") as file:
        while not stop.wait(pause_s):
            print(f"put {number}", file=file, flush=True)
            refused = [r for r in producer.put(batch(seed, number)) if r.error_code]
            assert not refused, refused[0].error_message
            print(f"stored {number}", file=file, flush=True)
            number += 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), *map(float, sys.argv[3:])))
