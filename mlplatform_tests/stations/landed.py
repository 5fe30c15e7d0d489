"""What lies in the landing objects of a store, and whether it is each record of a stream exactly once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from mlplatform.core.loads.landing import LandingRange, parse_landing_key
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.stream import Stream


@dataclass(frozen=True)
class Landed:
    """One landing object: its range, and its lines as JSON."""

    range: LandingRange
    lines: list[dict[str, Any]]


def landed(store: ObjectStore, prefix: str) -> list[Landed]:
    """All landing objects in key order."""
    found = []
    for info in store.list(prefix):
        range_ = parse_landing_key(prefix, info.key)
        assert range_ is not None, info.key
        with store.open(info.key) as stream:
            data = stream.read()
        assert data.endswith(b"\n")
        found.append(Landed(range_, [json.loads(line) for line in data[:-1].split(b"\n")]))
    return found


def assert_delivered_once(store: ObjectStore, prefix: str, stream: Stream, *, whole: bool = True) -> None:
    """The ranges of each shard follow on each other without gap or overlap, and hold the stream's records in order.

    `whole`: up to the stream's end.
    """
    objects = landed(store, prefix)
    for state in stream.shards():
        of_shard = [o for o in objects if o.range.shard == state.shard]
        position = ""
        for found in of_shard:
            assert found.range.last == position
            position = found.range.upto
            assert found.lines[-1]["_sequence"] == position
        delivered = [line["_sequence"] for found in of_shard for line in found.lines]
        expected: list[str] = []
        while page := stream.read(state.shard, after=expected[-1] if expected else ""):
            expected += [r.sequence for r in page]
        assert delivered == (expected if whole else expected[: len(delivered)])
