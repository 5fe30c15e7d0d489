"""The price system, its YAML untouched, on a profile that binds its warehouse to Snowflake: from rows to an endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from mlplatform_tests.components.site import LINE, PACKAGE, Site, checks, errors, metadata
from mlplatform_tests.servers.snowflake.server import Snowflake

DAYS = 300


@pytest.fixture(scope="module")
def site(snowflake_server: Snowflake, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    root: Path = tmp_path_factory.mktemp("site")
    profile = yaml.safe_load((PACKAGE.parent / "profiles" / "local.yaml").read_text("utf-8"))
    profile["connections"]["warehouse"].update(adapter="snowflake", settings=snowflake_server.settings)
    (root / "profiles").mkdir()
    (root / "profiles" / "flake.yaml").write_text(yaml.safe_dump({**profile, "name": "flake"}), "utf-8")
    (root / "pyproject.toml").write_text('[tool.dg.project]\nroot_module = "mine"\n', "utf-8")
    made = Site.make(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLPLATFORM_HOME", "")
        patch.setenv("MLPLATFORM_PROFILE", "flake")
        for name, value in snowflake_server.secrets.items():
            patch.setenv(name, value)
        made.put_days(0, DAYS)
        result = made.materialize("stock_stream_landing", "stock_table")
        assert result.success, errors(result)
        yield made
    made.close()


def test_the_line_makes_a_version_and_a_generation(site: Site) -> None:
    result = site.refresh()
    assert result.success, errors(result)
    assert checks(result) == {"data_tests": True, "gate": True}
    assert metadata(result, "stock_features")["dagster/row_count"].value == 5000
    assert (site.versions(), site.generation()) == ([1], 1)
    again = site.materialize(*LINE)
    assert again.success, errors(again)
    assert site.versions() == [1]


def test_the_rows_are_in_snowflake_alone(site: Site, snowflake_server: Snowflake) -> None:
    sql = 'SELECT COUNT(*), COUNT(DISTINCT "_BATCH_ID") FROM STOCK_PRICES.STOCK_TABLE'
    others = snowflake_server.session("PUBLIC")
    assert others.rows(sql) == [(DAYS * 20, 1)]
    others.close()
    assert not site.platform.home.warehouse("stock_prices").exists()


def test_rows_that_come_later_are_loaded_and_judged(site: Site) -> None:
    site.put_days(DAYS, DAYS + 70)
    table = site.materialize("stock_table")
    assert table.success, errors(table)
    monitor = site.materialize("stock_prices_capture", "stock_monitor", "warehouse_upkeep")
    assert monitor.success, errors(monitor)
