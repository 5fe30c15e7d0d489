"""Files and delivered ranges in any order, again, changed and copied, by loaders that come and go: the books always balance.

Records that do not fit wait in quarantine, are replayed at any time, and load when the table's rule has been relaxed.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.core.loads.landing import landing_line
from mlplatform_tests.conformance.warehouses import SharedDuckLake, shared_ducklake
from mlplatform_tests.stations.landed_house import HEADER, House, s, spec

__all__ = ["shared_ducklake"]
HOW = settings(max_examples=15, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck))
TICKERS = st.lists(st.sampled_from("ABCDEFGH"), min_size=1, max_size=4)
KEYS = st.sampled_from(["base/1.csv", "base/2.csv", "in/3.csv"])
BROKEN, NEGATIVE = "Z,x\n", "Z,-1\n"
"""A record that fits no table, and one that fits when prices may be below zero."""
NUMBER = count()


def machine(lake: SharedDuckLake, root: Path) -> Callable[[], RuleBasedStateMachine]:
    """Machines over an empty warehouse and store each; tickers are the table's unique key."""

    class Books(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.house = House(lake.empty(), DirectoryObjectStore(root / f"objects-{next(NUMBER)}"))
            self.table = spec(unique_key=["ticker"])
            self.loader = self.house.ingest(self.table)
            self.loader.create()
            self.expected: set[str] = set()
            self.contents: dict[str, bytes] = {}
            self.waiting: list[str] = []
            self.relaxed = False
            self.delivered = 0

        @rule(key=KEYS, tickers=TICKERS, odd=st.sampled_from(["", BROKEN, NEGATIVE]))
        def put(self, key: str, tickers: list[str], odd: str) -> None:
            content = HEADER + "".join([*(f"{t},1\n" for t in tickers), odd]).encode()
            self.house.store.put(key, content)
            # The first content of a key counts, unless the same bytes came under another.
            if key not in self.contents and content not in self.contents.values():
                self.contents[key] = content
                self.expected |= set(tickers)
                if odd == NEGATIVE and self.relaxed:
                    self.expected.add("Z")
                elif odd:
                    self.waiting.append(odd)
            self.load()

        @rule(tickers=TICKERS)
        def deliver(self, tickers: list[str]) -> None:
            last = self.delivered
            lines = [
                landing_line(s(last + n), b'{"ticker":"%b","price":1}' % t.encode()) for n, t in enumerate(tickers, 1)
            ]
            self.delivered += len(tickers)
            self.house.land(last, self.delivered, lines=[*lines, b""])
            self.expected |= set(tickers)

        @rule()
        def load(self) -> None:
            self.loader.run()

        @rule()
        def load_a_little(self) -> None:
            self.loader.run(for_s=0)

        @rule()
        def relax(self) -> None:
            self.relaxed = True
            columns = [{"name": "ticker", "nullable": False}, {"name": "price", "type": "double"}]
            self.table = spec(unique_key=["ticker"], columns=columns)
            self.another_loader()

        @rule()
        def replay(self) -> None:
            self.load()
            done = self.house.quarantine(self.table).replay()
            assert done.records == len(self.waiting)
            assert done.records == done.loaded + done.quarantined + done.duplicates
            if self.relaxed:
                self.expected |= {"Z"} if NEGATIVE in self.waiting else set()
                self.waiting = [record for record in self.waiting if record == BROKEN]
            assert done.quarantined == len(self.waiting)

        @rule()
        def another_loader(self) -> None:
            self.loader = self.house.ingest(self.table)

        @invariant()
        def the_books_balance(self) -> None:
            query = "SELECT count(*) AS n, coalesce(sum(loaded), 0)::BIGINT AS loaded, count(*) FILTER (WHERE arrived <> loaded + quarantined + duplicates + filtered) AS bad FROM _ledger"  # fmt: skip
            (found,) = self.house.warehouse.query(query).to_pylist()
            tickers = self.house.tickers()
            assert (found["bad"], found["loaded"]) == (0, len(tickers))
            assert len(set(tickers)) == len(tickers)
            assert set(tickers) <= self.expected
            assert self.house.quarantine(self.table).count() == len(self.waiting)

        def teardown(self) -> None:
            self.loader.run()
            assert set(self.house.tickers()) == self.expected
            assert self.loader.run() == []

    return Books


@pytest.mark.slow
def test_whatever_arrives_in_whatever_order_is_accounted_for_once(
    shared_ducklake: SharedDuckLake, tmp_path: Path
) -> None:
    run_state_machine_as_test(machine(shared_ducklake, tmp_path), settings=HOW)
