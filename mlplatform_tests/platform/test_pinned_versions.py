"""Which states of the warehouse upkeep leaves readable, beside those that models were trained on."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

from mlplatform.platform import open_platform


def test_upkeep_keeps_the_states_that_jobs_may_still_pull_rows_at(tmp_path: Path) -> None:
    with closing(open_platform({"MLPLATFORM_HOME": str(tmp_path / "home")})) as platform:
        housing = platform.system("california_housing")
        pull = {"engine_version": "41"}
        manifests = {
            "housing_features/first": {"pulls": {"train": pull, "test": pull}},
            "housing_features/second": {"pulls": {"train": {"engine_version": "44"}}},
            "housing_features/of_an_engine_without_states": {"pulls": {"train": {"engine_version": None}}},
        }
        for build, manifest in manifests.items():
            platform.store.put(f"unload/california_housing/{build}/manifest.json", json.dumps(manifest).encode())
        platform.store.put("unload/stock_prices/stock_features/b/manifest.json", json.dumps({"pulls": {}}).encode())
        assert housing.pinned_versions() == ["41", "44"]
        assert platform.system("stock_prices").pinned_versions() == []
