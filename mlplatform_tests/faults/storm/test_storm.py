"""Kill −9 at random moments, of everything there is, while records stream and clients call: afterwards all adds up.

A failure prints the seed, the kills, and where the logs are; ``MLPLATFORM_STORM_SEED`` runs a seed again.
"""

from __future__ import annotations

import os
import random
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mlplatform_tests.faults.storm import accounts
from mlplatform_tests.faults.storm.storm import Storm

PROGRAMS = (
    "supervisor",
    "worker",
    "gateway worker",
    "dagster daemon",
    "code server",
    "run",
    "job",
    "producer",
    "operator",
)
PAGES = ("dagster dev", "webserver", "tracker")


def victims(seed: int, kinds: Sequence[str], count: int) -> list[str]:
    """`count` victims in random order, each kind as often as any other."""
    every = list(kinds) * (count // len(kinds) + 1)
    rng = random.Random(seed)
    head = every[: len(kinds)]
    rest = every[len(kinds) : count]
    rng.shuffle(head)
    rng.shuffle(rest)
    return head + rest


def storm_of(root: Path, kinds: Sequence[str], count: int, *, ui: bool = False, process: bool = False) -> None:
    """Let a storm rage, and see that everything adds up."""
    seed = int(os.environ.get("MLPLATFORM_STORM_SEED") or secrets.randbelow(10_000))
    storm = Storm(root, seed=seed, ui=ui, process=process)
    try:
        storm.rage(victims(seed, kinds, count))
        storm.calm()
        assert storm.installation.stop() == 0
        assert not storm.installation.processes(), "processes are left"
        # A stop ends runs that are going on, as a kill does: the next start finds and tells them.
        storm.start_and_stop()
        said: dict[str, Any] = {
            "table": accounts.check_table(
                storm.installation.site.stations, accounts.check_stream(storm.installation, seed)
            ),
            "generation, version": accounts.check_models(storm.installation),
            "captured, gap": accounts.check_captured(storm.installation, storm.callers.answered),
            "runs": dict(accounts.check_runs(storm.installation)),
        }
        assert said["table"]["filtered"] > 0
        assert sum(k.pid > 0 for k in storm.kills) == count, "there was nobody to kill"
        assert not storm.callers.wrong
        assert len(set(storm.callers.answered.values())) > 1, "one generation answered all"
        print(said)
    finally:
        print(storm)
        storm.end()


@pytest.mark.timeout(600)
def test_ten_kills(tmp_path: Path) -> None:
    storm_of(tmp_path, PROGRAMS, 10)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_hundred_kills(tmp_path: Path) -> None:
    storm_of(tmp_path, [*PROGRAMS, *PAGES, "model process"], 100, ui=True, process=True)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kills_of_models_processes_and_of_those_that_own_them(tmp_path: Path) -> None:
    storm_of(tmp_path, ("model process", "gateway worker", "supervisor", "operator"), 12, process=True)
