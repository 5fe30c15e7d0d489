"""Which states of the warehouse upkeep leaves readable, beside those that models were trained on."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

from mlplatform.platform import open_platform


def test_upkeep_keeps_the_states_that_builds_were_made_at(tmp_path: Path) -> None:
    with closing(open_platform({"MLPLATFORM_HOME": str(tmp_path / "home")})) as platform:
        housing = platform.system("california_housing")
        manifests = {
            "housing_features/first": {"engine_version": "41"},
            "housing_features/second": {"engine_version": "44"},
            "housing_features/of_an_engine_without_states": {"engine_version": None},
            "housing_features/of_an_earlier_release": {},
        }
        for build, manifest in manifests.items():
            platform.store.put(f"unload/california_housing/{build}/manifest.json", json.dumps(manifest).encode())
        platform.store.put("unload/california_housing/housing_features/damaged/manifest.json", b"{")
        platform.store.put(
            "unload/stock_prices/stock_features/b/manifest.json", json.dumps({"engine_version": None}).encode()
        )
        assert housing.pinned_versions() == ["41", "44"]
        assert platform.system("stock_prices").pinned_versions() == []
