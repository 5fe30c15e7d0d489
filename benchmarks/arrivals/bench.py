"""A look for arrivals by notices: in a bucket of a hundred thousand keys beside one of a hundred, in the same run."""

from __future__ import annotations

from benchmarks.arrivals.place import place
from benchmarks.options import Options
from benchmarks.rounds import paired, series
from benchmarks.rows import Bar, Row, row
from mlplatform_tests.servers.ministack.server import ministack

FEW = 100
LOOKS = 40


def tick(options: Options) -> list[Row]:
    """Rows ``arrivals.tick`` and ``arrivals.idle``."""
    many = options.size(100_000, 2_000)
    folder = options.folder("arrivals")
    with (
        ministack(options.folder("arrivals-server")) as server,
        place(server, folder / "few", FEW) as few,
        place(server, folder / "many", many) as big,
    ):
        options.say(f"{many:,} keys are there")
        pairs = paired(
            lambda: {"tick": big.arrival_s() * 1000, "idle": big.idle_s(LOOKS) * 1000},
            lambda: {"tick": few.arrival_s() * 1000, "idle": few.idle_s(LOOKS) * 1000},
            rounds=options.rounds(9),
            say=options.say,
        )
    peer, bar = f"the same at {FEW} keys", Bar("ours / peer", "most", 1.2)
    note = f"{many:,} keys, all in the ledger; a page of the round of listing (1,000 keys, every 5 s) comes apart"
    return [
        row(
            "arrivals.tick",
            "A sensor's tick that plans one new object, told of by S3 through SQS",
            "ms",
            *series(pairs, "tick"),
            peer_name=peer,
            bar=bar,
            note=note,
        ),
        row(
            "arrivals.idle",
            "A worker's look when nothing arrived",
            "ms",
            *series(pairs, "idle"),
            peer_name=peer,
            bar=bar,
            note=note,
        ),
    ]
