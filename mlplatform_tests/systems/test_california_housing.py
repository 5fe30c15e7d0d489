"""The housing system: rows stay in the warehouse, two hosts pull them and train, nothing serves the model."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc
import pytest

from examples.california_housing.houses import houses
from mlplatform.platform import Platform, SystemStations, open_platform
from mlplatform.platform.line import Step, build_features, register_candidate, train_candidate
from mlplatform_tests.servers.environment import environment

SYSTEM = "california_housing"
DEFS = Path(__file__).parents[2] / "mlplatform" / "defs"
QUICK = ("num_round: 500, max_depth: 7, eta: 0.08", "num_round: 60, max_depth: 5, eta: 0.3")


@pytest.fixture(scope="session")
def districts() -> pa.Table:
    """The data set: its package is installed for its file alone."""
    (file,) = environment(SYSTEM).parent.rglob("california_housing.parquet.brotli")
    return houses(file)


@dataclass
class Housing:
    """The system in a home of its own."""

    platform: Platform

    @property
    def stations(self) -> SystemStations:
        return self.platform.system(SYSTEM)

    def load(self, rows: pa.Table, name: str = "districts") -> int:
        sink = pa.BufferOutputStream()
        pc.write_csv(rows, sink)
        self.platform.store.put(f"{SYSTEM}/districts/{name}.csv", sink.getvalue().to_pybytes())
        ingest = self.stations.ingest("housing")
        ingest.create()
        return sum(receipt.loaded for receipt in ingest.run())

    def refresh(self, run: str) -> tuple[Step, list[str]]:
        """Build, test, train, judge, register; the candidate's step, and what the hosts said."""
        lines: list[str] = []
        built = build_features(self.stations, "housing_features", parameters={}, run_id=run, request=None)
        assert built.checks[0].passed, built.checks[0].description
        trained = train_candidate(self.stations, "house_value", run_id=run, request=None, on_log=lines.append)
        assert trained.checks[0].passed, trained.checks[0].description
        register_candidate(self.stations, "house_value", run_id=run)
        return trained, lines


def make(root: Path, *changes: tuple[str, str], **env: str) -> Housing:
    """The shipped system under `root`, its YAML with `changes`."""
    folder = root / "defs" / SYSTEM
    shutil.copytree(DEFS / SYSTEM, folder, ignore=shutil.ignore_patterns("__pycache__"))
    text = (folder / "defs.yaml").read_text("utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "defs.yaml").write_text(text, "utf-8")
    home = {"MLPLATFORM_HOME": str(root / "home"), "MLPLATFORM_DEFS": str(root / "defs")}
    return Housing(open_platform({**os.environ, **home, **env}))


def rows_told(lines: list[str], channel: str) -> list[int]:
    """How many rows of a channel each host has."""
    return [
        int(line.split(f"{channel}: ")[1].split()[0]) for line in lines if re.search(rf"\b{channel}: \d+ rows$", line)
    ]


def test_two_hosts_pull_disjoint_rows_and_nothing_is_staged(tmp_path: Path, districts: pa.Table) -> None:
    housing = make(tmp_path, QUICK)
    assert housing.load(districts.slice(0, 6000)) == 6000
    trained, lines = housing.refresh("run-1")
    stations, store = housing.stations, housing.platform.store
    snapshot = stations.features("housing_features").latest()
    for channel, rows in snapshot.rows.items():
        told = rows_told(lines, channel)
        assert len(told) == 2
        assert sum(told) == rows
    assert sum(snapshot.rows.values()) == 6000
    assert [info.key for info in store.list("unload/") if info.key.endswith(".parquet")] == []
    assert list(store.list("jobs/")) != []
    assert [info.key for info in store.list("jobs/") if "checkpoint" in info.key] == []
    # A version that is registered can be read again, also when the table has grown.
    assert housing.load(districts.slice(6000, 500), "more") == 500
    (version,) = stations.registry("house_value").versions()
    assert version.digest == trained.metadata["digest"]
    again = train_candidate(stations, "house_value", run_id="run-1", request=None, on_log=lines.append)
    assert again.metadata["training_job"] == trained.metadata["training_job"]
    assert stations.features("housing_features").read(snapshot, "test").num_rows == snapshot.rows["test"]
    housing.platform.close()


@pytest.mark.slow
@pytest.mark.parametrize("hosts", [1, 2, 4])
def test_all_districts_are_learnt_as_well_by_one_two_and_four_hosts(
    tmp_path: Path, districts: pa.Table, hosts: int
) -> None:
    housing = make(tmp_path, ("hosts: 2", f"hosts: {hosts}"))
    assert housing.load(districts) == 20_640
    trained, lines = housing.refresh("run-1")
    assert sum(rows_told(lines, "test")) == 4086
    # The values' standard deviation is 1.154. Hosts agree on bins and samples of their own: between any two lies noise of 0.01.
    assert trained.metadata["rmse"] == pytest.approx(0.45, abs=0.01)
    housing.platform.close()
