"""One home with one large table, in a warm process: writes objects, loads them, and runs the line to the endpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.ingest.data import write_csv
from benchmarks.measured import answer
from benchmarks.overhead.work import S1, defs, query
from benchmarks.project import environment, write_system
from mlplatform.platform import open_platform
from mlplatform.platform.line import build_features, register_candidate, release, train_candidate

SYSTEM = "bench"


class House:
    """The stations that the assets call, without Dagster around them."""

    def open(self, folder: str) -> None:
        """Make the project and open it."""
        self._folder = Path(folder)
        text = defs(S1).replace("last: 250", "last: 20")
        write_system(self._folder, SYSTEM, text, {"features.sql": query(S1)})
        self._platform = open_platform(environment(self._folder, self._folder / "home"))
        self._stations = self._platform.system(SYSTEM)

    def write(self, number: int, rows: int) -> None:
        """Put one more object; its rows are of later days than those before."""
        csv = self._folder / "rows.csv"
        write_csv(csv, rows, seed=(number + 1) / 100, first=number * rows)
        self._platform.store.put(f"bench/{number:03d}.csv", csv)
        csv.unlink()

    def load(self, rows: int) -> dict[str, Any]:
        """Load what is due."""
        (receipt,) = self._stations.ingest("bench_table").run()
        if receipt.loaded != rows:
            raise ValueError(f"expected {rows} rows loaded, found {receipt}")
        return {"loaded": receipt.loaded}

    def features(self) -> dict[str, Any]:
        """Unload and test the newest days' rows."""
        step = build_features(self._stations, "bench_features", parameters={}, run_id="bench", request=None)
        return {"rows": step.metadata["dagster/row_count"]}

    def train(self) -> dict[str, Any]:
        """Candidate, gate, version, deployment record."""
        train_candidate(self._stations, "bench_model", run_id="bench", request=None, on_log=lambda _: None)
        register_candidate(self._stations, "bench_model", run_id="bench")
        step = release(self._stations, "bench_endpoint", run_id="bench", request=None)
        return {"generation": step.metadata["generation"]}


if __name__ == "__main__":
    house = House()
    answer(
        {"open": house.open, "write": house.write, "load": house.load, "features": house.features, "train": house.train}
    )
