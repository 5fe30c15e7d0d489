"""What the end of a system takes and leaves: by every name that was live, and nothing of a system that looks alike."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

import mlplatform
from mlplatform.errors import JobError
from mlplatform.platform import Platform, open_platform
from mlplatform.platform.applied import COLLECTION, apply_specs, ever_applied
from mlplatform.platform.removal import remove_system, what_goes
from mlplatform.ports.compute import JobSpec
from mlplatform_tests.spec.editing import edit

SYSTEM = "stock_prices"
PACKAGE = Path(mlplatform.__path__[0])
NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def defs(tmp_path: Path) -> Path:
    """The YAML of one system, in a project."""
    shutil.copytree(PACKAGE / "defs" / SYSTEM, tmp_path / "defs" / SYSTEM)
    (tmp_path / "pyproject.toml").write_text("[tool.dg.project]\n")
    return tmp_path / "defs"


def opened(defs: Path, profile: str = "local") -> Platform:
    home = str(defs.parent / "home")
    return open_platform({"MLPLATFORM_HOME": home, "MLPLATFORM_DEFS": str(defs), "MLPLATFORM_PROFILE": profile})


def job(platform: Platform, name: str, system: str) -> None:
    """A job that ended at once, for want of a spec."""
    with pytest.raises(JobError):
        platform.compute.run(JobSpec(name, "xgboost", {}, (), "jobs/x/", tags={"system": system}))


def test_names_of_all_that_was_live_are_kept_with_what_is(defs: Path) -> None:
    apply_specs(opened(defs), now=NOW)
    for prefix in ("second/", "third/"):
        text = (defs / SYSTEM / "defs.yaml").read_text()
        old = "stock_prices/base/" if prefix == "second/" else "second/"
        (defs / SYSTEM / "defs.yaml").write_text(text.replace(old, prefix))
        apply_specs(opened(defs), now=NOW)
    item = opened(defs).items.get(COLLECTION, SYSTEM)
    assert item is not None
    ever = ever_applied(item.value)
    assert {"stock_prices/base/", "second/", "third/"} <= ever.prefixes
    assert (ever.models, ever.connections) == ({"stock_model"}, {"warehouse"})


def test_what_was_applied_by_an_earlier_release_names_what_it_holds(defs: Path) -> None:
    platform = opened(defs)
    apply_specs(platform, now=NOW)
    item = platform.items.get(COLLECTION, SYSTEM)
    assert item is not None
    platform.items.put(COLLECTION, SYSTEM, {k: v for k, v in item.value.items() if k != "ever"})
    edit(defs / SYSTEM / "defs.yaml", "{prefix: stock_prices/base/", "{prefix: second/")
    platform = opened(defs)
    apply_specs(platform, now=NOW)
    platform.store.put("stock_prices/base/a.csv", b"x\n")
    platform.store.put("stock_prices/other.csv", b"x\n")
    remove_system(platform, SYSTEM)
    assert [info.key for info in platform.store.list("")] == ["stock_prices/other.csv"]


def test_a_prefix_that_another_system_reads_by_now_stays(defs: Path) -> None:
    apply_specs(opened(defs), now=NOW)
    edit(defs / SYSTEM / "defs.yaml", "{prefix: stock_prices/base/", "{prefix: second/")
    apply_specs(opened(defs), now=NOW)
    shutil.copytree(PACKAGE / "defs" / SYSTEM, defs / "heir")
    heir = defs / "heir" / "defs.yaml"
    # Two endpoints have no route in common.
    heir.write_text(heir.read_text().replace(": stock_prices\n", ": heir\n"))
    platform = opened(defs)
    platform.store.put("stock_prices/base/a.csv", b"x\n")
    kept = [goes.detail for goes in what_goes(platform, SYSTEM) if goes.kept and goes.what == "objects"]
    assert "stock_prices/base/, which system 'heir' reads too" in kept
    remove_system(platform, SYSTEM)
    assert platform.store.head("stock_prices/base/a.csv") is not None


def test_jobs_of_a_system_whose_name_looks_alike_stay(defs: Path) -> None:
    platform = opened(defs)
    job(platform, "stock-prices-stock-model-1-a1", SYSTEM)
    job(platform, "stock-prices-stock-model-2-a1", "stock")
    assert "1, with their logs and models" in [goes.detail for goes in what_goes(platform, SYSTEM)]
    remove_system(platform, SYSTEM)
    assert platform.compute.list() == ["stock-prices-stock-model-2-a1"]


def test_tables_that_do_not_lie_in_the_home_are_said_to_stay(defs: Path) -> None:
    profile = yaml.safe_load((PACKAGE.parent / "profiles" / "local.yaml").read_text())
    profile["connections"]["warehouse"]["adapter"] = "redshift"
    (defs.parent / "profiles").mkdir()
    (defs.parent / "profiles" / "team.yaml").write_text(yaml.safe_dump({**profile, "name": "team"}))
    kept = [goes.detail for goes in what_goes(opened(defs, "team"), SYSTEM) if goes.what == "tables"]
    assert kept == ["on connection 'warehouse', for their owner to drop before a system 'stock_prices' is made anew"]
